"""The generic models of the R package httk, with httk's own parameters."""
