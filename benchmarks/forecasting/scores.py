"""Scores of forecasts: log-RMSE, fold errors, CRPS and coverage, on natural logarithms of concentrations."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

COLUMNS = ("points", "log_rmse", "aafe", "within_1.25", "within_2", "crps", "cover_50", "cover_90")


def table_row(log_true, median, low50, high50, low90, high90, crps=None) -> dict[str, float]:
    """All scores of points (n,) of one contender; intervals may be NaN where it has none."""
    error = np.asarray(median) - np.asarray(log_true)
    fold = np.exp(np.abs(error))
    inside = lambda a, b: (
        float(np.mean((log_true >= a) & (log_true <= b))) if np.isfinite(a).all() else np.nan
    )
    return {
        "points": len(error),
        "log_rmse": float(np.sqrt(np.mean(error**2))),
        "aafe": float(np.exp(np.mean(np.abs(error)))),
        "within_1.25": float(np.mean(fold <= 1.25)),
        "within_2": float(np.mean(fold <= 2.0)),
        "crps": np.nan if crps is None else float(np.mean(crps)),
        "cover_50": inside(low50, high50),
        "cover_90": inside(low90, high90),
    }


def mixture_crps(weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, x: np.ndarray) -> np.ndarray:
    """CRPS of normal mixtures (..., M) at x (...) (Grimit et al. 2006, Q J R Meteorol Soc 132:2925)."""

    def spread(mu, var):
        s = np.sqrt(var)
        return 2 * s * np.exp(-0.5 * (mu / s) ** 2) / np.sqrt(2 * np.pi) + mu * (
            2 * ndtr(mu / s) - 1
        )

    first = (weight * spread(x[..., None] - mean, sd**2)).sum(-1)
    both = spread(
        mean[..., :, None] - mean[..., None, :], sd[..., :, None] ** 2 + sd[..., None, :] ** 2
    )
    return first - 0.5 * (weight[..., :, None] * weight[..., None, :] * both).sum((-1, -2))
