"""What ``pbpk-hybrid simulate`` writes and prints."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.basis import basis_in_words
from .terminal import console, rows_of, staged_folder, write_table

if TYPE_CHECKING:
    import xarray as xr

    from ..compounds import Compound
    from .simulate import OutputOptions

#: [%] of the AUC; above it the summary warns that AUC(0-inf) is mostly extrapolation
EXTRAPOLATED_NOTE = 20


@dataclass(frozen=True)
class Results:
    """Curves, analysis and the observations they are compared with."""

    sim: xr.Dataset
    nca: xr.Dataset | None  # None: no plasma, or no dose
    compared: xr.Dataset | None  # None: nothing published of this dose and route
    dose: str
    observations_known: bool
    remarks: tuple[str, ...] = ()  # of the compound's values

    @property
    def title(self) -> str:
        """Compound, dose and number of subjects that were integrated."""
        n = int((self.sim["status"].values == 0).sum())
        compound, species = (self.sim.attrs.get(name, "") for name in ("compound", "species"))
        return f"{compound}, {self.dose}, {n} virtual {species} subject{'s' if n != 1 else ''}"

    def facts(self, files: list[Path]) -> dict[str, Any]:
        """What the summary says, for ``--json``."""
        from ..results import last_interval, nca_summary

        attrs, status = self.sim.attrs, self.sim["status"].values
        balance = self.sim.get("mass_balance_error")
        names = ("compound", "species", "variability", "backend", "method", "seed", "special")
        return {
            "title": self.title,
            "dose": self.dose,
            **{name: attrs[name] for name in names if name in attrs},
            "basis": basis_in_words(attrs),
            "subjects": int(status.size),
            "failed": int((status != 0).sum()),
            "times_h": [float(self.sim["time"][0]), float(self.sim["time"][-1])],
            "largest_mass_balance_error": None if balance is None else float(abs(balance).max()),
            "nca": None if self.nca is None else rows_of(nca_summary(last_interval(self.nca))),
            "remarks": list(self.remarks),
            "compared_samples": 0 if self.compared is None else self.compared.sizes["sample"],
            "files": [str(file) for file in files],
        }


def write_results(results: Results, compound: Compound, output: OutputOptions) -> list[Path]:
    """Write all files of the command; returns their paths."""
    files = _write_folder(results, output.kind, output.out)
    if output.report is None:
        return files
    from ..report.html import write_report

    report = write_report(
        output.report,
        results.sim,
        compound=compound,
        result=results.nca,
        observed=results.compared,
        kind=output.kind,
        title=results.title,
        command=_command(sys.argv),
    )
    return [*files, report]


def _write_folder(results: Results, kind: str, out: Path) -> list[Path]:
    from matplotlib.figure import Figure

    from ..plots import profile_figure, save_figure
    from ..results import save_results

    with staged_folder(out) as folder:
        save_results(results.sim, folder / "simulation.nc")
        names = ["simulation.nc"]
        if results.nca is not None:
            write_table(results.nca.to_dataframe(), folder / "nca.csv")
            # a Figure of its own, so that no window system is asked for
            figure = Figure(figsize=(9.2, 3.9), layout="constrained")
            profile_figure(
                results.sim, results.compared, kind=kind, title=results.title, figure=figure
            )
            save_figure(figure, folder / "profile.png")
            names += ["nca.csv", "profile.png"]
    return [out / name for name in names]


def _command(arguments: list[str]) -> str:
    return " ".join(["pbpk-hybrid", *map(shlex.quote, arguments[1:])])


def print_summary(results: Results, files: list[Path]) -> None:
    """Print title, tables, what was compared, which times were saved and which files written."""
    from ..results import simulation_table
    from .study import credit

    screen = console()
    screen.print(results.title, style="bold", soft_wrap=True)
    screen.print(simulation_table(results.sim))
    if results.nca is not None:
        _print_nca(screen, results.nca)
    for remark in results.remarks:
        screen.print(remark, soft_wrap=True)
    if results.compared is not None:
        screen.print(f"compared with {credit(results.compared)}", soft_wrap=True)
    elif results.observations_known:
        screen.print("published observations are known, but none of this dose and route")
    if "time_grid" in results.sim.attrs:
        screen.print(
            f"times: {results.sim.attrs['time_grid']} (--times for others)", soft_wrap=True
        )
    screen.print("written: " + ", ".join(map(str, files)), soft_wrap=True)


def _print_nca(screen, result: xr.Dataset) -> None:
    from ..results import nca_table

    screen.print(nca_table(result, title="plasma, noncompartmental analysis"))
    if "auc_extrapolated_obs" not in result:
        return
    percent = float(result["auc_extrapolated_obs"].median())
    if percent > EXTRAPOLATED_NOTE:
        screen.print(
            f"{percent:.0f} % of the AUC is extrapolated in the median subject: take AUC(0-inf), "
            "t1/2 and what follows from them with care, or simulate longer (--times)",
            soft_wrap=True,
        )
