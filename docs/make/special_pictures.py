"""Pictures of special populations, one per section of the how-to; see pictures.py."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import pbpk_hybrid as ph

WIDE = (6.9, 3.0)


def _auc(drug: str, dose: str, people, hours: float = 48.0) -> np.ndarray:
    times = np.linspace(0, hours, 97)
    run = ph.simulate(drug, dose, people, times, compartments=["plasma"])
    return np.trapezoid(run["concentration"].values[..., 0], times, axis=1)


def special_renal() -> plt.Figure:
    healthy = ph.sample_population(60, seed=2, age=(20, 60))
    figure, ax = plt.subplots(figsize=(4.6, 3.0))
    for stage, color in (("", "0.5"), ("mild", "C0"), ("moderate", "C1"), ("severe", "C3")):
        people = healthy
        if stage:
            people = healthy.isel(subject=_better_than(healthy, stage))
            people = ph.with_conditions(people, renal=stage)
        label = f"{stage} impairment" if stage else "healthy"
        ax.plot(
            people["gfr"], _auc("metformin", "500 mg oral", people), ".", color=color, label=label
        )
    ax.set(xlabel="GFR [L/h]", ylabel="AUC of metformin, 48 h [mg h/L]", yscale="log")
    ax.legend(frameon=False, fontsize=7)
    return figure


def _better_than(people, stage: str) -> np.ndarray:
    from pbpk_hybrid.physiology.conditions.disease import RENAL_STAGES

    surface = np.sqrt(people["body_weight"].values * people["height"].values / 3600)
    return np.flatnonzero(people["gfr"].values / 0.06 * 1.73 / surface > RENAL_STAGES[stage])


def special_hepatic() -> plt.Figure:
    healthy = ph.sample_population(40, seed=2, age=(20, 60))
    figure, ax = plt.subplots(figsize=(4.6, 3.0))
    for k, (drug, dose) in enumerate((("midazolam", "5 mg oral"), ("metoprolol", "100 mg oral"))):
        before = _auc(drug, dose, healthy)
        ratios = [
            _auc(drug, dose, ph.with_conditions(healthy, hepatic=grade)) / before for grade in "ABC"
        ]
        places = np.arange(3) + 0.3 * k
        ax.boxplot(
            ratios, positions=places, widths=0.25, showfliers=False, medianprops={"color": f"C{k}"}
        )
        ax.plot([], [], color=f"C{k}", label=drug)
    ax.axhline(1, color="0.8", zorder=0)
    ax.set_xticks(np.arange(3) + 0.15, ["A", "B", "C"])
    ax.set(xlabel="Child-Pugh class", ylabel="AUC over that without cirrhosis", yscale="log")
    ax.legend(frameon=False, fontsize=7)
    return figure


def special_obesity() -> plt.Figure:
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.8))
    names = ("normal", "obese class 1", "obese class 2", "obese class 3")
    values: dict[str, list] = {
        "adipose tissue [kg]": [],
        "liver [kg]": [],
        "cardiac output [L/h]": [],
    }
    for name in names:
        some = {"bmi": (18.5, 25)} if name == "normal" else {"special": name}
        people = ph.sample_population(200, seed=3, **some)
        mass = people["volume"] * people["density"]
        values["adipose tissue [kg]"].append(mass.sel(organ="adipose").values)
        values["liver [kg]"].append(mass.sel(organ="liver").values)
        values["cardiac output [L/h]"].append(people["cardiac_output"].values)
    for ax, (label, groups) in zip(axes, values.items(), strict=True):
        ax.boxplot(groups, showfliers=False)
        ax.set_xticks(range(1, 5), ["normal", "1", "2", "3"])
        ax.set(xlabel="BMI, class of obesity", ylabel=label)
    figure.tight_layout()
    return figure


def special_pregnancy() -> plt.Figure:
    women = ph.sample_population(20, seed=4, sex="female", age=(20, 40))
    weeks = np.arange(0, 41, 4)
    rows: dict[str, list] = {"cardiac output": [], "GFR": [], "hematocrit": [], "weight": []}
    enzymes: dict[str, list] = {"CYP3A4": [], "CYP2D6": [], "CYP1A2": []}
    for week in weeks:
        now = ph.with_conditions(women, pregnant=int(week))
        for label, name in zip(
            rows, ("cardiac_output", "gfr", "hematocrit", "body_weight"), strict=True
        ):
            rows[label].append(float((now[name] / women[name]).mean()))
        for enzyme, found in enzymes.items():
            found.append(float(now["enzyme_activity"].sel(enzyme=enzyme).mean()))
    figure, axes = plt.subplots(1, 2, figsize=WIDE, sharey=True)
    for ax, table in zip(axes, (rows, enzymes), strict=True):
        for name, values in table.items():
            ax.plot(weeks, values, label=name)
        ax.axhline(1, color="0.8", zorder=0)
        ax.set(xlabel="gestational age [week]")
        ax.legend(frameon=False, fontsize=7)
    axes[0].set(ylabel="relative to before")
    figure.tight_layout()
    return figure


def special_elderly() -> plt.Figure:
    people = ph.sample_population(1500, seed=5, age=(18, 90))
    figure, axes = plt.subplots(1, 2, figsize=WIDE)
    for ax, name, label in zip(
        axes, ("gfr", "cardiac_output"), ("GFR [L/h]", "cardiac output [L/h]"), strict=True
    ):
        old = people["age"].values >= 65
        for rows, color, group in ((~old, "0.6", "18 to 64 years"), (old, "C0", "elderly")):
            ax.plot(
                people["age"].values[rows],
                people[name].values[rows],
                ".",
                ms=2,
                color=color,
                label=group,
            )
        ax.set(xlabel="age [year]", ylabel=label)
    axes[1].legend(frameon=False, fontsize=7, markerscale=4)
    figure.tight_layout()
    return figure


def special_children() -> plt.Figure:
    people = ph.sample_population(1500, seed=6, age=(0, 25))
    mass = people["volume"] * people["density"]
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.8))
    shown = (
        ("weight [kg]", people["body_weight"]),
        ("liver [kg]", mass.sel(organ="liver")),
        ("GFR [L/h]", people["gfr"]),
    )
    for ax, (label, values) in zip(axes, shown, strict=True):
        for sex, color in (("female", "C3"), ("male", "C0")):
            rows = people["sex"].values == sex
            ax.plot(
                people["age"].values[rows], values.values[rows], ".", ms=2, color=color, label=sex
            )
        for age in (15, 18):
            ax.axvline(age, color="0.85", zorder=0)
        ax.set(xlabel="age [year]", ylabel=label)
    axes[0].legend(frameon=False, fontsize=7, markerscale=4)
    figure.tight_layout()
    return figure


def special_phenotypes() -> plt.Figure:
    people = ph.sample_population(40, seed=7, age=(20, 60))
    figure, ax = plt.subplots(figsize=(4.6, 3.0))
    times = np.linspace(0, 24, 97)
    for k, phenotype in enumerate(("poor", "intermediate", "normal", "ultrarapid")):
        some = ph.with_conditions(people, phenotypes={"CYP2D6": phenotype})
        run = ph.simulate("metoprolol", "100 mg oral", some, times, compartments=["plasma"])
        curve = 1000 * run["concentration"].values[..., 0]
        low, middle, high = np.quantile(curve, (0.05, 0.5, 0.95), axis=0)
        ax.fill_between(times, low, high, color=f"C{k}", alpha=0.15, lw=0)
        ax.plot(times, middle, color=f"C{k}", label=phenotype)
    ax.set(xlabel="time [h]", ylabel="metoprolol in plasma [µg/L]")
    ax.legend(title="CYP2D6", frameon=False, fontsize=7)
    return figure


ALL = (
    special_renal,
    special_hepatic,
    special_obesity,
    special_pregnancy,
    special_elderly,
    special_children,
    special_phenotypes,
)
