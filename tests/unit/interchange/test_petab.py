"""PEtab problems: likelihood by hand, exact gradient, steady states before experiments, fit, write."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid._core import errors
from pbpk_hybrid.interchange import read_petab

MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'
#: A <-> B with rates k1 A and k2 B in one litre, A(0) = a0, B(0) = 0
MODEL = f"""<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2">
<model id="m" timeUnits="second"><listOfCompartments>
<compartment id="c" size="1" spatialDimensions="3" constant="true"/></listOfCompartments>
<listOfSpecies>
<species id="A" compartment="c" initialConcentration="1" hasOnlySubstanceUnits="false"
 boundaryCondition="false" constant="false"/>
<species id="B" compartment="c" initialConcentration="0" hasOnlySubstanceUnits="false"
 boundaryCondition="false" constant="false"/></listOfSpecies>
<listOfParameters><parameter id="a0" value="1" constant="true"/>
<parameter id="k1" value="0" constant="true"/><parameter id="k2" value="0" constant="true"/>
</listOfParameters><listOfInitialAssignments><initialAssignment symbol="A">
<math {MATH}><ci>a0</ci></math></initialAssignment></listOfInitialAssignments>
<listOfReactions><reaction id="there" reversible="false"><listOfReactants>
<speciesReference species="A" stoichiometry="1" constant="true"/></listOfReactants><listOfProducts>
<speciesReference species="B" stoichiometry="1" constant="true"/></listOfProducts><kineticLaw>
<math {MATH}><apply><times/><ci>k1</ci><ci>A</ci><ci>c</ci></apply></math></kineticLaw></reaction>
<reaction id="back" reversible="false"><listOfReactants>
<speciesReference species="B" stoichiometry="1" constant="true"/></listOfReactants><listOfProducts>
<speciesReference species="A" stoichiometry="1" constant="true"/></listOfProducts><kineticLaw>
<math {MATH}><apply><times/><ci>k2</ci><ci>B</ci><ci>c</ci></apply></math></kineticLaw></reaction>
</listOfReactions></model></sbml>"""
YAML = """format_version: 1
parameter_file: parameters.tsv
problems:
- condition_files: [conditions.tsv]
  measurement_files: [measurements.tsv]
  observable_files: [observables.tsv]
  sbml_files: [model.xml]
"""
PARAMETERS = """parameterId parameterScale lowerBound upperBound nominalValue estimate
a0 lin 0.1 10 1.0 1
k1 log10 0.01 10 0.8 1
k2 log 0.01 10 0.6 1
offset lin -5 5 0.2 1
sd lin 0.01 5 0.5 1
"""
OBSERVABLES = "observableId observableFormula noiseFormula\nobs A sd\n"
CONDITIONS = "conditionId\nbase\n"
MEASUREMENTS = (
    "observableId simulationConditionId time measurement\nobs base 0 0.7\nobs base 2 0.3\n"
)


def written(folder: Path, **tables: str) -> Path:
    """A problem on disk; cells of tables are separated by blanks."""
    own = {
        "parameters": PARAMETERS,
        "observables": OBSERVABLES,
        "conditions": CONDITIONS,
        "measurements": MEASUREMENTS,
        **tables,
    }
    for name, text in own.items():
        if name not in ("yaml", "model"):
            tabbed = "\n".join("\t".join(line.split(" ")) for line in text.splitlines())
            (folder / f"{name}.tsv").write_text(tabbed + "\n")
    (folder / "model.xml").write_text(tables.get("model", MODEL))
    (folder / "problem.yaml").write_text(tables.get("yaml", YAML))
    return folder / "problem.yaml"


def a_of(t, a0=1.0, k1=0.8, k2=0.6, b0=0.0):
    total, rate = a0 + b0, k1 + k2
    rest = k2 / rate * total
    return rest + (a0 - rest) * np.exp(-rate * np.asarray(t))


def normal(measured, simulated, sd):
    return -0.5 * math.log(2 * math.pi * sd**2) - 0.5 * ((measured - simulated) / sd) ** 2


def check_gradient(problem, values=None, rel=1e-5):
    """Against central differences."""
    found = problem.gradient(values)
    for name, slope in found.items():
        at = (values or {}).get(name, problem.nominal[name])
        step = 1e-4 * max(abs(at), 0.1)
        up, down = (problem.log_likelihood({**(values or {}), name: at + s}) for s in (step, -step))
        assert slope == pytest.approx((up - down) / (2 * step), rel=rel, abs=1e-5), name


def test_the_likelihood_is_that_by_hand_and_its_gradient_that_of_differences(tmp_path):
    problem = read_petab(written(tmp_path))
    wanted = normal(0.7, 1.0, 0.5) + normal(0.3, a_of(2.0), 0.5)
    assert problem.log_likelihood() == pytest.approx(wanted, abs=1e-7)
    assert problem.estimated == ("a0", "k1", "k2", "offset", "sd")
    assert "2 measurements of 1 observables" in repr(problem)
    check_gradient(problem)
    by, scaled = problem.gradient(), problem.gradient(scaled=True)
    assert scaled["k1"] == pytest.approx(by["k1"] * 0.8 * math.log(10))
    assert scaled["k2"] == pytest.approx(by["k2"] * 0.6)


def test_values_of_the_call_take_the_place_of_nominal_ones(tmp_path):
    problem = read_petab(written(tmp_path))
    got = problem.log_likelihood({"k1": 2.0, "sd": 0.3})
    wanted = normal(0.7, 1.0, 0.3) + normal(0.3, a_of(2.0, k1=2.0), 0.3)
    assert got == pytest.approx(wanted, abs=1e-7)
    with pytest.raises(errors.UnknownNameError, match="did you mean 'k1'"):
        problem.log_likelihood({"K1": 2.0})


@pytest.mark.parametrize(
    ("transformation", "distribution"),
    [(t, d) for t in ("lin", "log", "log10") for d in ("normal", "laplace")],
)
def test_noise_models(tmp_path, transformation, distribution):
    table = (
        "observableId observableFormula noiseFormula observableTransformation noiseDistribution\n"
        f"obs offset+2*A sd {transformation} {distribution}\n"
    )
    problem = read_petab(written(tmp_path, observables=table))
    wanted = 0.0
    for t, m in ((0.0, 0.7), (2.0, 0.3)):
        s = 0.2 + 2 * a_of(t)
        unit = {"lin": None, "log": 1.0, "log10": math.log(10)}[transformation]
        x, y = (m, s) if unit is None else (math.log(m) / unit, math.log(s) / unit)
        jacobian = 0.0 if unit is None else math.log(m * unit)
        if distribution == "normal":
            wanted += normal(x, y, 0.5) - jacobian
        else:
            wanted += -math.log(2 * 0.5) - abs(x - y) / 0.5 - jacobian
    assert problem.log_likelihood() == pytest.approx(wanted, abs=1e-7)
    check_gradient(problem)


def test_placeholders_of_the_measurement_table(tmp_path):
    observables = (
        "observableId observableFormula noiseFormula\n"
        "obs observableParameter1_obs+observableParameter2_obs*A noiseParameter1_obs\n"
    )
    measurements = (
        "observableId simulationConditionId time measurement observableParameters noiseParameters\n"
        "obs base 0 0.7 offset;2 0.5\nobs base 2 0.3 0.5;3 sd\n"
    )
    problem = read_petab(written(tmp_path, observables=observables, measurements=measurements))
    wanted = normal(0.7, 2.2, 0.5) + normal(0.3, 0.5 + 3 * a_of(2.0), 0.5)
    assert problem.log_likelihood() == pytest.approx(wanted, abs=1e-7)
    check_gradient(problem)


def test_conditions_are_lanes_with_parameters_of_their_own(tmp_path):
    conditions = "conditionId k1 A\nbase 0.3 nan\nother k1_other 2\n"
    parameters = PARAMETERS.replace("k1 log10", "k1_other log10")
    measurements = MEASUREMENTS + "obs other 2 0.9\n"
    problem = read_petab(
        written(tmp_path, conditions=conditions, parameters=parameters, measurements=measurements)
    )
    wanted = normal(0.7, 1.0, 0.5) + normal(0.3, a_of(2.0, k1=0.3), 0.5)
    wanted += normal(0.9, a_of(2.0, a0=2.0), 0.5)
    assert problem.log_likelihood() == pytest.approx(wanted, abs=1e-7)
    check_gradient(problem)


def test_a_steady_state_before_the_experiment_and_its_derivatives(tmp_path):
    conditions = "conditionId k1 B\nbefore k1_before nan\nbase 0.8 1\n"
    parameters = PARAMETERS.replace("k1 log10", "k1_before log10").replace(" 0.8 1", " 0.3 1")
    measurements = (
        "observableId preequilibrationConditionId simulationConditionId time measurement\n"
        "obs before base 1 0.7\nobs before base 10 0.1\n"
    )
    problem = read_petab(
        written(tmp_path, conditions=conditions, parameters=parameters, measurements=measurements)
    )
    rest = 0.6 / 0.9
    a = lambda t: a_of(t, a0=rest, b0=1.0)
    wanted = normal(0.7, a(1.0), 0.5) + normal(0.1, a(10.0), 0.5)
    assert problem.log_likelihood() == pytest.approx(wanted, abs=1e-6)
    check_gradient(problem, rel=1e-3)


def test_a_model_that_never_comes_to_rest_is_refused_by_name(tmp_path):
    growing = MODEL.replace("<ci>k1</ci><ci>A</ci>", "<ci>k1</ci>")
    conditions = "conditionId\nbefore\nbase\n"
    measurements = (
        "observableId preequilibrationConditionId simulationConditionId time measurement\n"
        "obs before base 1 0.7\n"
    )
    path = written(
        tmp_path,
        model=growing,
        conditions=conditions,
        measurements=measurements,
        parameters=PARAMETERS.replace("0.6 1", "0 0"),
    )
    with pytest.raises(errors.InputError, match="comes to rest"):
        read_petab(path).log_likelihood()


def test_priors_and_the_posterior(tmp_path):
    rows = PARAMETERS.splitlines()
    rows[0] += " objectivePriorType objectivePriorParameters"
    rows[1] += " normal 2;0.5"
    rows[2] += " parameterScaleNormal 0;1"
    rows[3] += " logNormal 0;1"
    rows[4] += "  "
    rows[5] += " laplace 1;2"
    problem = read_petab(written(tmp_path, parameters="\n".join(rows)))
    wanted = normal(1.0, 2.0, 0.5) + normal(math.log10(0.8), 0.0, 1.0)
    wanted += normal(math.log(0.6), 0.0, 1.0) - math.log(0.6) - math.log(4) - 0.25
    assert problem.log_prior() == pytest.approx(wanted)
    assert problem.log_posterior() == pytest.approx(wanted + problem.log_likelihood())


def test_a_fit_finds_the_parameters_and_a_written_problem_reads_again(tmp_path):
    times = np.linspace(0.25, 6.0, 12)
    rows = "".join(f"obs base {t} {a_of(t, 1.5, 0.4, 0.9)}\n" for t in times)
    head = MEASUREMENTS.splitlines()[0] + "\n"
    parameters = PARAMETERS.replace("0.5 1", "0.05 0").replace("offset lin -5 5 0.2 1\n", "")
    (tmp_path / "a").mkdir()
    problem = read_petab(written(tmp_path / "a", measurements=head + rows, parameters=parameters))
    found = problem.fit()
    assert found.converged, found.message
    for name, value in {"a0": 1.5, "k1": 0.4, "k2": 0.9}.items():
        assert found.values[name] == pytest.approx(value, rel=1e-3)
    again = read_petab(found.problem.write(tmp_path / "b"))
    assert again.nominal == found.problem.nominal
    assert again.log_likelihood() == pytest.approx(found.log_likelihood, rel=1e-12)


def test_version_two_with_a_condition_that_begins_later(tmp_path):
    yaml = """format_version: 2.0.0
parameter_files: [parameters.tsv]
condition_files: [conditions.tsv]
experiment_files: [experiments.tsv]
measurement_files: [measurements.tsv]
observable_files: [observables.tsv]
model_files:
  m: {language: sbml, location: model.xml}
"""
    path = written(
        tmp_path,
        yaml=yaml,
        parameters="parameterId lowerBound upperBound nominalValue estimate\n"
        "a0 0.1 10 1 true\nk1 0.01 10 0.8 true\nk2 0.01 10 0.6 true\nsd 0 5 0.5 false\n",
        conditions="conditionId targetId targetValue\nmore A A+k1\n",
        experiments="experimentId time conditionId\ne 0 \ne 3 more\n",
        measurements="observableId experimentId time measurement\nobs e 1 0.7\nobs e 4 0.9\n",
        observables="observableId observableFormula noiseFormula noiseDistribution\n"
        "obs A sd log-normal\n",
    )
    problem = read_petab(path)
    at_three = a_of(3.0)
    after = a_of(1.0, a0=at_three + 0.8, b0=1 - at_three)
    wanted = normal(math.log(0.7), math.log(a_of(1.0)), 0.5) - math.log(0.7)
    wanted += normal(math.log(0.9), math.log(after), 0.5) - math.log(0.9)
    assert problem.log_likelihood() == pytest.approx(wanted, abs=1e-6)
    check_gradient(problem)
    # uniform between the bounds, as version 2 says
    assert problem.log_prior() == pytest.approx(-3 * math.log(9.9) + math.log(9.9 / 9.99) * 2)


def test_simulate_gives_the_measurements_with_what_the_model_says(tmp_path):
    table = read_petab(written(tmp_path)).simulate()
    np.testing.assert_allclose(table["simulation"], a_of([0.0, 2.0]), atol=1e-8)
    np.testing.assert_allclose(
        table["residual"], (table["measurement"] - table["simulation"]) / 0.5
    )


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"observables": OBSERVABLES.replace("A sd", "AA sd")}, ["observable obs", "AA"]),
        ({"measurements": MEASUREMENTS.replace("obs base 2", "ob base 2")}, ["row 3", "obs"]),
        ({"measurements": MEASUREMENTS.replace("base 2", "bas 2")}, ["row 3", "base"]),
        ({"measurements": MEASUREMENTS.replace("0.3", "0,3")}, ["row 3", "measurement"]),
        ({"parameters": PARAMETERS.replace("log10", "log2")}, ["row 3", "parameterScale"]),
        ({"parameters": PARAMETERS.replace("0.6 1", "0.6 x")}, ["row 4", "estimate"]),
        ({"parameters": PARAMETERS + "a0 lin 0 1 1 1\n"}, ["a0", "once"]),
        ({"conditions": "conditionId kk\nbase 1\n"}, ["kk", "k1"]),
        ({"conditions": "condition\nbase\n"}, ["conditionId"]),
        ({"yaml": YAML.replace("model.xml", "none.xml")}, ["none.xml"]),
        ({"yaml": YAML.replace("version: 1", "version: 7")}, ["format_version", "7"]),
        ({"yaml": "a: [1"}, ["YAML"]),
        ({"yaml": "format_version: 1\nproblems: 3\n"}, ["problems"]),
        ({"yaml": "format_version: 1\nproblems: [3]\n"}, ["problems"]),
        ({"yaml": YAML.replace("[conditions.tsv]", "{a: b}")}, ["condition files"]),
        ({"yaml": "format_version: 2.0.0\nmodel_files: [3]\n"}, ["model_files"]),
        ({"yaml": "format_version: 2.0.0\nmodel_files: {a: 3}\n"}, ["model_files"]),
        ({"observables": OBSERVABLES.replace("A sd", "__import__('os') sd")}, ["observables.tsv"]),
        ({"observables": OBSERVABLES.replace("A sd", "A(" * 300 + " sd")}, ["observables.tsv"]),
    ],
)
def test_what_cannot_be_understood_is_refused_with_row_and_column(tmp_path, tables, words):
    with pytest.raises((errors.FileFormatError, errors.InputError)) as caught:
        read_petab(written(tmp_path, **tables)).log_likelihood()
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_noise_that_is_not_positive_is_refused_with_its_row(tmp_path):
    problem = read_petab(written(tmp_path))
    with pytest.raises(errors.InputError, match="noise of obs, row 2"):
        problem.log_likelihood({"sd": 0.0})


def test_a_written_problem_stays_in_its_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    path = written(tmp_path / "inner")
    (tmp_path / "inner" / "observables.tsv").rename(tmp_path / "observables.tsv")
    path.write_text(YAML.replace("observables.tsv", "../observables.tsv"))
    problem = read_petab(path)
    with pytest.raises(errors.FileFormatError, match="beside the YAML"):
        problem.write(tmp_path / "out")
