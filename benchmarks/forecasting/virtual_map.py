"""The two-compartment MAP fit of virtual patients, told as much as the networks are.

Its prior for a patient is centred on two compartments fitted to the compound's typical curve in that body, the curve that
the networks are shown. How people differ from it comes from whole-body patients of the training compounds: two compartments
are fitted to each one's true curve and to the typical one; the covariance of the differences of ln parameters (per route)
and what two compartments cannot draw are the rest of the prior.
"""

from __future__ import annotations

import numpy as np
from baselines import MapForecaster, Prior, two_compartments
from scipy.optimize import least_squares

from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
from pbpk_hybrid.learn.transformer.batch import SITES
from pbpk_hybrid.learn.transformer.corpus_designs import GRID
from pbpk_hybrid.learn.transformer.corpus_integration import Absorption, integrate_schedules
from pbpk_hybrid.learn.transformer.data import Doses

#: sd of ln concentration of a sample, root mean square over the corpus' studies
_NOISE = 0.2
_EVERY = 4  # points of the curve that are fitted: each fourth
_DEPTH = 9.0  # e-folds below the peak that count


def fit_curve(
    time: np.ndarray, log_curve: np.ndarray, doses: Doses, typical: np.ndarray | None = None
):
    """ln CL, V1, Q, V2 (over F by mouth), ka, lag that draw a curve best, and the root mean square of what is left.

    `typical`: the typical person's, from which the curve's may not go without need.
    """
    keep = np.isfinite(log_curve) & (log_curve > np.nanmax(log_curve) - _DEPTH)
    t, y = time[keep][::_EVERY], log_curve[keep][::_EVERY]
    if typical is None:
        curve, total = np.exp(y), doses.amount.sum()
        area = np.trapezoid(curve, t) + curve[-1] * max(t[-1], 1e-3) / 3
        cl, v = total / area, doses.amount.max() / curve.max()
        ka = 2.0 / max(t[curve.argmax()], 0.05)
        starts = [
            np.log([cl, 0.7 * v, q * cl, v, ka, 0.02 * t[-1] * 0.1 + 0.01]) for q in (1.0, 8.0)
        ]
        pull = 0.02
    else:
        starts, pull = [typical], 0.1

    best = None
    for start in starts:
        residual = lambda z, s=start: np.r_[two_compartments(s + z, doses, t) - y, pull * z]
        fit = least_squares(
            residual, np.zeros(6), bounds=(-6, 6), max_nfev=40, loss="soft_l1", f_scale=0.3
        )
        if best is None or fit.cost < best[0]:
            best = fit.cost, start + fit.x
    miss = two_compartments(best[1], doses, t) - y
    return best[1], float(np.sqrt(np.mean(np.clip(miss, -1, 1) ** 2)))


def doses_of(batch, i: int) -> Doses:
    """What patient i of a batch gets."""
    g = batch.dose_mask[i]
    return Doses(
        batch.dose_time[i, g],
        batch.dose_amount[i, g],
        batch.dose_duration[i, g],
        batch.dose_oral[i, g],
    )


class VirtualMap(MapForecaster):
    """``predict(patient, n, times, typical)``; `typical`: ln of the typical curve on the grid (times [h], values)."""

    def __init__(self, seed: int = 3, packs: int = 12) -> None:
        corpus = Corpus(CorpusOptions(deviation=0.0, exact=True, split="train"))
        self.factor, self.sigma, self.people = {}, {}, 0
        off: dict[bool, list[np.ndarray]] = {False: [], True: []}
        left: dict[bool, list[float]] = {False: [], True: []}
        part = corpus.part(np.random.default_rng([seed, 0]), packs, 1, 4, whole_body=True)
        n, b = len(part.batch), part.batch
        curves = integrate_schedules(
            part.cohort.system(),
            part.schedules,
            np.tile(part.lengths, 2),
            np.tile(b.body_weight, 2),
            Absorption.by_model(part.lag).tile(2),
            SITES,
        )
        plasma = curves[..., SITES.index("plasma")]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(plasma)
        for i in range(n):
            doses = doses_of(b, i)
            scale = np.log(b.dose_amount[i, 0] / b.body_weight[i] / part.schedules[i // 16].size[0])
            time = GRID * part.lengths[i]
            if not np.isfinite(logs[[i, n + i]]).any(axis=1).all():
                continue
            typical, _ = fit_curve(time, logs[n + i] + scale, doses)
            own, rest = fit_curve(time, logs[i] + scale, doses, typical)
            oral = bool(doses.oral.any())
            off[oral].append(own - typical)
            left[oral].append(rest)
        for oral, rows in off.items():
            rows = np.clip(np.array(rows), -2.5, 2.5)
            cov = rows.T @ rows / len(rows) + np.diag([1e-3, 1e-3, 1e-2, 1e-2, 1e-2, 1e-2])
            self.factor[oral] = np.linalg.cholesky(cov)
            self.sigma[oral] = float(np.sqrt(_NOISE**2 + np.median(left[oral]) ** 2))
            self.people += len(rows)

    def __call__(self, patient, n: int, times: np.ndarray, typical: tuple[np.ndarray, np.ndarray]):
        oral = bool(patient.doses.oral.any())
        mean, _ = fit_curve(*typical, patient.doses)
        factor = self.factor[oral]
        self.prior = Prior(mean, np.diag(factor @ factor.T), self.sigma[oral], factor)
        return super().__call__(patient, n, times)


__all__ = ["VirtualMap", "doses_of", "fit_curve"]
