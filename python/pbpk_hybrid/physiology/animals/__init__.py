"""Animals: random animals around the reference of their species."""
