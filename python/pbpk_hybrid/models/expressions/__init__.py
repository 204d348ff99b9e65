"""Expressions: any kinetics as small immutable trees over states, parameters and time."""
