"""What the network is shown: plain arrays of doses, observations, queries, covariates and
descriptors, in real units.

Both the corpus and the user's Datasets are brought to a :class:`Batch`; what is done to its
numbers before they enter the network is in :mod:`.features`, once for both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ...physiology.organs import ORGANS, SPECIES

#: where a concentration is taken; the index is what tokens carry
SITES = ("plasma", "blood", *ORGANS)
#: matrix of an observation -> site
MATRICES = {"plasma": "plasma", "serum": "plasma", "blood": "blood", "whole blood": "blood"}

#: covariates of a patient, NaN where not known
COVARIATES = (
    "log_body_weight",
    "age",
    "male",
    "height",
    "hematocrit",
    "log_gfr_per_kg",
    *(f"is_{s}" for s in SPECIES),
)
#: what may be known of a compound, NaN where not known
DESCRIPTORS = (
    "log_p",
    "anionic",
    "cationic",
    "log_molar_mass",
    "logit_fraction_unbound",
    "log_blood_to_plasma",
    "clearance_in_vivo",
    "volume_in_vivo",
    "log_absorption_rate",
    "oral_fraction",
    "saturable",
    "log_dose_over_km",
)
#: centre and spread by which they are divided before they enter the network
_CENTRE = {
    "log_body_weight": (3.5, 1.5),
    "age": (45.0, 20.0),
    "male": (0.5, 0.5),
    "height": (168.0, 12.0),
    "hematocrit": (0.43, 0.05),
    "log_gfr_per_kg": (-2.3, 0.5),
    "log_p": (2.2, 1.8),
    "anionic": (0.4, 0.4),
    "cationic": (0.4, 0.4),
    "log_molar_mass": (5.7, 0.4),
    "logit_fraction_unbound": (-2.0, 2.2),
    "log_blood_to_plasma": (-0.1, 0.35),
    "clearance_in_vivo": (0.5, 0.5),
    "volume_in_vivo": (0.5, 0.5),
    "log_absorption_rate": (0.0, 1.0),
    "oral_fraction": (0.7, 0.3),
    "saturable": (0.0, 1.0),
    "log_dose_over_km": (0.0, 3.0),
}
CENTRE = {
    name: np.array([_CENTRE.get(n, (0.0, 1.0)) for n in names]).T
    for name, names in (("covariates", COVARIATES), ("descriptors", DESCRIPTORS))
}


@dataclass
class Batch:
    """B patients with up to D doses, N observations and Q queries; absent entries are
    padded and masked.

    Parameters
    ----------
    dose_time
        (B, D) [h]
    dose_amount
        (B, D) [mg], bioavailability included; dose_duration : (B, D) [h]
    dose_oral, dose_mask
        (B, D) bool
    obs_time
        (B, N) [h]
    obs_value
        (B, N) [mg/L], the limit where censored; obs_censored, obs_mask : (B, N) bool
    obs_site
        (B, N) number in :data:`SITES`
    obs_reference
        (B, N) [mg/L] what the mechanistic model says of a typical subject; NaN where there
        is none
    query_time, query_reference, query_site, query_mask
        (B, Q) likewise
    query_value, query_censored
        (B, Q) what was measured there; only for training and scoring
    body_weight
        (B,) [kg], always there
    covariates
        (B, len(COVARIATES)), NaN where not known
    descriptors
        (B, len(DESCRIPTORS))
    context
        (B, P) numbers of the patients of `context_batch` that patient b may look at; -1 for
        none
    typical
        :class:`.context_curve.TypicalCurve` of all other patients, None without any
    """

    dose_time: np.ndarray
    dose_amount: np.ndarray
    dose_duration: np.ndarray
    dose_oral: np.ndarray
    dose_mask: np.ndarray
    obs_time: np.ndarray
    obs_value: np.ndarray
    obs_censored: np.ndarray
    obs_mask: np.ndarray
    obs_site: np.ndarray
    obs_reference: np.ndarray
    query_time: np.ndarray
    query_site: np.ndarray
    query_mask: np.ndarray
    query_reference: np.ndarray
    body_weight: np.ndarray
    covariates: np.ndarray
    descriptors: np.ndarray
    query_value: np.ndarray | None = None
    query_censored: np.ndarray | None = None
    context: np.ndarray | None = None
    context_batch: Batch | None = None
    typical: Any = None

    def __len__(self) -> int:
        return len(self.body_weight)

    def take(self, rows: np.ndarray | slice) -> Batch:
        """Some of the patients; whom they may look at stays whole."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{k: v[rows] if isinstance(v, np.ndarray) else v for k, v in arrays.items()})


__all__ = ["CENTRE", "COVARIATES", "DESCRIPTORS", "MATRICES", "SITES", "Batch"]
