"""`tfar compress` and `tfar decompress`: store rows in few bytes, without loss, by the conditionals of a model."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tfar import files
from tfar.cli import outputs, rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import DATA_HELP, SPLIT_HELP, Columns, DataDir, Header, Key, RunOrModel, parse_columns
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow
from tfar.optional import require

HELP = """Compress rows without loss by the probabilities that a model gives them.

The weights of the model are rounded first (see --bits), such that every machine computes the same probabilities. \
[bold]tfar decompress[/] needs the same model. It is checked: another model is an error.

The models are made of one mask, pixel_cnn, gated_pixel_cnn and wavenet, of bits or of one-hot classes; networks of several \
blocks need --max-activation. With --no-freeze also others of whole numbers, and darn; the file can then be read only on the \
same machine with the same versions.

[bold]Examples[/]

tfar compress runs/digits digits --split test --out digits.tfar

tfar compress made.keras rows.npy --out rows.tfar --bits 6
"""
DECOMPRESS_HELP = """Restore the rows of a file that [bold]tfar compress[/] wrote, with the same model.

[bold]Examples[/]

tfar decompress runs/digits digits.tfar --out digits.npy

tfar decompress made.keras rows.tfar --out rows.csv
"""


@reports_errors
def compress(
    run_or_model: RunOrModel,
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output file.")],
    bits: Annotated[
        int, typer.Option("--bits", min=1, help="Binary digits of the weights after the point; see tfar.coding.freeze.")
    ] = 8,
    max_activation: Annotated[
        float | None, typer.Option("--max-activation", help="Cut larger values of hidden units. Default: none.")
    ] = None,
    freeze: Annotated[
        bool, typer.Option("--freeze/--no-freeze", help="Round the weights, such that every machine reads the file.")
    ] = True,
    chunk_rows: Annotated[int | None, typer.Option("--chunk-rows", min=1, help="Rows that are coded together.")] = None,
    columns: Columns = None,
    key: Key = None,
    header: Header = None,
    split: Annotated[str | None, typer.Option("--split", help=SPLIT_HELP)] = None,
    data_dir: DataDir = None,
) -> None:
    """Compresses rows."""
    console = make_console()
    runs.find(run_or_model)
    require("constriction", "coding")
    load_tensorflow()
    from tfar import coding

    dist = _load(run_or_model)
    if freeze:
        dist = coding.freeze(dist, bits, max_activation)
    reading = rows.Reading(parse_columns(columns), key, header)
    trained, shape = runs.trained_on(run_or_model), rows.fixed_shape(dist)
    opened = rows.read_rows(data, shape, split, data_dir, 1000, trained, reading)
    value = np.concatenate([batch.value for batch in opened.batches])
    with console.status(f"Compressing {len(value):,} rows"):
        blob = coding.compress(dist, value, chunk_rows=chunk_rows)
    files.write_bytes(out, blob)
    per_row = 8 * len(blob) / max(len(value), 1)
    console.print(
        f"Wrote {len(value):,} rows in {len(blob):,} bytes ({per_row:.1f} bits a row) to [bold]{shown(out)}[/]."
    )


@reports_errors
def decompress(
    run_or_model: RunOrModel,
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `tfar compress` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output file: .npy or .csv.")],
) -> None:
    """Restores compressed rows."""
    console = make_console()
    runs.find(run_or_model)
    outputs.check_out(out, (".npy", ".csv"))
    require("constriction", "coding")
    blob = archive.read_bytes()
    load_tensorflow()
    from tfar import coding
    from tfar.coding.archive import Archive

    found = Archive.from_bytes(blob)
    dist = _load(run_or_model)
    if found.bits:
        dist = coding.freeze(dist, found.bits, found.max_activation or None)
    with console.status(f"Decompressing {found.num_rows:,} rows"):
        value = coding.decompress(dist, blob)
    outputs.write_array(out, value, dist.head.discrete, runs.trained_on(run_or_model).columns)
    console.print(f"Wrote {len(value):,} rows of shape {value.shape[1:]} to [bold]{shown(out)}[/].")


def _load(run_or_model: Path) -> Any:
    """Loads the distribution of a run or file, which must not need a condition."""
    dist = runs.load_dist(run_or_model)
    if dist.conditional_shape is not None:
        raise ValueError(
            "the model has a condition, which is not stored with the rows; in Python, pass tfar.coding.compress and "
            "tfar.coding.decompress a conditional_input"
        )
    return dist
