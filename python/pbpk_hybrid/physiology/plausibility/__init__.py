"""Rules that a body must obey, and who breaks them."""
