"""The README's pictures, one per capability: ``python docs/make/pictures.py [name ...]``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import special_pictures

import pbpk_hybrid as ph
from pbpk_hybrid.plots import organ_panels, time_profile

OUT = Path(__file__).resolve().parents[1] / "pictures"
SIZE, DPI = (4.6, 3.0), 110


def population() -> plt.Figure:
    people = ph.sample_population(400, seed=1, age=(20, 40))
    result = ph.simulate(
        "theophylline",
        "320 mg oral",
        people,
        variability=ph.Variability(),
        times=np.arange(0, 25.1, 0.25),
    )
    observed = ph.observations("theophylline")
    observed = observed.isel(sample=(observed.dose.values > 250) & (observed.dose.values < 400))
    figure, ax = plt.subplots(figsize=SIZE)
    time_profile(result, observations=observed, ax=ax)
    return figure


def like_a_table() -> plt.Figure:
    """Age and weight of 200 people like a table, beside as many adults of the survey."""
    table = {"age": "34 ± 8 (21-52)", "weight": "78.1 ± 9.4 kg", "height": "176 ± 7 cm"}
    table |= {"female": "45 %", "egfr": "median 62 [IQR 50-75]"}
    anybody = ph.sample_population(1000, seed=1)
    people = ph.sample_population(200, like=table, seed=1)
    figure, ax = plt.subplots(figsize=SIZE)
    ax.plot(anybody.age, anybody.body_weight, ".", color="0.75", ms=3, label="adults of the survey")
    for sex, colour in (("female", "tab:orange"), ("male", "tab:blue")):
        some = people.isel(subject=(people.sex == sex).values)
        ax.plot(some.age, some.body_weight, ".", color=colour, ms=6, label=f"like the table, {sex}")
    ax.set(xlabel="age [year]", ylabel="body weight [kg]", ylim=(40, 150))
    ax.legend(frameon=False)
    return figure


def organs() -> plt.Figure:
    result = ph.simulate(
        "midazolam", "5 mg iv", ph.sample_population(100, seed=1), times=np.linspace(0, 12, 121)
    )
    return (
        organ_panels(result, organs=("liver", "brain", "muscle", "adipose"), columns=2)
        .flat[0]
        .figure
    )


def virtual_patients() -> plt.Figure:
    from pbpk_hybrid.learn import PCDM

    ages = (0, 90)
    real = ph.sample_population(2000, seed=2, age=ages)
    made = PCDM.load().sample(2000, {"age": ages}, seed=1)
    figure, axes = plt.subplots(1, 3, figsize=(SIZE[0] * 1.9, SIZE[1]))
    shown = (("age", "height"), ("age", "gfr"), ("body_weight", "cardiac_output"))
    for ax, (x, y) in zip(axes, shown, strict=True):
        for ds, label, color in ((real, "survey", "0.6"), (made, "PCDM", "C0")):
            ax.plot(ds[x], ds[y], ".", ms=2, color=color, alpha=0.5, label=label)
        ax.set(
            xlabel=f"{x.replace('_', ' ')} [{real[x].attrs['units']}]",
            ylabel=f"{y.replace('_', ' ')} [{real[y].attrs['units']}]",
        )
    axes[0].legend(markerscale=4, frameon=False)
    figure.tight_layout()
    return figure


def interactions() -> plt.Figure:
    from pbpk_hybrid.plots import forest_plot

    perpetrators = ["itraconazole", "fluconazole", "rifampicin", "erythromycin"]
    people = ph.sample_population(50, seed=1)
    return forest_plot(ph.interactions("midazolam", perpetrators, people, seed=1))


def special_populations() -> plt.Figure:
    from pbpk_hybrid.plots import forest_plot

    found = ph.exposure_ratios("metoprolol", "100 mg oral", n=50, seed=1)
    return forest_plot(found, title="metoprolol, 100 mg oral")


def scaling() -> plt.Figure:
    from pbpk_hybrid.learn import NeuralAllometry
    from pbpk_hybrid.physiology import SPECIES

    model = NeuralAllometry.load()
    given = {"rat": {"clearance": "35 mL/min/kg"}, "monkey": {"clearance": "12 mL/min/kg"}}
    figure, ax = plt.subplots(figsize=SIZE)
    for species in SPECIES:
        weight = float(ph.reference_individual(species).body_weight[0])
        try:
            p = model.predict("CC(=O)Nc1ccc(O)cc1", given, target=species)
        except ph.InputError:
            continue
        middle, low, high = (
            float(p[n]) for n in ("clearance", "clearance_lower", "clearance_upper")
        )
        ax.errorbar(weight, middle, [[middle - low], [high - middle]], fmt="o", color="C0")
        ax.annotate(
            species, (weight, middle), xytext=(5, -9), textcoords="offset points", fontsize=7
        )
    for species, weight in (("rat", 0.25), ("monkey", 5.0)):
        value = float(given[species]["clearance"].split()[0]) * 0.06 * weight
        ax.plot(weight, value, "x", color="C3", label="measured" if species == "rat" else None)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="body weight [kg]",
        ylabel="clearance [L/h], 90 % interval",
    )
    ax.legend(frameon=False)
    return figure


def first_in_human() -> plt.Figure:
    found = ph.first_in_human(
        "CC(=O)Nc1ccc(O)cc1",
        {
            "rat": {"clearance": "35 mL/min/kg", "volume": "1.1 L/kg", "fraction_unbound": 0.8},
            "dog": {"clearance": "14 mL/min/kg", "volume": "0.9 L/kg"},
        },
        target_exposure="AUC 30 mg*h/L",
        safety={
            "noael": {"rat": "150 mg/kg", "dog": "60 mg/kg"},
            "noael_auc": {"dog": "250 mg*h/L"},
            "mabel": {"concentration": "1 mg/L"},
        },
        n=200,
    )
    return found.plot()


def forecast() -> plt.Figure:
    from pbpk_hybrid.learn import Forecaster

    person = ph.sample_population(1, seed=5)
    grid = np.arange(0.0, 36.1, 0.5)
    truth = ph.simulate(
        "theophylline", "320 mg oral q12h x2", person, grid, variability=ph.Variability(), seed=3
    )
    curve = truth.concentration.sel(compartment="plasma").values[0]
    first = [2, 8, 18]  # samples at 1, 4 and 9 h
    samples = observation(grid[first], curve[first])
    weight = {"body_weight": float(person.body_weight[0])}
    ahead = Forecaster.load().forecast(samples, "320 mg oral q12h x2", weight, times=grid[1:])
    q = ahead.concentration_quantile.isel(subject=0, compartment=0)
    figure, ax = plt.subplots(figsize=SIZE)
    ax.fill_between(
        ahead.time,
        q.sel(quantile=0.05),
        q.sel(quantile=0.95),
        color="C0",
        alpha=0.25,
        lw=0,
        label="90 % interval",
    )
    ax.plot(ahead.time, q.sel(quantile=0.5), color="C0", label="forecast")
    ax.plot(grid, curve, "--", color="0.4", label="simulated truth")
    ax.plot(grid[first], curve[first], "o", color="C3", label="three samples")
    ax.set(xlabel="time [h]", ylabel="plasma [mg/L]")
    ax.legend(frameon=False, fontsize=7)
    return figure


def observation(times: np.ndarray, values: np.ndarray):
    """Three samples as an `observation` Dataset, as users have them: a NONMEM-style table."""
    import tempfile

    from pbpk_hybrid.dosing import read_nonmem

    rows = [
        "ID,TIME,AMT,DV,EVID,MDV",
        "1,0,320,.,1,1",
        *(f"1,{t},.,{v:.4f},0,0" for t, v in zip(times, values, strict=True)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.csv"
        path.write_text("\n".join(rows) + "\n")
        return read_nonmem(path).observations


def sbml() -> plt.Figure:
    """Blood and liver of the SBML example in 200 people, as on the page of SBML models."""
    import pandas as pd

    from pbpk_hybrid.interchange import example_sbml_model, read_sbml_model

    model = read_sbml_model(example_sbml_model(), molar_mass=300.0)
    draw = np.random.default_rng(1)
    people = pd.DataFrame({"metabolism_Vmax": 0.0015 * np.exp(draw.normal(0, 0.4, 200))})
    people["Vblood"] = draw.normal(5, 0.6, 200)
    crowd = model.simulate(np.linspace(0, 24, 193), population=people, outputs=["blood", "liver"])
    figure, ax = plt.subplots(figsize=SIZE)
    for i, name in enumerate(("blood", "liver")):
        low, middle, high = (
            crowd["concentration"].sel(compartment=name).quantile([0.05, 0.5, 0.95], "subject")
        )
        ax.fill_between(crowd["time"], low, high, color=f"C{i}", alpha=0.25, lw=0)
        ax.plot(crowd["time"], middle, color=f"C{i}", label=f"{name}, median and 90 %")
    ax.set(xlabel="time [h]", ylabel="concentration [mg/L]")
    ax.legend(frameon=False)
    return figure


def own_kinetics() -> plt.Figure:
    """Saturable elimination written as text, at three doses."""
    figure, ax = plt.subplots(figsize=SIZE)
    for dose in (30, 100, 300):
        model = ph.ode_model(
            rates={"gut": "-ka*gut", "blood": "ka*gut - Vmax*C/(Km + C) - CL*C"},
            start={"gut": 0, "blood": 0},
            parameters={"ka": 1.2, "Vmax": 8, "Km": 0.5, "CL": 1, "V": 42},
            outputs={"C": "blood/V"},
            units={"C": "mg/L"},
            doses=f"{dose} mg into gut",
        )
        curve = model.simulate(np.linspace(0, 48, 193), outputs="C")["concentration"]
        ax.plot(curve["time"], curve.values.ravel() / dose, label=f"{dose} mg")
    ax.set(xlabel="time [h]", ylabel="concentration / dose [1/L]", yscale="log", ylim=(1e-5, None))
    ax.legend(frameon=False)
    return figure


def petab() -> plt.Figure:
    """Measurements of the PEtab example and the fitted curves."""
    from pbpk_hybrid.interchange import example_petab_problem, read_petab

    found = read_petab(example_petab_problem()).fit()
    table = found.problem.simulate()
    figure, ax = plt.subplots(figsize=SIZE)
    for i, (name, dose) in enumerate({"low": 50, "high": 150}.items()):
        rows = table[(table["experiment"] == name) & (table["observable"] == "blood_obs")]
        ax.plot(rows["time"] / 60, rows["measurement"], "o", color=f"C{i}")
        curve = found.problem.model.set({**found.values, "dose": dose}).simulate(
            np.linspace(0, 24, 193), outputs="blood"
        )
        ax.plot(curve["time"], curve["value"].values.ravel(), color=f"C{i}", label=f"{dose} mg")
    ax.set(xlabel="time [h]", ylabel="blood [mmol/L]", yscale="log", ylim=(1e-5, None))
    ax.legend(frameon=False)
    return figure


def patient() -> ph.Patient:
    """The patient of docs/howto/posterior.md."""
    person = ph.reference_individual("human", body_weight=80, age=50)
    return ph.Patient("320 mg oral q12h x2", {2: "7.4 mg/L", 6: "6.1 mg/L", 11.9: 4.4}, person)


def posterior() -> plt.Figure:
    someone = patient()
    nothing = ph.Patient(someone.doses, None, someone.person)
    figure, ax = plt.subplots(figsize=SIZE)
    times = np.linspace(0.0, 36.0, 145)
    for who, label, color in ((nothing, "before samples", "0.6"), (someone, "after", "C0")):
        found = ph.posterior("theophylline", who, error={"proportional": 0.1})
        curves = found.simulate(None, times, compartments=["plasma"])["concentration"][:, :, 0]
        low, middle, high = np.quantile(curves, (0.05, 0.5, 0.95), axis=0)
        ax.fill_between(times, low, high, color=color, alpha=0.3, lw=0)
        ax.plot(times, middle, color=color, label=label)
    seen = someone.observations()
    ax.plot(seen["time"], seen["value"], "o", color="C3", label="samples")
    ax.set(xlabel="time [h]", ylabel="plasma [mg/L], 90 % interval")
    ax.legend(frameon=False, fontsize=7)
    return figure


def which_forecast() -> plt.Figure:
    """The patient of docs/howto/which-forecast.md."""
    someone = patient()
    someone = ph.Patient("320 mg oral q12h x4", someone.samples, someone.person)
    found = ph.compare_forecasts(
        someone, "theophylline", times=np.arange(0.5, 48.1, 0.5), error={"proportional": 0.1}
    )
    figure, ax = plt.subplots(figsize=(1.3 * SIZE[0], 1.2 * SIZE[1]))
    found.plot(ax)
    return figure


def dose() -> plt.Figure:
    someone = ph.Patient("320 mg oral q12h x2", {2: 7.4, 11.9: 4.4})
    found = ph.posterior("theophylline", someone, error={"proportional": 0.1})
    result = ph.dose(
        found, "trough 5-10 mg/L", interval=[8, 12], amounts="multiples of 50 mg up to 800 mg"
    )
    figure, ax = plt.subplots(figsize=SIZE)
    result.plot(ax)
    return figure


def bioequivalence() -> plt.Figure:
    from pbpk_hybrid.estimation import reference_scaled_limits, tost_power

    figure, (left, right) = plt.subplots(1, 2, figsize=(SIZE[0] * 1.5, SIZE[1]))
    sizes = np.arange(6, 73, 2)
    for cv, color in ((0.15, "C0"), (0.25, "C1"), (0.35, "C2")):
        power = [100 * tost_power(cv, 0.95, n) for n in sizes]
        left.plot(sizes, power, color=color, label=f"CV {100 * cv:.0f} %")
    left.axhline(80, color="0.7", lw=0.8)
    left.set(xlabel="subjects, 2x2x2", ylabel="power [%], true ratio 0.95", ylim=(0, 100))
    cvs = np.linspace(0.15, 0.7, 111)
    for rule, color in (("EMA", "C0"), ("FDA", "C3")):
        limits = np.array([reference_scaled_limits(cv, rule) for cv in cvs])
        for side in limits.T:
            line = right.plot(100 * cvs, 100 * side, color=color)
        line[0].set_label(rule)
    right.set(xlabel="within-subject CV of the reference [%]", ylabel="limits of the ratio [%]")
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=7)
    figure.tight_layout()
    return figure


def main(names: tuple[str, ...]) -> None:
    """Draw the pictures of these names, or all."""
    OUT.mkdir(exist_ok=True)
    every = (population, like_a_table, organs, virtual_patients, scaling, first_in_human, forecast)
    every += (interactions, special_populations, posterior, which_forecast, dose, bioequivalence)
    every += (sbml, own_kinetics, petab, *special_pictures.ALL)
    for make in (m for m in every if not names or m.__name__ in names):
        figure = make()
        figure.savefig(
            OUT / f"{make.__name__}.png", dpi=DPI, bbox_inches="tight", metadata={"Software": None}
        )
        plt.close(figure)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
