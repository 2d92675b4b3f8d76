"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RunOrModel = Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="Folder of a run, or a .keras file.")]
Export = Annotated[
    Path, typer.Argument(metavar="EXPORT", help="Folder of an exported SavedModel: of all versions, or of one.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of data sets. Default: the environment variable TFAR_DATA_DIR."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same draws.")]
DATA_HELP = "Name of a data set (digits, mnist_binarized, ...) or a .npy, .npz, .csv or .parquet file."
