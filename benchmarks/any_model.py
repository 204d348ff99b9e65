"""How fast are PK-Sim's own simulations, next to its kernel, SciPy and CasADi?

    python benchmarks/any_model.py [--quick] [--wait 60]

Model files of the test suite of PK-Sim's solver kernel, which are not part of this repository: they are read from
``../shared/data/osp_simmodel`` beside the checkout. Ours: a population of 1,000 (organ volumes and other plain parameters vary by
10 %), one subject alone, one subject with sensitivities by 10 parameters; SciPy's BDF and CasADi's CVODES on the same equations,
one subject; the kernel's time is quoted from the README there (its default tolerances, on a machine of the same kind). CPU time per
subject on one core. The tolerance of each is the loosest power of ten at which its states agree with ours at rtol 1e-10 to 1e-4
(plus 1e-6 of the peak), so that times are at equal error.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from _harness import Report, arguments, interleave
from _model_contenders import Pieces, casadi_cvodes, scipy_bdf

from pbpk_hybrid.interchange import read_pksim_simulation
from pbpk_hybrid.solvers.base import SolverOptions
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend
from pbpk_hybrid.solvers.model_runs import _scale, run_model

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "osp_simmodel" / "models"
#: file -> CPU time of the kernel's default run [s], as its README says
KERNEL = {
    "POPsim": 0.047,
    "Theophyline_2": 0.031,
    "pH_Solubility_Table": 0.041,
    "POP_EHC_StartTime": 0.042,
    "TableParametersViaDCI_Test01": 0.094,
    "PKSim_Input_NewSchema_01": 0.578,
}
SMALL, LARGE = 1.0, 10.0  # bounds [ms]: about 150 states, and 453
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def varied(model, count: int) -> list[str]:
    """Plain positive parameters whose values matter: volumes, and what absorbs, binds and dissolves."""
    words = ("Volume", "ipophilicity", "raction unbound", "ermeability", "olubility", "Weight")
    plain = [p for p, q in model.parameters().items() if not q.formula and q.value > 0]
    return [p for w in words for p in plain if p.endswith(w) or w in p.rpartition("|")[2]][:count]


def population(model, names, n: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    own = model.parameters().values_by_path
    return {p: own[p] * np.exp(draw.normal(0.0, 0.1, n)) for p in names}


def within(got: np.ndarray, wanted: np.ndarray) -> bool:
    peak = np.abs(wanted).max(axis=0)
    return bool((np.abs(got - wanted) <= 1e-4 * np.abs(wanted) + 1e-6 * peak + 1e-30).all())


def main() -> None:
    asked = arguments(__doc__)
    warnings.simplefilter("ignore")
    report = Report("any_model", "PK-Sim's simulations", __doc__.split("\n\n", 2)[2].strip())
    if not FOLDER.exists():
        raise SystemExit(f"the model files are not at {FOLDER}")
    n, turns = (64, 1) if asked.quick else (1000, 3)
    rows = []
    for name, kernel in KERNEL.items():
        print(name, flush=True)
        row = measure(name, kernel, n, turns)
        rows.append(row)
        bound = LARGE if name == "PKSim_Input_NewSchema_01" else SMALL
        report.target(f"{name}: ms a subject in a population", row[3], bound)
        report.target(f"{name}: one alone / one of a population", row[4] / row[3], 4.0)
        if np.isfinite(row[5]):
            report.target(f"{name}: 10 sensitivities / one alone", row[5] / row[4], 8.0)
    columns = (
        "file",
        "states that move",
        "rtol of ours",
        f"population of {n} [ms a subject]",
        "one alone [ms]",
        "10 sensitivities [ms]",
        "SciPy BDF [ms]",
        "CasADi CVODES [ms]",
        "kernel (quoted) [ms]",
        "kernel / population",
        "SciPy / one alone",
        "CasADi / one alone",
    )
    report.table("CPU time per subject at equal error", columns, rows)
    report.finish(asked.out)


def measure(name: str, kernel: float, n: int, turns: int) -> tuple:
    model = read_pksim_simulation(FOLDER / f"{name}.xml.gz")
    times, backend = model.contents.output_times, EmbeddedBackend()
    alone = model.assembled({})
    observed = [model.outputs[0]]
    states = {s: model.expression(s, alone) for s in alone.system.states if s in model.quantities}
    index = [alone.system.states.index(s) for s in states]

    def ours(assembled, outputs, rtol, by=()):
        options = SolverOptions(rtol=rtol, threads=1)
        return lambda: run_model(assembled, times, outputs, backend, options, sensitivities=by)

    tight = ours(alone, states, 1e-10)().values[0]
    rtol = next(r for r in TOLERANCES if within(ours(alone, states, r)().values[0], tight))
    scale = _scale(alone, alone.start)
    contenders = {}
    for what, build in (("scipy", scipy_bdf), ("casadi", casadi_cvodes)):
        for tolerance in TOLERANCES:
            pieces = Pieces(alone, times)
            run = build(pieces, tolerance, tolerance * 1e-5 * scale)
            try:
                if within(run()[:, index], tight):
                    contenders[what] = run
                    break
            except (RuntimeError, ValueError, IndexError):
                continue
    names = varied(model, 20)
    values = population(model, names, n)
    many = model.assembled(values, np.arange(n))
    one = {p: v[:1] for p, v in values.items()}
    single = model.assembled(one)
    by = [p for p in names if f"{p} given" not in single.shifts][:10]
    formulas = lambda a: {p: model.expression(p, a) for p in observed}
    runs = {
        "population": ours(many, formulas(many), rtol),
        "alone": ours(single, formulas(single), rtol),
        **({"sensitivities": ours(single, formulas(single), rtol, by)} if len(by) == 10 else {}),
        **contenders,
    }
    repeats = {
        what: turns if what in ("population", "scipy", "casadi") else 5 * turns for what in runs
    }
    found = interleave(runs, repeats)
    ms = {what: found[what].cpu * 1e3 for what in runs}
    nan = float("nan")
    each = ms["population"] / n
    return (
        name,
        alone.system.n_states,
        rtol,
        each,
        ms["alone"],
        ms.get("sensitivities", nan),
        ms.get("scipy", nan),
        ms.get("casadi", nan),
        kernel * 1e3,
        kernel * 1e3 / each,
        ms.get("scipy", nan) / ms["alone"],
        ms.get("casadi", nan) / ms["alone"],
    )


if __name__ == "__main__":
    main()
