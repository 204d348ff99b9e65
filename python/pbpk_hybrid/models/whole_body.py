"""The whole-body model: compound + physiology -> System.

Every organ t is well stirred and leaves its blood at C_t BP/Kp_t (Jones & Rowland-Yeo 2013, CPT
Pharmacometrics Syst Pharmacol 2:e63):

.. math::
    V_t \\dot C_t = Q_t (C_{in} - C_t\\,BP/Kp_t) - E_t

- liver: :math:`E = CL_{int,u} f_u C/Kp + \\sum V_{max} C_u/(K_m + C_u)`, :math:`C_u = f_u C/Kp`
- kidney: glomerular filtration takes plasma water from the arterial blood on its way in,
  :math:`E = CL_R\\,C_{art}/BP`, so that renal plasma clearance is exactly CL_R
- oral: depot -> (transit compartments) -> gut lumen -> gut wall, with Fa and Fg as fractions that leave for
  ``faeces`` and ``metabolised_gut``
- oral with an `absorption` model: stomach, small intestine and colon with dissolution, see :mod:`.absorption`
- bile: :math:`E = CL_{bile,u} f_u C/Kp` from the liver into the gallbladder, which empties by a first-order rate into
  the gut lumen, or into the lumen at once; from there it is absorbed again like an oral dose (enterohepatic recirculation)
- enzymes: `enzymes_apart` leaves out the metabolism by the compound's named enzymes, for :mod:`.interactions` to put in as
  reactions, and keeps the gut wall as a place of its own, of volume V_w, that absorbed drug leaves with the flow Q_w
  (Yang et al. 2007, Curr Drug Metab 8:676):
  :math:`F_g = Q_w/(Q_w + CL_{int,w})`, so that :math:`CL_{int,w} = Q_w (1 - F_g)/F_g`
- organs with a permeability-surface product are blood, interstitium and cells instead of one space: see :mod:`.permeability`
- transporters carry drug across their barriers, and to bile, urine and the gut lumen: see :mod:`.transport`

What is eliminated stays in the system as sinks (``metabolised``, ``excreted_renal``, ...), so that body + sinks = dose.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import xarray as xr

from .._core.arguments import check_kind, check_mapping
from .._core.errors import InputError, SchemaError, unknown_name
from ..compounds import Compound
from .absorption import GutAbsorption
from .distribution import tissue_partition
from .elimination_parameters import elimination_parameters
from .enzymes import enzyme_shares, fraction_gut, gut_wall
from .graph import ARTERIAL, LIVER, VENOUS, OrganGraph, whole_body_graph
from .partition import blood_to_plasma_ratio
from .permeability import (
    Barriers,
    barrier_parameters,
    check_barriers,
    choose_barriers,
    clint_behind_barrier,
)
from .system import Coefficients, Observable, Reaction, System
from .transport import Carrier, choose_carriers, clint_behind_transport, transport_parameters

DEPOT, LUMEN, GALLBLADDER, GUT_WALL = "oral_depot", "gut_lumen", "gallbladder", "gut_wall"
METABOLISED, METABOLISED_GUT = "metabolised", "metabolised_gut"
RENAL, FAECES = "excreted_renal", "faeces"
SINKS = (METABOLISED, METABOLISED_GUT, RENAL, FAECES)

#: where each route puts the dose
ROUTE_STATES = {"iv_bolus": VENOUS, "iv_infusion": VENOUS, "iv": VENOUS}


def whole_body_system(
    compound: Compound,
    physiology: xr.Dataset,
    *,
    partition_method: str | None = None,
    kp: Mapping[str, float] | None = None,
    hepatic_model: str | None = None,
    factors: Mapping[str, np.ndarray] | None = None,
    permeability_limited: Mapping[str, float | tuple[float, float]] | float | str | None = None,
    enzymes_apart: bool = False,
    absorption: GutAbsorption | None = None,
) -> System:
    """The System of one compound in every subject of a physiology Dataset.

    Parameters
    ----------
    compound : values of the subjects' species are used (``compound.for_species``)
    physiology : schema ``physiology``; all subjects of one species
    partition_method : overrides the compound's own; default Rodgers & Rowland
    kp : tissue:plasma partition coefficients by organ that override everything else, the factor of
        ``distribution_basis="in_vivo"`` included
    hepatic_model : "well_stirred", "parallel_tube" or "dispersion"; overrides the compound's own
    factors : parameter name -> (n_subjects,) multipliers, e.g. from sample_variability
    permeability_limited : organ -> PS of the cell membranes, or (cell membranes, capillary wall) [L/h per kg of tissue];
        a number: every tissue; ``"all"``: every tissue with the compound's values; None: the organs the compound has
        values for; {}: none
    absorption : model of the gut; None: first-order absorption
    enzymes_apart : leave the metabolism by named enzymes, and transporters, out; see the module's text

    Returns
    -------
    System with states for all organs, lumen and sinks [mg]; observables ``plasma`` (venous plasma), ``blood``, every
    organ as a whole and every part of a permeability-limited one

    Raises
    ------
    InputError : a value the model needs is missing or cannot be (names the field, the compound and the subject)
    """
    check_kind("compound", compound, Compound, "a Compound")
    check_mapping("factors", factors, "a mapping: parameter -> factors")
    if not isinstance(physiology, xr.Dataset) or "species" not in physiology:
        raise SchemaError("physiology", type(physiology).__name__, "a physiology Dataset")
    check_kind("enzymes_apart", enzymes_apart, (bool, np.bool_), "True or False")
    check_kind("absorption", absorption, (GutAbsorption, type(None)), "GutAbsorption(...) or None")
    for name, value in (("partition_method", partition_method), ("hepatic_model", hepatic_model)):
        check_kind(name, value, (str, type(None)), "the name of a method")
    species = _one_species(physiology)
    compound = compound.for_species(species)
    organs = tuple(str(o) for o in physiology["organ"].values)
    graph = whole_body_graph(organs)
    partition, distribution = tissue_partition(compound, graph, partition_method, kp)
    barriers = choose_barriers(compound, graph, permeability_limited)
    if absorption is not None:  # the gut model says what is absorbed, and how fast
        compound = compound.replace(
            fraction_absorbed=1.0, transit_compartments=None, absorption_rate=1.0
        )
    tissues = tuple(o for o in graph.organs if o not in graph.blood_pools)
    bile = GALLBLADDER if compound.gallbladder_emptying_rate else LUMEN
    carriers = choose_carriers(
        compound, barriers, tissues, {"liver": bile, "kidney": RENAL, "gut": LUMEN}
    )
    parameters = _parameters(
        compound, physiology, graph, species, partition, hepatic_model, barriers, carriers
    )
    if enzymes_apart:
        parameters |= gut_wall(physiology) | {
            f"share.{o}": s for o, s in enzyme_shares(compound, physiology).items()
        }
    for name, factor in (factors or {}).items():
        if name not in parameters:
            raise unknown_name("factors", name, parameters, what="a parameter of the model")
        parameters[name] = parameters[name] * factor
    if absorption is not None:
        parameters |= absorption.parameters(compound)
    labels = (
        physiology["subject"].values
        if "subject" in physiology.coords
        else np.arange(physiology.sizes["subject"])
    )
    check_barriers(barriers, parameters, compound.name, labels)
    states, pathways = _states(compound, graph, barriers, enzymes_apart)
    states = (*(absorption.states if absorption else ()), *states)
    assemble = _assembler(
        states, graph, pathways, _transit_count(compound), barriers, absorption, carriers
    )
    coefficients = assemble(parameters)
    number = {s: i for i, s in enumerate(states)}
    n_subjects = physiology.sizes["subject"]
    k_row, k_col = assemble.pattern
    at = {organ: number[assemble.inside[organ]] for _, organ in pathways}
    reactions = tuple(
        Reaction(
            name,
            "michaelis_menten",
            (at[organ],),
            {at[organ]: -1.0, number[METABOLISED]: 1.0},
            values,
        )
        for (name, organ), values in zip(pathways, coefficients.reaction_parameters, strict=False)
    )
    done = len(pathways)
    for carrier, values in zip(
        assemble.saturable_carriers, coefficients.reaction_parameters[done:], strict=False
    ):
        source, target = number[carrier.source], number[carrier.target]
        reactions += (
            Reaction(
                carrier.label, "michaelis_menten", (source,), {source: -1.0, target: 1.0}, values
            ),
        )
        done += 1
    for (name, law, reactants, gain), values in zip(
        absorption.reactions() if absorption else (),
        coefficients.reaction_parameters[done:],
        strict=True,
    ):
        gains = {number[s]: g for s, g in gain.items()}
        reactions += (Reaction(name, law, tuple(number[s] for s in reactants), gains, values),)
    parts = {"plasma": (VENOUS,), "blood": (VENOUS,)} | {
        organ: b.states for organ, b in barriers.items()
    }
    observables = {
        name: Observable(tuple(number[s] for s in parts.get(name, (name,))), factor)
        for name, factor in coefficients.observable_factor.items()
    }
    oral = absorption.target if absorption else DEPOT if _transit_count(compound) else LUMEN
    targets = {route: number[state] for route, state in ROUTE_STATES.items()}
    if compound.absorption_rate is not None:
        targets["oral"] = number[oral]
    return System(
        states,
        k_row,
        k_col,
        coefficients.k_value,
        reactions,
        observables,
        targets,
        n_subjects=n_subjects,
        subjects=labels,
        parameters=parameters,
        assemble=assemble,
        attrs={
            "model": "whole_body_permeability_limited" if barriers else "whole_body_flow_limited",
            **(
                {"absorption": f"{absorption.formulation}, {absorption.food}"} if absorption else {}
            ),
            **({"permeability_limited": ", ".join(barriers)} if barriers else {}),
            **({"transporters": ", ".join(c.label for c in carriers)} if carriers else {}),
            "compound": compound.name,
            "species": species,
            "partition_method": "given"
            if kp
            else (partition_method or compound.partition_method or "rodgers_rowland"),
            "clearance_basis": compound.resolved_clearance_basis or "none",
            "hepatic_model": hepatic_model or compound.hepatic_model or "well_stirred",
            **distribution,
        },
    )


def _one_species(physiology: xr.Dataset) -> str:
    species = np.unique(physiology["species"].values)
    if len(species) != 1:
        raise InputError(
            "physiology.species",
            list(species),
            "one species",
            hint="simulate each species by itself",
        )
    return str(species[0])


def _transit_count(compound: Compound) -> int:
    return int(compound.transit_compartments or 0)


def _states(
    compound: Compound, graph: OrganGraph, barriers: Mapping[str, Barriers], enzymes_apart: bool
) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    pathways = [(p.name, p.organ) for p in compound.saturable]
    for name, organ in pathways:
        graph.number(organ)  # a typed error for an organ that is not there
        if organ in graph.blood_pools:
            raise InputError(f"saturable[{name}].organ", organ, "an organ with tissue")
    transit = tuple(f"transit_{i + 1}" for i in range(_transit_count(compound)))
    oral = (DEPOT, *transit, LUMEN) if transit else (LUMEN,)
    organs = [s for o in graph.organs for s in (barriers[o].states if o in barriers else (o,))]
    bile = (
        (GALLBLADDER,) if compound.gallbladder_emptying_rate else ()
    )  # only with something that goes to bile
    wall = (GUT_WALL,) if enzymes_apart else ()
    return (*oral, *wall, *bile, *organs, *SINKS), pathways


def _parameters(
    compound, physiology, graph, species, partition, hepatic_model, barriers, carriers
) -> dict[str, np.ndarray]:
    """Every number of the model by name, each (n_subjects,) or (1,)."""
    if compound.fraction_unbound_plasma is None:
        raise InputError(
            "fraction_unbound_plasma", None, "a number in (0, 1]", subject=compound.name
        )
    bp = np.atleast_1d(
        blood_to_plasma_ratio(compound, species, hematocrit=physiology["hematocrit"].values)
    )
    p: dict[str, np.ndarray] = {
        "fraction_unbound_plasma": np.array([compound.fraction_unbound_plasma]),
        "blood_to_plasma_ratio": bp,
    }
    for organ in graph.organs:
        p[f"volume.{organ}"] = physiology["volume"].sel(organ=organ).values.astype(float)
    for organ in graph.perfused:
        p[f"flow.{organ}"] = physiology["blood_flow"].sel(organ=organ).values.astype(float)
    for organ, value in partition.items():
        p[f"kp.{organ}"] = np.array([value])
    p |= elimination_parameters(compound, physiology, graph, bp, hepatic_model)
    p |= barrier_parameters(barriers, species, physiology)
    if LIVER in barriers and compound.resolved_clearance_basis == "in_vivo":
        if any(
            c.transporter.organ == LIVER and c.transporter.direction != "secretion"
            for c in carriers
        ):
            p["clint.liver"] = clint_behind_transport(
                p["clint.liver"], barriers[LIVER], p, carriers, physiology, compound.name
            )
        else:
            p["clint.liver"] = clint_behind_barrier(
                p["clint.liver"], barriers[LIVER].total(p), compound.name
            )
    p |= transport_parameters(carriers, physiology)
    if compound.gallbladder_emptying_rate:
        p["gallbladder_emptying_rate"] = np.array([compound.gallbladder_emptying_rate])
    if compound.biliary_clearance:
        p |= _biliary(compound, physiology)
    for pathway in compound.saturable:
        p[f"vmax[{pathway.name}]"] = pathway.vmax * physiology["body_weight"].values.astype(float)
        p[f"km[{pathway.name}]"] = np.array([pathway.km])
    p["absorption_rate"] = np.array([compound.absorption_rate or 0.0])
    p["fraction_absorbed"] = np.array(
        [1.0 if compound.fraction_absorbed is None else compound.fraction_absorbed]
    )
    p["fraction_gut"] = fraction_gut(compound, physiology)
    if _transit_count(compound):
        if compound.transit_rate is None:
            raise InputError(
                "transit_rate",
                None,
                "a number > 0 [1/h] with transit_compartments",
                subject=compound.name,
            )
        p["transit_rate"] = np.array([compound.transit_rate])
    return p


def _biliary(compound: Compound, physiology: xr.Dataset) -> dict[str, np.ndarray]:
    if compound.absorption_rate is None:
        raise InputError(
            "absorption_rate",
            None,
            "a number > 0 [1/h] with biliary_clearance: bile enters the gut lumen",
            subject=compound.name,
            hint="fraction_absorbed=0 sends all of it to faeces",
        )
    weight = physiology["body_weight"].values.astype(float)
    return {"clint.biliary": compound.biliary_clearance * weight * 60.0 / 1000.0}  # mL/min -> L/h


class _assembler:
    """Parameters -> Coefficients; plain arithmetic only, so that complex numbers pass through."""

    def __init__(
        self,
        states,
        graph: OrganGraph,
        pathways,
        transit: int,
        barriers: Mapping[str, Barriers],
        absorption: GutAbsorption | None = None,
        carriers: tuple[Carrier, ...] = (),
    ):
        self.absorption, self.carriers = absorption, carriers
        # with enzymes apart all transport is put in by others
        self.saturable_carriers = tuple(
            c for c in carriers if c.saturable and GUT_WALL not in states
        )
        self.number = {s: i for i, s in enumerate(states)}
        self.graph, self.pathways, self.transit, self.barriers = graph, pathways, transit, barriers
        # the state of an organ through which its blood flows, and the one in which drug is eliminated
        self.entry = {o: barriers[o].entry if o in barriers else o for o in graph.organs}
        self.inside = {o: barriers[o].inside if o in barriers else o for o in graph.organs}
        self.pattern: tuple[np.ndarray, np.ndarray] | None = None

    def concentrations(
        self, p: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """State -> plasma concentration in equilibrium with it, per amount in it [1/L]; organ -> blood concentration that
        leaves it, per amount in its state of entry [1/L]."""
        bp = p["blood_to_plasma_ratio"]
        plasma, leaving = {}, {}
        for organ in self.graph.organs:
            volume = p[f"volume.{organ}"]
            if organ in self.graph.blood_pools:
                leaving[organ], plasma[organ] = 1.0 / volume, 1.0 / (volume * bp)
            elif organ in self.barriers:
                for state, capacity in self.barriers[organ].capacities(p).items():
                    plasma[state] = 1.0 / capacity
                leaving[organ] = bp * plasma[self.entry[organ]]
            else:
                plasma[organ] = 1.0 / (volume * p[f"kp.{organ}"])
                leaving[organ] = bp * plasma[organ]
        return plasma, leaving

    def unbound(self, p: Mapping[str, np.ndarray], organ: str) -> np.ndarray:
        """Unbound concentration where an organ's enzymes are, per amount there [1/L]; enterocytes bind nothing."""
        if organ == GUT_WALL:
            return 1.0 / p["volume.gut_wall"]
        return self.unbound_in(p, self.inside[organ])

    def unbound_in(self, p: Mapping[str, np.ndarray], state: str) -> np.ndarray:
        """Unbound concentration in a state of an organ, per amount there [1/L]."""
        return p["fraction_unbound_plasma"] * self.concentrations(p)[0][state]

    def __call__(self, p: Mapping[str, np.ndarray]) -> Coefficients:
        number, graph = self.number, self.graph
        entries: dict[tuple[int, int], np.ndarray] = {}

        def move(source: str, target: str, rate) -> None:
            """Drug leaves `source` for `target` at `rate` [1/h] times the amount in `source`."""
            i, j = number[target], number[source]
            entries[i, j] = entries.get((i, j), 0.0) + rate
            entries[j, j] = entries.get((j, j), 0.0) - rate

        bp, fu = p["blood_to_plasma_ratio"], p["fraction_unbound_plasma"]
        entry, inside = self.entry, self.inside
        plasma, leaving = self.concentrations(p)
        flows = {o: p[f"flow.{o}"] for o in graph.perfused}
        for e, flow in enumerate(graph.edge_flows(flows)):
            source, target = graph.organs[graph.source[e]], graph.organs[graph.target[e]]
            if source == ARTERIAL and target == "kidney":
                filtered = p["clearance_renal"] / bp
                move(source, entry[target], (flow - filtered) * leaving[source])
                move(source, RENAL, filtered * leaving[source])
            else:
                move(entry[source], entry[target], flow * leaving[source])
        for barrier in self.barriers.values():
            for a, b, ps in barrier.exchanges(p):
                move(a, b, ps * fu * plasma[a])
                move(b, a, ps * fu * plasma[b])
        liver = inside[LIVER]
        apart = GUT_WALL in number  # the metabolism by named enzymes is put in by others
        unnamed = 1.0 - p["share.liver"] if apart else 1.0
        move(liver, METABOLISED, p["clint.liver"] * unnamed * fu * plasma[liver])
        if "clint.biliary" in p:
            move(
                liver,
                GALLBLADDER if GALLBLADDER in number else LUMEN,
                p["clint.biliary"] * fu * plasma[liver],
            )
        if GALLBLADDER in number:
            move(GALLBLADDER, LUMEN, p["gallbladder_emptying_rate"])
        for c in self.carriers:
            if not (c.saturable or apart):
                move(c.source, c.target, p[f"transport[{c.label}]"] * fu * plasma[c.source])

        ka, fa, fg = p["absorption_rate"], p["fraction_absorbed"], p["fraction_gut"]
        chain = (
            [DEPOT, *(f"transit_{i + 1}" for i in range(self.transit)), LUMEN]
            if self.transit
            else [LUMEN]
        )
        for a, b in pairwise(chain):
            move(a, b, p["transit_rate"])
        wall = self.barriers["gut"].interstitium if "gut" in self.barriers else "gut"

        def absorb(source: str, rate) -> None:
            """Drug leaves a lumen for the wall, which metabolises its share."""
            if apart:
                move(source, GUT_WALL, rate)
            else:
                move(source, wall, rate * fg)
                move(source, METABOLISED_GUT, rate * (1.0 - fg))

        if apart:
            leaves = p["flow.gut_wall"] / p["volume.gut_wall"]
            move(GUT_WALL, wall, leaves)
            move(GUT_WALL, METABOLISED_GUT, leaves * (1.0 - fg) / fg * (1.0 - p["share.gut"]))
        if self.absorption is not None:
            self.absorption.build(p, move, absorb, FAECES, LUMEN)
        else:
            absorb(LUMEN, ka * fa)
            move(LUMEN, FAECES, ka * (1.0 - fa))

        reactions = []
        for name, organ in self.pathways:
            vmax, km = p[f"vmax[{name}]"], p[f"km[{name}]"]
            km_amount = km / (
                fu * plasma[inside[organ]]
            )  # unbound concentration = fu x plasma per amount x amount
            reactions.append(np.stack(np.broadcast_arrays(vmax, km_amount), axis=1))
        for c in self.saturable_carriers:
            km_amount = p[f"km[{c.label}]"] / (fu * plasma[c.source])
            reactions.append(
                np.stack(np.broadcast_arrays(p[f"jmax[{c.label}]"], km_amount), axis=1)
            )
        if self.absorption is not None:
            reactions += self.absorption.reaction_parameters(p)
        factor = {o: 1.0 / p[f"volume.{o}"] for o in graph.organs}
        for barrier in self.barriers.values():
            factor |= barrier.part_factors(p)
        factor |= {"plasma": plasma[VENOUS], "blood": leaving[VENOUS]}
        rows, columns = zip(*entries, strict=True)
        self.pattern = np.array(rows), np.array(columns)
        values = np.stack(
            np.broadcast_arrays(*(np.atleast_1d(v) for v in entries.values())), axis=1
        )
        return Coefficients(
            values, tuple(reactions), {k: np.atleast_1d(v) for k, v in factor.items()}
        )


__all__ = ["SINKS", "whole_body_system"]
