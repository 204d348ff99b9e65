"""Files from strangers: every reader either reads them or raises one of our own errors, quickly, and runs nothing.

Each reader gets a sound file first, then the same file cut, overwritten, filled with nonsense, and a corpus of known tricks.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.compounds import load_compound_file
from pbpk_hybrid.dosing import read_nonmem
from pbpk_hybrid.interchange import export_sbml, import_pksim_snapshot, import_sbml
from pbpk_hybrid.results import open_results, save_results

SLOW = 10.0  # s of processor time; what counts as hanging, however busy the machine


def read(reader, path: Path) -> None:
    """Read, and let nothing through but success and our errors."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader(path)
        except PBPKError as error:
            assert str(error)
    assert time.process_time() - start < SLOW
    assert not Path("pwned").exists()


def yaml_compound(folder: Path) -> Path:
    path = folder / "mine.yaml"
    path.write_text(
        "name: mine\nmolar_mass: 325.8 g/mol\nlog_p: 3.1\npka_base: [6.2]\nfraction_unbound_plasma: 3.5 %\n"
        "clint_hepatocyte: 12 uL/min/1e6 cells\nkp: {liver: 2.0}\n"
    )
    return path


def toml_compound(folder: Path) -> Path:
    path = folder / "mine.toml"
    path.write_text(
        'name = "mine"\nmolar_mass = 325.8\nlog_p = 3.1\nfraction_unbound_plasma = 0.035\n'
        "clint_hepatocyte = 12.0\n[kp]\nliver = 2.0\n"
    )
    return path


def nonmem(folder: Path) -> Path:
    path = folder / "data.csv"
    path.write_text(
        "ID,TIME,AMT,RATE,II,ADDL,SS,CMT,EVID,DV\n1,0,100,0,24,6,0,1,1,.\n1,4,.,.,.,.,.,2,0,1.5\n"
        "2,0,50,25,0,0,0,1,1,.\n"
    )
    return path


def simulation(folder: Path) -> Path:
    ds = ph.simulate("theophylline", "100 mg oral", times=[0.0, 1.0, 2.0], compartments=["plasma"])
    return save_results(ds, folder / "sim.nc")


def snapshot(folder: Path) -> Path:
    path = folder / "snapshot.json"
    fraction = {"Name": "Fraction unbound (plasma, reference value)", "Value": 3.1, "Unit": "%"}
    compound = {
        "Name": "x",
        "Parameters": [{"Name": "Molecular weight", "Value": 325.8, "Unit": "g/mol"}],
        "FractionUnbound": [{"Name": "a", "Species": "Human", "Parameters": [fraction]}],
        "PkaTypes": [{"Type": "Base", "Pka": 6.2}],
    }
    man = {
        "Name": "m",
        "OriginData": {
            "Species": "Human",
            "Gender": "MALE",
            "Age": {"Value": 30, "Unit": "year(s)"},
        },
    }
    path.write_text(json.dumps({"Version": 80, "Compounds": [compound], "Individuals": [man]}))
    return path


def sbml(folder: Path) -> Path:
    pytest.importorskip("libsbml", exc_type=ImportError)
    path = folder / "model.xml"
    reaction = ph.Reaction("e", "michaelis_menten", (1,), {1: -1.0}, np.array([[2.0, 3.0]]))
    system = ph.System(("a", "b"), [0, 1], [0, 0], [[-1.0, 1.0]], (reaction,))
    export_sbml(system, path, regimen=ph.Regimen.dose(10, compartment="a"))
    return path


READERS = {
    "yaml": (yaml_compound, load_compound_file),
    "toml": (toml_compound, load_compound_file),
    "nonmem": (nonmem, read_nonmem),
    "snapshot": (snapshot, import_pksim_snapshot),
    "sbml": (sbml, import_sbml),
}


@pytest.fixture(scope="module", params=READERS)
def case(request, tmp_path_factory):
    make, reader = READERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    path = make(folder)
    reader(path)  # the sound file is read
    return path.read_bytes(), reader, folder / ("spoilt" + path.suffix)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_spoilt_files_raise_our_errors_only(case, data):
    whole, reader, path = case
    spoilt = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        kind = data.draw(
            st.sampled_from(["cut", "overwrite", "insert", "repeat", "delete"]), "kind"
        )
        at = data.draw(st.integers(0, max(0, len(spoilt) - 1)), "at")
        junk = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=12),
                st.sampled_from(
                    [
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
                    ]
                ),
            ),
            "junk",
        )
        if kind == "cut":
            del spoilt[at:]
        elif kind == "overwrite":
            spoilt[at : at + len(junk)] = junk
        elif kind == "insert":
            spoilt[at:at] = junk
        elif kind == "repeat":
            spoilt[at:at] = spoilt[: data.draw(st.integers(0, 200), "size")]
        else:
            del spoilt[at : at + data.draw(st.integers(1, 20), "size")]
    path.write_bytes(bytes(spoilt))
    read(reader, path)


@pytest.mark.parametrize("seed", range(4))
def test_spoilt_netcdf_raises_our_errors_only(seed, tmp_path):
    """The library that reads it is not in our hands, so what is drawn is fixed by seed."""
    whole, chance = simulation(tmp_path).read_bytes(), np.random.default_rng(seed)
    path = tmp_path / "spoilt.nc"
    for _ in range(15):
        spoilt = bytearray(whole)
        for _ in range(chance.integers(1, 5)):
            at = int(chance.integers(len(spoilt)))
            kind = chance.integers(4)
            if kind == 0:
                spoilt[at : at + 8] = chance.bytes(8)
            elif kind == 1:
                del spoilt[max(1, at) :]
            elif kind == 2:
                del spoilt[at : at + int(chance.integers(1, 20))]
            else:
                spoilt[at] ^= 1 << int(chance.integers(8))
        path.write_bytes(bytes(spoilt))
        read(open_results, path)


def test_a_small_file_that_claims_to_be_huge_is_refused(tmp_path):
    """Packed zeros, and chunks that were never written."""
    netCDF4 = pytest.importorskip("netCDF4")
    path = tmp_path / "huge.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("subject", 10**7), ("time", 100), ("compartment", 10)):
            file.createDimension(name, size)
        file.createVariable("concentration", "f8", ("subject", "time", "compartment"), zlib=True)
    with pytest.raises(PBPKError, match=r"bytes.*at most"):
        open_results(path)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch pwned']",
        "!!python/object/new:pathlib.Path ['pwned']\n",
        "name: !!python/name:os.system\n",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n"
            for i in range(9)
        ),
        "[" * 5000,
        "{a: " * 3000,
        "- " * 20000,
        "name: mine\nname: mine\n",
        "\0",
        "name: " + "x" * 2_000_000,
        "",
        "- 1\n- 2\n",
        "1",
        "name: mine\nlog_p: .inf\n",
        "name: mine\nlog_p: [[1]]\n",
        "name: mine\nkp: {moon: 1}\n",
        "name: 1\n",
        "? [a]\n: b\n",
    ],
    ids=range(18),
)
def test_known_tricks_in_yaml_do_nothing(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    read(load_compound_file, path)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 3000,
        "name = 1979-05-27",
        'a = "\\uD800"',
        "x" * 100_000,
        "a=1\na=2",
        "[a]\n[a]",
        "a = 0" + "9" * 9,
    ],
)
def test_known_tricks_in_toml_do_nothing(text, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    read(load_compound_file, path)


@pytest.mark.parametrize(
    "row",
    [
        "1,0,100,0,1e-300,999999999,0,1,1,.",
        "1,0,100,0,24,1e300,0,1,1,.",
        "1,nan,100,0,0,0,0,1,1,.",
        "1,0,1e400,0,0,0,0,1,1,.",
        "1,0,100,-7,0,0,0,1,1,.",
        "=cmd|' /C calc'!A0,0,100,0,0,0,0,1,1,.",
        "1,0,100,0,0,0,3,1,1,.",
        "1,0,100,0,0,0,0,1,9,.",
        "1,0",
        "1,0,100,0,0,0,0,1,1,.,.,.,.",
        '"1,0,100',
        "1,-5,100,0,0,0,0,1,1,.",
        "1," + "9" * 5000 + ",100,0,0,0,0,1,1,.",
    ],
)
def test_known_tricks_in_event_tables_are_read_or_refused(row, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("ID,TIME,AMT,RATE,II,ADDL,SS,CMT,EVID,DV\n" + row + "\n")
    read(read_nonmem, path)


def test_a_folder_a_pipe_and_a_missing_file_are_refused(tmp_path):
    for reader in (load_compound_file, read_nonmem, open_results):
        for path in (tmp_path, tmp_path / "not_there.nc", tmp_path / "x.yaml"):
            with pytest.raises(PBPKError):
                reader(path)


def test_a_store_of_numpy_objects_is_not_unpickled(tmp_path, monkeypatch):
    """A zarr array of Python objects would need pickle; none is accepted."""
    pytest.importorskip("zarr")
    monkeypatch.chdir(tmp_path)
    store = tmp_path / "x.zarr"
    (store / "concentration").mkdir(parents=True)
    (store / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
    (store / "concentration" / ".zarray").write_text(
        json.dumps(
            {
                "zarr_format": 2,
                "shape": [1],
                "chunks": [1],
                "dtype": "|O",
                "compressor": None,
                "filters": [{"id": "pickle"}],
                "fill_value": None,
                "order": "C",
            }
        )
    )
    (store / "concentration" / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": ["subject"]}))
    (store / "concentration" / "0").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    read(open_results, store)


def test_numbers_survive_a_sound_round_trip(tmp_path):
    """The readers under test do read: a control for the tests above."""
    ds = open_results(simulation(tmp_path))
    assert np.isfinite(ds["concentration"]).all()
    assert load_compound_file(yaml_compound(tmp_path)).fraction_unbound_plasma == pytest.approx(
        0.035
    )
    assert load_compound_file(toml_compound(tmp_path)).kp["liver"] == 2.0
