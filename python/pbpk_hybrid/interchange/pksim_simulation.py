"""Reading a whole simulation of PK-Sim or MoBi, in whichever form it was saved."""

from __future__ import annotations

import os
from pathlib import Path

from .._core.errors import FileFormatError
from .._core.limits import border
from .._core.xml_files import read_xml
from .pkml import read_pkml
from .pksim_model import PKSimModel
from .simmodel import is_simmodel, simmodel_file


def read_pksim_simulation(path: str | os.PathLike) -> PKSimModel:
    """A simulation of PK-Sim or MoBi as a model that can be looked at, changed, simulated
    and fitted.

    >>> from pbpk_hybrid.interchange import example_pksim_simulation, read_pksim_simulation
    >>> model = read_pksim_simulation(example_pksim_simulation())
    >>> result = model.set({"Drug|Lipophilicity": 2.0}).simulate()

    Parameters
    ----------
    path : a pkml file (version 13 or newer: PK-Sim or MoBi 7.3 on) or a SimModel XML
        file, either of them also as ``.gz``. What it is is seen from its content, not
        from its name.

    Raises
    ------
    FileFormatError : neither of them, damaged, too large, or with something that cannot
        be understood (an unknown function or formula, a path that leads nowhere, one
        alias for two things, formulas that need each other, a table that does not
        ascend); the message names the object by its path
    """
    with border("path", str(path), "a simulation of PK-Sim or MoBi"):
        root = read_xml(path)
        if is_simmodel(root):
            return PKSimModel(simmodel_file(root, path), str(path))
        if root.tag.rpartition("}")[2] == "Simulation":
            raise FileFormatError(
                str(path), "<Simulation> without a FormulaList", "a pkml or SimModel XML file"
            )
        return PKSimModel(read_pkml(root, path), str(path))


def example_pksim_simulation() -> Path:
    """Path of a small simulation written for this package: two tablets, a gut, blood, and
    a liver that saturates.
    """
    return Path(__file__).with_name("data") / "own" / "tablet.pkml"


__all__ = ["example_pksim_simulation", "read_pksim_simulation"]
