"""Numba kernels of the rate laws: one file a law, and the dispatch over them."""
