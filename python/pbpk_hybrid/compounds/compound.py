"""`Compound`: everything the models need to know about one drug, validated once, immutable afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from .._core.errors import InputError, UnknownNameError, unknown_name
from ._fields import (
    NUMBERS,
    Number,
    check_organ,
    parse_choice,
    parse_kp,
    parse_number,
    parse_permeability,
    parse_pka,
    parse_text_map,
)
from .enzymes import EnzymeEffect, Metabolism, check_shares, parse_records, record
from .transporters import Transporter, parse_transporters

_EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return _EMPTY


_DEFAULTS: Mapping[str, Any] = {
    "gfr_fraction": 1.0,
    "distribution_basis": "predicted",
}  # left out of dictionaries
_RECORDS: Mapping[str, type] = {
    "metabolism": Metabolism,
    "enzyme_effects": EnzymeEffect,
    "transporters": Transporter,
}
_IN_VIVO = ("clearance_plasma", "clearance_hepatic")
_PERMEABILITIES = ("permeability_surface_area", "capillary_permeability_surface_area")
_NEVER_BORROWED = (
    "clearance_plasma",
    "clearance_hepatic",
    "fraction_excreted_renal",
    "volume_steady_state",
)  # from another species


@dataclass(frozen=True, kw_only=True)
class SaturablePathway:
    """One Michaelis-Menten elimination pathway.

    .. math:: v = V_{max} C_u / (K_m + C_u)

    Parameters
    ----------
    name : the enzyme or transporter, e.g. ``"CYP3A4"``
    organ : where it acts, ``"liver"`` by default
    vmax : [mg/h per kg of body weight]
    km : [mg/L], unbound concentration
    """

    name: str
    organ: str = "liver"
    vmax: float = 0.0
    km: float = 1.0

    @classmethod
    def create(
        cls, *, molar_mass: float | None = None, where: str = "saturable", **values: Any
    ) -> SaturablePathway:
        """A checked pathway; `vmax` and `km` may be molar (``"3 nmol/min/kg"``, ``"2.5 uM"``) if `molar_mass` is given.

        Raises
        ------
        UnknownNameError : an unknown field or organ
        UnitError, InputError : a unit of another dimension; vmax or km not > 0
        """
        known = [f.name for f in fields(cls)]
        for key in values:
            if key not in known:
                raise unknown_name(f"{where}.{key}", key, known, what="a field of SaturablePathway")
        name = values.get("name")
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{where}.name", name, "the name of the pathway")
        organ = values.get("organ", "liver")
        check_organ(f"{where}.organ", organ)
        for key in ("vmax", "km"):
            if values.get(key) is None:
                raise InputError(f"{where}.{key}", None, f"a number > 0 [{_PATHWAY[key].unit}]")
        return cls(
            name=name,
            organ=organ,
            **{
                k: parse_number(_PATHWAY[k], values[k], f"{where}.{k}", molar_mass)
                for k in ("vmax", "km")
            },
        )


_PATHWAY = {
    "vmax": Number("vmax", "mg/h/kg", "maximum rate per body weight", positive=True),
    "km": Number("km", "mg/L", "unbound concentration at half the maximum rate", positive=True),
}


@dataclass(frozen=True, kw_only=True)
class Compound:
    """One drug. Plain numbers in the unit named here; ``None`` means not given.

    Build it with :meth:`create`, which converts units and checks every value; the bare constructor stores what it
    is given and is meant for code that already holds checked numbers.

    Parameters
    ----------
    name : the compound's name
    molar_mass : [g/mol]
    log_p : log10 octanol:water partition coefficient of the neutral form
    log_membrane_affinity : log10 phospholipid membrane:water coefficient of the neutral form; predicted if None
    pka_acid, pka_base : pKa of acidic sites, and of the conjugate acids of basic sites; empty for none
    fraction_unbound_plasma : (0, 1]
    blood_to_plasma_ratio : whole blood over plasma concentration
    clint_hepatocyte : in vitro intrinsic clearance [uL/min/1e6 cell]
    fraction_unbound_hepatocyte : fraction unbound in that incubation (0, 1]
    clint_microsome : in vitro intrinsic clearance [uL/min/mg of microsomal protein]
    fraction_unbound_microsome : fraction unbound in that incubation (0, 1]
    clearance_plasma : total plasma clearance measured in vivo [mL/min/kg], liver and kidney together
    clearance_hepatic : plasma clearance of the liver alone, measured in vivo [mL/min/kg]; instead of `clearance_plasma`.
        The kidney adds its own, fraction unbound x GFR x `gfr_fraction`, and so do `saturable` pathways
    fraction_excreted_renal : share of `clearance_plasma` that leaves unchanged in urine, [0, 1]
    clearance_basis : ``"in_vivo"`` (from `clearance_plasma` or `clearance_hepatic`) or ``"in_vitro"`` (from the CLint
        values); None means in vivo where it is given, else in vitro (see :attr:`resolved_clearance_basis`)
    volume_steady_state : plasma volume of distribution at steady state measured in vivo [L/kg]
    distribution_basis : ``"predicted"`` (Kp as the partition method says) or ``"in_vivo"``: all Kp times one factor, so that
        the reference individual of the species has `volume_steady_state`. The factor comes from the literature's volume,
        not from a concentration-time profile.
    gfr_fraction : renal clearance over (fraction unbound x GFR), used with in vitro clearance and with
        `clearance_hepatic`; default 1; 0 for a compound that is not filtered
    biliary_clearance : intrinsic biliary clearance of unbound drug from liver cells, per body weight [mL/min/kg], beside
        all other clearance; bile goes to the gut lumen and is absorbed again (enterohepatic recirculation)
    gallbladder_emptying_rate : first-order rate at which the gallbladder empties [1/h]; None: bile flows to the lumen at
        once
    permeability_surface_area : organ -> permeability-surface product of its cell membranes for unbound drug [L/h per kg of
        tissue]; organs named here are permeability-limited
    capillary_permeability_surface_area : the same of the capillary wall; an organ without a value has blood and
        interstitium in equilibrium
    saturable : Michaelis-Menten pathways
    metabolism : which enzymes do the metabolism in liver and gut wall, and in what shares; see :class:`.enzymes.Metabolism`
    enzyme_effects : enzymes and transporters that the compound inhibits, inactivates or induces; see
        :class:`.enzymes.EnzymeEffect`
    transporters : active uptake, efflux and secretion by organ; see :class:`.transporters.Transporter`
    absorption_rate : first-order absorption from the gut lumen [1/h]
    fraction_absorbed, fraction_gut : fraction of an oral dose that enters the gut wall, and that passes it
    absorption_lag_time : [h];  transit_compartments : count;  transit_rate : [1/h]
    caco2_permeability : apparent permeability [1e-6 cm/s]
    kp : measured tissue:plasma partition coefficients by organ
    partition_method, hepatic_model : names of methods; None leaves the choice to the model
    species_values : for each species the fields that differ there; see :meth:`for_species`
    sources : citation for each field;  notes : remarks;  identifiers : cas, dtxsid, formula;  aliases : other names
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

        >>> Compound.create(name="mine", molar_mass="325.8 g/mol", fraction_unbound_plasma="3 %").molar_mass
        325.8

        Raises
        ------
        UnknownNameError : an unknown field, organ, species or method; the nearest names are suggested
        UnitError : a unit that is unknown or of another dimension
        InputError : a missing name, a value that is not finite or out of its range
        """
        known = field_names()
        for key in values:
            if key not in known:
                raise _unknown_field(key, known)
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
        parsed.update(_parse_fields(values, parsed["molar_mass"], prefix=""))
        parsed["species_values"] = _parse_species_values(
            values.get("species_values"), parsed["molar_mass"]
        )
        parsed["sources"] = parse_text_map("sources", values.get("sources"))
        parsed["identifiers"] = parse_text_map("identifiers", values.get("identifiers"))
        for key in ("notes", "aliases"):
            parsed[key] = _texts(key, values.get(key))
        compound = cls(**{k: v for k, v in parsed.items() if v is not None})
        _check_together(compound)
        return compound

    def replace(self, **changes: Any) -> Compound:
        """A copy with some fields changed; the changes are checked as in :meth:`create`.

        A changed value loses its citation unless `sources` is given too: the new number is not the cited one.
        """
        known = field_names()
        for key in changes:
            if key not in known:
                raise _unknown_field(key, known)
        values = self.to_dict()
        if "sources" not in changes and values.get("sources"):
            values["sources"] = {k: v for k, v in values["sources"].items() if k not in changes}
        values.update(changes)
        return Compound.create(**values)

    def for_species(self, species: str) -> Compound:
        """This compound with the values of `species` put in.

        A field without a value for `species` keeps the compound's own value, except what was measured in vivo: per kg
        it differs several-fold between species, so `clearance_plasma`, `clearance_hepatic`,
        `fraction_excreted_renal` and `volume_steady_state` become None unless `species_values` gives them (or the compound's own species is
        `species`; the default is human). The basis that would need such a value falls back with it.

        Raises
        ------
        UnknownNameError : if `species` is not one of the seven
        """
        species = parse_choice("species", species)
        given = dict(self.species_values.get(species, {}))
        own = dict(given)
        for one, other in (_IN_VIVO, _IN_VIVO[::-1]):
            if (
                given.get(one) is not None
            ):  # a species' own clearance replaces one of the other kind
                own.setdefault(other, None)
        if species != (self.species or "human"):
            for key in _NEVER_BORROWED:
                own.setdefault(key, None)
            measured = own["clearance_plasma"] is not None or own["clearance_hepatic"] is not None
            if not measured and self.clearance_basis == "in_vivo":
                own.setdefault("clearance_basis", None)
            if own["volume_steady_state"] is None:
                own.setdefault("distribution_basis", "predicted")
        sources = dict(self.sources)
        for key in own:
            sources.pop(key, None)  # the citation of the other species' value
            tagged = sources.get(f"{species}.{key}")
            if tagged is not None:
                sources[key] = tagged
        return replace(self, **own, species=species, sources=MappingProxyType(sources))

    # ---------------------------------------------------------------- reading
    @property
    def resolved_clearance_basis(self) -> str | None:
        """``"in_vivo"`` or ``"in_vitro"``: which clearance values a model should use; None if there are none."""
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
        """Plain Python values of every field that is given, such that ``Compound.create(**d)`` equals the compound."""
        out: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None or value == () or value == {} or _DEFAULTS.get(f.name) == value:
                continue
            if f.name == "saturable":
                value = [
                    {"name": p.name, "organ": p.organ, "vmax": p.vmax, "km": p.km} for p in value
                ]
            elif f.name in _RECORDS:
                value = [record(item) for item in value]
            elif f.name == "species_values":
                value = {
                    s: {
                        k: [record(item) for item in v]
                        if k in _RECORDS
                        else list(v)
                        if isinstance(v, tuple)
                        else dict(v)
                        if isinstance(v, Mapping)
                        else v
                        for k, v in given.items()
                    }
                    for s, given in value.items()
                }
            elif isinstance(value, Mapping):
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
            out[f.name] = value
        return out

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Compound:
        """The inverse of :meth:`to_dict`, with all checks."""
        if not isinstance(values, Mapping) or not all(isinstance(k, str) for k in values):
            raise InputError("values", values, "a mapping: field of Compound -> value")
        return cls.create(**values)

    def __reduce__(self):  # mapping proxies do not pickle; the dictionary does
        return (Compound.from_dict, (self.to_dict(),))

    def __hash__(self) -> int:
        return hash((self.name, self.molar_mass, self.species))


def field_names() -> tuple[str, ...]:
    """The names of all fields of :class:`Compound`."""
    return tuple(f.name for f in fields(Compound))


def _unknown_field(key: str, known: tuple[str, ...], where: str = "") -> InputError:
    word = str(key).strip().lower().replace("-", "_")
    usual = [name for name in _USUAL_NAMES.get(word, ()) if name in known]
    if usual:
        hint = "did you mean " + " or ".join(map(repr, usual)) + "?"
        return UnknownNameError(where or "field", key, "a field of Compound", hint=hint)
    return unknown_name(where or "field", key, known, what="a field of Compound")


#: what other programs and papers call a field
_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("mw", "molecular_weight", "mol_weight", "molweight"), ("molar_mass",)),
    **dict.fromkeys(("logp", "log_pow", "lipophilicity"), ("log_p",)),
    **dict.fromkeys(
        ("fu", "fup", "fu_p", "fu_plasma", "fraction_unbound"), ("fraction_unbound_plasma",)
    ),
    **dict.fromkeys(("bp", "b_p", "bpr", "rbp", "rb2p", "b2p"), ("blood_to_plasma_ratio",)),
    **dict.fromkeys(
        ("clint", "cl_int", "clearance_intrinsic"), ("clint_hepatocyte", "clint_microsome")
    ),
    **dict.fromkeys(("cl", "clearance", "cl_plasma"), ("clearance_plasma",)),
    **dict.fromkeys(("vss", "vd", "volume"), ("volume_steady_state",)),
    **dict.fromkeys(("pka",), ("pka_acid", "pka_base")),
    **dict.fromkeys(("ka",), ("absorption_rate",)),
    **dict.fromkeys(("fa", "fabs"), ("fraction_absorbed",)),
    **dict.fromkeys(("fg", "fgut"), ("fraction_gut",)),
    **dict.fromkeys(("fe", "fe_urine"), ("fraction_excreted_renal",)),
    **dict.fromkeys(("papp", "caco2"), ("caco2_permeability",)),
    **dict.fromkeys(("tlag", "lag", "lag_time"), ("absorption_lag_time",)),
}


def _parse_fields(
    values: Mapping[str, Any], molar_mass: float | None, prefix: str
) -> dict[str, Any]:
    """The fields that may differ between species, parsed; `prefix` goes before the name in errors."""
    parsed: dict[str, Any] = {}
    for key, spec in NUMBERS.items():
        if key != "molar_mass" and values.get(key) is not None:
            parsed[key] = parse_number(spec, values[key], prefix + key, molar_mass)
    for key in ("pka_acid", "pka_base"):
        if key in values:
            parsed[key] = parse_pka(prefix + key, values[key])
    for key in ("clearance_basis", "distribution_basis", "partition_method", "hepatic_model"):
        if values.get(key) is not None:
            parsed[key] = parse_choice(key, values[key], prefix + key)
    if values.get("kp"):
        parsed["kp"] = parse_kp(prefix + "kp", values["kp"])
    for key in _PERMEABILITIES:
        if values.get(key):
            parsed[key] = parse_permeability(prefix + key, values[key])
    if values.get("saturable"):
        parsed["saturable"] = _parse_saturable(values["saturable"], molar_mass, prefix)
    for key, kind in _RECORDS.items():
        if not values.get(key):
            continue
        if kind is Transporter:
            parsed[key] = parse_transporters(prefix + key, values[key], molar_mass)
        else:
            parsed[key] = parse_records(prefix + key, kind, values[key], molar_mass)
    return parsed


def _parse_saturable(
    given: Any, molar_mass: float | None, prefix: str
) -> tuple[SaturablePathway, ...]:
    if isinstance(given, (SaturablePathway, Mapping)):
        given = (given,)
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise InputError(
            prefix + "saturable", given, "a list of pathways, each with name, organ, vmax and km"
        )
    out = []
    for i, item in enumerate(given):
        where = f"{prefix}saturable[{i}]"
        if isinstance(item, SaturablePathway):
            item = {"name": item.name, "organ": item.organ, "vmax": item.vmax, "km": item.km}
        if not isinstance(item, Mapping):
            raise InputError(where, item, "a mapping with name, organ, vmax and km")
        out.append(SaturablePathway.create(molar_mass=molar_mass, where=where, **item))
    names = [(p.name, p.organ) for p in out]
    if len(set(names)) < len(names):
        raise InputError(prefix + "saturable", names, "pathways with different names or organs")
    return tuple(out)


def _parse_species_values(given: Any, molar_mass: float | None) -> Mapping[str, Mapping[str, Any]]:
    if not given:
        return _EMPTY
    if not isinstance(given, Mapping):
        raise InputError("species_values", given, "a mapping: species -> field -> value")
    allowed = (
        *(k for k in NUMBERS if k != "molar_mass"),
        "pka_acid",
        "pka_base",
        "clearance_basis",
        "distribution_basis",
        "partition_method",
        "hepatic_model",
        "kp",
        *_PERMEABILITIES,
        *_RECORDS,
        "saturable",
    )
    out = {}
    for key, values in given.items():
        species = parse_choice("species", key, f"species_values.{key}")
        if not isinstance(values, Mapping):
            raise InputError(f"species_values.{key}", values, "a mapping: field -> value")
        for name in values:
            if name not in allowed:
                raise _unknown_field(name, allowed, f"species_values.{species}")
        out[species] = MappingProxyType(
            _parse_fields(values, molar_mass, f"species_values.{species}.")
        )
    return MappingProxyType(out)


def _texts(key: str, given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if not hasattr(given, "__iter__") or not all(isinstance(t, str) for t in given):
        raise InputError(key, given, "text or a list of texts")
    return tuple(given)


def _check_in_vivo(c: Compound) -> None:
    """One clearance in vivo for each species, total or hepatic."""
    own = {name: getattr(c, name) for name in _IN_VIVO}
    for prefix, values in (
        ("", own),
        *((f"species_values.{s}.", v) for s, v in c.species_values.items()),
    ):
        if all(values.get(name) is not None for name in _IN_VIVO):
            raise InputError(
                f"{prefix}clearance_hepatic",
                values["clearance_hepatic"],
                "no clearance_plasma beside it",
                subject=c.name,
                hint="clearance_plasma is the total of liver and kidney: give one of the two",
            )
    if (
        c.clearance_basis == "in_vivo"
        and c.clearance_plasma is None
        and c.clearance_hepatic is None
    ):
        raise InputError(
            "clearance_basis",
            "in_vivo",
            "'in_vitro', or a value for clearance_plasma or clearance_hepatic",
            subject=c.name,
        )


def _check_together(c: Compound) -> None:
    """Statements that involve more than one field. What a model needs is the model's business."""
    _check_in_vivo(c)
    if c.clearance_basis == "in_vitro" and c.clint_hepatocyte is None and c.clint_microsome is None:
        raise InputError(
            "clearance_basis",
            "in_vitro",
            "a value for clint_hepatocyte or clint_microsome",
            subject=c.name,
        )
    if c.distribution_basis == "in_vivo" and c.volume_steady_state is None:
        raise InputError(
            "distribution_basis",
            "in_vivo",
            "'predicted', or a value for volume_steady_state",
            subject=c.name,
        )
    if c.fraction_excreted_renal is not None and c.clearance_plasma is None:
        raise InputError(
            "fraction_excreted_renal",
            c.fraction_excreted_renal,
            "clearance_plasma beside it",
            subject=c.name,
            hint="the fraction is of the total in vivo clearance; beside clearance_hepatic or in vitro "
            "clearance give gfr_fraction",
        )
    check_shares("metabolism", c.metabolism, c.name)
    walls = set(c.capillary_permeability_surface_area) - set(c.permeability_surface_area)
    if walls:
        raise InputError(
            "capillary_permeability_surface_area",
            sorted(walls),
            "organs that permeability_surface_area names too",
            subject=c.name,
        )
    to_bile = any(t.direction == "secretion" and t.organ == "liver" for t in c.transporters)
    if c.gallbladder_emptying_rate is not None and not (c.biliary_clearance or to_bile):
        raise InputError(
            "gallbladder_emptying_rate",
            c.gallbladder_emptying_rate,
            "biliary_clearance, or a transporter of the liver that secretes, beside it",
            subject=c.name,
        )
    if c.partition_method == "measured" and not c.kp:
        raise InputError("partition_method", "measured", "measured values in kp", subject=c.name)
    fields_known = set(field_names())
    for key in c.sources:
        if key.rpartition(".")[2] not in fields_known:
            raise _unknown_field(key, field_names(), "sources")
