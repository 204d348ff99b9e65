"""How active the transporters of people are: genotype, and differences between people.

Activities are per gram of organ and relative to an adult with two normal alleles, in the
variable ``enzyme_activity(subject, enzyme)`` beside those of enzymes (:mod:`.enzymes`);
``P-gp.brain`` holds for the brain alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from ..._core.arguments import check_kind
from ..._core.random import check_seed
from .enzymes import (
    activity_factors,
    assign_phenotypes,
    check_humans,
    multiply_activity,
    own_stream,
    warn_of_unknown,
)

#: transporter -> phenotype -> (activity relative to two normal alleles, frequency in
#: Europeans, source). Activities are about the reciprocals of what substrates' AUC are
#: raised to; those of OATP1B1 are assumed (docs/assumptions.md).
_SLCO1B1 = (
    "frequencies: 1172, 371 and 36 of 1579 people, Clin Pharmacol Ther 107:617 (2020), doi "
    "10.1002/cpt.1665, table 2 (read); pitavastatin AUC 1.8-fold (one *15 allele), 3.1-fold "
    "(two): Ieiri et al. (2007) Clin Pharmacol Ther 82:541, abstract"
)
_ABCG2 = (
    "ABCG2 421C>A, allele 0.095 by Hardy and Weinberg; rosuvastatin AUC 1.22-fold (CA), "
    "2.44-fold (AA): Keskitalo et al. (2009) Clin Pharmacol Ther 86:197, abstract"
)
TRANSPORTER_PHENOTYPES: dict[str, dict[str, tuple[float, float, str]]] = {
    "OATP1B1": {
        "normal": (1.0, 1172 / 1579, _SLCO1B1),
        "decreased": (0.65, 371 / 1579, _SLCO1B1),
        "poor": (0.35, 36 / 1579, _SLCO1B1),
    },
    "BCRP": {
        "normal": (1.0, 0.905**2, _ABCG2),
        "decreased": (1 / 1.22, 2 * 0.905 * 0.095, _ABCG2),
        "poor": (1 / 2.44, 0.095**2, _ABCG2),
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
    people
        Physiology Dataset of humans.
    phenotypes
        transporter -> phenotype of everybody, e.g. ``{"OATP1B1": "poor"}``;
        ``"population"``: drawn by the frequencies in Europeans; None: normal.
    variation
        Coefficient of variation of log-normal activities with mean 1, one for all or
        transporter (or ``"P-gp.brain"``) -> value; None: none.
    seed
        For what is drawn; None takes the population's own.

    Returns
    -------
    Dataset
        A copy with ``enzyme_activity(subject, enzyme)``, and ``phenotype_<transporter>``
        where phenotypes were given.

    Raises
    ------
    InputError, UnknownNameError
        Animals, a transporter or phenotype that is not known, a variation below 0, no seed.

    Warns
    -----
    NoEffectWarning
        A variation of a transporter that nothing here knows; it counts for compounds that
        name it so.
    """
    check_humans(people)
    check_kind("phenotypes", phenotypes, (str, Mapping, type(None)), "'population' or a mapping")
    check_seed(seed)
    n, out = people.sizes["subject"], people
    if phenotypes is not None:
        random = phenotypes == "population"
        rng = own_stream(seed, people, "transporter phenotypes") if random else None
        out = assign_phenotypes(out, phenotypes, TRANSPORTER_PHENOTYPES, rng, "transporter")
    if variation is not None:
        by_name = (
            variation if isinstance(variation, Mapping) else dict.fromkeys(TRANSPORTERS, variation)
        )
        warn_of_unknown("variation", by_name, TRANSPORTERS, "transporter")
        factors = activity_factors(by_name, n, own_stream(seed, people, "transporters"))
        out = multiply_activity(out, factors)
    return out


__all__ = ["TRANSPORTERS", "TRANSPORTER_PHENOTYPES", "with_transporters"]
