"""The options that several commands share, and those of `simulate`, as typer sees them.

A command names an option by the type of its parameter, such as ``seed: Seed = None``;
the help text, the unit and the limits are written here once. Options that several commands
take together are a dataclass; see :mod:`.groups`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from .completion import (
    complete_basis,
    complete_compound,
    complete_distribution,
    complete_field,
    complete_hepatic,
    complete_hepatic_model,
    complete_method,
    complete_partition_method,
    complete_phenotype,
    complete_renal,
    complete_special,
    complete_species,
)
from .parsing import number_option

# ---- how the command runs -----------------------------------------------------------------------

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors and warnings.")
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object for a script, and nothing else, on stdout."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Seed of all random draws; none: a new one, reported."),
]

# ---- virtual subjects ---------------------------------------------------------------------------

SubjectCount = Annotated[
    int, typer.Option("--subjects", "-n", min=1, help="Number of virtual subjects.")
]
Species = Annotated[
    str,
    typer.Option(
        help="human, monkey, dog, minipig, rabbit, rat or mouse.", autocompletion=complete_species
    ),
]
Age = Annotated[str | None, typer.Option(help='[year], such as "20-60".')]
Sex = Annotated[str | None, typer.Option(help="female, male, or the fraction of women.")]
BodyWeight = Annotated[str | None, typer.Option(help='[kg], such as "60-90".')]
BMI = Annotated[str | None, typer.Option(help='[kg/m2], such as "18-30".')]
EGFR = Annotated[str | None, typer.Option(help='[mL/min/1.73 m2], such as "30-60".')]
SpecialPopulation = Annotated[
    str | None,
    typer.Option(
        help='In words: "elderly, severe renal impairment", "obese class 3", "children".',
        autocompletion=complete_special,
    ),
]
Renal = Annotated[
    str | None,
    typer.Option(
        help='Renal impairment: mild, moderate, severe, failure, or a GFR "25" [mL/min/1.73 m2].',
        autocompletion=complete_renal,
    ),
]
Hepatic = Annotated[
    str | None,
    typer.Option(help="Cirrhosis of Child-Pugh class A, B or C.", autocompletion=complete_hepatic),
]
Pregnant = Annotated[
    str | None, typer.Option(help='Gestational age [week], such as "30"; women are drawn.')
]
Phenotype = Annotated[
    list[str] | None,
    typer.Option(
        help="Of everybody, such as CYP2D6=poor; again for more.",
        autocompletion=complete_phenotype,
    ),
]
Like = Annotated[
    str | None,
    typer.Option(
        help="Table of people to be like: a CSV file, or text such as "
        "'age: 34 ± 8 (21-52)'; several lines, or separated by ' ; '."
    ),
]
Where = Annotated[
    str | None,
    typer.Option(help="Inclusion criteria, such as '18 <= age < 65 and bmi < 35'."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse a table of --like that people cannot meet.")
]
Generator = Annotated[
    str,
    typer.Option(
        "--generator", help="survey (people of NHANES), or pcdm (the diffusion model; extra learn)."
    ),
]
Extrapolate = Annotated[
    bool,
    typer.Option(
        "--extrapolate",
        help="With pcdm: also ranges without people in the training data; the result is marked.",
    ),
]
Variability = Annotated[
    bool,
    typer.Option(
        help="Let enzyme activity and absorption differ between subjects, not only their anatomy."
    ),
]

# ---- compound and dose --------------------------------------------------------------------------

CompoundName = Annotated[
    str | None,
    typer.Argument(
        help="Name, alias, CAS number or DTXSID of a compound.", autocompletion=complete_compound
    ),
]
CompoundFile = Annotated[
    Path | None, typer.Option(help="YAML or TOML file of a compound of your own.")
]
AbsorptionRate = Annotated[
    str | None,
    typer.Option(
        "--ka", help='First-order absorption rate [1/h], such as "1.2"; replaces the compound\'s.'
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="FIELD=VALUE of the compound, such as fraction_unbound_plasma=3%; again for more.",
        autocompletion=complete_field,
    ),
]
Dose = Annotated[
    str | None,
    typer.Option(
        help='Such as "320 mg oral" or "100 mg iv over 2 h q24h x7"; '
        "none: the usual dose of the published studies."
    ),
]
Observed = Annotated[
    str,
    typer.Option(
        help="What to compare with: published data (auto, none, shipped, osp or cvtdb), or a .csv "
        "of your own with subject, time [h] and concentration [mg/L], units in the header.",
        autocompletion=lambda: ["auto", "none", "shipped", "osp", "cvtdb"],
    ),
]

# ---- model choices ------------------------------------------------------------------------------

Clearance = Annotated[
    str | None,
    typer.Option(
        help="Basis of clearance: in_vivo (literature) or in_vitro (hepatocytes, microsomes) "
        "[default: the compound's own].",
        autocompletion=complete_basis,
    ),
]
Distribution = Annotated[
    str | None,
    typer.Option(
        help="Basis of distribution: predicted (partition method) or in_vivo (scaled to the "
        "measured volume) [default: the compound's own].",
        autocompletion=complete_distribution,
    ),
]
PartitionMethod = Annotated[
    str | None,
    typer.Option(
        help="Method for the partition coefficients.", autocompletion=complete_partition_method
    ),
]
HepaticModel = Annotated[
    str | None,
    typer.Option(
        help="well_stirred, parallel_tube or dispersion.", autocompletion=complete_hepatic_model
    ),
]


@dataclass(frozen=True)
class ModelChoices:
    """Choices of the whole-body model, for ``simulate`` and ``fit``."""

    clearance: Clearance = None
    distribution: Distribution = None
    partition_method: PartitionMethod = None
    hepatic_model: HepaticModel = None

    def keywords(self) -> dict[str, str | None]:
        """Keywords of :func:`pbpk_hybrid.simulate` and of :func:`.whole_body_system`."""
        return asdict(self)


# ---- solver and saved times ---------------------------------------------------------------------

Times = Annotated[
    str | None,
    typer.Option(
        help='[h] "first:last:step" or a list with commas; none: dense after every dose, until '
        "99 % of the AUC is reached in the median subject."
    ),
]
Compartments = Annotated[
    str | None, typer.Option(help='What to save, such as "plasma,liver"; none: all.')
]
Backend = Annotated[
    str, typer.Option(help="auto, embedded, julia, cuda or cuda32 (untested on CUDA).")
]
Method = Annotated[
    str | None,
    typer.Option(
        help="auto, rodas5p, rodas4, rodas4p or expm [default: auto].",
        autocompletion=complete_method,
    ),
]
RelativeTolerance = Annotated[
    float | None,
    typer.Option(parser=number_option("1"), help="Relative tolerance per step [default: 2e-7]."),
]

# ---- what is written ----------------------------------------------------------------------------

FigureKind = Annotated[
    str, typer.Option(help="Figure: band (median, 5-95 %) or spaghetti (a line per subject).")
]
OutFolder = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Folder for the files; or NAME.zarr for a cohort of any size, curves only.",
    ),
]
ReportFile = Annotated[
    Path | None, typer.Option(help="Also write this self-contained HTML report.")
]

# ---- stores: cohorts of any size, in chunks -----------------------------------------------------

Chunk = Annotated[
    int, typer.Option(min=1, help="With NAME.zarr: subjects a worker holds at a time.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="With NAME.zarr: processes [default: one per core].")
]
Scheduler = Annotated[
    str | None, typer.Option(help="With NAME.zarr: address of a dask scheduler to use.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="With NAME.zarr: replace a store that exists.")
]
