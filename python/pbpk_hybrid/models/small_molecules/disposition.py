"""Disposition of a compound in a body: everything that the whole-body model needs, resolved once.

:func:`resolve_disposition` turns a compound, a physiology and the choices of one simulation into
one record of numbers, each with its unit and how it was obtained. The whole-body model only
assembles coefficients from it (:mod:`.whole_body`). It is the parameter table of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..._core.arguments import check_kind
from ..._core.errors import InputError, SchemaError, unknown_name
from ...compounds import Compound
from ...physiology.columns import by_organ
from ..system.graph import LIVER, OrganGraph, whole_body_graph
from .absorption import GutAbsorption
from .basis import clearance_in_words, on_basis
from .distribution import tissue_partition
from .elimination_parameters import elimination_parameters
from .enzymes import enzyme_shares, fraction_gut, gut_wall, pathway_shares
from .partition import DEFAULT_METHOD
from .permeability import (
    Barriers,
    barrier_parameters,
    check_barriers,
    choose_barriers,
    clint_behind_barrier,
)
from .reference import ReferenceBody
from .slow_tissues import SURFACE, membrane_permeability, slow_tissues
from .structure import GALLBLADDER, LUMEN, RENAL, WholeBodyStructure
from .transport import Carrier, choose_carriers, clint_behind_transport, transport_parameters

if TYPE_CHECKING:
    import pandas as pd

#: what stands before the first "." or "[" of a parameter's name -> its unit
UNITS = {
    "volume": "L",
    "flow": "L/h",
    "clint": "L/h",
    "clearance_renal": "L/h",
    "ps_cells": "L/h",
    "ps_capillary": "L/h",
    "transport": "L/h",
    "jmax": "mg/h",
    "vmax": "mg/h",
    "km": "mg/L",
    "absorption_rate": "1/h",
    "transit_rate": "1/h",
    "gallbladder_emptying_rate": "1/h",
    "permeation": "1/h",
    "emptying": "1/h",
    "transit": "1/h",
    "dissolution": "L/(mg h)",
    "fluid": "L",
    "solubility": "mg/L",
}
_GUT_MODEL = "gut model"


@dataclass(frozen=True, eq=False)
class DispositionChoices:
    """What one simulation changes about a compound; the parameters of
    :func:`.whole_body_system`.
    """

    clearance: str | None = None
    distribution: str | None = None
    partition_method: str | None = None
    kp: Mapping[str, float] | None = None
    hepatic_model: str | None = None
    permeability_limited: Mapping[str, float | tuple[float, float]] | float | str | None = None
    absorption: GutAbsorption | None = None
    enzymes_apart: bool = False

    def check(self) -> None:
        """Refuse what is of the wrong kind.

        Raises
        ------
        InputError
            Names the choice.
        """
        check_kind("enzymes_apart", self.enzymes_apart, (bool, np.bool_), "True or False")
        gut = (GutAbsorption, type(None))
        check_kind("absorption", self.absorption, gut, "GutAbsorption(...) or None")
        for name in ("partition_method", "hepatic_model"):
            check_kind(name, getattr(self, name), (str, type(None)), "the name of a method")


@dataclass(frozen=True, eq=False)
class DispositionEntry:
    """One parameter of the whole-body model.

    Parameters
    ----------
    value : ndarray, (n_subjects,) or (1,)
    unit : str
    source : str
        How the value was obtained, with the compound's citation where it has one.
    """

    value: np.ndarray
    unit: str
    source: str

    def __str__(self) -> str:
        """The value, or its range over the subjects."""
        low, high = np.min(self.value), np.max(self.value)
        return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


@dataclass(frozen=True, eq=False, repr=False)
class Disposition:
    """A compound in the subjects of a physiology Dataset: the parameter table of a run.

    Parameters
    ----------
    compound : Compound
        With the values of its species and the basis of this run.
    species : str
    subjects : ndarray, (n_subjects,)
        Labels.
    graph : OrganGraph
    barriers : mapping of str to Barriers
        Permeability-limited organs.
    carriers : tuple of Carrier
        Active transport.
    absorption : GutAbsorption or None
    enzymes_apart : bool
        Metabolism by named enzymes is left to :mod:`.interactions`.
    entries : mapping of str to DispositionEntry
        Parameter -> value, unit and source.
    shares : tuple of ndarray, (n_subjects,) each
        Of each pathway of ``compound.metabolism``, its share of the organ's clearance; empty
        without `enzymes_apart`.
    attrs : mapping
        Methods and bases, for the attributes of a result.
    alone : bool
        The enzymes stand apart for the compound's own sake: it acts on them, and no other
        compound is there.
    """

    compound: Compound
    species: str
    subjects: np.ndarray
    graph: OrganGraph
    barriers: Mapping[str, Barriers]
    carriers: tuple[Carrier, ...]
    absorption: GutAbsorption | None
    enzymes_apart: bool
    entries: Mapping[str, DispositionEntry]
    shares: tuple[np.ndarray, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Parameter -> value, (n_subjects,) or (1,)."""
        return {name: entry.value for name, entry in self.entries.items()}

    @cached_property
    def structure(self) -> WholeBodyStructure:
        """States of the model that these parameters belong to."""
        return WholeBodyStructure(
            self.graph,
            tuple((pathway.name, pathway.organ) for pathway in self.compound.saturable),
            int(self.compound.transit_compartments or 0),
            self.barriers,
            self.carriers,
            self.absorption,
            bool(self.compound.gallbladder_emptying_rate),
            self.enzymes_apart,
        )

    def scaled(self, factors: Mapping[str, np.ndarray] | None) -> Disposition:
        """The same with some parameters multiplied, for variability between subjects.

        Parameters
        ----------
        factors : mapping of str to ndarray, (n_subjects,), or None
            Parameter -> multipliers.

        Raises
        ------
        UnknownNameError
            A name that is no parameter of the body or the compound.
        """
        known = {k: e for k, e in self.entries.items() if not e.source.startswith(_GUT_MODEL)}
        entries = dict(self.entries)
        for name, factor in (factors or {}).items():
            if name not in known:
                raise unknown_name("factors", name, known, what="a parameter of the model")
            source = f"{known[name].source}; times variability between subjects"
            entries[name] = replace(known[name], value=known[name].value * factor, source=source)
        return replace(self, entries=entries)

    def __repr__(self) -> str:
        n = len(self.subjects)
        return (
            f"Disposition({self.compound.name} in {n} {self.species} subject{'s' * (n != 1)}: "
            f"{len(self.entries)} parameters, Kp {self.attrs['partition_method']}, "
            f"clearance {self.attrs['clearance_basis']}, "
            f"distribution {self.attrs['distribution_basis']})"
        )

    def to_dataframe(self) -> pd.DataFrame:
        """The parameter table.

        Returns
        -------
        pandas.DataFrame
            Index ``parameter``; columns ``minimum``, ``median`` and ``maximum`` over the subjects,
            ``unit`` and ``source``.
        """
        import pandas as pd

        rows = {
            name: (np.min(e.value), np.median(e.value), np.max(e.value), e.unit, e.source)
            for name, e in self.entries.items()
        }
        columns = ["minimum", "median", "maximum", "unit", "source"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        return table.rename_axis("parameter")

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(str(entry))}</td>"
            f"<td>{escape(entry.unit)}</td><td>{escape(entry.source)}</td></tr>"
            for name, entry in self.entries.items()
        )
        head = "".join(f"<th>{h}</th>" for h in ("parameter", "value", "unit", "source"))
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table>"


def resolve_disposition(
    compound: Compound, physiology: xr.Dataset, choices: DispositionChoices | None = None
) -> Disposition:
    """Everything that the whole-body model needs of a compound in the subjects of a physiology.

    Parameters
    ----------
    compound : Compound
        The values of the subjects' species are used (``compound.for_species``).
    physiology : xarray.Dataset
        Schema ``physiology``, all subjects of one species.
    choices : DispositionChoices, optional
        What replaces the compound's own bases, methods and values.

    Returns
    -------
    Disposition

    Raises
    ------
    InputError, UnknownNameError
        A value the model needs is missing or impossible; names the field and the compound.
    SchemaError
        `physiology` is no physiology Dataset.
    """
    choices = choices or DispositionChoices()
    check_kind("compound", compound, Compound, "a Compound")
    if not isinstance(physiology, xr.Dataset) or "species" not in physiology:
        raise SchemaError("physiology", type(physiology).__name__, "a physiology Dataset")
    choices.check()
    species = _one_species(physiology)
    own = on_basis(compound.for_species(species), choices.clearance, choices.distribution)
    graph = whole_body_graph(tuple(str(o) for o in physiology.variables["organ"].values))
    reference = ReferenceBody(own, physiology.variables["hematocrit"].values)
    kp, distribution = tissue_partition(own, graph, choices.partition_method, choices.kp, reference)
    alone = not choices.enzymes_apart and acts_on_itself(own)
    choices = replace(choices, enzymes_apart=True) if alone else choices
    slow: dict[str, float] = {}
    if choices.permeability_limited is None:
        slow = slow_tissues(own, kp, float(distribution["kp_factor"]), reference)
    barriers = choose_barriers(own, graph, slow or choices.permeability_limited)
    if choices.absorption is not None:  # the gut model says how much is absorbed, and how fast
        own = own.replace(fraction_absorbed=1.0, transit_compartments=None, absorption_rate=1.0)
    carriers = _carriers(own, graph, barriers)
    resolver = _Resolver(own, physiology, graph, reference, choices, barriers, carriers, bool(slow))
    return Disposition(
        own,
        species,
        _labels(physiology),
        graph,
        barriers,
        carriers,
        choices.absorption,
        bool(choices.enzymes_apart),
        resolver.entries(kp, distribution),
        resolver.shares(),
        _attributes(own, species, choices, barriers, carriers) | distribution,
        alone,
    )


def acts_on_itself(compound: Compound) -> bool:
    """Whether a compound saturates, inactivates or induces an enzyme of its own metabolism.

    Constants are those of human enzymes, so that it is no question for animals.
    """
    if (compound.species or "human") != "human":
        return False
    saturates = any(m.km is not None for m in compound.metabolism)
    return saturates or changes_own_enzymes(compound)


def changes_own_enzymes(compound: Compound) -> bool:
    """Whether a compound inactivates or induces an enzyme of its own metabolism, in humans."""
    if (compound.species or "human") != "human":
        return False
    slowly = {e.enzyme for e in compound.enzyme_effects if e.kind in ("inactivation", "induction")}
    return any(m.enzyme in slowly for m in compound.metabolism)


@dataclass(frozen=True, eq=False)
class _Resolver:
    """The parts of a disposition, one method for each process."""

    compound: Compound
    physiology: xr.Dataset
    graph: OrganGraph
    reference: ReferenceBody
    choices: DispositionChoices
    barriers: Mapping[str, Barriers]
    carriers: tuple[Carrier, ...]
    by_rule: bool = False

    def entries(
        self, kp: Mapping[str, float], distribution: Mapping[str, Any]
    ) -> dict[str, DispositionEntry]:
        """All parameters, in the order of the System's."""
        entries = self._binding()
        entries |= self._anatomy()
        entries |= self._partition(kp, distribution)
        entries |= self._elimination(entries["blood_to_plasma_ratio"].value)
        entries |= self._permeability()
        entries |= self._liver_behind_barrier(entries)
        entries |= _table(
            transport_parameters(self.carriers, self.physiology),
            "transporters of the compound, times organ mass and the subject's activity",
        )
        entries |= self._bile()
        entries |= self._saturable()
        entries |= self._absorption()
        if self.choices.enzymes_apart:
            entries |= self._named_enzymes()
        if self.choices.absorption is not None:
            gut = self.choices.absorption.parameters(self.compound)
            entries |= _table(gut, f"{_GUT_MODEL} ({self.choices.absorption.formulation})")
        return entries

    def shares(self) -> tuple[np.ndarray, ...]:
        """Share of its organ's clearance of every pathway, (n_subjects,) each."""
        if not self.choices.enzymes_apart:
            return ()
        return tuple(
            pathway_shares(self.compound, self.physiology, pathway.organ)[i]
            for i, pathway in enumerate(self.compound.metabolism)
        )

    def _cited(self, name: str) -> str:
        """A field of the compound with its citation."""
        citation = self.compound.sources.get(name)
        return f"{name} ({citation})" if citation else f"{name} of the compound"

    def _binding(self) -> dict[str, DispositionEntry]:
        """Fraction unbound in plasma and blood:plasma ratio."""
        fu = self.compound.fraction_unbound_plasma
        if fu is None:
            expected = "a number in (0, 1]"
            raise InputError("fraction_unbound_plasma", None, expected, subject=self.compound.name)
        ratio = self.reference.blood_to_plasma_of_subjects
        if self.compound.blood_to_plasma_ratio is not None:
            source = f"{self._cited('blood_to_plasma_ratio')}, at each subject's hematocrit"
        else:
            source = "predicted from the composition of red cells, at each subject's hematocrit"
        return {
            "fraction_unbound_plasma": DispositionEntry(
                np.array([fu]), "1", self._cited("fraction_unbound_plasma")
            ),
            "blood_to_plasma_ratio": DispositionEntry(ratio, "1", source),
        }

    def _anatomy(self) -> dict[str, DispositionEntry]:
        """Volumes of all organs, arterial flows of the perfused ones."""
        volume, flow = (by_organ(self.physiology, name) for name in ("volume", "blood_flow"))
        values = {f"volume.{o}": volume[o] for o in self.graph.organs}
        values |= {f"flow.{o}": flow[o] for o in self.graph.perfused}
        return _table(values, "physiology of the subjects")

    def _partition(
        self, kp: Mapping[str, float], distribution: Mapping[str, Any]
    ) -> dict[str, DispositionEntry]:
        """Kp of every tissue."""
        method = self.choices.partition_method or self.compound.partition_method or DEFAULT_METHOD
        factor = distribution["kp_factor"]
        times = "" if factor == 1.0 else f"; times {factor:.4g} to meet volume_steady_state"
        entries: dict[str, DispositionEntry] = {}
        for organ, value in kp.items():
            scaling = times if organ in (self.compound.binding_organs or kp) else ""
            if organ in (self.choices.kp or {}):
                source = "given as kp for this run"
            elif organ in self.compound.kp:
                source = f"measured: {self._cited('kp')}{scaling}"
            else:
                source = f"predicted: {method}{scaling}"
            entries |= _table({f"kp.{organ}": np.array([value])}, source)
        return entries

    def _elimination(self, blood_to_plasma: np.ndarray) -> dict[str, DispositionEntry]:
        """Unbound intrinsic clearance of the liver and renal plasma clearance."""
        values = elimination_parameters(
            self.compound,
            self.physiology,
            self.graph,
            blood_to_plasma,
            self.choices.hepatic_model,
            self.reference,
        )
        return _table(values, self._clearance_source())

    def _clearance_source(self) -> str:
        """Measurement and scaling of hepatic and renal clearance."""
        basis = clearance_in_words(self.compound)
        if basis == "in_vivo":
            hepatic = self.compound.clearance_hepatic is not None
            field_name = "clearance_hepatic" if hepatic else "clearance_plasma"
            return (
                f"{self._cited(field_name)} of the reference individual, scaled by liver mass, "
                "enzymes and GFR"
            )
        if basis == "in_vitro":
            cells = self.compound.clint_hepatocyte is not None
            field_name = "clint_hepatocyte" if cells else "clint_microsome"
            return f"{self._cited(field_name)}, scaled by liver mass, enzymes and GFR"
        return "hepatic clearance is in the saturable pathways; renal clearance from GFR"

    def _permeability(self) -> dict[str, DispositionEntry]:
        """Barriers of permeability-limited organs."""
        species = self.compound.species
        given = self.choices.permeability_limited is not None
        ps = "given as permeability_limited" if given else self._cited("permeability_surface_area")
        if self.by_rule and (known := membrane_permeability(self.compound)):
            ps = f"{SURFACE:g} L/h/kg for each 1e-6 cm/s of Caco-2 permeability, {known[1]}"
        values = barrier_parameters(self.barriers, str(species), self.physiology)
        entries: dict[str, DispositionEntry] = {}
        for name, value in values.items():
            surface = name.startswith("ps_")
            source = f"{ps}, times organ mass" if surface else "tissue composition"
            entries |= _table({name: value}, source)
        return entries

    def _liver_behind_barrier(
        self, entries: Mapping[str, DispositionEntry]
    ) -> dict[str, DispositionEntry]:
        """CLint behind the liver's barrier that keeps the clearance measured in vivo."""
        if LIVER not in self.barriers or self.compound.resolved_clearance_basis != "in_vivo":
            return {}
        p = {name: entry.value for name, entry in entries.items()}
        barrier, clint, name = self.barriers[LIVER], p["clint.liver"], self.compound.name
        crossing = [c.transporter for c in self.carriers if c.transporter.organ == LIVER]
        if any(transporter.direction != "secretion" for transporter in crossing):
            clint = clint_behind_transport(clint, barrier, p, self.carriers, self.physiology, name)
        else:
            clint = clint_behind_barrier(clint, barrier.total(p), name)
        source = f"{entries['clint.liver'].source}; corrected for the liver's barrier"
        return _table({"clint.liver": clint}, source)

    def _bile(self) -> dict[str, DispositionEntry]:
        """Biliary clearance and emptying of the gallbladder."""
        entries: dict[str, DispositionEntry] = {}
        drug = self.compound
        if drug.gallbladder_emptying_rate:
            name = "gallbladder_emptying_rate"
            entries |= _table({name: np.array([getattr(drug, name)])}, self._cited(name))
        if drug.biliary_clearance:
            if drug.absorption_rate is None:
                raise InputError(
                    "absorption_rate",
                    None,
                    "a number > 0 [1/h] with biliary_clearance: bile enters the gut lumen",
                    subject=drug.name,
                    hint="fraction_absorbed=0 sends all of it to faeces",
                )
            weight = self.physiology.variables["body_weight"].values.astype(float)
            clint = drug.biliary_clearance * weight * 60.0 / 1000.0  # mL/min -> L/h
            entries |= _table({"clint.biliary": clint}, self._cited("biliary_clearance"))
        return entries

    def _saturable(self) -> dict[str, DispositionEntry]:
        """Vmax and Km of the saturable pathways."""
        weight = self.physiology.variables["body_weight"].values.astype(float)
        values = {}
        for pathway in self.compound.saturable:
            values[f"vmax[{pathway.name}]"] = pathway.vmax * weight
            values[f"km[{pathway.name}]"] = np.array([pathway.km])
        return _table(values, f"{self._cited('saturable')}, Vmax times body weight")

    def _absorption(self) -> dict[str, DispositionEntry]:
        """First-order absorption: ka, Fa, Fg and the transit rate."""
        drug = self.compound
        fa = 1.0 if drug.fraction_absorbed is None else drug.fraction_absorbed
        values = {
            "absorption_rate": np.array([drug.absorption_rate or 0.0]),
            "fraction_absorbed": np.array([fa]),
            "fraction_gut": fraction_gut(drug, self.physiology),
        }
        if drug.transit_compartments:
            if drug.transit_rate is None:
                raise InputError(
                    "transit_rate",
                    None,
                    "a number > 0 [1/h] with transit_compartments",
                    subject=drug.name,
                )
            values["transit_rate"] = np.array([drug.transit_rate])
        entries: dict[str, DispositionEntry] = {}
        for name, value in values.items():
            if self.choices.absorption is not None and name != "fraction_gut":
                entries |= _table({name: value}, "not used: the gut model absorbs")
                continue
            missing = getattr(drug, name) is None
            default = "no oral absorption given" if name == "absorption_rate" else "assumed 1"
            entries |= _table({name: value}, default if missing else self._cited(name))
        return entries

    def _named_enzymes(self) -> dict[str, DispositionEntry]:
        """The gut wall as a state, and the shares of all named enzymes together."""
        shares = enzyme_shares(self.compound, self.physiology)
        wall = _table(gut_wall(self.physiology), "reference human, scaled by the subject's gut")
        return wall | _table(
            {f"share.{organ}": share for organ, share in shares.items()},
            "metabolism of the compound and the subject's enzymes",
        )


def check_disposition(disposition: Disposition) -> None:
    """Every part of every permeability-limited organ holds drug.

    Raises
    ------
    InputError
        Kp of an organ is below what its blood and interstitium alone hold.
    """
    check_barriers(
        disposition.barriers,
        disposition.parameters,
        disposition.compound.name,
        disposition.subjects,
    )


def _table(values: Mapping[str, np.ndarray], source: str) -> dict[str, DispositionEntry]:
    """Entries that have one source; units by the names."""
    unit = lambda name: UNITS.get(name.split("[")[0].split(".")[0], "1")
    return {name: DispositionEntry(value, unit(name), source) for name, value in values.items()}


def _carriers(
    compound: Compound, graph: OrganGraph, barriers: Mapping[str, Barriers]
) -> tuple[Carrier, ...]:
    """Active transport, with secretion into bile, urine and the gut lumen."""
    tissues = tuple(o for o in graph.organs if o not in graph.blood_pools)
    bile = GALLBLADDER if compound.gallbladder_emptying_rate else LUMEN
    lumina = {"liver": bile, "kidney": RENAL, "gut": LUMEN}
    return choose_carriers(compound, barriers, tissues, lumina)


def _attributes(
    compound: Compound,
    species: str,
    choices: DispositionChoices,
    barriers: Mapping[str, Barriers],
    carriers: tuple[Carrier, ...],
) -> dict[str, Any]:
    """Methods and bases of the run, for the attributes of its result."""
    gut = choices.absorption
    attributes = {
        "model": "whole_body_permeability_limited" if barriers else "whole_body_flow_limited"
    }
    if gut:
        attributes["absorption"] = f"{gut.formulation}, {gut.food}"
    if barriers:
        attributes["permeability_limited"] = ", ".join(barriers)
    if carriers:
        attributes["transporters"] = ", ".join(c.label for c in carriers)
    method = choices.partition_method or compound.partition_method or DEFAULT_METHOD
    return attributes | {
        "compound": compound.name,
        "molar_mass": compound.molar_mass,
        "species": species,
        "partition_method": "given" if choices.kp else method,
        "clearance_basis": clearance_in_words(compound),
        "hepatic_model": choices.hepatic_model or compound.hepatic_model or "well_stirred",
    }


def _one_species(physiology: xr.Dataset) -> str:
    """The species of all subjects."""
    species = np.unique(physiology.variables["species"].values)
    if len(species) != 1:
        raise InputError(
            "physiology.species",
            list(species),
            "one species",
            hint="simulate each species by itself",
        )
    return str(species[0])


def _labels(physiology: xr.Dataset) -> np.ndarray:
    """Subject labels, or numbers where there are none."""
    if "subject" in physiology.coords:
        return physiology.variables["subject"].values
    return np.arange(physiology.sizes["subject"])


__all__ = [
    "Disposition",
    "DispositionChoices",
    "DispositionEntry",
    "check_disposition",
    "resolve_disposition",
]
