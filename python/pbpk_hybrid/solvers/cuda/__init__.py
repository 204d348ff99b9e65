"""Solving on an NVIDIA GPU: one subject in each thread, compiled by numba for the device.

Untested on CUDA: the algorithm is tested on the CPU and in numba's simulator of a device.
"""
