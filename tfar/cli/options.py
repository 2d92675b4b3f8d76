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
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Names or indices of the columns of a table to use, such as a,b,c. Default: all in `tfar train`, and in other "
        "commands the columns that the model was trained on.",
    ),
]
Key = Annotated[str | None, typer.Option("--key", help="Name of the array of rows in an .npz file.")]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether a .csv file starts with column names. Default: detected."),
]
DATA_HELP = (
    "Name of a data set (digits, ...), path of a .npy, .npz, .csv or .parquet file, quoted pattern of such files, folder of "
    ".png or audio files, or for models of texts a .txt, .tsv, .csv or .parquet file."
)
SPLIT_HELP = "Rows to take: train, valid, test or all. Default: test for a named data set, all for files."

OBSERVED_HELP = "The top, bottom, left or right half of an image, or a .npy file of booleans."


def parse_columns(text: str | None) -> list[str | int] | None:
    """Parses the value of `--columns`.

    Example:
        >>> parse_columns("ph, 2")
        ['ph', 2]
    """
    if text is None:
        return None
    return [int(name) if name.isdecimal() else name for name in (part.strip() for part in text.split(","))]
