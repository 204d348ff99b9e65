"""Outputs of the whole package under fixed seeds, as digests and a few numbers each.

    python tests/stability/outputs.py          prints what differs from the stored file
    python tests/stability/outputs.py --write  stores what is computed now

A change that should change no number leaves every digest as it is. On another processor or with other versions
of the libraries the last bits differ: then the numbers are compared, see `test_outputs.py`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr

import pbpk_hybrid as ph

STORED = Path(__file__).with_name("outputs.json")
_LIBRARIES = ("numpy", "scipy", "numba", "llvmlite", "torch", "xarray", "scikit-learn", "rdkit")


def machine() -> str:
    """What the last bits depend on."""
    flags = ""
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                flags = line
                break
    versions = []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {version(name)}")
        except Exception:
            versions.append(f"{name} -")
    text = "|".join([platform.machine(), platform.python_version(), flags, *versions])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def curated() -> list[str]:
    """Names of the curated drugs."""
    folder = Path(ph.__file__).parent / "compounds" / "data" / "curated"
    return sorted(path.stem for path in folder.glob("*.toml"))


def _drug(name: str) -> Callable[[], xr.Dataset]:
    def run() -> xr.Dataset:
        people = ph.sample_population(3, seed=11)
        compound = ph.get_compound(name)
        dose = "10 mg oral" if compound.absorption_rate else "10 mg iv over 0.5 h"
        times = [0.0, 0.25, 0.5, 1, 2, 4, 8, 12, 24, 36]
        return ph.simulate(
            compound, dose, people, times, backend="embedded", variability=ph.Variability(), seed=3
        )[["concentration", "amount"]]

    return run


def cases() -> Iterator[tuple[str, Callable[[], xr.Dataset]]]:
    """(name, how to compute it) of every output that is watched."""
    for name in curated():
        yield f"drug {name}", _drug(name)
    yield "people adults", lambda: ph.sample_population(30, seed=5)
    yield "people women 60-79", lambda: ph.sample_population(20, seed=6, age=(60, 79), sex="female")
    yield "people children", lambda: ph.sample_population(20, seed=7, age=(2, 12))
    yield "people rats", lambda: ph.sample_population(10, "rat", seed=8)
    yield "reference child", lambda: ph.reference_child(1.5)
    yield "reference pregnancy", lambda: ph.reference_pregnancy(30)
    yield "cirrhosis B", lambda: ph.with_hepatic_impairment(ph.reference_individual("human"), "B")
    yield "interaction", _interaction
    yield "absorption along the gut", _gut
    yield "sensitivities", _sensitivities
    yield "antibody", _antibody
    yield "large molecule", _two_pore
    yield (
        "httk pbtk",
        lambda: ph.simulate_system(ph.httk_pbtk("midazolam"), "1 mg iv", [1, 2, 8])[
            ["concentration"]
        ],
    )
    yield "virtual patients", _pcdm
    yield "forecast", _forecast
    yield "scaling", _scaling


def _interaction() -> xr.Dataset:
    inhibitor = ph.get_compound("metoprolol").replace(
        name="inhibitor",
        enzyme_effects=[{"enzyme": "CYP3A4", "kind": "competitive", "ki": "0.1 uM"}],
    )
    return ph.simulate_together(
        {"midazolam": "7.5 mg oral", inhibitor: "100 mg oral"}, times=[0, 1, 2, 4, 12]
    )[["concentration"]]


def _gut() -> xr.Dataset:
    return ph.simulate(
        "metoprolol",
        "100 mg oral",
        times=[0, 0.5, 1, 2, 8],
        backend="embedded",
        absorption=ph.GutAbsorption(effective_permeability=1.34),
    )[["concentration"]]


def _sensitivities() -> xr.Dataset:
    return ph.simulate(
        "midazolam",
        "5 mg iv",
        times=[0.5, 1, 8],
        backend="embedded",
        sensitivities=["clint.liver", "kp.adipose"],
    )[["concentration_sensitivity"]]


def _antibody() -> xr.Dataset:
    system = ph.antibody_system(ph.Antibody(name="antibody"), [60.0, 90.0])
    return ph.simulate_system(system, "100 mg iv", [1, 24, 240, 1000])[["concentration"]]


def _two_pore() -> xr.Dataset:
    system = ph.two_pore_system(ph.Antibody(name="antibody"), ph.reference_individual("human"))
    return ph.simulate_system(system, "100 mg iv", [1, 24, 240])[["concentration"]]


def _pcdm() -> xr.Dataset:
    from pbpk_hybrid.learn import PCDM

    return PCDM.load().sample(20, condition={"sex": "female", "age": (40, 60)}, seed=4)


def _forecast() -> xr.Dataset:
    from pbpk_hybrid.learn import Forecaster

    samples = xr.Dataset(
        {
            "time": ("sample", np.array([1.0, 4.0, 9.0]), {"units": "h"}),
            "value": ("sample", np.array([7.1, 6.0, 4.2]), {"units": "mg/L"}),
            "matrix": ("sample", np.array(["plasma"] * 3)),
            "subject": ("sample", np.array(["1"] * 3)),
            "study": ("sample", np.array(["s"] * 3)),
            "reference": ("sample", np.array([""] * 3)),
        }
    )
    return Forecaster.load().forecast(
        samples, "320 mg oral", {"body_weight": 80.0}, times=range(0, 37, 6)
    )


def _scaling() -> xr.Dataset:
    from pbpk_hybrid.learn import NeuralAllometry

    return NeuralAllometry.load().predict(
        "CC(=O)Nc1ccc(O)cc1",
        {"rat": {"clearance": "35 mL/min/kg"}, "monkey": {"clearance": "12 mL/min/kg"}},
    )


def fingerprint(ds: xr.Dataset) -> dict:
    """Digest over every numeric variable, and three numbers of each."""
    digest, numbers = hashlib.sha256(), {}
    for name in sorted(map(str, ds.variables)):
        values = np.asarray(ds[name].values)
        if values.dtype.kind not in "fiub":
            continue
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
        if values.dtype.kind == "f" and np.isfinite(values).any():
            finite = values[np.isfinite(values)]
            numbers[name] = [
                float(np.abs(finite).sum()),
                float(finite.ravel()[-1]),
                float(np.abs(finite).max()),
            ]
    return {"digest": digest.hexdigest(), "numbers": numbers}


def compute() -> dict:
    """Every output: name -> fingerprint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: fingerprint(run()) for name, run in cases()}


def main() -> None:
    found = {"machine": machine(), "outputs": compute()}
    if "--write" in sys.argv:
        STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"stored {len(found['outputs'])} outputs")
        return
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    print("same machine and libraries:", stored["machine"] == found["machine"])
    for name, new in found["outputs"].items():
        old = stored["outputs"].get(name)
        if old is None or old["digest"] != new["digest"]:
            print("differs:", name)


if __name__ == "__main__":
    main()
