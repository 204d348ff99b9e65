"""Hostile inputs, made by hand: small files and texts that cost much, or that end a process.

Each is built when it is needed; what is returned reads it. `words` are looked for in the message.
Nothing here is copied from a file that somebody else wrote.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pbpk_hybrid as ph
from pbpk_hybrid._core.units import quantity
from pbpk_hybrid.compounds import load_compound_file
from pbpk_hybrid.dosing import read_nonmem
from pbpk_hybrid.interchange import (
    import_pksim_snapshot,
    import_sbml,
    read_petab,
    read_pksim_simulation,
    read_sbml_model,
)
from pbpk_hybrid.interchange.pksim_population import read_individuals
from pbpk_hybrid.learn import PCDM, Forecaster, NeuralAllometry
from pbpk_hybrid.learn.transformer.config import ForecasterConfig
from pbpk_hybrid.models.expressions.parser import parse_expression
from pbpk_hybrid.nca.tables import read_profile_table
from pbpk_hybrid.physiology.plausibility.httk_population import read_httk_population
from pbpk_hybrid.results import open_results, save_results


@dataclass(frozen=True)
class Case:
    """One input: how it is built, what its reader has to say, and whether it is read after all."""

    build: Callable[[Path], Callable[[], Any]]
    words: str
    sound: bool = False


CASES: dict[str, Case] = {}


def case(name: str, words: str, *, sound: bool = False):
    """Put a builder into the corpus."""

    def add(build):
        assert name not in CASES, name
        CASES[name] = Case(build, words, sound)
        return build

    return add


def warm(folder: Path) -> None:
    """Import what readers import on their first call, so that it is not taken for their memory."""
    import libsbml  # noqa: F401
    import pandas  # noqa: F401
    import yaml  # noqa: F401

    folder.mkdir(parents=True, exist_ok=True)
    ds = ph.simulate("theophylline", "1 mg oral", times=[0.0, 1.0], compartments=["plasma"])
    for ending in (".nc", ".zarr"):
        open_results(save_results(ds, folder / f"warm{ending}"))
    read_sbml_model(ph.interchange.example_sbml_model())
    read_pksim_simulation(ph.interchange.example_pksim_simulation())


def text_case(name: str, words: str, read: Callable[[str], Any], text: Callable[[], str] | str):
    """A text door; without words it may be read, if it costs little."""

    def build(folder):
        value = text() if callable(text) else text
        return lambda: read(value)

    case(name, words, sound=not words)(build)


def file_case(name, words, read, ending, content, *, sound=False):
    """A file door; `content` is text or bytes, or makes them."""

    def build(folder):
        value = content() if callable(content) else content
        path = folder / f"input{ending}"
        path.write_bytes(value.encode() if isinstance(value, str) else value)
        return lambda: read(path)

    case(name, words, sound=sound)(build)


def packed(piece: bytes, times: int) -> bytes:
    """gzip of `piece` again and again; a member a time, so that it is made at once."""
    return gzip.compress(piece, 9) * times


# ---- text: numbers with units ---------------------------------------------------------------------
def grams(text: str) -> float:
    return quantity(text, "g/mol", "molar_mass")


for _name, _text in {
    "powers of powers": "9**9**9**9 g/mol",
    "an exponent of nine digits": "1e999999999 g/mol",
    "an exponent below zero": "1e-999999999 g/mol",
    "a power of ten of ten digits": "2 x 10^9999999999 g/mol",
    "a hundred thousand digits": "9" * 100_000 + " g/mol",
    "many digits behind the point": "0." + "1" * 100_000 + " g/mol",
    "a float beyond the largest": "1e309 g/mol",
    "spaces": "1" + " " * 100_000 + "g/mol",
    "a call": "__import__('os').system('touch pwned') g/mol",
}.items():
    text_case(f"number: {_name}", r"molar_mass", grams, _text)
for _name, _text in {
    "a power of twelve digits": "5 g^999999999999/mol",
    "powers of powers": "5 g**9**9**9/mol",
    "brackets": "5 " + "(" * 90 + "g/mol" + ")" * 90,
    "ten thousand factors": "5 g" + "*g" * 10_000,
    "backtracking": "5 " + "mg protein " * 15 + "!",
    "superscripts": "5 g" + "⁹" * 60,
}.items():
    text_case(f"unit: {_name}", r"molar_mass", grams, _text)


# ---- text: regimens -------------------------------------------------------------------------------
def dosed(text: str):
    return ph.simulate("theophylline", text, times=[0.0, 1.0, 1e8])


for _name, _text in {
    "twenty million doses": "100 mg po q1h x20000000",
    "doses of a thousand digits": "100 mg po q1h x" + "9" * 1000,
    "a tiny interval": "100 mg po q1e-12h for 10 days",
    "a long time": "100 mg po q1h for 1e300 days",
    "a thousand parts of many doses": " then ".join(["1 mg po q1h x100000"] * 700),
    "many parts at once": " and ".join(["1 mg po q1h x100000"] * 700),
    "a megabyte of words": "mg " * 400_000,
    "an amount beyond the largest": "1e999 mg iv",
    "an interval of nothing": "1 mg po q0h x4",
}.items():
    text_case(f"regimen: {_name}", r"regimen", dosed, _text)

# ---- text: formulas -------------------------------------------------------------------------------
for _name, (_text, _words) in {
    "brackets": ("(" * 100_000 + "x" + ")" * 100_000, "at most"),
    "signs": ("-" * 190_000 + "x", ""),
    "not not": ("not " * 49_000 + "x", ""),
    "powers": ("x" + "^2" * 90_000, "formula"),
    "powers of powers": ("9^9^9^9^9^9", ""),
    "calls": ("exp(" * 40_000 + "x" + ")" * 40_000, "formula"),
    "a megabyte": ("x+" * 500_000 + "x", "at most"),
    "an unknown call": ("__import__('os')", "formula"),
    "a huge number": ("1e999999", "formula"),
    "quotes": ("'" * 9999, "formula"),
}.items():
    text_case(f"formula: {_name}", _words, lambda t: parse_expression(t, field="formula"), _text)

# ---- text: tables of papers -----------------------------------------------------------------------
for _name, _text in {
    "brackets": "(" * 150 + "34" + ")" * 40,
    "a huge number": "mean 1e400",
    "a long text": "mean 34 " * 10_000,
    "a share of huge numbers": "9" * 150 + "/3",
}.items():
    text_case(
        f"like: {_name}",
        r".",
        lambda t: ph.sample_population(5, seed=1, like={"age": t}),
        _text,
    )

# ---- compounds: TOML, YAML, JSON ------------------------------------------------------------------
_SOUND = 'name = "x"\nmolar_mass = 300.0\nlog_p = 2.0\nfraction_unbound_plasma = 0.5\n'
for _name, (_ending, _content, _words) in {
    "toml: arrays in arrays": (".toml", "a = " + "[" * 400_000, "levels|TOML"),
    "toml: tables in tables": (".toml", "a = " + "{a=" * 200_000, "levels|TOML"),
    "toml: dotted keys": (".toml", ".".join("a" * 200_000) + " = 1", "TOML|field|levels"),
    "toml: a header of dots": (".toml", "[" + ".".join("a" * 200_000) + "]", "TOML|field|levels"),
    "toml: a whole number beyond floats": (
        ".toml",
        _SOUND.replace("300.0", "9" * 310),
        "molar_mass",
    ),
    "toml: five thousand digits": (".toml", _SOUND.replace("300.0", "9" * 5000), "TOML|number"),
    "toml: infinity": (".toml", _SOUND.replace("300.0", "inf"), "molar_mass"),
    "toml: too large": (".toml", "#" * 1_100_000, "at most"),
    "toml: bytes": (".toml", bytes(range(256)) * 100, "TOML"),
    "toml: packed zeros": (".toml", packed(b"\n" * 30_000_000, 100), "at most|unpack"),
    "yaml: brackets": (".yaml", "[" * 900_000, "levels"),
    "yaml: braces": (".yaml", "{a: " * 200_000, "levels"),
    "yaml: dashes": (".yaml", "- " * 400_000, "levels"),
    "yaml: question marks": (".yaml", "? " * 400_000, "levels"),
    "yaml: ever deeper": (
        ".yaml",
        "".join(" " * i + "a:\n" for i in range(1200)),
        "levels|YAML",
    ),
    "yaml: aliases": (
        ".yaml",
        "a: &a [x]\n"
        + "".join(f"b{i}: &b{i} [*{'a' if i == 0 else f'b{i - 1}'}, x]\n" for i in range(30)),
        "alias",
    ),
    "yaml: a tag that runs": (".yaml", "!!python/object/apply:os.system ['touch pwned']", "YAML"),
    "yaml: a whole number beyond floats": (
        ".yaml",
        "name: x\nmolar_mass: " + "9" * 310,
        "molar_mass",
    ),
    "yaml: five thousand digits": (".yaml", "name: x\nmolar_mass: " + "9" * 5000, "YAML|number"),
    "yaml: a timestamp": (".yaml", "name: x\nmolar_mass: 2001-01-01", "molar_mass"),
    "yaml: one long key": (".yaml", "? " + "a" * 900_000 + "\n: 1", "field|YAML|a"),
    "yaml: many anchors": (".yaml", "".join(f"- &a{i} x\n" for i in range(60_000)), "path|field"),
    "yaml: merge keys": (".yaml", "a: {b: 1}\n<<: {molar_mass: 3}\nname: x", "."),
    "yaml: a quote that never ends": (".yaml", 'name: "' + "\\\n" * 300_000, "YAML"),
    "yaml: apostrophes hide brackets": (".yaml", "{a'b: " + "[" * 800_000 + ", c'd: 1}", "levels"),
    "json: brackets": (".json", "[" * 900_000, "levels"),
    "json: a number beyond floats": (".json", '{"name": "x", "molar_mass": 1e309}', "molar_mass"),
}.items():
    file_case(f"compound {_name}", _words, load_compound_file, _ending, _content)
file_case("compound toml: sound", "", load_compound_file, ".toml", _SOUND, sound=True)
file_case(
    "compound toml: sound and packed",
    "",
    load_compound_file,
    ".toml",
    gzip.compress(_SOUND.encode()),
    sound=True,
)


def _tag_device(folder):
    return lambda: load_compound_file(Path("/dev/zero"))


@case("compound: a fifo", "pipe|ends in|file")
def _(folder):
    path = folder / "mine.toml"
    os.mkfifo(path)
    return lambda: load_compound_file(path)


@case("compound: a folder", "folder|file")
def _(folder):
    (folder / "mine.toml").mkdir()
    return lambda: load_compound_file(folder / "mine.toml")


# ---- data sets: CSV -------------------------------------------------------------------------------
_HEAD = "ID,TIME,AMT,RATE,II,ADDL,SS,CMT,EVID,DV\n"
_ROW = "1,0,100,0,0,0,0,1,1,.\n"
for _name, (_ending, _content, _words) in {
    "one line of 3 GB, packed": (
        ".csv.gz",
        lambda: packed(b"1" * 30_000_000, 100),
        "unpack|at most",
    ),
    "3 GB of lines, packed": (
        ".csv.gz",
        lambda: packed(b"1,2\n" * 7_500_000, 100),
        "unpack|at most",
    ),
    "packed, and named as if it were not": (
        ".csv",
        lambda: packed(b"1" * 30_000_000, 100),
        "unpack|at most",
    ),
    "cut off while packed": (
        ".csv.gz",
        lambda: gzip.compress((_HEAD + _ROW * 99).encode())[:-30],
        "cut off|CSV",
    ),
    "a packed file that is damaged": (
        ".csv.gz",
        lambda: gzip.compress(os.urandom(9999))[:50] + b"x" * 99,
        "CSV|columns",
    ),
    "many packed members": (".csv.gz", lambda: packed(b"", 500_000), "packed"),
    "a line of two million characters": (".csv", lambda: _HEAD + "1," + "9" * 2_000_000, "line"),
    "columns without end": (
        ".csv",
        lambda: ",".join(f"C{i}" for i in range(100_000)) + "\n",
        "columns",
    ),
    "cells without end": (
        ".csv",
        lambda: _HEAD + ("," * 9 + "\n") * 6_000_000,
        "cells|records|rows",
    ),
    "a number beyond floats": (".csv", _HEAD + "1,0," + "9" * 310 + ",0,0,0,0,1,1,.\n", "AMT"),
    "a thousand million doses": (".csv", _HEAD + "1,0,100,0,24,9999999999,0,1,1,.\n", "ADDL"),
    "doses of e300": (".csv", _HEAD + "1,0,100,0,24,1e300,0,1,1,.\n", "ADDL"),
    "a subject of e300": (".csv", _HEAD + "1e300,0,100,0,0,0,0,1,1,.\n", "ID"),
    "a quote that never ends": (".csv", lambda: _HEAD + '"' + _ROW * 20_000, "quote"),
    "bytes of a picture": (".csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50, "UTF-8|CSV"),
    "text of two bytes": (".csv", (_HEAD + _ROW).encode("utf-16"), "UTF-8|CSV"),
    "zeros": (".csv", b"\0" * 100_000, "."),
}.items():
    file_case(f"data set: {_name}", _words, read_nonmem, _ending, _content)
file_case("data set: sound", "", read_nonmem, ".csv", _HEAD + _ROW, sound=True)
file_case(
    "data set: sound and packed",
    "",
    read_nonmem,
    ".csv.gz",
    gzip.compress((_HEAD + _ROW).encode()),
    sound=True,
)
file_case(
    "profiles: one line of 3 GB, packed",
    "unpack|at most",
    read_profile_table,
    ".csv.gz",
    lambda: packed(b"1" * 30_000_000, 100),
)
file_case(
    "profiles: a number beyond floats",
    "TIME|time",
    read_profile_table,
    ".csv",
    "ID,TIME,DV\n1,1e309,2\n1,2,1\n",
)
file_case(
    "like: a table of 3 GB, packed",
    "unpack|at most",
    lambda p: ph.sample_population(5, seed=1, like=p),
    ".csv.gz",
    lambda: packed(b"1" * 30_000_000, 100),
)
for _name, (_ending, _content, _words) in {
    "3 GB, packed": (
        ".csv.gz",
        lambda: packed(b"IndividualId,a\n" * 2_000_000, 100),
        "unpack|at most",
    ),
    "columns without end": (
        ".csv",
        lambda: "IndividualId," + ",".join(f"C{i}" for i in range(100_000)) + "\n1\n",
        "columns",
    ),
    "the same person a hundred thousand times": (
        ".csv",
        lambda: "IndividualId\n" + "1\n" * 100_000,
        "once",
    ),
}.items():
    file_case(f"individuals: {_name}", _words, lambda p: read_individuals(p, {}), _ending, _content)
text_case(
    "individuals: a host", "file", lambda t: read_individuals(t, {}), "http://127.0.0.1:9/x.csv"
)

# ---- snapshots: JSON ------------------------------------------------------------------------------
for _name, (_content, _words) in {
    "brackets": ("[" * 3_000_000, "levels"),
    "objects": ('{"a":' * 1_000_000, "levels"),
    "a whole number beyond floats": ('{"Version": 80, "Compounds": ' + "9" * 400 + "}", "number"),
    "a million digits": ('{"Version": ' + "9" * 1_000_000 + "}", "number"),
    "a key twice": ('{"Version": 80, "Version": 81}', "twice"),
    "no object": ("[1, 2]", "object"),
    "not whole": ('{"Version": 80, "Compounds": [', "JSON"),
    "a lone surrogate": (b'{"Version": "\xed\xa0\x80"}', "JSON|UTF-8"),
    "many simulations": (
        '{"Version": 80, "Compounds": [' + ",".join(['{"Name": "a"}'] * 100_000) + "]}",
        "at most",
    ),
    "molar mass beyond floats": (
        '{"Version": 80, "Compounds": [{"Name": "x", "Parameters": [{"Name": "Molecular weight", '
        '"Value": 1' + "0" * 309 + ', "Unit": "g/mol"}]}]}',
        "number|finite",
    ),
}.items():
    file_case(f"snapshot: {_name}", _words, import_pksim_snapshot, ".json", _content)
file_case(
    "snapshot: packed",
    "unpack|at most",
    import_pksim_snapshot,
    ".json",
    lambda: packed(b" " * 30_000_000, 100),
)


# ---- simulations of PK-Sim: XML -------------------------------------------------------------------
def _sim(formulas: str) -> str:
    return (
        '<Simulation version="4"><Solver/><FormulaList>' + formulas + "</FormulaList></Simulation>"
    )


for _name, (_ending, _content, _words) in {
    "packed": (".pkml.gz", lambda: packed(b"<a>" + b" " * 30_000_000, 100), "unpack|at most"),
    "elements in elements": (".pkml", "<a>" * 100_000, "levels"),
    "elements without end": (".xml", lambda: "<a>" + "<b/>" * 2_200_000 + "</a>", "elements"),
    "entities": (
        ".xml",
        '<!DOCTYPE a [<!ENTITY a "x">'
        + "".join(
            f'<!ENTITY a{i} "&a{i - 1 if i > 1 else ""};&a{i - 1 if i > 1 else ""};">'
            for i in range(1, 30)
        )
        + "]><a>&a29;</a>",
        "entities|document type",
    ),
    "entities in UTF-16": (
        ".xml",
        (
            '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY a "'
            + "x" * 1000
            + '">'
            + "".join(
                f'<!ENTITY b{i} "{("&b" + str(i - 1) + ";") * 10 if i else "&a;" * 10}">'
                for i in range(6)
            )
            + "]><a>&b5;</a>"
        ).encode("utf-16"),
        "entities|document type|UTF",
    ),
    "a file elsewhere": (
        ".xml",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        "entities|document type",
    ),
    "a formula of brackets": (
        ".xml",
        _sim('<ExplicitFormula id="1"><Equation>' + "(" * 90_000 + "</Equation></ExplicitFormula>"),
        ".",
    ),
    "attributes without end": (
        ".xml",
        lambda: "<a " + " ".join(f'a{i}="1"' for i in range(300_000)) + "/>",
        ".",
    ),
    "a number beyond floats": (
        ".xml",
        _sim('<ConstantFormula id="1" value="1e999"/>').replace(
            "<FormulaList>",
            '<ParameterList><P id="2" formulaId="1" name="a" path="a"/></ParameterList><FormulaList>',
        ),
        ".",
    ),
    "no XML": (".pkml", b"\0\1\2" * 1000, "XML"),
    "an unknown encoding": (".pkml", '<?xml version="1.0" encoding="x-user-defined"?><a/>', "XML"),
}.items():
    file_case(f"simulation: {_name}", _words, read_pksim_simulation, _ending, _content)

# ---- SBML -----------------------------------------------------------------------------------------
_NAMESPACE = "http://www.sbml.org/sbml/level3/version1/core"


def _model(inside: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><sbml xmlns="{_NAMESPACE}" level="3" version="1">'
        f'<model id="m" timeUnits="second"><listOfUnitDefinitions/>{inside}</model></sbml>'
    ).replace("<listOfUnitDefinitions/>", "")


def _math(inside: str) -> str:
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{inside}</math>'


def _rule(inside: str) -> str:
    return (
        '<listOfParameters><parameter id="p" constant="false" value="1"/></listOfParameters>'
        f'<listOfRules><rateRule variable="p">{_math(inside)}</rateRule></listOfRules>'
    )


def _functions(n: int, body: str) -> str:
    """f1 ... fn; each calls the one before it as `body` says."""
    out = [
        '<functionDefinition id="f0">'
        + _math("<lambda><bvar><ci>x</ci></bvar><apply><exp/><ci>x</ci></apply></lambda>")
        + "</functionDefinition>"
    ]
    for i in range(1, n + 1):
        inner = body.replace("F", f"<ci>f{i - 1}</ci>").replace("X", "<ci>x</ci>")
        out.append(
            f'<functionDefinition id="f{i}">'
            + _math(f"<lambda><bvar><ci>x</ci></bvar>{inner}</lambda>")
            + "</functionDefinition>"
        )
    call = f"<apply><ci>f{n}</ci><ci>p</ci></apply>"
    return (
        "<listOfFunctionDefinitions>" + "".join(out) + "</listOfFunctionDefinitions>" + _rule(call)
    )


def _apply(kind: str, *args: str) -> str:
    return f"<apply><{kind}/>{''.join(args)}</apply>"


_TWICE = _apply(
    "plus",
    "<apply>F" + _apply("sin", "X") + "</apply>",
    "<apply>F" + _apply("cos", "X") + "</apply>",
)
_DOUBLED = _apply(
    "times", "<apply>FX</apply>", "<apply>F" + _apply("plus", "X", "<cn>1</cn>") + "</apply>"
)
_INNER = "<apply>F<apply>F" + _apply("sin", "X") + "</apply></apply>"
_SBML = {
    "functions that call the last one twice": (_model(_functions(45, _TWICE)), "."),
    "functions of shifted arguments": (_model(_functions(45, _DOUBLED)), "."),
    "functions of functions": (_model(_functions(45, _INNER)), "."),
    "a chain of a thousand functions": (_model(_functions(1000, "<apply>FX</apply>")), "."),
    "a function that calls itself": (
        _model(_functions(1, "<apply>FX</apply>").replace("<ci>f0</ci>", "<ci>f1</ci>", 1)),
        ".",
    ),
    "MathML ten thousand deep": (
        _model(_rule("<apply><sin/>" * 10_000 + "<ci>p</ci>" + "</apply>" * 10_000)),
        "levels",
    ),
    "MathML 490 deep": (
        _model(_rule("<apply><sin/>" * 485 + "<ci>p</ci>" + "</apply>" * 485)),
        "levels|depth|deep",
    ),
    "a sum of a hundred thousand": (
        _model(_rule("<apply><plus/>" + "<ci>p</ci>" * 100_000 + "</apply>")),
        ".",
    ),
    "a power of a power": (
        _model(
            _rule(
                _apply(
                    "power",
                    "<cn>9</cn>",
                    _apply("power", "<cn>9</cn>", _apply("power", "<cn>9</cn>", "<cn>9</cn>")),
                )
            )
        ),
        "",
    ),
    "a factorial": (_model(_rule(_apply("factorial", "<cn>1e300</cn>"))), "."),
    "an exponent of nine digits": (
        _model(_rule('<cn type="e-notation">1<sep/>999999999</cn>')),
        ".",
    ),
    "products of sums": (
        _model(
            _rule(
                "<apply><times/>"
                + ("<apply><plus/>" + "<ci>p</ci><cn>1</cn><ci>t</ci>" + "</apply>") * 200
                + "</apply>"
            )
        ),
        ".",
    ),
    "elements without end": (
        _model("<listOfParameters>" + "<parameter/>" * 600_000 + "</listOfParameters>"),
        "at most",
    ),
    "lists in lists": (_model("<listOfParameters>" * 5000), "levels|deep"),
    "entities": (
        '<!DOCTYPE a [<!ENTITY a "x">'
        + "".join(
            f'<!ENTITY a{i} "&a{i - 1 if i > 1 else ""};&a{i - 1 if i > 1 else ""};">'
            for i in range(1, 30)
        )
        + "]><sbml>&a29;</sbml>",
        "document type|entities",
    ),
    "rules that need each other": (
        _model(
            "<listOfParameters>"
            + "".join(f'<parameter id="p{i}" constant="false"/>' for i in range(2000))
            + "</listOfParameters><listOfRules>"
            + "".join(
                f'<assignmentRule variable="p{i}">{_math(f"<ci>p{(i + 1) % 2000}</ci>")}</assignmentRule>'
                for i in range(2000)
            )
            + "</listOfRules>"
        ),
        "",
    ),
    "rules that double": (
        _model(
            "<listOfParameters>"
            + "".join(f'<parameter id="p{i}" constant="false" value="1"/>' for i in range(200))
            + '<parameter id="p" constant="false" value="1"/></listOfParameters><listOfRules>'
            + "".join(
                f'<assignmentRule variable="p{i}">'
                + _math(
                    _apply(
                        "times",
                        _apply("sin", f"<ci>p{i + 1}</ci>"),
                        _apply("cos", f"<ci>p{i + 1}</ci>"),
                    )
                    if i < 199
                    else "<ci>p</ci>"
                )
                + "</assignmentRule>"
                for i in range(200)
            )
            + f'<rateRule variable="p">{_math("<ci>p0</ci>")}</rateRule></listOfRules>'
        ),
        "",
    ),
    "not XML": ("<sbml" + "\0" * 1000, "XML"),
}
for _name, (_content, _words) in _SBML.items():
    _sound = not _words  # may be read, if it costs little
    file_case(
        f"sbml as equations: {_name}", _words, read_sbml_model, ".xml", _content, sound=_sound
    )
    file_case(f"sbml as a system: {_name}", _words or ".", import_sbml, ".xml", _content)
file_case(
    "sbml as equations: packed",
    "unpack|at most|XML",
    read_sbml_model,
    ".xml.gz",
    lambda: packed(b"<a>" + b" " * 30_000_000, 100),
)
text_case("sbml as a text: deep", "levels|deep", read_sbml_model, "<sbml>" + "<a>" * 10_000)


# ---- PEtab ----------------------------------------------------------------------------------------
def _petab(folder: Path, name: str, content: str | bytes) -> Path:
    import shutil

    from pbpk_hybrid.interchange import example_petab_problem

    source = example_petab_problem()
    target = folder / "problem"
    shutil.copytree(source.parent, target)
    path = target / (
        source.name
        if name == "yaml"
        else next(p.name for p in target.iterdir() if name in p.name.lower())
    )
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return target / source.name


for _name, (_which, _content, _words) in {
    "yaml: brackets": ("yaml", "[" * 900_000, "levels"),
    "yaml: aliases": (
        "yaml",
        "a: &a0 [x, x]\n" + "".join(f"b{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
        "alias|version",
    ),
    "yaml: 40 MB": ("yaml", "a: 1\n" * 8_000_000, "at most"),
    "yaml: a tag that runs": (
        "yaml",
        "!!python/object/apply:os.system ['touch pwned']",
        "YAML|yaml",
    ),
    "yaml: a key twice": ("yaml", "format_version: 1\nformat_version: 2\n", "model_files|twice"),
    "measurements: one long line": ("measurement", "a\t" * 2_000_000, "line|columns"),
    "measurements: packed": ("measurement", packed(b"a\t" * 15_000_000, 100), "unpack|at most"),
    "measurements: beyond floats": (
        "measurement",
        "observableId\tsimulationConditionId\tmeasurement\ttime\nx\ty\t1e999\t1e999\n",
        ".",
    ),
    "parameters: a formula of brackets": (
        "parameter",
        "parameterId\testimate\tparameterScale\tnominalValue\n" + "(" * 5000 + "\t1\tlin\t1\n",
        ".",
    ),
}.items():

    def _build(folder, which=_which, content=_content):
        path = _petab(folder, which, content)
        return lambda: read_petab(path)

    case(f"petab {_name}", _words)(_build)


# ---- results: netCDF and zarr ---------------------------------------------------------------------
def _nc(folder: Path, make: Callable[[Any], None]) -> Callable[[], Any]:
    import netCDF4

    path = folder / "x.nc"
    with netCDF4.Dataset(path, "w") as file:
        make(file)
    return lambda: open_results(path, schema=None)


@case("netcdf: a gigabyte of zeros", "unpack|hold|times its size|at most")
def _(folder):
    def make(file):
        file.createDimension("subject", 125_000)
        file.createDimension("time", 1000)
        v = file.createVariable(
            "concentration",
            "f8",
            ("subject", "time"),
            zlib=True,
            complevel=9,
            chunksizes=(12_500, 1000),
        )
        for i in range(10):
            v[i * 12_500 : (i + 1) * 12_500] = np.zeros((12_500, 1000))

    return _nc(folder, make)


@case("netcdf: never written", "hold|times its size|at most")
def _(folder):
    def make(file):
        file.createDimension("subject", 10**9)
        file.createVariable("concentration", "f8", ("subject",), zlib=True)

    return _nc(folder, make)


@case("netcdf: a chunk that is larger than the variable", "chunk")
def _(folder):
    def make(file):
        file.createDimension("subject", None)
        v = file.createVariable(
            "concentration", "f8", ("subject",), zlib=True, chunksizes=(300_000_000,)
        )
        v[:1] = [0.0]

    return _nc(folder, make)


@case("netcdf: one long name among short ones", "at most|hold|text")
def _(folder):
    def make(file):
        file.createDimension("subject", 100_000)
        v = file.createVariable("name", str, ("subject",))
        values = np.array(["a"] * 100_000, dtype=object)
        values[0] = "b" * 1_000_000
        v[:] = values

    return _nc(folder, make)


@case("netcdf: variables without end", "variables")
def _(folder):
    def make(file):
        file.createDimension("a", 1)
        for i in range(11_000):
            file.createVariable(f"v{i}", "f4", ("a",), fill_value=False)

    return _nc(folder, make)


@case("netcdf: groups and no variables", "schema|variable|concentration|dimension")
def _(folder):
    import netCDF4

    path = folder / "x.nc"
    with netCDF4.Dataset(path, "w") as file:
        at = file
        for _ in range(200):
            at = at.createGroup("g")
    return lambda: open_results(path)


file_case("netcdf: text", "netCDF", open_results, ".nc", "hello")
file_case("netcdf: empty", "netCDF", open_results, ".nc", b"")
file_case(
    "netcdf: a head and nothing more",
    "netCDF",
    open_results,
    ".nc",
    b"\x89HDF\r\n\x1a\n" + b"\0" * 50,
)


def _zarr(folder: Path, meta: Any, chunk: bytes | None = None, attrs: Any = None) -> Path:
    """A store of format 2 of one array, written by hand."""
    store = folder / "x.zarr"
    (store / "a").mkdir(parents=True)
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    text = (
        meta
        if isinstance(meta, str)
        else json.dumps(
            {
                "zarr_format": 2,
                "shape": [1],
                "chunks": [1],
                "dtype": "<f8",
                "compressor": None,
                "filters": None,
                "fill_value": 0,
                "order": "C",
                **meta,
            }
        )
    )
    (store / "a" / ".zarray").write_text(text)
    (store / "a" / ".zattrs").write_text(
        json.dumps({"_ARRAY_DIMENSIONS": ["subject"]} if attrs is None else attrs)
    )
    if chunk is not None:
        (store / "a" / "0").write_bytes(chunk)
    return store


_ZLIB = {"id": "zlib", "level": 9}
_BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
for _name, (_meta, _chunk, _words) in {
    "damaged .zarray": ('{"zarr_format": 2, "sha', None, "zarr|JSON"),
    "a .zarray of brackets": ("[" * 1_000_000, None, "levels|zarr"),
    "a shape beyond floats": ({"shape": [10**30]}, None, "."),
    "a shape below zero": ({"shape": [-5], "chunks": [1]}, None, "."),
    "a shape of words": ({"shape": ["x"]}, None, "."),
    "a huge array of nothing": (
        {"shape": [10**9], "chunks": [10**6]},
        None,
        "hold|at most|missing|times",
    ),
    "a chunk that is larger than the array": ({"chunks": [10**9]}, b"\0" * 8, "chunk"),
    "a chunk of zeros, packed": (
        {"compressor": _ZLIB},
        lambda: zlib.compress(b"\0" * 900_000_000, 9),
        "chunk|unpack|at most",
    ),
    "a chunk that claims two gigabytes": (
        {"compressor": _BLOSC},
        struct.pack("<BBBBIII", 2, 1, 0x21, 8, 2_000_000_000, 262_144, 60) + b"\0" * 44,
        "chunk",
    ),
    "a dtype of objects": (
        {"dtype": "|O", "filters": [{"id": "pickle"}]},
        b"cos\nsystem\n(S'touch pwned'\ntR.",
        "zarr|pickle|codec|filter",
    ),
    "texts without end": (
        {"dtype": "|O", "filters": [{"id": "vlen-utf8"}], "fill_value": ""},
        struct.pack("<I", 2_000_000_000),
        "zarr|chunk|text",
    ),
    "a dtype of a gigabyte": ({"dtype": "<U250000000", "fill_value": ""}, b"", "."),
    "a codec nobody knows": ({"compressor": {"id": "evil"}}, b"\0" * 8, "."),
    "a chunk cut off": ({}, b"\0" * 3, "."),
}.items():

    def _build(folder, meta=_meta, chunk=_chunk):
        store = _zarr(folder, meta, chunk() if callable(chunk) else chunk)
        return lambda: open_results(store, schema=None)

    case(f"zarr: {_name}", _words)(_build)


@case("zarr: a link that goes round", "zarr|link|file|level")
def _(folder):
    store = _zarr(folder, {}, b"\0" * 8)
    (store / "a" / "loop").symlink_to(store)
    return lambda: open_results(store / "a" / "loop" / "a", schema=None)


# ---- a cohort's store -----------------------------------------------------------------------------
def _cohort(folder: Path, spoil: Callable[[Path], None], again: bool = True) -> Callable[[], Any]:
    from pbpk_hybrid.scale import Cohort, draw_cohort, open_cohort

    store = folder / "c.zarr"
    draw_cohort(Cohort(30, seed=1), store=store, workers=1)
    spoil(store)
    if again:
        return lambda: draw_cohort(Cohort(30, seed=1), store=store, workers=1)
    return lambda: open_cohort(store)["age"].values


for _name, (_file, _content) in {
    "a damaged .zarray": ("age/.zarray", b'{"zarr'),
    "a .zarray that is gone": ("age/.zarray", None),
    "a .zarray of another shape": (
        "age/.zarray",
        b'{"zarr_format": 2, "shape": [10000000000], "chunks": [1], "dtype": "<f8", "compressor": null, "filters": null, "fill_value": 0, "order": "C"}',
    ),
    "a damaged .zgroup": (".zgroup", b"\0\1"),
    "a damaged .zattrs": (".zattrs", b"[[["),
    "a damaged .zattrs of an array": ("age/.zattrs", b"{}"),
}.items():

    def _spoil(store, file=_file, content=_content):
        if content is None:
            (store / file).unlink()
        else:
            (store / file).write_bytes(content)

    case(f"cohort, run again: {_name}", "damaged|overwrite")(lambda f, s=_spoil: _cohort(f, s))
    case(f"cohort, opened: {_name}", "damaged|cohort|overwrite|read")(
        lambda f, s=_spoil: _cohort(f, s, again=False)
    )


@case("cohort, opened: a damaged chunk", "damaged")
def _(folder):
    def spoil(store):
        chunk = store / "age" / "0"
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(bytes(data))

    return _cohort(folder, spoil, again=False)


@case("cohort, opened: a chunk that is gone", "damaged|missing")
def _(folder):
    return _cohort(folder, lambda store: (store / "age" / "0").unlink(), again=False)


@case("cohort, run again: a damaged journal", "damaged|overwrite")
def _(folder):
    return _cohort(folder, lambda s: (s.with_name("c.zarr.run") / "run.json").write_bytes(b"\0"))


@case("cohort, opened: the record of a chunk is a list", "damaged|journal")
def _(folder):
    return _cohort(
        folder,
        lambda s: (s.with_name("c.zarr.run") / "chunk-000000.json").write_text("[]"),
        again=False,
    )


# ---- checkpoints ----------------------------------------------------------------------------------
def _safetensors(head: Any, numbers: bytes = b"", size: int | None = None) -> bytes:
    table = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(table) if size is None else size) + table + numbers


def _ours(config: Any, **more: Any) -> dict:
    head = {"kind": "pcdm", "format_version": 2, "config": config, **more}
    return {"__metadata__": {"pbpk_hybrid": json.dumps(head)}}


def _shipped(change: Callable[[dict], None]) -> bytes:
    import pbpk_hybrid.learn as learn

    raw = (Path(learn.__file__).parent / "data" / "pcdm" / "pcdm.safetensors").read_bytes()
    (n,) = struct.unpack("<Q", raw[:8])
    table = json.loads(raw[8 : 8 + n])
    head = json.loads(table["__metadata__"]["pbpk_hybrid"])
    change(head)
    table["__metadata__"]["pbpk_hybrid"] = json.dumps(head)
    return _safetensors(table, raw[8 + n :])


def _blocks(head: dict) -> None:
    head["config"]["config"]["blocks"] = 10**9


_CHECKPOINTS = {
    "a thousand million blocks": (lambda: _shipped(_blocks), "blocks"),
    "a header of 2^60 bytes": (_safetensors({}, size=2**60), "header|safetensors"),
    "a header of 50 MB": (lambda: _safetensors(b" " * 50_000_000), "header|safetensors"),
    "a header of brackets": (lambda: _safetensors(b"[" * 5_000_000), "levels|safetensors"),
    "tensors without end": (
        lambda: _safetensors(
            {
                f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
                for i in range(150_000)
            }
        ),
        "tensors|safetensors",
    ),
    "a tensor of 2^40 numbers": (
        _safetensors(
            {**_ours({}), "a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
        ),
        "safetensors",
    ),
    "a configuration of brackets": (
        _safetensors({"__metadata__": {"pbpk_hybrid": "[" * 500_000}}),
        "levels|safetensors|checkpoint",
    ),
    "a configuration of a number beyond floats": (
        lambda: _shipped(lambda h: h["config"]["config"].__setitem__("width", 10**309)),
        ".",
    ),
    "a pickle": (b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.", "safetensors"),
    "empty": (b"", "safetensors"),
    "zeros": (b"\0" * 1000, "safetensors|checkpoint"),
    "packed": (packed(b"\0" * 30_000_000, 10), "safetensors"),
}
for _name, (_content, _words) in _CHECKPOINTS.items():
    file_case(f"checkpoint of people: {_name}", _words, PCDM.load, ".safetensors", _content)
for _kind, _read in {"forecaster": Forecaster.load, "allometry": NeuralAllometry.load}.items():
    for _name in (
        "a header of 2^60 bytes",
        "a header of brackets",
        "tensors without end",
        "a pickle",
    ):
        _content, _words = _CHECKPOINTS[_name]
        file_case(f"checkpoint of the {_kind}: {_name}", _words, _read, ".safetensors", _content)


# ---- models, conditions and settings as text ------------------------------------------------------
def written(text: str):
    """dA/dt = text."""
    return ph.ode_model(rates={"A": text}, start={"A": 1.0}, parameters={"k": 1.0})


for _name, (_text, _words) in {
    "brackets": ("(" * 50_000 + "A" + ")" * 50_000, "brackets|levels"),
    "powers of powers": ("9^9^9^9^9*A", ""),
    "a number beyond floats": ("-1e999*A", "computer holds"),
    "a call of Python": ("__import__('os').system('touch pwned')", "."),
    "two hundred thousand letters": ("k*A+" * 60_000 + "A", "at most"),
}.items():
    text_case(f"model: {_name}", _words, written, _text)


@case("model: outputs that double", "", sound=True)
def _(folder):
    outputs = {f"x{i}": f"sin(x{i + 1})*cos(x{i + 1})" for i in range(60)} | {"x60": "A"}
    return lambda: ph.ode_model(rates={"A": "-x0"}, start={"A": 1.0}, outputs=outputs)


@case("model: outputs that need each other", "each other|x0")
def _(folder):
    outputs = {f"x{i}": f"x{(i + 1) % 500}" for i in range(500)}
    return lambda: ph.ode_model(rates={"A": "-A*x0"}, start={"A": 1.0}, outputs=outputs)


for _name, _text in {
    "brackets": "(" * 5000 + "age > 3" + ")" * 5000,
    "not not": "not " * 20_000 + "age > 3",
    "a number beyond floats": "age > 1e999",
    "a call": "__import__('os').system('touch pwned') > 3",
}.items():
    text_case(f"where: {_name}", "where", lambda t: ph.sample_population(5, seed=1, where=t), _text)

file_case(
    "httk people: 3 GB, packed",
    "unpack|at most",
    read_httk_population,
    ".csv.gz",
    lambda: packed(b"1,2\n" * 7_500_000, 100),
)
file_case("httk people: no table", "column|person", read_httk_population, ".csv", "\0\1\2")
file_case(
    "forecaster's settings: tables in tables",
    "levels",
    ForecasterConfig.from_toml,
    ".toml",
    "a = " + "{a=" * 200_000,
)
file_case(
    "forecaster's settings: a width beyond floats",
    "width|number",
    ForecasterConfig.from_toml,
    ".toml",
    "width = " + "9" * 400,
)
