"""A dossier: everything by which somebody else can judge a model, in one document.

Laid out along ICH M15 (question of interest, context of use, assessment table, evaluation) and
the credibility factors of ASME V&V 40. What the program knows is run and filled in; what only the
author can say is marked as to be stated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from .._core.basis import basis_in_words
from .._core.errors import InputError
from .._core.provenance import VERSION
from ..compounds import Compound, get_compound
from ..compounds._fields import NUMBERS
from ..dosing import Regimen
from ..models import whole_body_system
from ..nca import nca
from ..physiology import reference_individual, sample_population
from ..results import last_interval, nca_summary
from ..results.tables import LABELS
from ..simulation.single import simulate
from .assessment import Assessment, factor_table
from .blocks import (
    Block,
    Equation,
    Heading,
    Picture,
    Table,
    Text,
    asked,
    number,
    picture,
)
from .evidence import (
    CHANGE,
    Check,
    Sensitivity,
    Validation,
    analyse_sensitivity,
    own_profiles,
    published_profiles,
    validate,
    verify,
)
from .render import write_document, writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHOICES = ("clearance", "distribution", "partition_method", "hepatic_model")
_PEOPLE = ("age", "body_weight", "height", "hematocrit", "gfr", "cardiac_output")
#: shares that are usually reported; which of them is enough depends on the context of use
_BOUNDS = (
    "Within 2-fold is the share that is usually reported of PBPK predictions; 1.25-fold are the "
    "limits of bioequivalence, 0.80 to 1.25. Which share is enough depends on the context of use "
    "(EMA 2018, Guideline on the reporting of PBPK modelling and simulation) and is a technical "
    "criterion of the author (section 1)."
)
_EQUATIONS = (
    (
        r"V_t \, \frac{dC_t}{dt} = Q_t \left(C_{in} - \frac{C_t \, BP}{K_{p,t}}\right) - E_t",
        "Each organ t of volume V is well stirred; blood enters with the flow Q and leaves in "
        "equilibrium with the tissue (Jones & Rowland-Yeo 2013, CPT Pharmacometrics Syst "
        "Pharmacol 2:e63).",
    ),
    (
        r"E = CL_{int,u} \, C_u + \sum_i \frac{V_{max,i} \, C_u}{K_{m,i} + C_u}",
        "Elimination in the liver, from the unbound concentration there.",
    ),
)
_LIVER = {
    "well_stirred": (
        r"CL_h = \frac{Q_h \, f_{u,b} \, CL_{int,u}}{Q_h + f_{u,b} \, CL_{int,u}}",
        "Hepatic clearance of the well-stirred liver.",
    ),
    "parallel_tube": (
        r"CL_h = Q_h \left(1 - e^{-f_{u,b} CL_{int,u} / Q_h}\right)",
        "Hepatic clearance of the parallel-tube liver.",
    ),
}


@dataclass(frozen=True)
class _Study:
    """What the dossier is about, simulated."""

    compound: Compound
    regimen_text: str
    regimen: Regimen
    people: xr.Dataset
    sim: xr.Dataset
    choices: dict[str, Any]
    seed: int

    @property
    def hours(self) -> float:
        return float(self.sim["time"].values[-1])

    @property
    def run(self) -> str:
        """Where numbers of this study come from."""
        return (
            f"run: pbpk_hybrid {VERSION}, simulate({self.compound.name}, {self.regimen_text!r}), "
            f"{self.people.sizes['subject']} people, seed {self.seed}"
        )


def dossier(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    compound: Compound | str,
    regimen: str,
    people: xr.Dataset | int = 100,
    *,
    assessment: Assessment | Mapping[str, Any] | None = None,
    observed: Any = None,
    title: str | None = None,
    seed: int = 1,
    **choices: Any,
) -> list[Path]:
    """Write the dossier of a model: HTML, Word or PDF.

    Runs the study, verifies it (mass balance, error of the integrator, exact solutions), compares
    it with observations, and analyses its sensitivity. Every table and picture says what its
    numbers come from.

    Parameters
    ----------
    path : path or sequence of paths
        Files to write; the ending says what: ``.html``, ``.docx`` or ``.pdf`` (the last two with
        the extra ``report``).
    compound : Compound or str
    regimen : str
        The dose of the context of use, such as ``"5 mg oral"``.
    people : Dataset or int
        Virtual people, or how many adults of the survey to draw.
    assessment : Assessment or mapping, optional
        ``question_of_interest``, ``context_of_use`` and the other statements of the author; what
        is missing is marked in the document.
    observed : path, DataFrame or Dataset, optional
        Samples of one's own after this dose; None: all published single doses of the compound.
    title : str, optional
    seed : int
        Of all random draws.
    **choices
        ``clearance``, ``distribution``, ``partition_method`` and ``hepatic_model`` of
        :func:`pbpk_hybrid.simulate`.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError, UnknownNameError
        An ending, compound, dose or choice that cannot be used.
    MissingDependencyError
        Word or PDF without the extra ``report``.

    Examples
    --------
    >>> import pbpk_hybrid as ph
    >>> question = "Which exposure do 320 mg of theophylline give?"
    >>> stated = {"question_of_interest": question, "model_risk": "low: a study follows"}
    >>> files = ph.dossier("dossier.html", "theophylline", "320 mg oral", 3, assessment=stated)
    >>> question in files[0].read_text()
    True
    """
    single = isinstance(path, (str, os.PathLike))
    targets = [Path(p).expanduser() for p in ([path] if single else path)]
    if not targets:
        raise InputError("path", targets, "at least one file name")
    for target in targets:
        writer(target)  # refused before anything is run
    stated = Assessment.read(assessment)
    study = _study(compound, regimen, people, choices, seed)
    blocks = compose(study, stated, observed, title)
    return [write_document(target, _title(study, title), blocks) for target in targets]


def _study(
    compound: Compound | str, regimen: str, people: Any, choices: Mapping[str, Any], seed: int
) -> _Study:
    for name in choices:
        if name not in _CHOICES:
            raise InputError(name, choices[name], f"a choice of the model: {', '.join(_CHOICES)}")
    drug = get_compound(compound) if isinstance(compound, str) else compound
    if not isinstance(drug, Compound):
        raise InputError("compound", type(compound).__name__, "a Compound or the name of one")
    if not isinstance(regimen, str):
        raise InputError("regimen", type(regimen).__name__, 'text such as "5 mg oral"')
    parsed = Regimen.parse(regimen)
    if isinstance(people, int) and not isinstance(people, bool):
        people = sample_population(people, seed=seed)
    sim = simulate(drug, regimen, people, seed=seed, **choices)
    if "plasma" not in sim["compartment"].values:
        raise InputError("compound", drug.name, "a model with plasma")
    return _Study(drug, regimen, parsed, people, sim, dict(choices), seed)


def _title(study: _Study, title: str | None) -> str:
    return title or f"{study.compound.name}, {study.regimen_text}: dossier of a PBPK model"


def compose(study: _Study, stated: Assessment, observed: Any, title: str | None) -> list[Block]:
    """All blocks of the document, in order."""
    checks = _verified(study)
    validation = _validated(study, observed)
    sensitivity = analyse_sensitivity(
        study.compound,
        reference_individual("human"),
        study.regimen,
        study.hours,
        study.choices,
        study.seed,
    )
    failed = [c for c in checks if not c.passed]
    errors = None if validation is None else validation.fold_errors()
    table = stated.table(_evaluation(checks, validation), _outcome(checks, errors))
    body: list[Block] = [
        Heading("1 Question, context of use, assessment"),
        table,
        *_model(study),
        *_exposure(study),
        *_verification(checks),
        *_validation(study, validation, errors),
        *_sensitivity(study, sensitivity),
        *_applicability(study, checks, validation, errors),
        *_references(study, validation),
        *_annex(study, validation),
    ]
    open_cells = asked(body)
    head: list[Block] = [
        Heading(_title(study, title), 1),
        Text(
            f"Made by pbpk_hybrid {VERSION}; every number below was computed in one run with seed "
            f"{study.seed}, or carries its citation."
        ),
    ]
    if open_cells:
        head.append(Text(f"{open_cells} cells are still to be stated by the author.", warning=True))
    if failed:
        head.append(Text(f"{len(failed)} of {len(checks)} checks failed: section 4.", warning=True))
    return [*head, *body]


# ---- 2 model ------------------------------------------------------------------------------------


def _model(study: _Study) -> list[Block]:
    attrs = study.sim.attrs
    liver = str(attrs.get("hepatic_model", "well_stirred"))
    equations = [*_EQUATIONS, *([_LIVER[liver]] if liver in _LIVER else [])]
    organs = [str(o) for o in study.people["organ"].values]
    text = (
        f"A whole-body model of {len(organs)} organs: {', '.join(organs).replace('_', ' ')}. "
        f"Basis: {basis_in_words(attrs)}. Partition coefficients: "
        f"{str(attrs.get('partition_method', '')).replace('_', ' ')}. Differences between people, "
        f"beside their anatomy: {attrs.get('variability', 'none')}."
    )
    return [
        Heading("2 Model"),
        Heading("2.1 Structure and equations", 3),
        Text(text),
        *(Equation(*pair) for pair in equations),
        Heading("2.2 Parameters of the compound", 3),
        _parameters(study.compound.for_species("human")),
        Heading("2.3 Virtual people", 3),
        _people(study),
    ]


def _parameters(compound: Compound) -> Table:
    rows = []
    for name, field in NUMBERS.items():
        value = getattr(compound, name, None)
        if value is None or isinstance(value, (tuple, list, Mapping)):
            continue
        source = str(compound.sources.get(name, "")) or "stated by the user, no source given"
        unit = "" if field.unit == "1" else field.unit.replace("million_cells", "1e6 cells")
        rows.append(
            (name.replace("_", " "), number(float(value)), unit, _uncertainty(source), source)
        )
    for name in ("pka_acid", "pka_base"):
        values = getattr(compound, name, ())
        if values:
            source = str(compound.sources.get(name, "")) or "stated by the user, no source given"
            text = ", ".join(number(float(v)) for v in values)
            rows.append((name.replace("_", " "), text, "", "not stated", source))
    return Table(
        ("parameter", "value", "unit", "uncertainty", "source"),
        tuple(rows),
        f"Parameters of {compound.name}",
        "the compound's file; each row cites its own source. Uncertainty is given where the source "
        f"states it; section 6 shows what ±{100 * CHANGE:g} % of each parameter changes.",
    )


def _uncertainty(source: str) -> str:
    """What the source says of how well the value is known."""
    for word in ("assumed", "predicted", "calculated", "midpoint"):
        if source.startswith(word):
            return f"not measured: {word}"
    return "not stated"


def _people(study: _Study) -> Table:
    people, rows = study.people, []
    for name in _PEOPLE:
        if name in people and people[name].dims == ("subject",):
            low, middle, high = np.nanquantile(people[name].values, (0.05, 0.5, 0.95))
            unit = str(people[name].attrs.get("units", ""))
            rows.append((name.replace("_", " "), unit, number(middle), number(low), number(high)))
    females = int((people["sex"].values == "female").sum())
    source = str(people.attrs.get("method", "")) or str(people.attrs.get("source", ""))
    return Table(
        ("", "unit", "median", "5 %", "95 %"),
        tuple(rows),
        f"{people.sizes['subject']} virtual people, {females} of them women",
        f"{source or 'physiology of the people'}; {study.run}",
    )


# ---- 3 exposure ---------------------------------------------------------------------------------


def _exposure(study: _Study) -> list[Block]:
    from matplotlib.figure import Figure

    from ..plots import profile_figure

    figure = Figure(figsize=(9.2, 3.9), layout="constrained")
    profile_figure(study.sim, figure=figure)
    summary = nca_summary(last_interval(nca(study.sim)))
    rows = tuple(
        (
            LABELS.get(str(name), str(name)),
            str(row["units"]),
            *(number(row[key], 3) for key in ("geometric_mean", "geometric_cv", "p05", "p95")),
        )
        for name, row in summary.iterrows()
    )
    head = ("", "unit", "geometric mean", "geometric CV %", "5 %", "95 %")
    caption = f"Exposure after {study.regimen_text}, noncompartmental analysis of the simulation"
    return [
        Heading("3 Predicted exposure"),
        picture(figure, f"Plasma concentration after {study.regimen_text}.", study.run),
        Table(head, rows, caption, study.run),
    ]


# ---- 4 verification -----------------------------------------------------------------------------


def _verified(study: _Study) -> list[Check]:
    few = study.people.isel(subject=slice(0, 8))
    system = whole_body_system(study.compound, few, **study.choices)
    return verify(system, study.regimen, few["body_weight"].values, study.hours)


def _verification(checks: Sequence[Check]) -> list[Block]:
    rows = tuple(
        (c.what, c.against, f"{c.difference:.1e}", f"{c.limit:.0e}", "yes" if c.passed else "NO")
        for c in checks
    )
    return [
        Heading("4 Verification"),
        Text(
            "Are the equations solved right? Each check was run while this document was made, for "
            "the first eight people and this dose."
        ),
        Table(
            ("what", "compared with", "largest relative difference", "limit", "passed"),
            rows,
            "Checks of the computation",
            f"run: pbpk_hybrid {VERSION}, report.evidence.verify, where the limits are set",
        ),
    ]


# ---- 5 validation -------------------------------------------------------------------------------


def _validated(study: _Study, observed: Any) -> Validation | None:
    if observed is None:
        data = published_profiles(study.compound)
        if data is None:
            return None
    else:
        data = own_profiles(_samples(observed), study.regimen)
    profiles = validate(study.compound, study.people, data, study.choices)
    if profiles.empty:
        return None
    return Validation(profiles, _same_dose(data, study.regimen))


def _samples(observed: Any) -> xr.Dataset:
    """Observations from a file, a table or a Dataset."""
    if isinstance(observed, xr.Dataset):
        return observed
    from ..nca.tables import read_profile_table

    return read_profile_table(observed).observations


def _same_dose(data: xr.Dataset, regimen: Regimen) -> xr.Dataset | None:
    c = regimen.columns
    if len(regimen) != 1 or not c["amount"][0] > 0:
        return None
    keep = data["route"].values.astype(str) == str(c["route"][0])
    keep &= np.isclose(data["dose"].values, float(c["amount"][0]), rtol=0.25)
    return data.isel(sample=np.flatnonzero(keep)) if keep.sum() >= 8 else None


def _validation(
    study: _Study, validation: Validation | None, errors: pd.DataFrame | None
) -> list[Block]:
    heading = Heading("5 Validation")
    if validation is None or errors is None:
        return [
            heading,
            Text(
                f"No published plasma samples of single doses of {study.compound.name} are known "
                "here, and none were given (observed): the model is not validated.",
                warning=True,
            ),
        ]
    rows = tuple(
        (
            LABELS["auc_last"] if metric == "auc" else LABELS["cmax"],
            str(int(row["n"])),
            f"{row['gmfe']:.2f}",
            f"{row['mean_ratio']:.2f}",
            *(f"{100 * row[f'within_{fold}']:.0f} %" for fold in ("1.25", "1.5", "2")),
        )
        for metric, row in errors.iterrows()
    )
    head = ("", "profiles", "GMFE", "geometric mean ratio", "within 1.25", "within 1.5", "within 2")
    n = len(validation.profiles)
    blocks: list[Block] = [
        heading,
        Text(
            "Does the model describe people? Predicted are medians of the virtual people over the "
            "sampling times of each profile. Values of the compound may have been chosen on some "
            "of these profiles; the sources in section 2.2 say where."
        ),
        Table(
            head, rows, f"Predicted over observed exposure of {n} profiles. {_BOUNDS}", study.run
        ),
        _agreement(study, validation),
    ]
    if validation.compared is not None:
        blocks.append(_vpc(study, validation.compared))
    return [*blocks, Text("Every profile stands in the annex.")]


def _annex(study: _Study, validation: Validation | None) -> list[Block]:
    if validation is None:
        return []
    detail = tuple(
        (
            str(r["profile"]),
            str(r["route"]).replace("_", " "),
            number(r["dose_mg"], 3),
            *(number(r[k], 3) for k in ("auc", "auc_predicted", "cmax", "cmax_predicted")),
            _short(str(r["reference"])),
        )
        for r in validation.profiles.to_dict("records")
    )
    columns = (
        "profile",
        "route",
        "dose [mg]",
        "AUC observed [mg*h/L]",
        "AUC predicted",
        "Cmax observed [mg/L]",
        "Cmax predicted",
        "reference",
    )
    source = f"observed: the reference of the row; {study.run}"
    return [Heading("Annex: every profile"), Table(columns, detail, "Profiles", source)]


def _short(reference: str) -> str:
    """An address of PubMed as its number."""
    return re.sub(r"https?://\S*pubmed\S*?/(\d+)/?", r"PMID \1", reference)


def _agreement(study: _Study, validation: Validation) -> Picture:
    from matplotlib.figure import Figure

    from ..plots import goodness_of_fit

    figure = Figure(figsize=(9.0, 4.4), layout="constrained")
    table = validation.profiles
    quantities = (("auc", "AUC", "mg*h/L"), ("cmax", "Cmax", "mg/L"))
    for ax, (key, label, units) in zip(figure.subplots(1, 2), quantities, strict=True):
        groups = [str(r).replace("_", " ") for r in table["route"]]
        goodness_of_fit(
            table[f"{key}_predicted"], table[key], groups=groups, quantity=label, units=units, ax=ax
        )
    caption = (
        "Predicted over observed AUC and Cmax, with the line of identity and the twofold band."
    )
    return picture(figure, caption, study.run)


def _vpc(study: _Study, compared: xr.Dataset) -> Picture:
    from matplotlib.figure import Figure

    from ..plots import visual_predictive_check

    figure = Figure(figsize=(7.4, 4.0), layout="constrained")
    visual_predictive_check(study.sim, compared, ax=figure.subplots())
    references = "; ".join(sorted({_short(str(r)) for r in compared["reference"].values}))
    return picture(
        figure,
        f"Visual predictive check of {study.regimen_text}: doses within 25 % of it.",
        f"observed: {references}; {study.run}",
    )


# ---- 6 sensitivity ------------------------------------------------------------------------------


def _sensitivity(study: _Study, found: Sensitivity) -> list[Block]:
    from matplotlib.figure import Figure

    from ..plots import tornado_plot

    figure: Figure = Figure(figsize=(12.0, 4.6), layout="constrained")
    for ax, metric in zip(figure.subplots(1, 2), ("auc", "cmax"), strict=True):
        tornado_plot(found.elasticities, metric, change=CHANGE, ax=ax)
    run = f"run: estimation.elasticity, reference man, {study.regimen_text}, 0 to {study.hours:g} h"
    blocks: list[Block] = [
        Heading("6 Sensitivity"),
        picture(figure, "What AUC and Cmax depend on: exact derivatives of the model.", run),
    ]
    if found.indices is None:
        return [*blocks, Text("Sobol's indices were not computed: the extra estimate is missing.")]
    rows = []
    for name in found.indices["parameter"].values:
        low, high = found.ranges[str(name)]
        row = [str(name), f"{number(low)} to {number(high)}"]
        for metric in ("auc", "cmax"):
            one = found.indices.sel(parameter=name, metric=metric)
            for kind in ("first", "total"):
                row.append(f"{float(one[kind]):.2f} ± {float(one[f'{kind}_interval']):.2f}")
        rows.append(tuple(row))
    head = ("parameter", "range", "AUC, first", "AUC, total", "Cmax, first", "Cmax, total")
    return [
        *blocks,
        Table(
            head,
            tuple(rows),
            f"Sobol's indices over ±{100 * CHANGE:g} % of the {len(rows)} strongest parameters "
            "(95 % intervals)",
            f"run: estimation.sobol, 256 base samples, seed {study.seed}; Saltelli et al. (2010) "
            "Comput Phys Commun 181:259",
        ),
    ]


# ---- 7 applicability ----------------------------------------------------------------------------


def _evaluation(checks: Sequence[Check], validation: Validation | None) -> str:
    compared = "no observations" if validation is None else f"{len(validation.profiles)} profiles"
    return (
        f"Verification: {len(checks)} checks (section 4). Validation: {compared} (section 5). "
        "Sensitivity: exact derivatives and Sobol's indices (section 6)."
    )


def _outcome(checks: Sequence[Check], errors: pd.DataFrame | None) -> str:
    passed = sum(c.passed for c in checks)
    text = f"{passed} of {len(checks)} checks of the computation passed. "
    if errors is None:
        return text + "The model is not validated here."
    auc, cmax = errors.loc["auc"], errors.loc["cmax"]
    return text + (
        f"GMFE of AUC {auc['gmfe']:.2f}, of Cmax {cmax['gmfe']:.2f}; within 2-fold "
        f"{100 * auc['within_2']:.0f} % and {100 * cmax['within_2']:.0f} %."
    )


def _applicability(
    study: _Study,
    checks: Sequence[Check],
    validation: Validation | None,
    errors: pd.DataFrame | None,
) -> list[Block]:
    worst = max((c for c in checks if "plasma" in c.what), key=lambda c: c.difference)
    exact = [c for c in checks if c.what.startswith("one compartment")]
    inputs = len(study.compound.sources)
    evidence = {
        "software quality assurance": f"pbpk_hybrid {VERSION}, open source; unit, property and "
        "validation tests run on every change",
        "numerical code verification": f"exact solutions, largest difference "
        f"{max(c.difference for c in exact):.1e} (section 4)",
        "discretisation error": "adaptive steps in time; none in space: organs are well stirred",
        "numerical solver error": f"{worst.difference:.1e} against {worst.against} (section 4)",
        "use error": "inputs with units, refused where they cannot be understood; this document is "
        "made by the program, not by hand",
        "model form": "equations and assumptions in section 2; sensitivity in section 6",
        "model inputs": f"{inputs} values of the compound carry a source (section 2.2)",
    }
    if validation is not None and errors is not None:
        table = validation.profiles
        doses = f"{table['dose_mg'].min():g} to {table['dose_mg'].max():g} mg"
        routes = ", ".join(sorted({str(r).replace("_", " ") for r in table["route"]}))
        evidence |= {
            "test samples": f"{len(table)} profiles of {table['reference'].nunique()} references",
            "test conditions": f"single doses, {routes}, {doses}",
            "equivalency of input parameters": "the same compound, physiology and choices as in "
            "the study; doses as given in each profile",
            "output comparison": _outcome([], errors).removeprefix(
                "0 of 0 checks of the computation passed. "
            ),
            "relevance of the quantities of interest": "AUC and Cmax in plasma are compared and "
            "predicted alike",
        }
    blocks: list[Block] = [Heading("7 Applicability"), *_within(study, validation)]
    return [*blocks, factor_table(evidence)]


def _within(study: _Study, validation: Validation | None) -> list[Block]:
    """Whether the dose of the context of use lies within what was compared."""
    if validation is None:
        return []
    c, table = study.regimen.columns, validation.profiles
    amount, route = float(c["amount"][0]), str(c["route"][0])
    same = table[table["route"] == route]
    if same.empty:
        return [Text(f"No profile by this route ({route}) was compared.", warning=True)]
    low, high = same["dose_mg"].min(), same["dose_mg"].max()
    if amount <= 0 or low * 0.999 <= amount <= high * 1.001:
        return [
            Text(
                f"The dose lies within those compared by this route ({low:g} to {high:g} mg, "
                f"{len(same)} profiles)."
            )
        ]
    return [
        Text(
            f"The dose, {amount:g} mg, lies outside of those compared by this route ({low:g} to "
            f"{high:g} mg).",
            warning=True,
        )
    ]


# ---- 8 references -------------------------------------------------------------------------------


def _references(study: _Study, validation: Validation | None) -> list[Block]:
    found = [f"pbpk_hybrid {VERSION}"]
    for key in ("method_reference", "partition_reference", "sources"):
        found += [t.strip() for t in str(study.sim.attrs.get(key, "")).split("; ") if t.strip()]
    if validation is not None:
        found += [_short(str(r)) for r in validation.profiles["reference"]]
    unique = tuple((text,) for text in dict.fromkeys(found) if text)
    again = (
        f"ph.dossier(path, {study.compound.name!r}, {study.regimen_text!r}, people, "
        f"seed={study.seed}{''.join(f', {k}={v!r}' for k, v in study.choices.items())})"
    )
    return [
        Heading("8 References and reproduction"),
        Table(("reference",), unique, "References beside those in section 2.2", "as cited"),
        Text(f"The same again: {again}, with pbpk_hybrid {VERSION}."),
    ]


__all__ = ["dossier"]
