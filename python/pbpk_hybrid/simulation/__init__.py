"""Simulations: one compound, several at once, their variability; what bioavailability they give."""
