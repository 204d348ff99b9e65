"""How active the transporters of people are: genotype, and differences between people.

Activities are per gram of organ and relative to an adult with two normal alleles, in the variable
``enzyme_activity(subject, enzyme)`` beside those of enzymes (:mod:`.enzymes`); ``P-gp.brain`` holds for the brain alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from .._core.errors import InputError, unknown_name
from .._core.random import generator
from .enzymes import _seed, multiply_activity

#: transporter -> phenotype -> (activity relative to two normal alleles, frequency in Europeans, source). Frequencies follow
#: Hardy and Weinberg from the allele's; activities are the reciprocals of what substrates' AUC are raised to. All quoted
#: from memory, to check.
_SLCO1B1 = (
    "SLCO1B1 521T>C, allele .16; AUC about 1.5-fold (TC), 2.9-fold (CC) of simvastatin acid, pitavastatin (Niemi 2011)"
)
_ABCG2 = "ABCG2 421C>A, allele .11; rosuvastatin AUC about 1.2-fold (CA), 2.4-fold (AA) (Keskitalo et al. 2009)"
TRANSPORTER_PHENOTYPES: dict[str, dict[str, tuple[float, float, str]]] = {
    "OATP1B1": {"normal": (1.0, 0.7056, _SLCO1B1), "decreased": (0.65, 0.2688, _SLCO1B1), "poor": (0.35, 0.0256, _SLCO1B1)},
    "BCRP": {"normal": (1.0, 0.7921, _ABCG2), "decreased": (0.8, 0.1958, _ABCG2), "poor": (0.4, 0.0121, _ABCG2)},
}
#: transporters that vary if a single coefficient of variation is given
TRANSPORTERS = ("OATP1B1", "OATP1B3", "OATP2B1", "NTCP", "OCT1", "P-gp", "BCRP", "MRP2", "MRP3", "BSEP", "OCT2", "OAT1",
                "OAT3", "MATE1", "MATE2-K")  # fmt: skip


def with_transporters(
    people: xr.Dataset,
    *,
    phenotypes: Mapping[str, str] | str | None = None,
    variation: float | Mapping[str, float] | None = None,
    seed: int | None = None,
) -> xr.Dataset:
    """People with the activity of their transporters.

    Parameters
    ----------
    people : physiology Dataset of humans
    phenotypes : transporter -> phenotype of everybody, e.g. ``{"OATP1B1": "poor"}``; ``"population"``: drawn by the
        frequencies in Europeans; None: normal
    variation : coefficient of variation of log-normal activities with mean 1, one for all or transporter (or
        ``"P-gp.brain"``) -> value; None: none
    seed : for what is drawn; None takes the population's own

    Returns
    -------
    A copy with ``enzyme_activity(subject, enzyme)``, and ``phenotype_<transporter>`` where phenotypes were asked for

    Raises
    ------
    InputError, UnknownNameError : animals, a transporter or phenotype that is not known, a variation below 0, no seed
    """
    if set(np.unique(people["species"].values)) != {"human"}:
        raise InputError("people", list(np.unique(people["species"].values)), "humans")
    if isinstance(phenotypes, str) and phenotypes != "population":
        raise InputError("phenotypes", phenotypes, "'population', or a mapping of transporters to phenotypes")
    n, out = people.sizes["subject"], people
    rng = None
    if phenotypes == "population" or variation is not None:
        rng, _ = generator(_seed(seed, people))
    asked = dict.fromkeys(TRANSPORTER_PHENOTYPES) if isinstance(phenotypes, str) else dict(phenotypes or {})
    for name, which in asked.items():
        if name not in TRANSPORTER_PHENOTYPES:
            raise unknown_name("phenotypes", name, TRANSPORTER_PHENOTYPES, what="a polymorphic transporter")
        table = TRANSPORTER_PHENOTYPES[name]
        if which is None:
            share = np.array([f for _, f, _ in table.values()])
            labels = rng.choice(list(table), size=n, p=share / share.sum())
        else:
            if which not in table:
                raise unknown_name(f"phenotypes.{name}", which, table, what="a phenotype")
            labels = np.full(n, which)
        out = multiply_activity(out, {name: np.array([table[str(label)][0] for label in labels])})
        text = {"units": "1", "long_name": f"phenotype of {name}"}
        out = out.assign({f"phenotype_{name}": ("subject", labels.astype(str), text)})
    if variation is not None:
        given = variation if isinstance(variation, Mapping) else dict.fromkeys(TRANSPORTERS, variation)
        factors = {}
        for name, cv in given.items():
            if not (np.isfinite(cv) and 0 <= cv <= 5):
                raise InputError(f"variation.{name}", cv, "a coefficient of variation from 0 to 5")
            sigma = np.sqrt(np.log1p(float(cv) ** 2))
            factors[name] = np.exp(sigma * rng.standard_normal(n) - sigma**2 / 2)
        out = multiply_activity(out, factors)
    return out


__all__ = ["TRANSPORTERS", "TRANSPORTER_PHENOTYPES", "with_transporters"]
