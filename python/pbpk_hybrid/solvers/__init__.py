"""Backends that integrate a :class:`~pbpk_hybrid.models.System`: embedded (numba) and julia, one contract."""
