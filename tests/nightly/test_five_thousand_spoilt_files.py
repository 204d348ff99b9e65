"""Five thousand spoilt files of eight kinds: success or one of our errors, no hang, nothing written beside them."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.compounds import load_compound_file
from pbpk_hybrid.dosing import read_nonmem
from pbpk_hybrid.interchange import export_sbml, import_pksim_snapshot, import_sbml
from pbpk_hybrid.results import open_results, save_results

pytestmark = pytest.mark.nightly
EACH = 625
SLOW = 10.0  # s of processor time; what counts as hanging
JUNK = (
    b"1e999",
    b"-1",
    b"nan",
    b"\0",
    b"\xff\xfe",
    b",,,",
    b"\n\n",
    b"[[",
    b"}}",
    b"&a *a",
    b"!!python/none",
    b"'",
    b'"""',
    b"inf",
    b"9" * 400,
    b"\t",
    b"=",
    b":",
)


def spoil(whole: bytes, chance: np.random.Generator) -> bytes:
    """One to four changes anywhere."""
    out = bytearray(whole)
    for _ in range(chance.integers(1, 5)):
        at = int(chance.integers(max(1, len(out))))
        junk = (
            JUNK[chance.integers(len(JUNK))]
            if chance.random() < 0.5
            else chance.bytes(int(chance.integers(1, 13)))
        )
        kind = chance.integers(6)
        if kind == 0:
            del out[at:]
        elif kind == 1:
            out[at : at + len(junk)] = junk
        elif kind == 2:
            out[at:at] = junk
        elif kind == 3:
            out[at:at] = out[: int(chance.integers(200))]
        elif kind == 4:
            del out[at : at + int(chance.integers(1, 21))]
        elif at < len(out):
            out[at] ^= 1 << int(chance.integers(8))
    return bytes(out)


def files(folder: Path) -> dict:
    """Kind -> (a sound file, its reader)."""
    yaml, toml, csv, json_, xml = (
        folder / name for name in ("a.yaml", "a.toml", "a.csv", "a.json", "a.xml")
    )
    yaml.write_text(
        "name: mine\nmolar_mass: 325.8 g/mol\nlog_p: 3.1\npka_base: [6.2]\nfraction_unbound_plasma: 3.5 %\n"
        "clint_hepatocyte: 12 uL/min/1e6 cells\nkp: {liver: 2.0}\n"
    )
    toml.write_text(
        'name = "mine"\nmolar_mass = 325.8\nlog_p = 3.1\nfraction_unbound_plasma = 0.035\n'
        "clint_hepatocyte = 12.0\n[kp]\nliver = 2.0\n"
    )
    csv.write_text(
        "ID,TIME,AMT,RATE,II,ADDL,SS,CMT,EVID,DV\n1,0,100,0,24,6,0,1,1,.\n1,4,.,.,.,.,.,2,0,1.5\n2,0,50,25,0,0,0,1,1,.\n"
    )
    weight = {"Name": "Molecular weight", "Value": 325.8, "Unit": "g/mol"}
    man = {"Species": "Human", "Gender": "MALE", "Age": {"Value": 30, "Unit": "year(s)"}}
    compound = {"Name": "x", "Parameters": [weight], "PkaTypes": [{"Type": "Base", "Pka": 6.2}]}
    individuals = [{"Name": "m", "OriginData": man}]
    json_.write_text(
        json.dumps({"Version": 80, "Compounds": [compound], "Individuals": individuals})
    )
    export_sbml(
        ph.System(("a", "b"), [0, 1], [0, 0], [[-1.0, 1.0]]),
        xml,
        regimen=ph.Regimen.dose(10, compartment="a"),
    )
    ds = ph.simulate("theophylline", "100 mg oral", times=[0.0, 1.0, 2.0], compartments=["plasma"])
    netcdf = save_results(ds, folder / "a.nc")
    store = save_results(ds, folder / "a.zarr")
    found = {
        "yaml": (yaml, load_compound_file),
        "toml": (toml, load_compound_file),
        "nonmem": (csv, read_nonmem),
        "snapshot": (json_, import_pksim_snapshot),
        "sbml": (xml, import_sbml),
        "netcdf": (netcdf, open_results),
        "zarr": (Path(store), open_results),
    }
    return found


@pytest.mark.parametrize(
    "kind", ["yaml", "toml", "nonmem", "snapshot", "sbml", "netcdf", "zarr", "checkpoint"]
)
def test_spoilt_files(kind, tmp_path):
    if kind == "checkpoint":
        pytest.importorskip("torch")
        from pbpk_hybrid.learn import Forecaster

        source = tmp_path / "a.safetensors"
        Forecaster.load().save(source)
        reader = Forecaster.load
    else:
        source, reader = files(tmp_path)[kind]
    folder, chance, refused = tmp_path / "spoilt", np.random.default_rng(11), 0
    for i in range(EACH):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = folder / source.name
        if source.is_dir():
            shutil.copytree(source, path)
            parts = sorted(p for p in path.rglob("*") if p.is_file())
            one = parts[chance.integers(len(parts))]
        else:
            one = path
            path.write_bytes(source.read_bytes())
        # of a large file the head, where its structure lies
        whole = one.read_bytes()
        one.write_bytes(spoil(whole[:100_000], chance) + whole[100_000:])
        before = sorted(folder.rglob("*"))
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                reader(path)
            except PBPKError as error:
                assert str(error), i
                refused += 1
        assert time.process_time() - start < SLOW, i
        assert sorted(folder.rglob("*")) == before, i
    assert refused > 0.1 * EACH  # the spoiling does spoil


def test_a_command_that_refuses_a_file_writes_nothing(tmp_path):
    from pbpk_hybrid.cli.app import app

    sources, chance, refused = files(tmp_path), np.random.default_rng(12), 0
    for i in range(200):
        source = sources["netcdf" if i % 2 else "nonmem"][0]
        path, out = tmp_path / f"spoilt{source.suffix}", tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        path.write_bytes(spoil(source.read_bytes(), chance))
        words = ["nca", str(path), "--dose", "100 mg", "--out", str(out / "nca.csv"), "--quiet"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = CliRunner().invoke(app, words)
        assert isinstance(result.exception, SystemExit | None), (i, result.exception)
        if result.exit_code:
            refused += 1
            assert list(out.iterdir()) == []
    assert refused > 20
