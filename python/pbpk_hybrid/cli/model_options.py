"""How the model is built: the options that `simulate` and `fit` share."""

from __future__ import annotations

from typing import Annotated

import typer

Clearance = Annotated[
    str | None,
    typer.Option(
        help="Basis of clearance: in_vivo (literature) or in_vitro (hepatocytes, microsomes) "
        "[default: the compound's own]."
    ),
]
Distribution = Annotated[
    str | None,
    typer.Option(
        help="Basis of distribution: predicted (partition method) or in_vivo (scaled to the measured "
        "volume) [default: the compound's own]."
    ),
]
PartitionMethod = Annotated[str | None, typer.Option(help="Method for the partition coefficients.")]
HepaticModel = Annotated[
    str | None, typer.Option(help="well_stirred, parallel_tube or dispersion.")
]
