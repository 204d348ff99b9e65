"""Several compounds in one body: metabolites, and drugs that change each other's enzymes.

Each compound has its own whole-body model; they meet at the enzymes of the liver and of
the gut wall. With unbound concentrations C of the substrate and I of others at the
enzyme, and E the amount of enzyme relative to its baseline,

.. math::
    v = E\\,\\frac{CL_e\\,C}{1 + \\sum I/K_{c} + (C/K_m)(1 + \\sum I/K_{u})}

    \\dot E = k_{deg}\\left(1 + \\sum \\frac{E_{max} I}{EC_{50} + I}\\right) - k_{deg} E
        - \\sum \\frac{k_{inact} I}{K_I + I} E

(competitive: K_u infinite; non-competitive: K_c = K_u; Rowland Yeo et al. 2010, Expert
Opin Drug Metab Toxicol 6:1405; Fahmi et al. 2009, Drug Metab Dispos 37:1658). With
constant I the ratio of oral AUCs is then 1/(A_g B_g C_g (1 - F_g) + F_g) x 1/(A_h B_h C_h
f_m + 1 - f_m) for a liver without other elimination.

Transporters stand beside the enzymes, with the same law and changes: C and I are the
unbound concentrations on the side that the transporter takes from (an inhibitor without
barriers in that organ: in the organ), and `enzyme` of an effect may name one.

An inhibitor's concentration in the gut wall is what it is absorbed with plus, unbound,
what its blood brings. The states ``enzyme_change:<enzyme>.<organ>`` are E - 1;
``enzyme_turnover`` balances them and means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from ..._core.errors import InputError, unknown_name
from ...compounds import Compound
from ..system.system import Coefficients, Observable, Reaction, System
from .absorption import GutAbsorption
from .assembly import assemble_one
from .disposition import Disposition, DispositionChoices, resolve_disposition
from .enzymes import turnover_rate
from .links import warn_of_idle_half_lives
from .structure import GUT_WALL, METABOLISED, METABOLISED_GUT
from .transport import Carrier, side

TURNOVER_STATE = "enzyme_turnover"
_REVERSIBLE = ("competitive", "noncompetitive", "uncompetitive")
#: organ of an enzyme -> where a compound meets it
_PLACES = {"liver": ("liver",), "gut": (GUT_WALL, "gut")}


def interacting_system(
    compounds: Sequence[Compound],
    physiology: xr.Dataset,
    *,
    enzyme_half_lives: Mapping[str, float] | None = None,
    partition_method: str | None = None,
    hepatic_model: str | None = None,
    absorption: Mapping[str, GutAbsorption] | None = None,
) -> System:
    """The System of several compounds in every subject of a physiology Dataset.

    Parameters
    ----------
    compounds : with different names; ``metabolism`` and ``enzyme_effects`` say how they interact
    enzyme_half_lives : ``"CYP3A4.liver"`` -> [h], instead of the table of :mod:`.enzymes`
    partition_method, hepatic_model : for all compounds, as in :func:`.whole_body.whole_body_system`
    absorption : compound's name -> model of its gut; others are absorbed by first order

    Returns
    -------
    System with states ``<compound>:<state>`` and ``enzyme_change:<enzyme>.<organ>``;
    ``plasma`` and ``blood`` are the first compound's

    Raises
    ------
    InputError, UnknownNameError : as for one compound; names that are not different; a
        half-life that is not known
    """
    names = [c.name for c in compounds]
    if not names or len(set(names)) < len(names):
        raise InputError("compounds", names, "at least one compound, each with a name of its own")
    absorption = dict(absorption or {})
    for name in absorption:
        if name not in names:
            raise unknown_name("absorption", name, names, what="one of the compounds")
    species = str(physiology["species"].values[0])
    choices = DispositionChoices(
        partition_method=partition_method, hepatic_model=hepatic_model, enzymes_apart=True
    )
    members = [
        _Member.of(
            compound.for_species(species),
            physiology,
            replace(choices, absorption=absorption.get(compound.name)),
        )
        for compound in compounds
    ]
    return _Builder(members, dict(enzyme_half_lives or {})).system()


def own_enzymes_system(disposition: Disposition) -> System:
    """The System of one compound that acts on the enzymes of its own metabolism.

    The names of states, parameters and observables are those of a compound alone.
    """
    member = _Member(disposition.compound, disposition, assemble_one(disposition), "")
    return _Builder([member], {}).system()


@dataclass(frozen=True, eq=False)
class _Member:
    """One compound with its own whole-body model."""

    compound: Compound
    disposition: Disposition
    system: System
    prefix: str

    @classmethod
    def of(cls, compound: Compound, physiology: xr.Dataset, choices: DispositionChoices) -> _Member:
        """A compound, with the values of its species put in, resolved in the subjects."""
        disposition = resolve_disposition(compound, physiology, choices)
        return cls(compound, disposition, assemble_one(disposition), f"{compound.name}:")

    def own(self, p: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """This compound's parameters out of all."""
        start = len(self.prefix)
        return {k[start:]: v for k, v in p.items() if k.startswith(self.prefix)}


class _Builder:
    """Puts the members together, and assembles their coefficients from parameters."""

    def __init__(self, members: list[_Member], half_lives: dict[str, float]):
        self.members = members
        self.enzymes = self._enzymes(half_lives)
        self.states: tuple[str, ...] = tuple(m.prefix + s for m in members for s in m.system.states)
        self.states += tuple(f"enzyme_change:{e}" for e in self.enzymes) + (
            (TURNOVER_STATE,) if self.enzymes else ()
        )
        self.number = {s: i for i, s in enumerate(self.states)}
        self.parameters = {m.prefix + k: v for m in members for k, v in m.system.parameters.items()}
        self.parameters |= {f"kdeg[{e}]": np.array([k]) for e, k in self.enzymes.items()}
        for m in members:
            for i, share in enumerate(m.disposition.shares):
                self.parameters[f"{m.prefix}share[{i}]"] = share
            for i, effect in enumerate(m.compound.enzyme_effects):
                for key in ("ki", "kinact", "ec50", "emax"):
                    if getattr(effect, key) is not None:
                        self.parameters[f"{m.prefix}{key}[{i}.{effect.enzyme}]"] = np.array(
                            [getattr(effect, key)]
                        )

    def _enzymes(self, half_lives) -> dict[str, float]:
        """``CYP3A4.liver`` -> kdeg, for the enzymes that metabolise any of the compounds."""
        used = [f"{p.enzyme}.{p.organ}" for m in self.members for p in m.compound.metabolism]
        transporters = {c.key for m in self.members for c in m.system.assemble.carriers}
        used += sorted(transporters - set(used))
        for key in half_lives:
            if key not in used:
                raise unknown_name(
                    "enzyme_half_lives", key, used, what="an enzyme of these compounds"
                )
        changed = {e.enzyme for m in self.members for e in m.compound.enzyme_effects}
        slowly = {
            e.enzyme
            for m in self.members
            for e in m.compound.enzyme_effects
            if e.kind not in _REVERSIBLE
        }
        if len(self.members) > 1:  # one alone is what several are compared with
            warn_of_idle_half_lives(half_lives, slowly)
        out = {}
        for key in dict.fromkeys(used):
            enzyme, organ = key.split(".")
            # an enzyme that nothing changes needs no turnover: any rate keeps it at its baseline
            known = enzyme in (slowly if key in transporters else changed) or key in half_lives
            out[key] = turnover_rate(enzyme, organ, half_lives) if known else 0.01
        return out

    def _at(self, member: _Member, place: str) -> int:
        inside = place if place == GUT_WALL else member.system.assemble.inside[place]
        return self.number[member.prefix + inside]

    def _inhibitors(self, victim: _Member, enzyme: str, organ: str):
        """(member, effect number, effect, place) of every reversible inhibition of an
        enzyme by others.
        """
        return [
            (m, i, effect, place)
            for m in self.members
            if m is not victim
            for i, effect in enumerate(m.compound.enzyme_effects)
            if effect.enzyme == enzyme and effect.kind in _REVERSIBLE
            for place in _PLACES[organ]
        ]

    def _carriers(self):
        """(member, carrier, reversible inhibitions of it by others as in `_inhibitors`,
        with the inhibitor's state).
        """
        for m in self.members:
            for c in m.system.assemble.carriers:
                others = [
                    (o, i, effect, side(o.system.assemble.barriers, c.transporter))
                    for o in self.members
                    if o is not m
                    for i, effect in enumerate(o.compound.enzyme_effects)
                    if effect.enzyme == c.transporter.name and effect.kind in _REVERSIBLE
                ]
                yield m, c, others

    def _pathways(self):
        """(member, number, pathway, place) of every pathway."""
        for m in self.members:
            for i, pathway in enumerate(m.compound.metabolism):
                yield m, i, pathway, GUT_WALL if pathway.organ == "gut" else "liver"

    def _changes(self):
        """(enzyme key, organ, member, effect number, effect, place) of every inactivation
        and induction.
        """
        for key in self.enzymes:
            enzyme, organ = key.split(".")
            for m in self.members:
                for i, effect in enumerate(m.compound.enzyme_effects):
                    if effect.enzyme == enzyme and effect.kind not in _REVERSIBLE:
                        for place in _PLACES.get(organ, (organ,)):
                            yield key, organ, m, i, effect, place

    # ---- reactions: ----
    # structure and numbers in the same order
    def structure(self) -> list[tuple[str, str, tuple[int, ...], dict[int, float]]]:
        """(name, law, reactants, stoichiometry) of the interaction reactions."""
        out = []
        by_name = {m.compound.name: m for m in self.members}
        for m, i, pathway, place in self._pathways():
            source, key = self._at(m, place), f"{pathway.enzyme}.{pathway.organ}"
            others = self._inhibitors(m, pathway.enzyme, pathway.organ)
            sink = self.number[m.prefix + (METABOLISED_GUT if place == GUT_WALL else METABOLISED)]
            gain = {source: -1.0, sink: 1.0}
            product = by_name.get(pathway.metabolite or "")
            if product is not None:
                ratio = self._mass_ratio(m, product)
                gain = {source: -1.0, self._at(product, place): ratio, sink: 1.0 - ratio}
            reactants = (
                source,
                self.number[f"enzyme_change:{key}"],
                *(self._at(o, at) for o, _, _, at in others),
            )
            out.append((f"{m.prefix}{key}[{i}]", "enzymatic", reactants, gain))
        for m, c, others in self._carriers():
            source, target = self.number[m.prefix + c.source], self.number[m.prefix + c.target]
            change = self.number[f"enzyme_change:{c.key}"]
            reactants = (source, change, *(self.number[o.prefix + at] for o, _, _, at in others))
            out.append(
                (f"{m.prefix}{c.label}", "enzymatic", reactants, {source: -1.0, target: 1.0})
            )
        turnover = self.number.get(TURNOVER_STATE)
        for key, organ, m, i, effect, place in self._changes():
            change, at = self.number[f"enzyme_change:{key}"], self._at(m, place)
            rest = tuple(self._at(m, other) for other in _PLACES.get(organ, ()) if other != place)
            name = f"{m.prefix}{effect.kind}[{i}.{key}.{place}]"
            if effect.kind == "inactivation":
                out.append((name, "enzymatic", (at, change, *rest), {change: -1.0, turnover: 1.0}))
            else:
                out.append((name, "michaelis_menten", (at, *rest), {change: 1.0, turnover: -1.0}))
        return out

    @staticmethod
    def _mass_ratio(parent: _Member, product: _Member) -> float:
        """Mass of metabolite per mass of parent; the difference goes to the parent's
        sink, so that mass closes.
        """
        masses = parent.compound.molar_mass, product.compound.molar_mass
        if None in masses:
            raise InputError(
                "molar_mass",
                masses,
                "the molar masses of parent and metabolite",
                subject=f"{parent.compound.name}, {product.compound.name}",
            )
        return masses[1] / masses[0]

    def numbers(self, p: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Parameters of the interaction reactions; plain arithmetic."""
        own = {m.prefix: m.own(p) for m in self.members}
        unbound = lambda m, place: m.system.assemble.unbound(own[m.prefix], place)
        stack = lambda *values: np.stack(
            np.broadcast_arrays(*(np.atleast_1d(v) for v in values)), axis=1
        )
        out = []
        for m, i, pathway, place in self._pathways():
            q, c = own[m.prefix], unbound(m, place)
            clint = q["clint.liver"]
            if place == GUT_WALL:
                clint = q["flow.gut_wall"] * (1.0 - q["fraction_gut"]) / q["fraction_gut"]
            values = [
                q[f"share[{i}]"] * clint * c,
                c / pathway.km if pathway.km is not None else 0.0 * c,
            ]
            for other, j, effect, at in self._inhibitors(m, pathway.enzyme, pathway.organ):
                relative = unbound(other, at) / own[other.prefix][f"ki[{j}.{effect.enzyme}]"]
                values.append(0.0 * relative if effect.kind == "uncompetitive" else relative)
                values.append(0.0 * relative if effect.kind == "competitive" else relative)
            out.append(stack(*values))
        for m, carrier, others in self._carriers():
            q = own[m.prefix]
            values = self._carrier_numbers(
                q, m.system.assemble.unbound_in(q, carrier.source), carrier
            )
            for other, j, effect, at in others:
                q = own[other.prefix]
                relative = other.system.assemble.unbound_in(q, at) / q[f"ki[{j}.{effect.enzyme}]"]
                values.append(0.0 * relative if effect.kind == "uncompetitive" else relative)
                values.append(0.0 * relative if effect.kind == "competitive" else relative)
            out.append(stack(*values))
        for key, organ, m, i, effect, place in self._changes():
            q, c = own[m.prefix], unbound(m, place)
            rest = [unbound(m, other) for other in _PLACES.get(organ, ()) if other != place]
            if effect.kind == "inactivation":
                ki, kinact = (q[f"{k}[{i}.{effect.enzyme}]"] for k in ("ki", "kinact"))
                crowd = [value for other in rest for value in (other / ki, 0.0 * other)]
                out.append(stack(kinact / ki * c, c / ki, *crowd))
            else:
                ec50, emax = (q[f"{k}[{i}.{effect.enzyme}]"] for k in ("ec50", "emax"))
                out.append(
                    stack(p[f"kdeg[{key}]"] * emax, ec50 / c, *(ec50 / other for other in rest))
                )
        return out

    @staticmethod
    def _carrier_numbers(
        q: Mapping[str, np.ndarray], c: np.ndarray, carrier: Carrier
    ) -> list[np.ndarray]:
        """k and s of one carrier; c: unbound concentration per amount on the side it
        takes from [1/L].
        """
        if carrier.saturable:
            km = q[f"km[{carrier.label}]"]
            return [q[f"jmax[{carrier.label}]"] / km * c, c / km]
        return [q[f"transport[{carrier.label}]"] * c, 0.0 * c]

    # ---- the whole ----
    def __call__(self, p: Mapping[str, np.ndarray]) -> Coefficients:
        parts = [m.system.assemble(m.own(p)) for m in self.members]
        kdeg = [np.atleast_2d(p[f"kdeg[{e}]"]).T for e in self.enzymes]
        blocks = [part.k_value for part in parts] + [np.concatenate([-k, k], axis=1) for k in kdeg]
        rows = max(len(b) for b in blocks)
        k_value = np.concatenate([np.broadcast_to(b, (rows, b.shape[1])) for b in blocks], axis=1)
        factor = {
            m.prefix + k: f
            for m, part in zip(self.members, parts, strict=True)
            for k, f in part.observable_factor.items()
        }
        factor |= {k: parts[0].observable_factor[k] for k in ("plasma", "blood")}
        reactions = [r for part in parts for r in part.reaction_parameters]
        return Coefficients(k_value, (*reactions, *self.numbers(p)), factor)

    def system(self) -> System:
        first = self.members[0].system
        coefficients = self(self.parameters)
        rows, columns, reactions, observables, targets, offset = [], [], [], {}, {}, 0
        for m in self.members:
            s = m.system
            rows += [int(r) + offset for r in s.k_row]
            columns += [int(c) + offset for c in s.k_col]
            for r in s.reactions:
                gain = {to + offset: g for to, g in r.stoichiometry.items()}
                reactions.append(
                    (m.prefix + r.name, r.law, tuple(a + offset for a in r.reactants), gain)
                )
            for name, o in s.observables.items():
                observables[m.prefix + name] = Observable(
                    tuple(a + offset for a in o.states), o.factor, o.weights
                )
            targets |= {m.prefix + name: state + offset for name, state in s.targets.items()}
            offset += s.n_states
        for e in self.enzymes:
            change = self.number[f"enzyme_change:{e}"]
            rows += [change, self.number[TURNOVER_STATE]]
            columns += [change, change]
        reactions += self.structure()
        observables |= {k: observables[self.members[0].prefix + k] for k in ("plasma", "blood")}
        return System(
            self.states,
            rows,
            columns,
            coefficients.k_value,
            tuple(
                Reaction(*r, values)
                for r, values in zip(reactions, coefficients.reaction_parameters, strict=True)
            ),
            observables,
            targets,
            n_subjects=first.n_subjects,
            subjects=first.subjects,
            parameters=self.parameters,
            assemble=self,
            attrs={
                **first.attrs,
                **({"model": "interacting_compounds"} if self.members[0].prefix else {}),
                "compounds": ", ".join(m.compound.name for m in self.members),
                "enzymes": ", ".join(
                    f"{e} (half-life {np.log(2) / k:.3g} h)" for e, k in self.enzymes.items()
                ),
            },
        )


__all__ = ["interacting_system"]
