"""The parts of the GPU's benchmark; run.sh runs them, each in a process of its own.

    python benchmarks/gpu/parts.py PART OUT.json [--few]

``--few`` takes a handful of subjects: to see that a part runs, in numba's simulator of a device
(``NUMBA_ENABLE_CUDASIM=1``) too. Times are by the clock, the fastest of three after one run that
compiles; a solve includes what is moved to the device and back.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FEW = "--few" in sys.argv


class Skipped(Exception):
    """A part that cannot run here; the text says why."""


def fastest(call: Callable[[], Any], repeats: int = 3) -> tuple[float, float]:
    """Seconds of the first call, which compiles, and of the fastest of the others."""
    found = []
    for _ in range(1 if FEW else 1 + repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found[0], min(found[1:] or found)


def backends() -> dict[str, Any]:
    """The two backends of the device."""
    from pbpk_hybrid.solvers.cuda.backend import CudaBackend

    state = CudaBackend().available()
    if not state.ok:
        raise Skipped(state.reason)
    return {"cuda": CudaBackend(), "cuda32": CudaBackend(single=True)}


def options(name: str):
    """Tolerances that are asked of each."""
    from pbpk_hybrid.solvers.base import SolverOptions

    return SolverOptions(rtol=1e-5 if name == "cuda32" else 1e-6)


def machine() -> dict[str, Any]:
    """What this machine has."""
    facts: dict[str, Any] = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    for module in ("numba", "numba_cuda", "torch", "nvqsp"):
        try:
            loaded = importlib.import_module(module)
            facts[module] = getattr(loaded, "__version__", "?")
        except Exception as error:
            facts[module] = f"none ({type(error).__name__})"
    try:
        asked = [
            "nvidia-smi",
            "--query-gpu=name,driver_version,memory.total",
            "--format=csv,noheader",
        ]
        facts["device"] = subprocess.check_output(asked, text=True, timeout=20).strip()
    except (OSError, subprocess.SubprocessError) as error:
        facts["device"] = f"none ({type(error).__name__})"
    return facts


def yardstick_of(n: int):
    """100 mg into the gut lumen of n people of the 15-state model; four outputs at 25 times."""
    from pbpk_hybrid.models.system.examples import yardstick_system
    from pbpk_hybrid.solvers.base import ADD, Problem, StopTable

    model = yardstick_system(n)
    lumen = model.states.index("gut_lumen")
    stop = StopTable(*(np.array(a) for a in ([-1], [0.0], [ADD], [lumen], [100.0])))
    saved = ("venous_blood", "liver", "muscle", "gut_lumen")
    return Problem(model, stop, np.linspace(0.0, 24.0, 5 if FEW else 25), saved)


def sixty_of(n: int):
    """The permeability-limited model of benchmarks/stiff_solvers: 60 states, its people repeated."""
    from dataclasses import replace

    sys.path.insert(0, str(ROOT / "benchmarks" / "stiff_solvers"))
    from stiff_problems import permeability

    from pbpk_hybrid.solvers.base import Problem

    base = permeability()
    people = np.arange(n) % base.system.n_subjects
    system = replace(
        base.system,
        k_value=base.system.k_value[people],
        n_subjects=n,
        subjects=np.arange(n),
        observables={},
        parameters={},
        assemble=None,
    )
    whole = base.problem(1)
    return Problem(system, whole.stops, whole.times[::4], system.states[:4], 0.0, base.y0[None])


def correctness() -> dict[str, Any]:
    """The largest difference from the embedded backend at a tight tolerance, of the dose."""
    from pbpk_hybrid.solvers.base import SolverOptions
    from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

    found = {}
    for title, make in (("yardstick", yardstick_of), ("60 states", sixty_of)):
        if FEW and title == "60 states":
            continue
        problem = make(2 if FEW else 512)
        exact = EmbeddedBackend().solve(problem, SolverOptions(rtol=1e-10))
        for name, backend in backends().items():
            solved = backend.solve(problem, options(name))
            off = np.abs(solved.amount - exact.amount).max() / 100.0
            bound = 1e-3 if name == "cuda32" else 1e-5
            failed = int((solved.status != 0).sum())
            good = bool(off < bound and failed == 0)
            found[f"{title}, {name}"] = {"off": off, "bound": bound, "failed": failed, "met": good}
    return found


def timed(make: Callable[[int], Any], sizes: tuple[int, ...], cpu: int) -> dict[str, Any]:
    """Microseconds a subject: on the device, and on all cores of this machine."""
    from pbpk_hybrid.solvers.base import SolverOptions
    from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

    found: dict[str, Any] = {}
    few = make(4 if FEW else cpu)
    n = few.system.n_subjects
    first, best = fastest(lambda: EmbeddedBackend().solve(few, SolverOptions(rtol=1e-6)))
    found["embedded, all cores"] = {
        "subjects": n,
        "first_s": first,
        "us_per_subject": 1e6 * best / n,
    }
    for name, backend in backends().items():
        for size in (2,) if FEW else sizes:
            problem = make(size)
            first, best = fastest(lambda: backend.solve(problem, options(name)), 2)  # noqa: B023
            found[f"{name}, {size}"] = {
                "subjects": size,
                "first_s": first,
                "us_per_subject": 1e6 * best / size,
            }
    return found


def nvqsp() -> dict[str, Any]:
    """nvQSP on the yardstick without its saturable term (it has polynomials up to the second
    degree), beside the backend cuda on the same model.
    """
    try:
        from nvqsp import sparse
        from nvqsp.options import SparseOptions
    except Exception as error:
        raise Skipped(f"nvQSP cannot be imported: {error}") from error
    from scipy.sparse import csr_matrix

    from pbpk_hybrid.models.system.system import System
    from pbpk_hybrid.solvers.base import SolverOptions

    n = 8 if FEW else 100_000
    problem = yardstick_of(n)
    whole, lumen = problem.system, problem.system.states.index("gut_lumen")
    # its doses enter state 0
    order = np.array([lumen, *(i for i in range(whole.n_states) if i != lumen)])
    place = np.argsort(order)
    row, column = place[whole.k_row], place[whole.k_col]
    marks = csr_matrix((np.arange(1, len(row) + 1), (row, column)), shape=(len(order),) * 2)
    marks.sort_indices()
    values = np.ascontiguousarray(whole.k_value[:, marks.data - 1])
    second = np.array([0] + [1] * len(order), dtype=np.int32)
    nothing = np.zeros(1, dtype=np.int32)
    times = problem.times[1:]

    def theirs():
        return sparse.solve(
            A0=np.zeros(len(order)),
            A1_csr=(marks.indptr.astype(np.int32), marks.indices.astype(np.int32), values),
            A2_csr=(second, nothing, nothing, np.array([1e-30])),
            y0=np.zeros((n, len(order))),
            times=times,
            doses=[(0.0, 100.0)],
            opts=SparseOptions(rtol=1e-6, atol=1e-9),
        )

    linear = System(
        whole.states, whole.k_row, whole.k_col, whole.k_value, n_subjects=whole.n_subjects
    )
    same = type(problem)(linear, problem.stops, problem.times, problem.saved)
    ours = backends()["cuda"]
    their_first, their_best = fastest(theirs)
    our_first, our_best = fastest(lambda: ours.solve(same, SolverOptions(rtol=1e-6)))
    their_y = theirs().y
    our_y = ours.solve(same, SolverOptions(rtol=1e-6)).amount[:, 1:]
    at = [int(place[whole.states.index(s)]) for s in problem.saved]
    return {
        "nvQSP": {"subjects": n, "first_s": their_first, "us_per_subject": 1e6 * their_best / n},
        "cuda": {"subjects": n, "first_s": our_first, "us_per_subject": 1e6 * our_best / n},
        "difference": {"off": float(np.abs(their_y[:, :, at] - our_y).max() / 100.0)},
    }


def _samples():
    """Three samples of one patient, as an observation Dataset."""
    import tempfile

    from pbpk_hybrid.dosing import read_nonmem

    rows = "1,0,320,.,1,1\n1,1,.,7.1,0,0\n1,4,.,6.0,0,0\n1,9,.,4.2,0,0\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patient.csv"
        path.write_text("ID,TIME,AMT,DV,EVID,MDV\n" + rows)
        return read_nonmem(path, route="oral").observations


def networks() -> dict[str, Any]:
    """Forecaster, virtual patients and posterior on CUDA in float32 and bf16: seconds, and how far
    from the CPU's numbers.
    """
    try:
        import torch
    except ImportError as error:
        raise Skipped(f"torch cannot be imported: {error}") from error
    if not torch.cuda.is_available() and not FEW:
        raise Skipped("torch finds no CUDA device")
    from pbpk_hybrid.learn import PCDM, Forecaster, NeuralAllometry

    device = "cuda" if torch.cuda.is_available() else "cpu"
    n = 20 if FEW else 5000
    seen = _samples()

    def people(model):
        return model.sample(n, {"sex": "female", "age": (60, 80)}, seed=1)["body_weight"].values

    def forecast(model):
        ahead = model.forecast(seen, "320 mg oral", {"body_weight": 80.0}, times=range(0, 37, 3))
        return ahead["concentration_quantile"].values

    def posterior(model):
        return model.predict("Cn1cnc2c1c(=O)n(C)c(=O)n2C", {"rat": {"clearance": 5.0}})[
            "clearance"
        ].values

    jobs = (("PCDM", PCDM, people), ("forecaster", Forecaster, forecast))
    jobs += (("allometry", NeuralAllometry, posterior),)
    found: dict[str, Any] = {}
    for title, kind, work in jobs:
        try:
            on_cpu = work(kind.load())
        except Exception as error:
            found[title] = {"failed": f"on the CPU: {type(error).__name__}: {error}"[:300]}
            continue
        for precision in ("float32", "bf16"):
            try:
                model = kind.load(device=device, precision=precision)
                first, best = fastest(lambda: work(model))  # noqa: B023
                with np.errstate(invalid="ignore"):  # nothing before the first dose
                    off = float(np.nanmedian(np.abs(work(model) / on_cpu - 1.0)))
                one = {"first_s": first, "best_s": best, "median_relative_difference": off}
            except Exception as error:
                one = {"failed": f"{type(error).__name__}: {error}"[:300]}
            found[f"{title}, {device}, {precision}"] = one
    return found


def julia() -> dict[str, Any]:
    """DiffEqGPU on the yardstick, 60 states and a model of the size of PK-Sim's, where a project of
    Julia has DiffEqGPU, CUDA and the package.
    """
    import shutil
    import tempfile

    if shutil.which("julia") is None:
        raise Skipped("there is no julia")
    from pbpk_hybrid.models.system.system import System
    from pbpk_hybrid.solvers.julia.export import save_system

    n = 8 if FEW else 20_000
    size = 300
    chain = np.arange(size - 1)
    rates = np.random.default_rng(0).uniform(0.5, 5.0, (n, size - 1))
    row, column = np.concatenate([chain, chain + 1]), np.concatenate([chain, chain])
    k = np.concatenate([-rates, rates], axis=1)
    large = System(tuple(f"x{i}" for i in range(size)), row, column, k, n_subjects=n)
    with tempfile.TemporaryDirectory() as folder:
        names = {"yardstick": yardstick_of(n).system, "60 states": sixty_of(n).system}
        files = []
        for title, system in {**names, "300 states": large}.items():
            files += [title, str(save_system(system, Path(folder) / f"{len(files)}.json"))]
        script = ["julia", str(HERE / "gpu.jl"), *files]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # no DiffEqGPU, no CUDA, ...
        raise Skipped((done.stderr.strip().splitlines() or ["julia ended with an error"])[0][:300])
    return json.loads(done.stdout.strip().splitlines()[-1])


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "machine": machine,
    "correctness": correctness,
    "yardstick": lambda: timed(yardstick_of, (100_000, 1_000_000), 20_000),
    "permeability": lambda: timed(sixty_of, (100_000,), 4_000),
    "nvqsp": nvqsp,
    "networks": networks,
    "julia": julia,
}


def report(out: Path) -> None:
    """gpu.json and gpu.md of all parts that ran."""
    parts = {p.stem: json.loads(p.read_text()) for p in sorted((out / "gpu_parts").glob("*.json"))}
    lines = ["# GPU", "", "Written by `benchmarks/gpu/run.sh`.", ""]
    for name, found in parts.items():
        lines += [f"## {name}", ""]
        if "skipped" in found:
            lines += [f"Skipped: {found['skipped']}", ""]
            continue
        plain = {k: v for k, v in found.items() if not isinstance(v, dict)}
        lines += [f"- {k}: {v}" for k, v in plain.items()]
        rows = {k: v for k, v in found.items() if isinstance(v, dict)}
        if rows:
            columns = list(dict.fromkeys(c for v in rows.values() for c in v))
            lines += ["| | " + " | ".join(columns) + " |", "|" + " --- |" * (len(columns) + 1)]
            for k, v in rows.items():
                cells = [
                    f"{v[c]:.4g}" if isinstance(v.get(c), float) else str(v.get(c, "-"))
                    for c in columns
                ]
                lines.append(f"| {k} | " + " | ".join(cells) + " |")
        lines.append("")
    (out / "gpu.json").write_text(json.dumps(parts, indent=1) + "\n")
    (out / "gpu.md").write_text("\n".join(lines))
    print("\n".join(lines))


def main() -> None:
    """One part, or the report of all."""
    name, target = sys.argv[1], Path(sys.argv[2])
    if name == "report":
        report(target)
        return
    try:
        found = PARTS[name]()
    except Skipped as reason:
        found = {"skipped": str(reason)}
    target.write_text(json.dumps(found, indent=1, default=float) + "\n")
    print(json.dumps(found, indent=1, default=float))


if __name__ == "__main__":
    main()
