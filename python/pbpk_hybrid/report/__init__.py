"""Self-contained reports of a simulation."""
