"""Arguments of the wrong kind: every public function refuses them by name, none fails inside."""

from __future__ import annotations

import inspect
import warnings
from functools import cache

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph

R = ph.Regimen
HOSTILE = (
    0.3,
    -1,
    True,
    "x",
    "",
    b"x",
    [],
    {"a": 1},
    [None],
    ["x"],
    ("a",),
    object(),
    np.array([1.0, np.nan]),
    np.array(["a"]),
    1 + 2j,
    float("nan"),
    float("inf"),
    10**400,
    xr.Dataset(),
    R.bolus(1),
    lambda: 1,
)


@cache
def people() -> xr.Dataset:
    return ph.reference_individual("human")


@cache
def simulated() -> xr.Dataset:
    return ph.simulate("theophylline", "320 mg oral", people(), times=[0, 1, 2, 4, 8])


#: name -> function, arguments that work
CALLS = {
    "simulate": (
        ph.simulate,
        lambda: {"compound": "theophylline", "regimen": "320 mg oral", "times": [0, 1]},
    ),
    "simulate_together": (
        ph.simulate_together,
        lambda: {"compounds": {"midazolam": "7.5 mg oral"}, "times": [0, 1]},
    ),
    "interaction": (
        ph.interaction,
        lambda: {
            "victim": ("midazolam", "7.5 mg oral"),
            "perpetrators": {"fluconazole": "400 mg oral"},
            "duration": 1.0,
        },
    ),
    "bioavailability": (
        ph.bioavailability,
        lambda: {"compound": "theophylline", "regimen": "320 mg oral", "duration": 2.0},
    ),
    "nca": (ph.nca, lambda: {"data": simulated(), "route": "oral"}),
    "sample_population": (ph.sample_population, lambda: {"n": 2, "seed": 1}),
    "reference_individual": (ph.reference_individual, lambda: {"species": "human"}),
    "reference_child": (ph.reference_child, lambda: {"age": 5}),
    "reference_pregnancy": (ph.reference_pregnancy, lambda: {"gestational_age": 20}),
    "with_renal_impairment": (
        ph.with_renal_impairment,
        lambda: {"people": people(), "stage": "severe"},
    ),
    "with_hepatic_impairment": (
        ph.with_hepatic_impairment,
        lambda: {"people": people(), "child_pugh": "A"},
    ),
    "with_enzymes": (ph.with_enzymes, lambda: {"people": people()}),
    "with_transporters": (ph.with_transporters, lambda: {"people": people()}),
    "check_physiology": (ph.check_physiology, lambda: {"ds": people()}),
    "tissue_composition": (
        ph.tissue_composition,
        lambda: {"species": "human", "method": "schmitt"},
    ),
    "get_compound": (ph.get_compound, lambda: {"name": "midazolam"}),
    "search_compounds": (ph.search_compounds, lambda: {"text": "caffeine"}),
    "load_compound_file": (ph.load_compound_file, lambda: {"path": "nowhere.yaml"}),
    "observations": (ph.observations, lambda: {"name": "theophylline"}),
    "open_results": (ph.open_results, lambda: {"path": "nowhere.nc"}),
    "whole_body_system": (
        ph.whole_body_system,
        lambda: {"compound": ph.get_compound("theophylline"), "physiology": people()},
    ),
    "SolverOptions": (ph.SolverOptions, dict),
    "Variability": (ph.Variability, dict),
    "GutAbsorption": (ph.GutAbsorption, dict),
    "Regimen": (R, lambda: {"columns": {"time": 0.0}}),
    "Regimen.bolus": (R.bolus, lambda: {"amount": 5}),
    "Regimen.infusion": (R.infusion, lambda: {"amount": 5, "duration": 1}),
    "Regimen.dose": (R.dose, lambda: {"amount": 5, "compartment": "liver"}),
    "Regimen.reset": (R.reset, lambda: {"time": 1}),
    "Regimen.parse": (R.parse, lambda: {"text": "5 mg iv"}),
    "Regimen.per_subject": (R.per_subject, lambda: {"regimens": [R.bolus(1)]}),
    "Regimen.loading": (
        R.loading,
        lambda: {"loading": R.bolus(1), "maintenance": R.bolus(1), "interval": 1, "n": 1},
    ),
    "Regimen.repeat": (R.bolus(1).repeat, lambda: {"interval": 1, "n": 2}),
    "Regimen.shift": (R.bolus(1).shift, lambda: {"by": 1}),
    "Regimen.at": (R.bolus(1).at, lambda: {"time": 1}),
    "Regimen.then": (R.bolus(1).then, lambda: {"other": R.bolus(1), "after": 1}),
    "Regimen.with_lag": (R.bolus(1).with_lag, lambda: {"lag": 1}),
    "Regimen.for_subjects": (R.bolus(1).for_subjects, lambda: {"subjects": [0]}),
    "Regimen.from_dataset": (R.from_dataset, lambda: {"ds": R.bolus(1).to_dataset()}),
    "Compound.from_dict": (ph.Compound.from_dict, lambda: {"values": {"name": "a"}}),
    "Compound.for_species": (
        ph.get_compound("midazolam").for_species,
        lambda: {"species": "rat"},
    ),
}
#: those that work long where a value happens to be fine
SLOW = {"simulate", "simulate_together", "interaction", "bioavailability"}
#: options of a dose that stand behind **options
DOSE = (
    "duration",
    "rate",
    "interval",
    "additional_doses",
    "steady_state",
    "lag",
    "bioavailability",
    "reset",
    "subject",
)
#: never looked at before they are used: a callable, and a client of another package
LEFT_OUT = {"progress", "client"}


def parameters(name: str) -> list[str]:
    """The parameters of a function by name; of an initialiser those of its fields."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = [p for p in inspect.signature(CALLS[name][0]).parameters.values()]
    own = [p.name for p in found if p.kind not in kinds and p.name not in LEFT_OUT]
    return own + (list(DOSE) if name == "Regimen.bolus" else [])


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, parameter) for name in CALLS for parameter in parameters(name)]
)
def test_hostile_arguments_end_in_typed_errors_or_not_at_all(
    name, parameter, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # "x" is a good name for a store or a folder
    function, arguments = CALLS[name]
    given, refused = arguments(), 0
    for value in HOSTILE[::3] if name in SLOW else HOSTILE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(**{**given, parameter: value})
            except ph.PBPKError:
                refused += 1
    assert refused  # no parameter takes all of them


# ------------------------------------------------------------------------------------------------ and say the way out
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: ph.simulate("theophylline", "320 mg oral", variability=0.3),
            ph.InputError,
            ("variability: got 0.3", "Variability(intrinsic_clearance=0.3"),
        ),
        (
            lambda: ph.simulate("theophylline", "320 mg oral", options={"rtol": 1e-6}),
            ph.InputError,
            ("options", "SolverOptions(rtol"),
        ),
        (lambda: ph.Compound.create(name="a", mw=300), ph.UnknownNameError, ("mw", "molar_mass")),
        (
            lambda: ph.Compound.create(name="a", molecular_weight=300),
            ph.UnknownNameError,
            ("molar_mass",),
        ),
        (
            lambda: ph.Compound.create(name="a", fup=0.1),
            ph.UnknownNameError,
            ("fraction_unbound_plasma",),
        ),
        (
            lambda: ph.get_compound("midazolam").replace(logp=3),
            ph.UnknownNameError,
            ("log_p",),
        ),
        (lambda: ph.get_compound(None), ph.UnknownNameError, ("compound", "None")),
        (
            lambda: ph.interaction(("midazolam", "7 mg oral"), {}, backnd="julia"),
            ph.UnknownNameError,
            ("'backend'",),
        ),
        (
            lambda: ph.simulate("theophylline", "320 mg oral", kp={"liver": "1,5"}),
            ph.InputError,
            ("kp.liver", "'1.5'"),
        ),
        (
            lambda: ph.nca(([0.0, 1, 2], ["1.0", "<0.5", "0.1"]), route="oral"),
            ph.InputError,
            ("concentration",),
        ),
        (
            lambda: ph.nca(([0.0, 1, 2], [1, 0.5, 0.1]), dose=["1,5 mg"], route="oral"),
            ph.InputError,
            ("dose", "'1.5 mg'"),
        ),
        (lambda: ph.sample_population(10**400, seed=1), ph.InputError, ("n", "subjects at a time")),
    ],
)
def test_the_message_names_the_argument_and_what_to_write(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words)
