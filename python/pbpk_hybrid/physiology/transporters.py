"""How active the transporters of people are: genotype, and differences between people.

Activities are per gram of organ and relative to an adult with two normal alleles, in the variable
``enzyme_activity(subject, enzyme)`` beside those of enzymes (:mod:`.enzymes`); ``P-gp.brain`` holds for the brain alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from .._core.arguments import check_kind
from .._core.random import check_seed, generator
from .enzymes import activity_factors, assign_phenotypes, check_humans, multiply_activity, seed_of

#: transporter -> phenotype -> (activity relative to two normal alleles, frequency in Europeans, source). Frequencies follow
#: Hardy and Weinberg from the allele's; activities are the reciprocals of what substrates' AUC are raised to. All quoted
#: from memory, to check.
_SLCO1B1 = "SLCO1B1 521T>C, allele .16; AUC about 1.5-fold (TC), 2.9-fold (CC) of simvastatin acid, pitavastatin (Niemi 2011)"
_ABCG2 = "ABCG2 421C>A, allele .11; rosuvastatin AUC about 1.2-fold (CA), 2.4-fold (AA) (Keskitalo et al. 2009)"
TRANSPORTER_PHENOTYPES: dict[str, dict[str, tuple[float, float, str]]] = {
    "OATP1B1": {
        "normal": (1.0, 0.7056, _SLCO1B1),
        "decreased": (0.65, 0.2688, _SLCO1B1),
        "poor": (0.35, 0.0256, _SLCO1B1),
    },
    "BCRP": {
        "normal": (1.0, 0.7921, _ABCG2),
        "decreased": (0.8, 0.1958, _ABCG2),
        "poor": (0.4, 0.0121, _ABCG2),
    },
}
#: transporters that vary if a single coefficient of variation is given
TRANSPORTERS = (
    "OATP1B1",
    "OATP1B3",
    "OATP2B1",
    "NTCP",
    "OCT1",
    "P-gp",
    "BCRP",
    "MRP2",
    "MRP3",
    "BSEP",
    "OCT2",
    "OAT1",
    "OAT3",
    "MATE1",
    "MATE2-K",
)


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
    check_humans(people)
    check_kind("phenotypes", phenotypes, (str, Mapping, type(None)), "'population' or a mapping")
    check_seed(seed)
    n, out, rng = people.sizes["subject"], people, None
    if phenotypes == "population" or variation is not None:
        rng, _ = generator(seed_of(seed, people))
    if phenotypes is not None:
        out = assign_phenotypes(out, phenotypes, TRANSPORTER_PHENOTYPES, rng, "transporter")
    if variation is not None:
        given = (
            variation if isinstance(variation, Mapping) else dict.fromkeys(TRANSPORTERS, variation)
        )
        out = multiply_activity(out, activity_factors(given, n, rng))
    return out


__all__ = ["TRANSPORTERS", "TRANSPORTER_PHENOTYPES", "with_transporters"]
