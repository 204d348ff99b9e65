"""`Compound`: everything the models need to know about one drug, validated once, then immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._core.errors import InputError
from .._core.html_table import html_table
from ._fields import NUMBERS, parse_choice, parse_number, parse_text_map, parse_texts
from .consistency import IN_VIVO, check_consistency
from .display import HEADER, one_line, value_rows
from .enzymes import EnzymeEffect, Metabolism, record
from .parsing import EMPTY, parse_fields, parse_species_values, unknown_field
from .saturable import SaturablePathway
from .transporters import Transporter

if TYPE_CHECKING:
    import pandas as pd


def _empty() -> Mapping[str, Any]:
    return EMPTY


#: defaults that :meth:`Compound.to_dict` leaves out
_DEFAULTS: Mapping[str, Any] = {"gfr_fraction": 1.0, "distribution_basis": "predicted"}

#: measured in vivo: values of one species say nothing of another
_NEVER_BORROWED = (*IN_VIVO, "fraction_excreted_renal", "volume_steady_state")


@dataclass(frozen=True, kw_only=True, repr=False)
class Compound:
    """One drug. Plain numbers in the unit named here; ``None`` means not given.

    Build it with :meth:`create`, which converts units and checks every value; the bare
    constructor stores what it is given and is meant for code that already holds checked
    numbers.

    Parameters
    ----------
    name
        The compound's name.
    molar_mass
        [g/mol].
    log_p
        log10 octanol:water partition coefficient of the neutral form.
    log_membrane_affinity
        log10 phospholipid membrane:water coefficient of the neutral form; predicted if
        None.
    pka_acid, pka_base
        pKa of acidic sites, and of the conjugate acids of basic sites; empty for none.
    fraction_unbound_plasma
        (0, 1].
    blood_to_plasma_ratio
        Whole blood over plasma concentration.
    clint_hepatocyte
        In vitro intrinsic clearance [uL/min/1e6 cell].
    fraction_unbound_hepatocyte
        Fraction unbound in that incubation (0, 1].
    clint_microsome
        In vitro intrinsic clearance [uL/min/mg of microsomal protein].
    fraction_unbound_microsome
        Fraction unbound in that incubation (0, 1].
    clearance_plasma
        Total plasma clearance measured in vivo [mL/min/kg], liver and kidney together.
    clearance_hepatic
        Plasma clearance of the liver alone, measured in vivo [mL/min/kg]; instead of
        `clearance_plasma`. The kidney adds its own, fraction unbound x GFR x
        `gfr_fraction`, and so do `saturable` pathways.
    fraction_excreted_renal
        Share of `clearance_plasma` that leaves unchanged in urine, [0, 1].
    clearance_basis
        ``"in_vivo"`` (from `clearance_plasma` or `clearance_hepatic`) or ``"in_vitro"``
        (from the CLint values); None means in vivo where it is given, else in vitro
        (see :attr:`resolved_clearance_basis`).
    volume_steady_state
        Plasma volume of distribution at steady state measured in vivo [L/kg].
    distribution_basis
        ``"predicted"`` (Kp as the partition method says) or ``"in_vivo"``: all Kp times
        one factor, so that the reference individual of the species has
        `volume_steady_state`. The factor comes from the literature's volume, not from a
        concentration-time profile.
    binding_organs
        Organs whose Kp this factor multiplies, where the target is known that binds the drug
        there; empty: all organs.
    gfr_fraction
        Renal clearance over (fraction unbound x GFR), used with in vitro clearance and
        with `clearance_hepatic`; default 1; 0 for a compound that is not filtered.
    biliary_clearance
        Intrinsic biliary clearance of unbound drug from liver cells, per body weight
        [mL/min/kg], beside all other clearance; bile goes to the gut lumen and is
        absorbed again (enterohepatic recirculation).
    gallbladder_emptying_rate
        first-order rate at which the gallbladder empties [1/h]; None: bile flows to the
        lumen at once.
    permeability_surface_area
        Organ -> permeability-surface product of its cell membranes for unbound drug
        [L/h per kg of tissue]; organs named here are permeability-limited. None named: the
        rule of :mod:`pbpk_hybrid.models.small_molecules.slow_tissues`.
    capillary_permeability_surface_area
        The same of the capillary wall; an organ without a value has blood and
        interstitium in equilibrium.
    saturable
        Michaelis-Menten pathways.
    metabolism
        Which enzymes do the metabolism in liver and gut wall, and in what shares; see
        :class:`.enzymes.Metabolism`.
    enzyme_effects
        Enzymes and transporters that the compound inhibits, inactivates or induces; see
        :class:`.enzymes.EnzymeEffect`.
    transporters
        Active uptake, efflux and secretion by organ; see
        :class:`.transporters.Transporter`.
    absorption_rate
        first-order absorption from the gut lumen [1/h].
    fraction_absorbed, fraction_gut
        Fraction of an oral dose that enters the gut wall, and that passes it.
    absorption_lag_time
        [h].
    transit_compartments
        Count.
    transit_rate
        [1/h].
    caco2_permeability
        Apparent permeability [1e-6 cm/s].
    kp
        Measured tissue:plasma partition coefficients by organ.
    partition_method, hepatic_model
        Names of methods; None leaves the choice to the model.
    species_values
        For each species the fields that differ there; see :meth:`for_species`.
    sources
        Citation for each field.
    notes
        Remarks.
    identifiers
        Cas, dtxsid, formula.
    aliases
        Other names.
    """

    name: str
    molar_mass: float | None = None
    log_p: float | None = None
    log_membrane_affinity: float | None = None
    pka_acid: tuple[float, ...] = ()
    pka_base: tuple[float, ...] = ()
    fraction_unbound_plasma: float | None = None
    blood_to_plasma_ratio: float | None = None
    clint_hepatocyte: float | None = None
    fraction_unbound_hepatocyte: float | None = None
    clint_microsome: float | None = None
    fraction_unbound_microsome: float | None = None
    clearance_plasma: float | None = None
    clearance_hepatic: float | None = None
    fraction_excreted_renal: float | None = None
    clearance_basis: str | None = None
    volume_steady_state: float | None = None
    distribution_basis: str = "predicted"
    binding_organs: tuple[str, ...] = ()
    biliary_clearance: float | None = None
    gallbladder_emptying_rate: float | None = None
    permeability_surface_area: Mapping[str, float] = field(default_factory=_empty)
    capillary_permeability_surface_area: Mapping[str, float] = field(default_factory=_empty)
    gfr_fraction: float = 1.0
    saturable: tuple[SaturablePathway, ...] = ()
    metabolism: tuple[Metabolism, ...] = ()
    enzyme_effects: tuple[EnzymeEffect, ...] = ()
    transporters: tuple[Transporter, ...] = ()
    absorption_rate: float | None = None
    fraction_absorbed: float | None = None
    fraction_gut: float | None = None
    absorption_lag_time: float | None = None
    transit_compartments: int | None = None
    transit_rate: float | None = None
    caco2_permeability: float | None = None
    kp: Mapping[str, float] = field(default_factory=_empty)
    partition_method: str | None = None
    hepatic_model: str | None = None
    species: str | None = None
    species_values: Mapping[str, Mapping[str, Any]] = field(default_factory=_empty)
    sources: Mapping[str, str] = field(default_factory=_empty)
    notes: tuple[str, ...] = ()
    identifiers: Mapping[str, str] = field(default_factory=_empty)
    aliases: tuple[str, ...] = ()

    # ---------------------------------------------------------------- making
    @classmethod
    def create(cls, **values: Any) -> Compound:
        """A checked compound from plain numbers, strings with units, or pint quantities.

        >>> import pbpk_hybrid as ph
        >>> mine = ph.Compound.create(
        ...     name="mine", molar_mass="325.8 g/mol", fraction_unbound_plasma="3 %"
        ... )
        >>> mine.molar_mass
        325.8

        Raises
        ------
        UnknownNameError
            An unknown field, organ, species or method; the nearest names are suggested.
        UnitError
            A unit that is unknown or of another dimension.
        InputError
            A missing name, a value that is not finite or out of its range.
        """
        known = field_names()
        for key in values:
            if key not in known:
                raise unknown_field(key, known)
        name = values.get("name")
        if not isinstance(name, str) or not name.strip():
            raise InputError("name", name, "the name of the compound")
        species = parse_choice("species", values.get("species"))
        parsed: dict[str, Any] = {"name": name.strip(), "species": species}
        # molar mass first: it allows molar units in the fields that follow
        molar_mass = values.get("molar_mass")
        parsed["molar_mass"] = (
            None
            if molar_mass is None
            else parse_number(NUMBERS["molar_mass"], molar_mass, "molar_mass", None)
        )
        parsed.update(parse_fields(values, parsed["molar_mass"], prefix=""))
        parsed["species_values"] = parse_species_values(
            values.get("species_values"), parsed["molar_mass"]
        )
        parsed["sources"] = parse_text_map("sources", values.get("sources"))
        parsed["identifiers"] = parse_text_map("identifiers", values.get("identifiers"))
        for key in ("notes", "aliases"):
            parsed[key] = parse_texts(key, values.get(key))
        compound = cls(**{k: v for k, v in parsed.items() if v is not None})
        check_consistency(compound)
        return compound

    def replace(self, **changes: Any) -> Compound:
        """A copy with some fields changed; the changes are checked as in :meth:`create`.

        A changed value loses its citation unless `sources` is given too: the new number
        is not the cited one.
        """
        known = field_names()
        for key in changes:
            if key not in known:
                raise unknown_field(key, known)
        values = self.to_dict()
        if "sources" not in changes and values.get("sources"):
            values["sources"] = {k: v for k, v in values["sources"].items() if k not in changes}
        values.update(changes)
        return Compound.create(**values)

    def for_species(self, species: str) -> Compound:
        """This compound with the values of `species` put in.

        A field without a value for `species` keeps the compound's own value, except
        what was measured in vivo: per kg it differs several-fold between species, so
        `clearance_plasma`, `clearance_hepatic`, `fraction_excreted_renal` and
        `volume_steady_state` become None unless `species_values` gives them (or the
        compound's own species is `species`; the default is human). The basis that would
        need such a value falls back with it.

        Raises
        ------
        UnknownNameError
            If `species` is not one of the seven.
        """
        species = parse_choice("species", species)
        changes = self._values_of(species)
        sources = dict(self.sources)
        for key in changes:
            sources.pop(key, None)  # the citation of the other species' value
            tagged = sources.get(f"{species}.{key}")
            if tagged is not None:
                sources[key] = tagged
        return replace(self, **changes, species=species, sources=MappingProxyType(sources))

    def _values_of(self, species: str) -> dict[str, Any]:
        """Fields that change for `species`: its own values, and what cannot be borrowed."""
        measured = self.species_values.get(species, {})
        changes = dict(measured)
        for one_kind, other_kind in (IN_VIVO, IN_VIVO[::-1]):
            # a species' own clearance replaces one of the other kind
            if measured.get(one_kind) is not None:
                changes.setdefault(other_kind, None)
        if species == (self.species or "human"):
            return changes
        for key in _NEVER_BORROWED:
            changes.setdefault(key, None)
        has_clearance = any(changes[key] is not None for key in IN_VIVO)
        if not has_clearance and self.clearance_basis == "in_vivo":
            changes.setdefault("clearance_basis", None)
        if changes["volume_steady_state"] is None:
            changes.setdefault("distribution_basis", "predicted")
        return changes

    # ---------------------------------------------------------------- reading
    @property
    def resolved_clearance_basis(self) -> str | None:
        """``"in_vivo"`` or ``"in_vitro"``: which clearance values a model should use;
        None if there are none.
        """
        if self.clearance_basis is not None:
            return self.clearance_basis
        if self.clearance_plasma is not None or self.clearance_hepatic is not None:
            return "in_vivo"
        if self.clint_hepatocyte is not None or self.clint_microsome is not None:
            return "in_vitro"
        return None

    @property
    def ionisation_class(self) -> str:
        """``"neutral"``, ``"acid"``, ``"base"`` or ``"ampholyte"``, from the pKa lists alone."""
        if self.pka_acid and self.pka_base:
            return "ampholyte"
        return "acid" if self.pka_acid else "base" if self.pka_base else "neutral"

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values of every field that is given, such that
        ``Compound.create(**d)`` equals the compound.
        """
        values = {}
        for field_ in fields(self):
            value = getattr(self, field_.name)
            if value is None or value in ((), {}) or _DEFAULTS.get(field_.name) == value:
                continue
            values[field_.name] = _plain(value)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Compound:
        """The inverse of :meth:`to_dict`, with all checks."""
        if not isinstance(values, Mapping) or not all(isinstance(k, str) for k in values):
            raise InputError("values", values, "a mapping: field of Compound -> value")
        return cls.create(**values)

    def to_dataframe(self) -> pd.DataFrame:
        """The values as a table.

        Returns
        -------
        DataFrame
            One row per value: ``field``, ``value``, ``unit`` ("" without one) and ``source``
            ("" where none is given). Values of other species have names such as
            ``rat.clearance_plasma``.
        """
        import pandas as pd

        return pd.DataFrame(value_rows(self), columns=list(HEADER))

    def __repr__(self) -> str:
        return one_line(self)

    def _repr_html_(self) -> str:
        return html_table(one_line(self), HEADER, value_rows(self))

    def full_text(self) -> str:
        """Every field and its value, as text that differs whenever two compounds do."""
        values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{type(self).__qualname__}({values})"

    def __reduce__(self):  # mapping proxies do not pickle; the dictionary does
        return (Compound.from_dict, (self.to_dict(),))

    def __hash__(self) -> int:
        return hash((self.name, self.molar_mass, self.species))


def field_names() -> tuple[str, ...]:
    """The names of all fields of :class:`Compound`."""
    return tuple(field.name for field in fields(Compound))


def _plain(value: Any) -> Any:
    """Records and read-only mappings as dictionaries, tuples as lists; inside mappings too."""
    if is_dataclass(value):
        return record(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
