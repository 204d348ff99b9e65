"""The frozen matrix of requalification, and the program that runs it on any version.

The matrix is data: what a version of the package has to give again. A scenario is never changed;
new ones are added, and those that an old version cannot run are reported as such. :data:`RUNNER`
is text because another interpreter runs it, with another version of the package: it uses public
names only.
"""

from __future__ import annotations

from typing import Any


def _scenario(name: str, compound: str, dose: str, hours: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "compound": compound, "dose": dose, "hours": hours, **more}


#: people and seed of every scenario, unless it says otherwise
SUBJECTS, SEED = 12, 20261128

SCENARIOS: tuple[dict[str, Any], ...] = (
    _scenario("low extraction, oral", "theophylline", "320 mg oral", 48),
    _scenario("high extraction, oral", "midazolam", "5 mg oral", 24),
    _scenario("high extraction, bolus", "midazolam", "5 mg iv", 24),
    _scenario("infusion", "metoprolol", "20 mg iv over 0.5 h", 24),
    _scenario("several doses", "theophylline", "200 mg oral q12h x4", 48),
    _scenario("from hepatocytes", "midazolam", "5 mg oral", 24, choices={"clearance": "in_vitro"}),
    _scenario(
        "predicted distribution",
        "metoprolol",
        "100 mg oral",
        24,
        choices={"distribution": "predicted"},
    ),
    _scenario(
        "Poulin & Theil",
        "midazolam",
        "5 mg iv",
        24,
        choices={"distribution": "predicted", "partition_method": "poulin_theil"},
    ),
    _scenario(
        "parallel-tube liver",
        "metoprolol",
        "100 mg oral",
        24,
        choices={"hepatic_model": "parallel_tube", "clearance": "in_vitro"},
    ),
    _scenario("acid, strongly bound", "warfarin", "10 mg oral", 240),
    _scenario("base", "metoprolol", "100 mg oral", 24),
    _scenario("kidney", "digoxin", "0.5 mg iv over 1 h", 96),
    _scenario("the old", "theophylline", "320 mg oral", 48, people={"age": [65, 79]}),
    _scenario("women", "midazolam", "5 mg oral", 24, people={"sex": "female"}),
    _scenario("obese", "midazolam", "5 mg iv", 24, people={"bmi": [35, 60]}),
    _scenario("rat", "midazolam", "1 mg/kg iv", 12, species="rat"),
)

#: reads {"scenarios": [...], "subjects": n, "seed": s} on stdin, writes results on stdout
RUNNER = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
# whatever a version prints while it runs is not part of the results
answer, sys.stdout = sys.stdout, sys.stderr
import pbpk_hybrid as ph

def run(scenario, subjects, seed):
    given = scenario.get("people", {})
    ranges = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    people = ph.sample_population(subjects, scenario.get("species", "human"), seed=seed, **ranges)
    times = np.linspace(0.0, scenario["hours"], 241)
    sim = ph.simulate(
        scenario["compound"], scenario["dose"], people, times, compartments=["plasma"], seed=seed,
        **scenario.get("choices", {}),
    )
    curve = sim["concentration"].sel(compartment="plasma").transpose("subject", "time").values
    return {"auc": np.trapezoid(curve, times, axis=1).tolist(), "cmax": curve.max(axis=1).tolist()}

asked = json.load(sys.stdin)
results = {}
for scenario in asked["scenarios"]:
    try:
        results[scenario["name"]] = run(scenario, asked["subjects"], asked["seed"])
    except Exception as error:
        results[scenario["name"]] = {"error": f"{type(error).__name__}: {error}"}
json.dump({"version": ph.__version__, "python": sys.version.split()[0], "asked": asked,
           "results": results}, answer)
sys.stdout = answer
"""

__all__ = ["RUNNER", "SCENARIOS", "SEED", "SUBJECTS"]
