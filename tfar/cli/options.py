"""Options and help texts that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RunOrModel = Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="Folder of a training run, or a .keras file.")]
Export = Annotated[
    Path, typer.Argument(metavar="EXPORT", help="Folder of an exported SavedModel, or of one of its versions.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of data sets. Default: the environment variable TFAR_DATA_DIR."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed. The same seed gives the same samples.")]
DATA_HELP = "Name of a data set (digits, mnist_binarized, ...) or path of a .npy, .npz, .csv or .parquet file."
SPLIT_HELP = "train, valid, test or all. Default: test for a named data set, all rows for a file."
OBSERVED_HELP = "The top, bottom, left or right half of an image, or a .npy file of booleans."
