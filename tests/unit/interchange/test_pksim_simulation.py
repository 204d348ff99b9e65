"""Simulations of PK-Sim and MoBi: pkml and SimModel XML, as a model object; on files written for these tests."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pbpk_hybrid._core import errors, schemas
from pbpk_hybrid.interchange import example_pksim_simulation, read_pksim_simulation
from pbpk_hybrid.solvers.base import SolverOptions

BLOOD = "Organism|Blood|Drug"
TIGHT = SolverOptions(rtol=1e-9, threads=1)


@pytest.fixture(scope="module")
def model():
    return read_pksim_simulation(example_pksim_simulation())


def by_hand(times, weight=70.0, dose=1e-4, lipophilicity=1.5):
    """The example's equations written out, in µmol and minutes."""
    blood, fu = 0.075 * weight, 0.4
    partition = 1 + fu * 10 ** (lipophilicity - 1)

    def rhs(_, y):
        absorbed = 0.02 * y[0]
        c = y[2] / 1.8
        there, back = 1.5 * y[1] / blood, 1.5 * c / partition
        lost = 1.8 * fu * c / (5 + fu * c)
        return [-absorbed, absorbed - there + back, there - back - lost, lost]

    y, out, last = np.zeros(4), [], 0.0
    for time in [*times, None]:
        stops = [t for t in (30.0, 750.0) if last <= t < (time if time is not None else last)]
        for stop in stops:
            if stop > last:
                y = solve_ivp(rhs, (last, stop), y, rtol=1e-11, atol=1e-13, method="LSODA").y[:, -1]
            y, last = np.add(y, [dose / 3e-07, 0, 0, 0]), stop
        if time is None:
            break
        if time > last:
            y = solve_ivp(rhs, (last, time), y, rtol=1e-11, atol=1e-13, method="LSODA").y[:, -1]
        out.append(y)
        last = time
    return np.array(out)


def test_the_example_agrees_with_its_equations_by_hand(model):
    minutes = np.array([0.0, 20.0, 31.0, 100.0, 751.0, 1440.0])
    paths = [f"Organism|{p}" for p in ("Gut|Drug", "Blood|Drug", "Liver|Drug", "Liver|Metabolite")]
    got = model.simulate(minutes / 60, outputs=paths, options=TIGHT)
    np.testing.assert_allclose(got["value"].values[0], by_hand(minutes), rtol=1e-6, atol=1e-8)
    assert got.attrs["amount_unit"] == "umol"  # the metabolite has no molecular weight
    got = model.simulate(minutes / 60, outputs=paths[:3], options=TIGHT)
    # 300 g/mol: 0.3 mg/µmol
    wanted = 0.3 * by_hand(minutes)[:, :3]
    np.testing.assert_allclose(got["amount"].values[0], wanted, rtol=1e-6, atol=1e-8)
    concentration = got["concentration"].sel(compartment=BLOOD).values[0]
    np.testing.assert_allclose(
        concentration, 0.3 * by_hand(minutes)[:, 1] / 5.25, rtol=1e-6, atol=1e-9
    )
    schemas.validate(got, "simulation")


def test_at_the_time_of_an_event_the_amount_before_it_is_reported(model):
    got = model.simulate([0.5, 0.5001], outputs="Organism|Gut|Drug", unit="mol")
    assert got["value"].values[0, 0, 0] == 0.0
    assert got["value"].values[0, 1, 0] == pytest.approx(1e-4 / 3e-7, rel=1e-3)


def test_what_the_file_asks_for_is_what_is_simulated(model):
    got = model.simulate()
    assert got["compartment"].values.tolist() == [BLOOD, f"{BLOOD}|Fraction of dose"]
    assert got.sizes["time"] == 145
    assert got["time"].values[-1] == 24.0
    assert got["unit"].values.tolist() == ["µmol", ""]
    assert np.isnan(got["concentration"].sel(compartment=f"{BLOOD}|Fraction of dose")).all()
    assert got.attrs["file"] == "tablet.pkml"
    assert got.attrs["file_form"] == "pkml 18"


def test_it_prints(model):
    assert repr(model).count("\n") == 0
    assert "amounts of Drug, Metabolite" in repr(model)
    lines = model.tree(None).splitlines()
    assert "    Volume   5.25 l" in [line[2:] for line in lines]
    assert "(3 below)" in model.tree(3) or "below)" in model.tree(2)
    assert "<details" in model._repr_html_()
    assert "Organism|Blood|Volume   5.25 l   = 0.075*`Organism|Weight`" in repr(
        model.parameters("**Volume")
    )


def test_parameters_by_pattern(model):
    assert list(model.parameters("Organism|*|Volume")) == [
        "Organism|Gut|Volume",
        "Organism|Blood|Volume",
        "Organism|Liver|Volume",
    ]
    assert list(model.parameters("Organism|*")) == ["Organism|Weight", "Organism|Liver blood flow"]
    assert model.parameters("Drug|Fraction unbound")["Drug|Fraction unbound"].value == 0.4
    with pytest.raises(errors.UnknownNameError, match=r"Organism\|Liver\|Volume"):
        model.parameters("Organism|Livre|Volume")
    with pytest.raises(errors.UnknownNameError, match="leave out the name of the simulation"):
        model.set({"Tablet|Organism|Weight": 80.0})


def test_set_gives_another_model_and_leaves_the_first(model):
    heavy = model.set({"Organism|Weight": "90 kg", "Drug|Lipophilicity": 2.0})
    assert heavy.parameters("Organism|Blood|Volume")[
        "Organism|Blood|Volume"
    ].value == pytest.approx(6.75)
    assert model.parameters("Organism|Weight")["Organism|Weight"].value == 70.0
    minutes = np.array([100.0, 500.0])
    got = heavy.simulate(minutes / 60, outputs=BLOOD, options=TIGHT)["value"].values[0, :, 0]
    np.testing.assert_allclose(got, by_hand(minutes, 90.0, lipophilicity=2.0)[:, 1], rtol=1e-6)
    assert "Organism|Weight = 90.0" in heavy.simulate([1.0]).attrs["changed"]
    fixed = model.set({"Organism|Blood|Volume": 10.0})  # in the place of its formula
    assert fixed.parameters("Organism|Blood|Volume")["Organism|Blood|Volume"].formula == ""
    assert model.set({"Drug|Molecular weight": "350 g/mol"}).parameters("Drug|Molecular weight")[
        "Drug|Molecular weight"
    ].value == pytest.approx(3.5e-7)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"Organism|Weight": "70 L"}, "kg"),
        ({"Organism|Weight": float("nan")}, "finite"),
        ({"Organism|Weight": [70, 80]}, "finite"),
        ({"Organism|Blood|Drug|Fraction of dose": 1.0}, "observer"),
        ({"Organism|Weight": "heavy"}, "kg"),
    ],
)
def test_values_that_cannot_be_set(model, values, words):
    with pytest.raises(errors.InputError, match=words):
        model.set(values)


def test_a_population_is_its_individuals(model):
    import pandas as pd

    weights, doses = [50.0, 70.0, 95.0], [5e-5, 1e-4, 2e-4]
    table = pd.DataFrame(
        {
            "IndividualId": [7, 8, 9],
            "Gender": ["MALE", "FEMALE", "MALE"],
            "Organism|Weight [kg]": weights,
            "Applications|Tablet twice|Dose": doses,
        }
    )
    hours = np.array([1.0, 5.0, 20.0])
    got = model.simulate(hours, population=table, outputs=BLOOD, options=TIGHT)
    assert got["subject"].values.tolist() == [7, 8, 9]
    assert got["Gender"].values.tolist() == ["MALE", "FEMALE", "MALE"]
    for i, (w, d) in enumerate(zip(weights, doses, strict=True)):
        np.testing.assert_allclose(
            got["value"].values[i, :, 0], by_hand(hours * 60, w, d)[:, 1], rtol=1e-6
        )
    many = pd.concat([table] * 12, ignore_index=True).assign(IndividualId=range(36))
    threads = model.simulate(
        hours, population=many, outputs=BLOOD, options=SolverOptions(rtol=1e-9, threads=2)
    )
    np.testing.assert_allclose(threads["value"].values[33:], got["value"].values, rtol=1e-6)


def test_a_population_from_pksims_csv(model, tmp_path):
    path = tmp_path / "population.csv"
    path.write_text(
        "# Project: x\nIndividualId;Organism|Weight;Organism|Weight|Percentile\n0;60;0.3\n1;80;0.7\n"
    )
    got = model.simulate([5.0], population=path, outputs=BLOOD, options=TIGHT)
    np.testing.assert_allclose(
        got["value"].values[:, 0, 0], [by_hand([300.0], w)[0, 1] for w in (60, 80)], rtol=1e-6
    )
    with pytest.warns(errors.NoEffectWarning, match="Organism\\|Brain"):
        path.write_text("IndividualId,Organism|Brain|Volume\n0,1\n")
        model.simulate([5.0], population=path)
    path.write_text("IndividualId,Organism|Weight\n0,60\n0,70\n")
    with pytest.raises(errors.InputError, match="each individual once"):
        model.simulate([5.0], population=path)


def test_sensitivities_by_path(model):
    names = [
        "Drug|Lipophilicity",
        "Organism|Blood|Volume",
        "Metabolism|Vmax",
        "Drug|Molecular weight",
    ]
    hours = [2.0, 9.0]
    got = model.simulate(hours, outputs=BLOOD, sensitivities=names, options=TIGHT)
    for name in names:
        own = model.parameters(name)[name].value
        up, down = (
            model.simulate(
                hours, values={name: own * f}, outputs=BLOOD, options=SolverOptions(rtol=1e-11)
            )
            for f in (1 + 1e-4, 1 - 1e-4)
        )
        for kind in ("value", "concentration", "amount"):
            slope = (up[kind].values - down[kind].values) / (2e-4 * own)
            found = got[f"{kind}_sensitivity"].sel(parameter=name).values
            np.testing.assert_allclose(found, slope, rtol=2e-5, atol=1e-7 * np.abs(slope).max())


def test_a_sensitivity_by_the_time_of_a_dose_is_refused(model):
    with pytest.raises(errors.InputError, match="no event's time depends"):
        model.simulate([2.0], sensitivities=["Applications|Tablet twice|Start time"])
    with pytest.raises(errors.InputError, match="stands still"):
        model.simulate([2.0], sensitivities=[f"{BLOOD}|Concentration"])


def test_moles_where_the_molecular_weight_is_not_known(tmp_path):
    text = example_pksim_simulation().read_text("utf-8").replace('value="3E-07"', 'value="NaN"')
    # the dose is in kg, so that the events need the weight: give the amount instead
    text = text.replace('formula="M + Dose/MW"', 'formula="M + 10"').replace(
        'formula="M*MW/Dose"', 'formula="M"'
    )
    path = tmp_path / "x.pkml"
    path.write_text(text, "utf-8")
    unknown = read_pksim_simulation(path)
    got = unknown.simulate([2.0])
    assert got.attrs["amount_unit"] == "umol"
    assert got["amount"].attrs["units"] == "umol"
    np.testing.assert_array_equal(got["amount"].values[..., 0], got["value"].values[..., 0])
    with pytest.raises(errors.InputError, match="molecular weight is not known"):
        unknown.simulate([2.0], unit="mg")


SIMMODEL = """<?xml version="1.0" encoding="utf-8"?>
<Simulation objectPathDelimiter="|" version="4" xmlns="http://www.systems-biology.com">
  <ParameterList>
    <P id="1" name="k" path="S|Organism|k" unit="1/min" value="0,5" />
    <P id="2" name="Molecular weight" path="S|A|Molecular weight" unit="kg/µmol" value="2E-07" />
    <P id="3" name="Volume" path="S|Organism|Volume" unit="l" value="4" />
    <P id="4" name="Concentration" path="S|Organism|A|Concentration" unit="µmol/l" formulaId="20" />
  </ParameterList>
  <VariableList>
    <V id="5" name="A" path="S|Organism|A" unit="µmol" persistable="1" value="8">
      <ScaleFactor>1</ScaleFactor>
      <RHSFormulaList><RHSFormula id="21" /><RHSFormula id="23" /></RHSFormulaList>
    </V>
  </VariableList>
  <ObserverList><Observer id="6" name="Half" path="S|Organism|A|Half" persistable="1" formulaId="22" /></ObserverList>
  <FormulaList>
    <ExplicitFormula id="20"><Equation>A/V</Equation>
      <ReferenceList><R alias="A" id="5" /><R alias="V" id="3" /></ReferenceList></ExplicitFormula>
    <ExplicitFormula id="21"><Equation>-k*A</Equation>
      <ReferenceList><R alias="A" id="5" /><R alias="k" id="1" /></ReferenceList></ExplicitFormula>
    <ExplicitFormula id="22"><Equation>0,5*A</Equation>
      <ReferenceList><R alias="A" id="5" /></ReferenceList></ExplicitFormula>
    <TableFormula id="23" useDerivedValues="0"><PointList>
      <Point x="0" y="1" restartSolver="0" /><Point x="10" y="1" restartSolver="0" /></PointList></TableFormula>
  </FormulaList>
  <OutputSchema><OutputIntervalList><OutputInterval distribution="Uniform">
    <StartTime>0</StartTime><EndTime>6</EndTime><NumberOfTimePoints>7</NumberOfTimePoints>
  </OutputInterval></OutputIntervalList></OutputSchema>
</Simulation>
"""


@pytest.mark.parametrize("packed", [False, True])
def test_simmodel_xml_is_seen_from_its_content(tmp_path, packed):
    path = tmp_path / "model.dat"
    data = SIMMODEL.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    model = read_pksim_simulation(path)
    got = model.simulate(options=TIGHT)
    wanted = 2.0 + 6.0 * np.exp(-0.5 * np.arange(7))
    np.testing.assert_allclose(got["value"].values[0, :, 0], wanted, rtol=1e-7)
    np.testing.assert_allclose(got["value"].values[0, :, 1], 0.5 * wanted, rtol=1e-7)
    np.testing.assert_allclose(got["concentration"].values[0, :, 0], 0.2 * wanted / 4, rtol=1e-7)


def test_a_map_fit_of_two_parameters(model):
    import xarray as xr

    from pbpk_hybrid.estimation import LogNormal, fit

    truth = {"Drug|Absorption rate": 0.03, "Metabolism|Vmax": 0.7}
    hours = np.array([0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0])
    curve = model.set(truth).simulate(hours, outputs=BLOOD)["concentration"].values[0, :, 0]
    n = len(hours)
    observed = xr.Dataset(
        {
            "time": ("sample", hours),
            "value": ("sample", curve),
            "subject": ("sample", ["1"] * n),
            "study": ("sample", ["1"] * n),
            "reference": ("sample", ["1"] * n),
            "matrix": ("sample", ["plasma"] * n),
            "lloq": ("sample", np.full(n, np.nan)),
        }
    )
    result = fit(
        model,
        observed,
        ["Drug|Absorption rate", "Metabolism|Vmax"],
        {"Drug|Absorption rate": LogNormal(0.02, 2.0), "Metabolism|Vmax": LogNormal(1.0, 2.0)},
        error={"proportional": 0.05},
        compartments={"plasma": BLOOD},
    )
    assert result.converged
    for name, value in truth.items():
        assert result[name] == pytest.approx(value, rel=0.02)
    with pytest.raises(errors.InputError, match="its own doses"):
        fit(
            model,
            observed,
            ["Metabolism|Vmax"],
            regimen="1 mg oral",
            compartments={"plasma": BLOOD},
        )
    with pytest.raises(errors.InputError, match="no event's time depends"):
        fit(
            model,
            observed,
            ["Applications|Tablet twice|Start time"],
            compartments={"plasma": BLOOD},
        )


def test_a_posterior_of_a_patient(model):
    import pbpk_hybrid as ph
    from pbpk_hybrid.estimation import LogNormal

    rate, vmax = "Drug|Absorption rate", "Metabolism|Vmax"
    hours = np.array([1.0, 2.0, 5.0, 12.0])
    truth = model.set({rate: 0.03, vmax: 0.7})
    curve = truth.simulate(hours, outputs=BLOOD)["concentration"].values[0, :, 0]
    patient = ph.Patient(samples=list(zip(hours.tolist(), curve.tolist(), strict=True)))
    found = ph.posterior(
        model,
        patient,
        {rate: LogNormal(0.02, 0.6), vmax: LogNormal(1.0, 0.6)},
        error={"proportional": 0.1},
        compartments={"plasma": BLOOD},
        draws=300,
    )
    assert found.reliable
    for name, value in ((rate, 0.03), (vmax, 0.7)):
        assert found.mean()[name] == pytest.approx(value, abs=2 * found.sd()[name])
    rows = found.picks(40)
    ahead = found.simulate(None, hours, draws=40)["concentration"].values[:, :, 0]
    np.testing.assert_allclose(ahead, found.predicted[rows], rtol=1e-4)
    with pytest.raises(errors.InputError, match="its own doses"):
        found.simulate("1 mg oral", hours)
    with pytest.raises(errors.InputError, match="its own doses"):
        ph.posterior(model, ph.Patient("1 mg oral"), {vmax: LogNormal(1.0, 0.6)})
