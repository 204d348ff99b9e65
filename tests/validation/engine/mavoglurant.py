"""The 16-state flow-limited model of mavoglurant, written by hand as a System.

Structure and fixed values: Wendling et al. (2016) Front Pharmacol 6:285, as stated in the BayesPBPK tutorial of Metrum
Research Group; intrinsic clearance and five partition coefficients are the posterior means published there (Turing),
rounded as the reference file took them. Partition coefficients are tissue:blood.
"""

from __future__ import annotations

import numpy as np

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.system import Coefficients

BLOOD_TO_PLASMA, FRACTION_UNBOUND_PLASMA = 0.61, 0.028
CLINT = 1391.56  # L/h, unbound

#: organ -> (code in the reference file, % of body weight, density kg/L, % of cardiac output, tissue:blood)
ORGANS = {
    "lung": ("LU", 0.76, 1.051, 0.0, np.exp(0.8334)),
    "heart": ("HT", 0.47, 1.030, 4.0, np.exp(1.1205)),
    "brain": ("BR", 2.00, 1.036, 12.0, 4.965),
    "muscle": ("MU", 40.00, 1.041, 17.0, 1.752),
    "adipose": ("AD", 21.42, 0.916, 5.0, 10.344),
    "skin": ("SK", 3.71, 1.116, 5.0, np.exp(-0.5238)),
    "spleen": ("SP", 0.26, 1.054, 3.0, np.exp(0.3224)),
    "pancreas": ("PA", 0.14, 1.045, 1.0, np.exp(0.3224)),
    "liver": (
        "LI",
        2.57,
        1.040,
        6.5,
        np.exp(1.7604),
    ),  # hepatic artery: 25.5 % less the portal organs
    "stomach": ("ST", 0.21, 1.050, 1.0, np.exp(0.3224)),
    "gut": ("GU", 1.44, 1.043, 14.0, np.exp(1.2026)),
    "bone": ("BO", 14.29, 1.990, 5.0, 1.060),
    "kidney": ("KI", 0.44, 1.050, 19.0, np.exp(1.3171)),
    "arterial_blood": ("AB", 2.81, 1.040, 0.0, 1.0),
    "venous_blood": ("VB", 5.62, 1.040, 0.0, 1.0),
    "rest": ("RB", 3.86, 1.040, 7.5, 1.808),
}
PORTAL = ("spleen", "pancreas", "stomach", "gut")


def clearance_blood(weight: np.ndarray) -> np.ndarray:
    """Well-stirred hepatic blood clearance [L/h]."""
    flow = 0.255 * cardiac_output(weight)
    intrinsic = CLINT * FRACTION_UNBOUND_PLASMA / BLOOD_TO_PLASMA
    return flow * intrinsic / (flow + intrinsic)


def cardiac_output(weight: np.ndarray) -> np.ndarray:
    """[L/h] for body weights [kg] (White et al. 1968)."""
    return 187.0 * np.asarray(weight, float) ** 0.81 * 60 / 1000


def mavoglurant_system(weight: np.ndarray, subjects: np.ndarray | None = None) -> ph.System:
    """One subject per body weight [kg]; states: the organs, ``metabolised``, and ``area`` [mg h/L] under venous plasma.

    Named parameters: ``clint`` [L/h] and ``kb.ORGAN``, tissue:blood.
    """
    weight = np.atleast_1d(np.asarray(weight, float))
    n = len(weight)
    states = (*ORGANS, "metabolised", "area")
    number = {s: i for i, s in enumerate(states)}
    venous = number["venous_blood"]
    plasma = 1.0 / (
        ORGANS["venous_blood"][1] / 100 * weight / ORGANS["venous_blood"][2] * BLOOD_TO_PLASMA
    )

    def assemble(p):
        entries = _entries(p, weight, number) | {(number["area"], venous): plasma}
        rows = max(np.size(rate) for rate in entries.values())  # one subject, many values of p
        k = np.empty((rows, len(entries)), dtype=np.result_type(*entries.values()))
        for column, rate in enumerate(entries.values()):
            k[:, column] = rate
        return Coefficients(k, (), {"plasma": plasma})

    parameters = {"clint": np.array([CLINT])} | {
        f"kb.{o}": np.array([row[-1]]) for o, row in ORGANS.items() if row[3]
    }
    parameters["kb.lung"] = np.array([ORGANS["lung"][-1]])
    entries = _entries(parameters, weight, number) | {(number["area"], venous): plasma}
    return ph.System(
        states,
        [i for i, _ in entries],
        [j for _, j in entries],
        assemble(parameters).k_value,
        observables={"plasma": ph.Observable((venous,), plasma)},
        targets={"iv_infusion": venous, "iv_bolus": venous},
        n_subjects=n,
        subjects=subjects,
        parameters=parameters,
        assemble=assemble,
    )


def _entries(p, weight: np.ndarray, number: dict[str, int]) -> dict[tuple[int, int], np.ndarray]:
    """K by (to, from), without the area."""
    output = cardiac_output(weight)
    k: dict[tuple[int, int], np.ndarray] = {}

    def move(source: str, target: str, flow: np.ndarray) -> None:
        """Blood flows [L/h] from source to target."""
        _, share, density, _, _ = ORGANS[source]
        rate = flow / (share / 100 * weight / density * p.get(f"kb.{source}", 1.0))
        i, j = number[target], number[source]
        k[i, j] = k.get((i, j), 0.0) + rate
        k[j, j] = k.get((j, j), 0.0) - rate

    move("venous_blood", "lung", output)
    move("lung", "arterial_blood", output)
    to_liver = output * 0
    for organ, (*_, percent, _) in ORGANS.items():
        flow = percent / 100 * output
        if percent:
            move("arterial_blood", organ, flow)
            to_liver = to_liver + flow if organ in (*PORTAL, "liver") else to_liver
            if organ != "liver":
                move(organ, "liver" if organ in PORTAL else "venous_blood", flow)
    move("liver", "venous_blood", to_liver)
    move("liver", "metabolised", p["clint"] * FRACTION_UNBOUND_PLASMA / BLOOD_TO_PLASMA)
    return k
