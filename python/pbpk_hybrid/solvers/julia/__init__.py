"""The only room that may import juliacall."""
