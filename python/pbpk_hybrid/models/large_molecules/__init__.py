"""Antibodies and other proteins."""
