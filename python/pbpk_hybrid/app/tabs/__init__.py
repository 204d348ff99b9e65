"""The tabs of the page, one module each; every one is a function without arguments."""
