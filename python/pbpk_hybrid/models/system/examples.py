"""Small systems to measure and to test with, built like any user's own: a random
circulation and the 15-state yardstick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .graph import ARTERIAL, LIVER, LUNG, VENOUS, OrganGraph, whole_body_graph
from .system import Observable, Reaction, System

#: volume [L], flow (fraction of cardiac output), Kp of the yardstick's organs, for 70 kg
_YARDSTICK = {
    "lung": (0.5, 0.0, 0.8),
    "heart": (0.33, 0.04, 2.5),
    "brain": (1.45, 0.12, 1.5),
    "muscle": (29.0, 0.17, 1.8),
    "adipose": (14.5, 0.05, 15.0),
    "skin": (3.3, 0.05, 2.0),
    "bone": (10.5, 0.05, 1.0),
    "kidney": (0.31, 0.19, 3.0),
    "gut": (1.1, 0.16, 2.5),
    "spleen": (0.15, 0.03, 2.0),
    "liver": (1.8, 0.065, 4.0),
    "rest": (4.0, 0.075, 1.5),
}


def yardstick_parameters(n_subjects: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Body weight [kg], ka [1/h], Vmax [mg/h], Km [mg/L], renal clearance [L/h] and Kp
    scale of random subjects.
    """
    rng = np.random.default_rng(seed)
    typical = {
        "body_weight": (70, 0.2),
        "absorption_rate": (1.0, 0.4),
        "vmax": (60, 0.5),
        "km": (0.5, 0.3),
        "clearance_renal": (5, 0.3),
        "kp_scale": (1.0, 0.2),
    }
    return {
        name: mid * np.exp(sd * rng.standard_normal(n_subjects))
        for name, (mid, sd) in typical.items()
    }


def yardstick_system(n_subjects: int, seed: int = 0) -> System:
    """14 organs and a gut lumen with saturable liver and linear renal clearance: the
    model speed is measured on.

    Blood flows scale with body weight to the 0.75, volumes with body weight.
    """
    p = yardstick_parameters(n_subjects, seed)
    size = p["body_weight"] / 70.0
    output = 390.0 * size**0.75
    graph = whole_body_graph((ARTERIAL, VENOUS, *_YARDSTICK), portal=("gut", "spleen"))
    flow_fraction = {o: f for o, (_, f, _) in _YARDSTICK.items() if o != LUNG}
    flow_fraction["rest"] += 1.0 - sum(flow_fraction.values())
    flows = {o: output * f for o, f in flow_fraction.items()}
    leaving = {o: 1.0 / (v * size * kp * p["kp_scale"]) for o, (v, _, kp) in _YARDSTICK.items()}
    leaving |= {ARTERIAL: 1.0 / (1.7 * size), VENOUS: 1.0 / (3.4 * size)}
    states = ("gut_lumen", *graph.organs)
    k = _circulation(graph, flows, leaving, states)
    lumen, gut, kidney, liver = (states.index(s) for s in ("gut_lumen", "gut", "kidney", LIVER))
    k[lumen, lumen] = -p["absorption_rate"]
    k[gut, lumen] = p["absorption_rate"]
    k[kidney, kidney] = k[kidney, kidney] - p["clearance_renal"] * leaving["kidney"]
    saturable = Reaction(
        "hepatic",
        "michaelis_menten",
        (liver,),
        {liver: -1.0},
        np.stack([p["vmax"], p["km"] / leaving[LIVER]], axis=1),
    )
    return _system(
        k, states, (saturable,), leaving, n_subjects, {"oral": lumen, **_intravenous(states)}
    )


def random_system(
    n_organs: int, seed: int, n_subjects: int = 3, n_reactions: int = 2, *, closed: bool = True
) -> System:
    """A random circulation: organ sizes over three decades, random portal drainage,
    random saturable reactions.

    Parameters
    ----------
    n_organs : organs besides the blood pools, lung and liver included; at least 3
    n_reactions : Michaelis-Menten reactions, some with competitive inhibitors, plus one
        bilinear exchange when > 1
    closed : eliminated drug goes to a sink state, so that mass balance can be checked
    """
    rng = np.random.default_rng(seed)
    organs = [LUNG, LIVER, *(f"organ_{i}" for i in range(n_organs - 2))]
    portal = tuple(o for o in organs[2:] if rng.random() < 0.2)
    graph = whole_body_graph((ARTERIAL, VENOUS, *organs), portal=portal)
    spread = lambda mid, decades: mid * 10 ** (decades * (rng.random(n_subjects) - 0.5))
    share = rng.dirichlet(np.ones(len(graph.perfused)) * 2.0) + 1e-3
    flows = {
        o: spread(390.0 * f, 0.3) for o, f in zip(graph.perfused, share / share.sum(), strict=True)
    }
    leaving = {
        o: 1.0 / (spread(60.0 / n_organs, 1.0) * 10 ** rng.uniform(-0.5, 1.5)) for o in organs
    }
    leaving |= {ARTERIAL: 1.0 / spread(1.7, 0.2), VENOUS: 1.0 / spread(3.4, 0.2)}
    states = (*graph.organs, "bound", "sink")
    k = _circulation(graph, flows, leaving, states)
    sink, bound = states.index("sink"), states.index("bound")
    tissues = [states.index(o) for o in organs if o != LUNG]
    to = sink if closed else None
    reactions = _random_enzymes(rng, spread, n_reactions, tissues, to)
    if n_reactions > 1:
        a, b = (int(i) for i in rng.choice(tissues, size=2, replace=False))
        gain = {a: -1.0, b: -1.0, bound: 2.0}
        rate = spread(0.02, 1.0)[:, None]
        reactions.append(Reaction("binding", "mass_action", (a, b), gain, rate))
        back = spread(0.5, 0.5)
        k[bound, bound] = k.get((bound, bound), 0.0) - back
        k[a, bound] = k.get((a, bound), 0.0) + back
    liver, clearance = states.index(LIVER), spread(20.0, 1.0) * leaving[LIVER]
    k[liver, liver] = k[liver, liver] - clearance
    if closed:
        k[sink, liver] = clearance
    return _system(k, states, tuple(reactions), leaving, n_subjects, _intravenous(states))


def _random_enzymes(
    rng: np.random.Generator,
    spread: Callable[[float, float], np.ndarray],
    n_reactions: int,
    tissues: Sequence[int],
    sink: int | None,
) -> list[Reaction]:
    """Michaelis-Menten reactions with up to two inhibitors each, in random tissues."""
    reactions = []
    for r in range(n_reactions):
        at = int(rng.choice(tissues))
        inhibitors = [
            int(i)
            for i in rng.choice(tissues, size=int(rng.integers(0, 3)), replace=False)
            if i != at
        ]
        constants = [spread(40.0, 1.0), spread(5.0, 1.0), *(spread(2.0, 1.0) for _ in inhibitors)]
        gain = {at: -1.0} | ({} if sink is None else {sink: 1.0})
        reactions.append(
            Reaction(
                f"enzyme_{r}",
                "michaelis_menten",
                (at, *inhibitors),
                gain,
                np.stack(constants, axis=1),
            )
        )
    return reactions


def _intravenous(states) -> dict[str, int]:
    return dict.fromkeys(("iv_bolus", "iv_infusion"), states.index(VENOUS))


def _circulation(graph: OrganGraph, flows, leaving, states) -> dict[tuple[int, int], np.ndarray]:
    k: dict[tuple[int, int], np.ndarray] = {}
    for e, flow in enumerate(graph.edge_flows(flows)):
        source, target = graph.organs[graph.source[e]], graph.organs[graph.target[e]]
        i, j = states.index(target), states.index(source)
        rate = flow * leaving[source]
        k[i, j] = k.get((i, j), 0.0) + rate
        k[j, j] = k.get((j, j), 0.0) - rate
    return k


def _system(k, states, reactions, leaving, n_subjects, targets) -> System:
    values = np.stack(np.broadcast_arrays(*k.values()), axis=1)
    observables = {o: Observable((states.index(o),), np.atleast_1d(v)) for o, v in leaving.items()}
    return System(
        states,
        [i for i, _ in k],
        [j for _, j in k],
        np.broadcast_to(values, (n_subjects, len(k))),
        reactions,
        observables,
        targets,
        n_subjects=n_subjects,
        attrs={"model": "example"},
    )
