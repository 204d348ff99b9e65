"""A simulation as one HTML page that needs nothing else: figures inside, every
parameter with its source, how to cite.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.basis import basis_in_words
from .._core.errors import InputError
from .._core.files import atomic_path
from ..compounds import Compound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NCA = (
    ("cmax", "Cmax"),
    ("tmax", "tmax"),
    ("auc_last", "AUC to the last time"),
    ("auc_inf_obs", "AUC to infinity"),
    ("auc_tau", "AUC over the interval"),
    ("cavg", "average over the interval"),
    ("ctrough", "trough"),
    ("half_life", "half-life"),
    ("cl", "clearance"),
    ("cl_f", "clearance / F"),
    ("vz", "volume Vz"),
    ("vz_f", "volume Vz / F"),
    ("vss", "volume Vss"),
    ("mrt", "mean residence time"),
)
_COVARIATES = (
    ("age", "age"),
    ("body_weight", "body weight"),
    ("height", "height"),
    ("hematocrit", "hematocrit"),
    ("gfr", "GFR"),
    ("cardiac_output", "cardiac output"),
)
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;margin:.6rem 0;font-size:.92rem}
th,td{padding:.25rem .7rem;border-bottom:1px solid #e4e4e4;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}img{max-width:100%}
.w{background:#fff3cd;border-left:4px solid #d39e00;padding:.5rem 1rem}
code{background:#f4f4f4;padding:.1rem .3rem;overflow-wrap:anywhere}
"""


def write_report(
    path: str | os.PathLike,
    sim: xr.Dataset,
    *,
    compound: Compound | None = None,
    result: xr.Dataset | None = None,
    observed: xr.Dataset | None = None,
    title: str | None = None,
    command: str | None = None,
    kind: str = "band",
) -> Path:
    """Write a report of a simulation.

    Parameters
    ----------
    path
        File name ending in ``.html``; replaced when the new one is whole.
    sim
        Dataset of schema ``simulation``.
    compound
        Its parameters and their sources are listed.
    result
        Noncompartmental analysis of `sim`, see :func:`pbpk_hybrid.nca`.
    observed
        Observations drawn over the curves.
    title
        Heading; None: compound and species.
    command
        The command or call that reproduces `sim`.
    kind
        "band" (median, 5-95 %) or "spaghetti".

    Returns
    -------
    path : the file written; no script, no link to anything that has to be loaded

    Raises
    ------
    InputError
        Another ending, or `sim` is not a simulation.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError("path", str(target), "a name that ends in .html")
    if not isinstance(sim, xr.Dataset) or "concentration" not in sim:
        raise InputError("sim", type(sim).__name__, "a Dataset of schema simulation")
    name = str(sim.attrs.get("compound", "simulation"))
    title = (
        title or f"{name}, {sim.sizes['subject']} virtual {sim.attrs.get('species', '')} subjects"
    )
    parts = [
        f"<h1>{_text(title)}</h1>",
        *_basis(sim),
        *_warnings(sim),
        *_figures(sim, observed, kind),
        *_exposure(result),
        *_people(sim),
        *_compound(compound),
        *_model(sim),
        *_citations(sim, compound),
        *_again(sim, command),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )
    with atomic_path(target) as draft:
        draft.write_text(page, encoding="utf-8")
    return target


def _basis(sim: xr.Dataset) -> list[str]:
    basis = basis_in_words(sim.attrs)
    varied = str(sim.attrs.get("variability", ""))
    between = [f"between people, beside their anatomy: {varied}"] if varied else []
    text = "; ".join([*([basis] if basis else []), *between])
    return [f"<p>Basis: {_text(text)}.</p>"] if text else []


def _warnings(sim: xr.Dataset) -> list[str]:
    lines = []
    failed = int((sim["status"].values != 0).sum()) if "status" in sim else 0
    if failed:
        total = sim.sizes["subject"]
        lines.append(
            f"{failed} of {total} subjects could not be integrated; they are left out of every "
            "figure."
        )
    if "mass_balance_error" in sim:
        worst = float(np.nanmax(np.abs(sim["mass_balance_error"].values)))
        if worst > 1e-6:
            lines.append(f"The mass balance is open by up to {worst:.2g} of the dose.")
    return [f'<p class="w">{_text(line)}</p>' for line in lines]


def _figures(sim: xr.Dataset, observed: xr.Dataset | None, kind: str) -> list[str]:
    from matplotlib.figure import Figure

    from ..plots import organ_panels, profile_figure

    parts = ["<h2>Concentration over time</h2>"]
    if "plasma" in sim["compartment"].values:
        figure = Figure(figsize=(9.2, 3.9), layout="constrained")
        profile_figure(sim, observed, kind=kind, figure=figure)
        parts.append(_image(figure, "plasma concentration over time, linear and logarithmic"))
    others = ("plasma", "blood", "metabolised", "excreted", "urine")
    organs = [str(c) for c in sim["compartment"].values if str(c) not in others]
    if len(organs) > 1:
        figure = Figure(layout="constrained")  # not pyplot's, which would keep it open
        count = len(np.ravel(organ_panels(sim, figure=figure)))
        columns = min(4, count)
        figure.set_size_inches(0.5 + 2.25 * columns, 0.7 + 1.75 * -(-count // columns))
        parts.append(_image(figure, "concentration over time in organs"))
    return parts


def _image(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{_text(alt)}" src="data:image/png;base64,{data}"></p>'


def _exposure(result: xr.Dataset | None) -> list[str]:
    if result is None:
        return []
    from ..results import last_interval

    heading = "noncompartmental analysis"
    if "interval" in result.dims:
        n = result.sizes["interval"]
        result = last_interval(result)
        heading += f", last of {n} dosing intervals"
    given = [
        (name, label)
        for name, label in _NCA
        if name in result and np.isfinite(result[name].values).any()
    ]
    rows = [_median_and_range(label, result[name]) for name, label in given]
    return [
        "<h2>Exposure</h2>",
        _table((heading, "unit", "median", "5 %", "95 %", "n"), rows),
        *_doubts(result),
    ]


def _doubts(result: xr.Dataset) -> list[str]:
    """How many subjects are flagged, and why."""
    if "flag_reasons" not in result:
        return []
    reasons, counts = np.unique(result["flag_reasons"].values.astype(str), return_counts=True)
    lines = [
        f"{c} of {counts.sum()} subjects: {r}" for r, c in zip(reasons, counts, strict=True) if r
    ]
    return [f'<p class="w">{_text(line)}</p>' for line in lines]


def _people(sim: xr.Dataset) -> list[str]:
    rows = [
        _median_and_range(label, sim[name]) for name, label in _COVARIATES if name in sim.coords
    ]
    parts = ["<h2>Subjects</h2>"]
    if "sex" in sim.coords:
        sexes, counts = np.unique(sim["sex"].values.astype(str), return_counts=True)
        parts.append(
            "<p>"
            + _text(", ".join(f"{c} {s}" for s, c in zip(sexes, counts, strict=True)))
            + "</p>"
        )
    return [*parts, _table(("", "unit", "median", "5 %", "95 %", "n"), rows)] if rows else []


def _compound(compound: Compound | None) -> list[str]:
    if compound is None:
        return []
    from ..compounds import compounds_to_dataset

    ds = compounds_to_dataset(compound)
    rows = []
    for name, variable in ds.data_vars.items():
        values = np.ravel(variable.values)
        text = [_show(v) for v in values if not _missing(v)]
        if text and name not in ("name", "sources"):
            rows.append(
                (
                    str(name).replace("_", " "),
                    "; ".join(text[:16]),
                    str(variable.attrs.get("units", "")),
                    str(compound.sources.get(str(name), "")),
                )
            )
    return ["<h2>Compound</h2>", _table(("parameter", "value", "unit", "source"), rows)]


def _model(sim: xr.Dataset) -> list[str]:
    skip = {"Conventions", "schema", "schema_version", "method_reference"}
    rows = [
        (k.replace("_", " "), _show(v)) for k, v in sim.attrs.items() if k not in skip and str(v)
    ]
    if "mass_balance_error" in sim:
        worst = float(np.nanmax(np.abs(sim["mass_balance_error"].values)))
        rows.append(("largest mass balance error", f"{worst:.2g} of the dose"))
    return ["<h2>Model and integration</h2>", _table(("", ""), rows)]


def _citations(sim: xr.Dataset, compound: Compound | None) -> list[str]:
    texts: list[str] = [f"pbpk_hybrid {sim.attrs.get('pbpk_hybrid_version', '')}"]
    texts += [
        str(sim.attrs[k])
        for k in ("method_reference", "partition_reference", "sources")
        if sim.attrs.get(k)
    ]
    if compound is not None:
        # why a basis is the default is a reason, not a work to cite
        texts += [str(s) for k, s in compound.sources.items() if not k.endswith("_basis")]
    unique = list(dict.fromkeys(t.strip() for text in texts for t in text.split("; ") if t.strip()))
    return [
        "<h2>References</h2>",
        "<ul>" + "".join(f"<li>{_text(t)}</li>" for t in unique) + "</ul>",
    ]


def _again(sim: xr.Dataset, command: str | None) -> list[str]:
    if not command:
        return []
    return ["<h2>The same again</h2>", f"<p><code>{_text(command)}</code></p>"]


def _median_and_range(label: str, values: xr.DataArray) -> tuple[str, ...]:
    finite = values.values[np.isfinite(values.values)]
    middle = np.quantile(finite, (0.5, 0.05, 0.95)) if finite.size else (np.nan,) * 3
    return (
        label,
        str(values.attrs.get("units", "")),
        *(f"{v:.4g}" for v in middle),
        str(finite.size),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def cell(value: str) -> str:
        number = (
            value.replace(".", "", 1).replace("-", "").replace("e", "").replace("+", "").isdigit()
        )
        return f'<td class="n">{_text(value)}</td>' if number else f"<td>{_text(value)}</td>"

    top = "<tr>" + "".join(f"<th>{_text(h)}</th>" for h in head) + "</tr>" if any(head) else ""
    return (
        "<table>"
        + top
        + "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
        + "</table>"
    )


def _missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, (float, np.floating)) and not np.isfinite(value))
        or str(value) == ""
    )


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{k} {_show(v)}" for k, v in value.items())
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    return str(value)


def _text(value: Any) -> str:
    """Text from anywhere as text of the page, never as markup."""
    return html.escape(str(value), quote=True)
