"""Rate laws of reactions: one file a law, one registry for all that need to know them."""
