"""Statements about a compound that involve more than one field.

What a model needs beyond that is the model's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.errors import InputError
from .enzymes import check_shares
from .parsing import unknown_field

if TYPE_CHECKING:
    from .compound import Compound

#: clearance measured in vivo: of one kind or the other
IN_VIVO = ("clearance_plasma", "clearance_hepatic")


def check_consistency(compound: Compound) -> None:
    """
    Raises
    ------
    InputError, UnknownNameError
        Fields that contradict each other, a field without the one it needs, or a source of a field
        that does not exist.
    """
    _check_in_vivo(compound)
    _check_bases(compound)
    check_shares("metabolism", compound.metabolism, compound.name)
    _check_permeability(compound)
    _check_bile(compound)
    if compound.partition_method == "measured" and not compound.kp:
        raise InputError(
            "partition_method", "measured", "measured values in kp", subject=compound.name
        )
    _check_sources(compound)


def _check_in_vivo(compound: Compound) -> None:
    """One clearance in vivo for each species, total or hepatic."""
    clearances = {name: getattr(compound, name) for name in IN_VIVO}
    for prefix, values in (
        ("", clearances),
        *((f"species_values.{s}.", v) for s, v in compound.species_values.items()),
    ):
        if all(values.get(name) is not None for name in IN_VIVO):
            raise InputError(
                f"{prefix}clearance_hepatic",
                values["clearance_hepatic"],
                "no clearance_plasma beside it",
                subject=compound.name,
                hint="clearance_plasma is the total of liver and kidney: give one of the two",
            )
    if (
        compound.clearance_basis == "in_vivo"
        and compound.clearance_plasma is None
        and compound.clearance_hepatic is None
    ):
        raise InputError(
            "clearance_basis",
            "in_vivo",
            "'in_vitro', or a value for clearance_plasma or clearance_hepatic",
            subject=compound.name,
        )


def _check_bases(compound: Compound) -> None:
    """Each basis has the value that it names."""
    if (
        compound.clearance_basis == "in_vitro"
        and compound.clint_hepatocyte is None
        and compound.clint_microsome is None
    ):
        raise InputError(
            "clearance_basis",
            "in_vitro",
            "a value for clint_hepatocyte or clint_microsome",
            subject=compound.name,
        )
    if compound.distribution_basis == "in_vivo" and compound.volume_steady_state is None:
        raise InputError(
            "distribution_basis",
            "in_vivo",
            "'predicted', or a value for volume_steady_state",
            subject=compound.name,
        )
    if compound.fraction_excreted_renal is not None and compound.clearance_plasma is None:
        raise InputError(
            "fraction_excreted_renal",
            compound.fraction_excreted_renal,
            "clearance_plasma beside it",
            subject=compound.name,
            hint="the fraction is of the total in vivo clearance; beside clearance_hepatic "
            "or in vitro clearance give gfr_fraction",
        )


def _check_permeability(compound: Compound) -> None:
    walls = set(compound.capillary_permeability_surface_area) - set(
        compound.permeability_surface_area
    )
    if walls:
        raise InputError(
            "capillary_permeability_surface_area",
            sorted(walls),
            "organs that permeability_surface_area names too",
            subject=compound.name,
        )


def _check_bile(compound: Compound) -> None:
    to_bile = any(t.direction == "secretion" and t.organ == "liver" for t in compound.transporters)
    if compound.gallbladder_emptying_rate is not None and not (
        compound.biliary_clearance or to_bile
    ):
        raise InputError(
            "gallbladder_emptying_rate",
            compound.gallbladder_emptying_rate,
            "biliary_clearance, or a transporter of the liver that secretes, beside it",
            subject=compound.name,
        )


def _check_sources(compound: Compound) -> None:
    """Sources name fields, as ``field`` or ``species.field``."""
    known = tuple(type(compound).__dataclass_fields__)
    for key in compound.sources:
        if key.rpartition(".")[2] not in known:
            raise unknown_field(key, known, "sources")
