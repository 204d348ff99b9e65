"""What the package computes under fixed seeds stays what it was; a change on purpose stores it anew and says so."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

_SPEC = importlib.util.spec_from_file_location(
    "stability_outputs", Path(__file__).with_name("outputs.py")
)
outputs = importlib.util.module_from_spec(_SPEC)
sys.modules["stability_outputs"] = outputs
_SPEC.loader.exec_module(outputs)

STORED = json.loads(outputs.STORED.read_text(encoding="utf-8"))
#: single precision networks and reductions in another order: what another processor may change
_TOLERANCE = 1e-4


@pytest.mark.parametrize("name", [name for name, _ in outputs.cases()])
@pytest.mark.filterwarnings("ignore")
def test_an_output_is_what_it_was(name):
    if name in ("virtual patients", "forecast", "scaling"):
        pytest.importorskip("torch_geometric")
    found = outputs.fingerprint(dict(outputs.cases())[name]())
    stored = STORED["outputs"][name]
    if STORED["machine"] == outputs.machine():
        assert found["digest"] == stored["digest"]
        return
    assert set(found["numbers"]) == set(stored["numbers"])
    for variable, numbers in stored["numbers"].items():
        np.testing.assert_allclose(
            found["numbers"][variable], numbers, rtol=_TOLERANCE, err_msg=variable
        )
