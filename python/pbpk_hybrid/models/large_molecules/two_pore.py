"""Large molecules in every organ: two-pore exchange of plasma and interstitium, lymph,
FcRn in the endosomes, targets.

The capillary wall of an organ is a membrane with many small and few large pores (Rippe &
Haraldsson 1994, Physiol Rev 74:163). Pores of radius r take the share :math:`\\alpha` of
the hydraulic conductivity; the flow through them is their share of the lymph flow L and a
flow that circulates, out by the large and in by the small ones, because the colloid
osmotic pressure acts on the small pores alone:

.. math::
    J_L = L (\\alpha_L + x), \\quad J_S = L (\\alpha_S - x), \\quad
    x = \\alpha_L \\alpha_S (\\bar\\sigma_S - \\bar\\sigma_L)\\,\\Delta\\pi/\\Delta P

(:math:`\\bar\\sigma` of plasma proteins, :math:`\\Delta P` the net filtration pressure,
so that :math:`L = L_pS\\,\\Delta P`; x = 0 in sinusoids, across which no osmotic pressure
stands). A molecule of Stokes radius a meets, with :math:`\\lambda = a/r`, the reflection
and the restricted area

.. math::
    \\sigma = \\tfrac{16}{3}\\lambda^2 - \\tfrac{20}{3}\\lambda^3 + \\tfrac{7}{3}\\lambda^4, \\qquad
    \\frac{A}{A_0} = \\frac{(1-\\lambda)^{9/2}}{1 - 0.3956\\lambda + 1.0616\\lambda^2}

(both nothing more to pass at :math:`\\lambda \\ge 1`), diffuses (Stokes-Einstein) through
pores that obey Poiseuille's law,

.. math:: PS = \\frac{4 k_B T}{3 \\pi\\,\\Delta P}\\,\\frac{\\alpha}{a r^2}\\,\\frac{A}{A_0}\\,L

and crosses by convection and diffusion together (Patlak):

.. math::
    J_s = PS\\,\\frac{Pe}{1 - e^{-Pe}}\\left(C_p - C_i e^{-Pe}\\right), \\qquad
    Pe = J (1 - \\sigma)/PS

Interstitial fluid leaves as lymph, unsieved, for a pool of lymph nodes and from there for
venous plasma; plasma that leaves an organ is less by its lymph. The endosomes of every
organ's endothelium take up plasma, degrade what is free in them and give back what FcRn
holds (the equations of :mod:`.antibody`); uptake and FcRn are shared out by the organs'
vascular volumes. The kidney filters with the sieving coefficient :math:`\\theta`:
:math:`GFR\\,\\theta\\,C_p`. A target sits in venous plasma or in the interstitium of
organs.

Sources
-------
Pores of 4.5 and 25 nm and a share of 0.8 for the large ones in liver and spleen: read in
a simulation file of PK-Sim (tests/PKSim.Tests/Data/simple_simulation.pkml, which has 0.8
in bone too and pores of 9 and 33 nm in these three organs; here bone is an organ like the
others and all pores are the same). :math:`\\alpha_L = 0.042`, the pressures, reflections,
the radius and the sieving coefficient: read in public code of the model of Li & Shah
(2019, J Pharmacokinet Pharmacodyn 46:305; they print x = 0.38, the product of their
factors is 0.34). Lymph: 8 L a day are filtered in humans (assumed), shared out by plasma
flow as Shah & Betts (2012, J Pharmacokinet Pharmacodyn 39:67) do, the lung by its
bronchial flow, the brain not at all (assumed). Lymph nodes: Shah & Betts (2012), read in:
the model file Shah_2012_mAb_PBPK.R of nlmixr2lib. What is assumed stands on
docs/assumptions.md. Fractions of blood and interstitium: as in :mod:`.permeability`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import xarray as xr

from ..._core.errors import InputError, unknown_name
from ...physiology import tissue_composition
from ..system.graph import ARTERIAL, LIVER, LUNG, VENOUS, OrganGraph, whole_body_graph
from ..system.system import Coefficients, Observable, Reaction, System
from .antibody import AVAILABLE, WEIGHT, Antibody

BOLTZMANN, BODY_TEMPERATURE, MMHG = 1.380649e-23, 310.15, 133.322  # J/K, K, Pa
#: share of cardiac plasma output that is filtered: 8 L a day (assumed) over 214.5 L/h of
#: the reference man
LYMPH_SHARE = 8.0 / 24 / 214.5
#: bronchial flow over cardiac output, the lung's part in the lymph; read in: NRC (1999)
#: Risk Assessment of Radon in Drinking Water, table A-1 (lung tissue, 2.5 %)
BRONCHIAL = 0.025
#: volume of lymph nodes [L] of a person of this weight [kg]: Shah & Betts (2012)
LYMPH_NODES, NODES_WEIGHT = 0.274, 71.0
#: organs with sinusoids: their large pores' share of the hydraulic conductivity
#: (PK-Sim's, see the module's text)
SINUSOIDS = {"liver": 0.8, "spleen": 0.8}

SHARED = ("lymph", "degraded", "filtered", "subcutaneous", "not_absorbed")


@dataclass(frozen=True, kw_only=True)
class Pores:
    """The capillary wall.

    Parameters
    ----------
    small_radius, large_radius : [nm]
    large_share : of the large pores in the hydraulic conductivity, (0, 1)
    large_share_of : organ -> another share; from 0.5 on the organ has sinusoids, through
        which nothing circulates. None: :data:`SINUSOIDS`
    filtration_pressure : net, that drives the lymph flow [mmHg]
    osmotic_pressure : difference of colloid osmotic pressure across the wall [mmHg]
    protein_reflection : of plasma proteins in small and in large pores
    """

    small_radius: float = 4.5
    large_radius: float = 25.0
    large_share: float = 0.042
    large_share_of: Mapping[str, float] | None = None
    filtration_pressure: float = 1.0
    osmotic_pressure: float = 10.0
    protein_reflection: tuple[float, float] = (0.95, 0.108)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in ("large_share_of", "protein_reflection"):
                continue
            if isinstance(value, (bool, str)) or not (np.isfinite(value) and value > 0):
                raise InputError(f"pores.{f.name}", value, "a number > 0")
        high, low = self.protein_reflection
        if not 0 <= low <= high <= 1:
            raise InputError(
                "pores.protein_reflection",
                self.protein_reflection,
                "shares, of small pores the larger",
            )
        if self.small_radius >= self.large_radius:
            raise InputError(
                "pores.small_radius",
                self.small_radius,
                f"less than the large ones, {self.large_radius} nm",
            )
        for where, share in (
            ("large_share", self.large_share),
            *(self.large_share_of or {}).items(),
        ):
            if not 0 < share < 1:
                raise InputError(f"pores.{where}", share, "a share between 0 and 1")

    def share(self, organ: str) -> float:
        """Of the large pores in an organ's hydraulic conductivity."""
        own = SINUSOIDS if self.large_share_of is None else self.large_share_of
        return own.get(organ, self.large_share)

    def circulating(self, organ: str) -> float:
        """Flow out by large and in by small pores, over the lymph flow; none where
        proteins pass freely (sinusoids).
        """
        share = self.share(organ)
        if share >= 0.5:
            return 0.0
        high, low = self.protein_reflection
        return share * (1 - share) * (high - low) * self.osmotic_pressure / self.filtration_pressure


def stokes_radius(molar_mass: float) -> float:
    """Hydrodynamic radius of a protein [nm]: 0.0483 M^0.386, M in g/mol (Venturoli & Rippe
    2005, Am J Physiol 288:F605).
    """
    return 0.0483 * molar_mass**0.386


def sieving_coefficient(molar_mass: float) -> float:
    """Glomerular sieving: exp(1 - 8.7/(1 + exp(0.028 (72.3 - M)))), M in kg/mol (Li &
    Shah 2019, equation 8).

    Read in public code of their model, which has the other sign of the exponent and
    remarks that large proteins would then be filtered more; with this sign filtration
    falls with size.
    """
    return float(np.exp(1.0 - 8.7 / (1.0 + np.exp(0.028 * (72.3 - molar_mass / 1000.0)))))


def _sieving(protein: Antibody) -> float:
    """Given, or by size; what FcRn salvages is taken as not filtered, since its
    clearance, as measured, is the whole.
    """
    if protein.sieving is not None:
        return protein.sieving
    return 0.0 if protein.salvage > 0 else sieving_coefficient(protein.molar_mass)


def pore_exchange(
    radius: Any, pores: Pores | None = None, organ: str = "muscle"
) -> tuple[Any, Any]:
    """Clearances across the wall of an organ over its lymph flow: (plasma to
    interstitium, interstitium to plasma).

    Parameters
    ----------
    radius : Stokes radius of the molecule [nm], number or array; complex while differentiating
    organ : whose pores

    Returns
    -------
    two values of `radius`'s shape; their difference is the convective clearance
    :math:`\\sum J (1 - \\sigma)/L`
    """
    pores = pores or Pores()
    share, circulating = pores.share(organ), pores.circulating(organ)
    # 4 kT/(3 pi dP) in nm^3
    scale = 4 * BOLTZMANN * BODY_TEMPERATURE / (3 * np.pi * pores.filtration_pressure * MMHG) * 1e27
    out = back = 0.0 * radius
    for r, part, flow in (
        (pores.large_radius, share, share + circulating),
        (pores.small_radius, 1 - share, 1 - share - circulating),
    ):
        ratio = np.where(np.real(radius) < r, radius / r, 1.0)
        reflection = np.where(
            np.real(ratio) < 1, ratio**2 * (16 / 3 + ratio * (-20 / 3 + ratio * 7 / 3)), 1.0
        )
        area = (1 - ratio) ** 4.5 / (1 - 0.3956 * ratio + 1.0616 * ratio**2)
        ps = scale * part / (radius * r**2) * area
        convection = flow * (1 - reflection)
        forward, backward = _patlak(convection, ps)
        out, back = out + forward, back + backward
    return out, back


def _patlak(convection: Any, ps: Any) -> tuple[Any, Any]:
    """(out, back): convection and diffusion together; one alone where there is nothing of
    the other.
    """
    # a Peclet number beyond 500 is convection alone: the exponential would overflow
    diffuses = np.real(ps) > np.abs(np.real(convection)) / 500 + 1e-300
    pe = np.where(diffuses, convection / np.where(diffuses, ps, 1.0), 0.0)
    small = np.abs(pe) < 1e-5
    series = 1 + pe / 2 + pe**2 / 12
    ratio = np.where(
        small,
        series,
        np.where(small, 1.0, pe) / np.where(small, 1.0, -np.expm1(-np.where(small, 1.0, pe))),
    )
    forward = np.where(diffuses, ps * ratio, np.where(np.real(convection) > 0, convection, 0.0))
    return forward, np.where(diffuses, forward * np.exp(-pe), forward - convection)


def two_pore_system(
    protein: Antibody,
    physiology: xr.Dataset,
    *,
    pores: Pores | None = None,
    lymph_share: float = LYMPH_SHARE,
    lymph_of: Mapping[str, float] | None = None,
    target_in: Sequence[str] = ("plasma",),
) -> System:
    """The System of one protein in every subject of a physiology Dataset.

    Parameters
    ----------
    protein : an antibody or any other protein, by its molar mass and radius; clearance is
        of endosomes and is scaled from a person of 70 kg by weight to the power 3/4;
        renal filtration comes on top
    physiology : schema ``physiology``; all subjects of one species
    pores : of the capillaries
    lymph_share : lymph flow of the body over cardiac plasma output
    lymph_of : organ -> its part in the lymph, in any unit; None: by plasma flow, see the
        module's text. No exchange where 0
    target_in : where the target is: ``"plasma"`` (venous), organs (their interstitium);
        each with the same concentration

    Returns
    -------
    System; doses "iv_bolus", "iv_infusion", "subcutaneous" (into lymph); observables
    ``plasma``, every organ as a whole, its ``<organ>.interstitium``, ``lymph`` and
    ``complex.<site>`` [mg/L]; parameters with derivatives: ``radius``, ``sieving``,
    ``clearance``, flows, volumes, lymph flows

    Raises
    ------
    InputError, UnknownNameError : several species, an organ that is not there, a share
        that cannot be
    """
    species = np.unique(physiology["species"].values)
    if len(species) != 1:
        raise InputError(
            "physiology.species",
            list(species),
            "one species",
            hint="simulate each species by itself",
        )
    pores = pores or Pores()
    graph = whole_body_graph(tuple(str(o) for o in physiology["organ"].values))
    tissues = [o for o in graph.organs if o not in graph.blood_pools]
    _check_organs(tissues, pores, lymph_share, lymph_of or {}, target_in)
    parts = _lymph_parts(graph, physiology, lymph_of)
    exchanging = [o for o in tissues if np.any(parts[o] > 0)]
    sites = tuple(dict.fromkeys(target_in)) if protein.target is not None else ()
    for site in sites:
        if site != "plasma" and site not in exchanging:
            raise InputError(
                "target_in",
                site,
                f"an organ that the protein reaches: {exchanging}",
                subject=protein.name,
            )
    parameters = _parameters(protein, physiology, graph, str(species[0]), parts, lymph_share)
    build = _Assembler(protein, graph, exchanging, sites, pores)
    coefficients = build(parameters)
    n = physiology.sizes["subject"]
    rows, columns = build.pattern
    venous = build.number["venous_plasma"]
    return System(
        build.states,
        rows,
        columns,
        coefficients.k_value,
        tuple(
            Reaction(*shape, values)
            for shape, values in zip(build.shapes, coefficients.reaction_parameters, strict=True)
        ),
        build.observables(coefficients),
        dict.fromkeys(("iv_bolus", "iv_infusion", "iv"), venous),
        n_subjects=n,
        subjects=physiology["subject"].values if "subject" in physiology.coords else np.arange(n),
        parameters=parameters,
        assemble=build,
        signed=tuple(s for s in build.states if "_change" in s or s.endswith("_balance")),
        attrs={
            "model": "whole_body_two_pore",
            "compound": protein.name,
            "species": str(species[0]),
        },
    )


def _check_organs(
    tissues: Sequence[str],
    pores: Pores,
    lymph_share: float,
    lymph_of: Mapping[str, float],
    target_in: Sequence[str],
) -> None:
    """Refuse organs that are not there and shares that cannot be."""
    for name, given in (
        ("pores.large_share_of", pores.large_share_of or {}),
        ("lymph_of", lymph_of),
        ("target_in", [s for s in target_in if s != "plasma"]),
    ):
        for organ in given:
            if organ not in tissues:
                known = (*tissues, "plasma") if name == "target_in" else tissues
                raise unknown_name(name, organ, known, what="a tissue")
    if not (np.isfinite(lymph_share) and 0 < lymph_share < 0.05):
        raise InputError(
            "lymph_share", lymph_share, "a share of cardiac plasma output between 0 and .05"
        )
    for organ, part in lymph_of.items():
        if not (np.isfinite(part) and part >= 0):
            raise InputError(f"lymph_of.{organ}", part, "a number >= 0")


def _lymph_parts(
    graph: OrganGraph, physiology: xr.Dataset, given: Mapping[str, float] | None
) -> dict[str, np.ndarray]:
    """Organ -> its part in the lymph flow of the body, (n_subjects,), adding to 1."""
    flows = {o: physiology["blood_flow"].sel(organ=o).values.astype(float) for o in graph.perfused}
    total = sum(flows.values())
    parts = {}
    for organ in (o for o in graph.organs if o not in graph.blood_pools):
        if given is not None:
            parts[organ] = np.full_like(total, given.get(organ, 0.0))
        elif organ == LUNG:
            parts[organ] = BRONCHIAL * total
        elif organ == LIVER:
            parts[organ] = graph.inflow(LIVER, flows)
        else:
            parts[organ] = 0.0 * total if organ == "brain" else flows[organ]
    whole = sum(parts.values())
    if not np.all(whole > 0):
        raise InputError("lymph_of", given, "a part > 0 for at least one organ")
    return {o: p / whole for o, p in parts.items()}


def _parameters(
    protein: Antibody,
    physiology: xr.Dataset,
    graph: OrganGraph,
    species: str,
    parts: Mapping[str, np.ndarray],
    lymph_share: float,
) -> dict[str, np.ndarray]:
    """Parameters of the assembler by name, each (n_subjects or 1,)."""
    size = physiology["body_weight"].values.astype(float) / WEIGHT
    p: dict[str, np.ndarray] = {
        "radius": np.array([protein.hydrodynamic_radius or stokes_radius(protein.molar_mass)]),
        "sieving": np.array([_sieving(protein)]),
        "gfr": physiology["gfr"].values.astype(float),
        "clearance": protein.clearance * size**0.75,
        "salvage": np.array([protein.salvage]),
        "degradation_rate": np.array([protein.degradation_rate]),
        "recycling_rate": np.array([protein.recycling_rate]),
        "fcrn_capacity": protein.fcrn_capacity * size,
        "volume.lymph": LYMPH_NODES * size * WEIGHT / NODES_WEIGHT,
        "absorption_rate": np.array([protein.absorption_rate]),
        "bioavailability": np.array([protein.bioavailability]),
    }
    p |= _body(physiology, graph, species, parts, lymph_share)
    if protein.target is not None:
        p["target"], p["target_on"] = np.array([protein.target]), np.array([protein.target_on])
        p["target_off"], p["target_turnover"] = (
            np.array([protein.target_off]),
            np.array([protein.target_turnover]),
        )
        p["internalisation"] = np.array([protein.internalisation])
    return p


def _body(
    physiology: xr.Dataset,
    graph: OrganGraph,
    species: str,
    parts: Mapping[str, np.ndarray],
    lymph_share: float,
) -> dict[str, np.ndarray]:
    """Plasma and lymph flows [L/h], volumes of organs, their plasma and interstitium [L]."""
    vascular = tissue_composition(species, "rodgers_rowland")["fraction_vascular"]
    fluid = tissue_composition(species, "schmitt")
    value = lambda name, organ: physiology[name].sel(organ=organ).values.astype(float)
    plasma = 1.0 - physiology["hematocrit"].values.astype(float)
    p = {f"flow.{organ}": value("blood_flow", organ) * plasma for organ in graph.perfused}
    whole = sum(p[f"flow.{o}"] for o in graph.perfused)
    blood = 0.0
    for organ in parts:
        volume, share = value("volume", organ), float(vascular.sel(organ=organ))
        cells, interstitium = (
            float(fluid[k].sel(organ=organ)) for k in ("fraction_cells", "fraction_interstitium")
        )
        blood = blood + volume * share
        p[f"volume.{organ}"] = volume
        p[f"volume.{organ}.plasma"] = volume * share * plasma
        p[f"volume.{organ}.interstitium"] = (
            AVAILABLE * volume * (1 - share) * interstitium / (cells + interstitium)
        )
        p[f"lymph.{organ}"] = parts[organ] * lymph_share * whole
    # all the blood of the body: the organs' is in it
    pools = value("volume", ARTERIAL) + value("volume", VENOUS)
    if np.any(blood >= pools):
        s = int(np.flatnonzero(blood >= pools)[0])
        raise InputError(
            "physiology.volume (blood)",
            float(pools[s]),
            f"more than the organs' blood vessels hold, {blood[s]:.3g} L",
        )
    for name, organ in (("arterial_plasma", ARTERIAL), ("venous_plasma", VENOUS)):
        p[f"volume.{name}"] = value("volume", organ) * (1 - blood / pools) * plasma
    return p


class _Assembler:
    """Parameters -> Coefficients; plain arithmetic only, so that complex numbers pass through."""

    def __init__(
        self,
        protein: Antibody,
        graph: OrganGraph,
        exchanging: Sequence[str],
        sites: Sequence[str],
        pores: Pores,
    ):
        self.graph, self.exchanging, self.sites, self.pores = (
            graph,
            tuple(exchanging),
            tuple(sites),
            pores,
        )
        self.tissues = tuple(o for o in graph.organs if o not in graph.blood_pools)
        self.salvaged, self.mass = protein.salvage > 0, protein.molar_mass * 1e-6  # mg per nmol
        inner = ("endosome", "endosome_bound", "fcrn_change") if self.salvaged else ()
        states = ["arterial_plasma", "venous_plasma"]
        for o in self.tissues:
            states += [
                f"{o}.plasma",
                *((f"{o}.interstitium",) if o in exchanging else ()),
                *(f"{o}.{s}" for s in inner),
            ]
        states += [*SHARED, *(("fcrn_balance",) if self.salvaged else ())]
        for site in sites:
            states += [f"complex.{site}", f"target_change.{site}"]
        self.states = (*states, *(("target_balance", "internalised") if sites else ()))
        self.number = {s: i for i, s in enumerate(self.states)}
        self.shapes = self._shapes()
        self.pattern: tuple[np.ndarray, np.ndarray] | None = None

    def of_organ(self, organ: str) -> tuple[str, ...]:
        """States that hold the protein in an organ."""
        names = (f"{organ}.{s}" for s in ("plasma", "interstitium", "endosome", "endosome_bound"))
        return tuple(s for s in (*names, f"complex.{organ}") if s in self.number)

    def _fluid(self, site: str) -> str:
        return "venous_plasma" if site == "plasma" else f"{site}.interstitium"

    def _shapes(self) -> list[tuple[str, str, tuple[int, ...], dict[int, float]]]:
        """Of each reaction: name, law, reactants, stoichiometry."""
        n, out = self.number, []
        for o in self.tissues if self.salvaged else ():
            free, change = n[f"{o}.endosome"], n[f"{o}.fcrn_change"]
            gain = {free: -1.0, n[f"{o}.endosome_bound"]: 1.0, change: -1.0, n["fcrn_balance"]: 1.0}
            out.append((f"fcrn.{o}", "mass_action", (free, change), gain))
        for site in self.sites:
            free, change = n[self._fluid(site)], n[f"target_change.{site}"]
            gain = {free: -1.0, n[f"complex.{site}"]: 1.0, change: -1.0, n["target_balance"]: 1.0}
            out.append((f"target.{site}", "mass_action", (free, change), gain))
        return out

    def _plasma(self, organ: str) -> str:
        return {ARTERIAL: "arterial_plasma", VENOUS: "venous_plasma"}.get(organ, f"{organ}.plasma")

    def observables(self, coefficients: Coefficients) -> dict[str, Observable]:
        """Concentrations by name: of one state, or of all that an organ holds."""
        number, found = self.number, {}
        for name, factor in coefficients.observable_factor.items():
            if name == "plasma":
                states = (number["venous_plasma"],)
            elif name in number:
                states = (number[name],)
            else:
                states = tuple(number[s] for s in self.of_organ(name))
            found[name] = Observable(states, factor)
        return found

    def __call__(self, p: Mapping[str, np.ndarray]) -> Coefficients:
        volume = {s: p[f"volume.{s}"] for s in self.states if f"volume.{s}" in p}
        k = _Transfers(self.number)
        self._circulate(k, p, volume)
        self._exchange(k, p, volume)
        reactions = [*self._endosomes(k, p, volume), *self._targets(k, p, volume)]
        factor = {"plasma": 1.0 / volume["venous_plasma"], "lymph": 1.0 / volume["lymph"]}
        factor |= {o: 1.0 / p[f"volume.{o}"] for o in self.tissues}
        factor |= {s: 1.0 / volume[s] for o in self.exchanging if (s := f"{o}.interstitium")}
        factor |= {f"complex.{site}": 1.0 / volume[self._fluid(site)] for site in self.sites}
        rows, columns = zip(*k.entries, strict=True)
        self.pattern = np.array(rows), np.array(columns)
        values = np.stack(  # (subject, entry)
            np.broadcast_arrays(*(np.atleast_1d(v) for v in k.entries.values())), axis=1
        )
        return Coefficients(
            values,
            tuple(np.atleast_1d(r)[:, None] for r in reactions),
            {k: np.atleast_1d(v) for k, v in factor.items()},
        )

    def _circulate(self, k: _Transfers, p: Mapping, volume: Mapping) -> None:
        """Plasma flow along the organ graph, less by the lymph that has left it."""
        graph = self.graph
        lymph = {o: p[f"lymph.{o}"] for o in self.tissues}
        flows = graph.edge_flows({o: p[f"flow.{o}"] for o in graph.perfused})
        for e, flow in enumerate(flows):
            source, target = graph.organs[graph.source[e]], graph.organs[graph.target[e]]
            if source == VENOUS:
                flow = flow + lymph[LUNG]  # the lung's lymph comes back by the veins
            elif source not in (ARTERIAL, LUNG):
                # the lymph of all organs that this blood has passed is missing in it
                for o in np.flatnonzero(graph.edge_weights[e]):
                    flow = flow - lymph[graph.organs[o]]
            k.move(self._plasma(source), self._plasma(target), flow / volume[self._plasma(source)])

    def _exchange(self, k: _Transfers, p: Mapping, volume: Mapping) -> None:
        """Across the walls of capillaries, with the lymph, into urine, and what is injected."""
        lymph = {o: p[f"lymph.{o}"] for o in self.tissues}
        for o in self.exchanging:
            out, back = pore_exchange(p["radius"], self.pores, o)
            inside = volume[f"{o}.interstitium"]
            k.move(f"{o}.plasma", f"{o}.interstitium", lymph[o] * out / volume[f"{o}.plasma"])
            k.move(f"{o}.interstitium", f"{o}.plasma", lymph[o] * back / inside)
            k.move(f"{o}.interstitium", "lymph", lymph[o] / inside)
        k.move("lymph", "venous_plasma", sum(lymph[o] for o in self.exchanging) / volume["lymph"])
        k.move("kidney.plasma", "filtered", p["gfr"] * p["sieving"] / volume["kidney.plasma"])
        ka, f = p["absorption_rate"], p["bioavailability"]
        k.move("subcutaneous", "lymph", ka * f)
        k.move("subcutaneous", "not_absorbed", ka * (1.0 - f))

    def _endosomes(self, k: _Transfers, p: Mapping, volume: Mapping) -> list[Any]:
        """Uptake, degradation and salvage by FcRn; constants of its binding [1/(mg h)]."""
        constants = []
        uptake = p["clearance"] / (1.0 - p["salvage"])
        binding = p["degradation_rate"] * p["salvage"] / (1.0 - p["salvage"])  # kon F0 [1/h]
        vessels = sum(volume[f"{o}.plasma"] for o in self.tissues)
        for o in self.tissues:
            share = volume[f"{o}.plasma"] / vessels
            into = f"{o}.endosome" if self.salvaged else "degraded"
            k.move(f"{o}.plasma", into, uptake * share / volume[f"{o}.plasma"])
            if not self.salvaged:
                continue
            bound, change = f"{o}.endosome_bound", f"{o}.fcrn_change"
            k.move(into, "degraded", p["degradation_rate"])
            k.move(into, bound, binding)
            k.move(bound, f"{o}.plasma", p["recycling_rate"])
            for state, sign in ((change, -1.0), ("fcrn_balance", 1.0)):
                k.add(state, into, sign * binding)
                k.add(state, bound, -sign * p["recycling_rate"])
            constants.append(binding / (p["fcrn_capacity"] * share))
        return constants

    def _targets(self, k: _Transfers, p: Mapping, volume: Mapping) -> list[Any]:
        """Turnover and binding of the target; constants of the binding [1/(mg h)]."""
        constants = []
        for site in self.sites:
            fluid, complex_, change = self._fluid(site), f"complex.{site}", f"target_change.{site}"
            on = p["target_on"] / self.mass / volume[fluid]  # 1/(nmol/L)/h -> 1/(mg h)
            total = p["target"] * self.mass * volume[fluid]  # mg of protein that the baseline binds
            k.move(fluid, complex_, on * total)
            k.move(complex_, fluid, p["target_off"])
            k.move(complex_, "internalised", p["internalisation"])
            k.move(change, "target_balance", p["target_turnover"])
            for state, sign in ((change, -1.0), ("target_balance", 1.0)):
                k.add(state, fluid, sign * on * total)
                k.add(state, complex_, -sign * p["target_off"])
            constants.append(on)
        return constants


@dataclass(frozen=True, eq=False)
class _Transfers:
    """Entries of K by (row, column), in the order in which they come."""

    number: Mapping[str, int]
    entries: dict[tuple[int, int], Any] = field(default_factory=dict)

    def add(self, to: str, of: str, rate: Any) -> None:
        """d(to)/dt gains `rate` [1/h] times the amount in `of`."""
        key = self.number[to], self.number[of]
        self.entries[key] = self.entries.get(key, 0.0) + rate

    def move(self, source: str, target: str, rate: Any) -> None:
        """Protein leaves `source` for `target` at `rate` [1/h] times the amount in `source`."""
        self.add(target, source, rate)
        self.add(source, source, -rate)


#: other proteins, for their size. Fragments: fluid-phase uptake of an IgG without
#: salvage, 0.22/0.13 L/day, and filtration by size. Albumin: half-life 19 days (read in:
#: abstract of G. Brown on variations of the albumin gene), 10 to 15 g made a day at 35 to
#: 50 g/L (read in: a review of albumin's sulfhydryl groups), hardly filtered (charge);
#: its clearance, salvage and radius are assumed (docs/assumptions.md).
PROTEINS: dict[str, Antibody] = {
    "IgG1": Antibody(name="IgG1"),
    "albumin": Antibody(
        name="albumin",
        molar_mass=66_500.0,
        hydrodynamic_radius=3.5,
        clearance=0.25 / 24,
        salvage=0.80,
        sieving=0.0,
    ),
    "F(ab')2": Antibody(
        name="F(ab')2", molar_mass=110_000.0, clearance=0.22 / 0.13 / 24, salvage=0.0
    ),
    "Fab": Antibody(name="Fab", molar_mass=50_000.0, clearance=0.22 / 0.13 / 24, salvage=0.0),
    "scFv": Antibody(name="scFv", molar_mass=27_000.0, clearance=0.22 / 0.13 / 24, salvage=0.0),
}

__all__ = [
    "PROTEINS",
    "Pores",
    "pore_exchange",
    "sieving_coefficient",
    "stokes_radius",
    "two_pore_system",
]
