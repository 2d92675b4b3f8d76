"""`tfar score`: the log_prob of each row of data that do not fit into memory."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tfar.cli.errors import reports_errors
from tfar.cli.options import Export
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow, silenced
from tfar.exports import find_export

HELP = """Score files of any size with an exported SavedModel: the log_prob of each row, in nats, with constant memory.

If it is stopped or killed, the same command goes on where it was; the result is the same as if nothing had happened. \
A row whose values are outside the support, missing or not finite is NaN.

OUT is a .csv or .parquet table of row (counted from 0) and log_prob, or a .npy array; it appears when it is complete.

[bold]Examples[/]

tfar score exported/digits rows.npy --out scores.npy

tfar score exported/wine/3 bottles.csv --out scores.csv --columns ph,alcohol

tfar score exported/logs "logs/*.parquet" --out scores.parquet
"""
WAY_OUT = "`tfar score` reads rows alone: from Python, give tfar.serving.score a tf.data.Dataset of dicts"


@reports_errors
def score(
    export: Export,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A .npy, .npz, .csv or .parquet file, or a quoted pattern of them.")
    ],
    out: Annotated[Path, typer.Option("--out", help=".csv, .npy or .parquet file for the log_prob of each row.")],
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Rows scored at once.")] = 1000,
    columns: Annotated[
        str | None, typer.Option("--columns", help="Names or indices of the columns to take, as a,b,c. Default: all.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Which array of an .npz file.")] = None,
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether a .csv file starts with names. Default: by look."),
    ] = None,
) -> None:
    """Scores data of any size with an export."""
    console = make_console()
    found = find_export(export)
    condition = sorted({*found.description["signatures"]["log_prob"]["inputs"]} - {"value"})
    if condition:
        raise ValueError(f"{found.path} is conditional: expected rows with {', '.join(condition)}; {WAY_OUT}")
    load_tensorflow()
    from tfar import serving
    from tfar.data import open_rows

    rows = open_rows(data, batch_size=batch_size, columns=_columns(columns), key=key, header=header)
    if out.exists() and any(out.samefile(path) for path in rows.paths):
        raise ValueError(f"expected --out beside the data; {out} is one of the files to score")
    try:
        with Bar(console, rows.expected_rows) as bar, silenced():
            done = serving.score(found.path, rows, out, progress=bar.update)
    except KeyboardInterrupt:
        console.print("The rows so far are kept: the same command goes on from there.")
        raise
    console.print(summary(done))


class Bar:
    """A progress bar over rows, which appears when the first are counted.

    Args:
        console: where to draw.
        expected_rows: int. How many rows there seem to be.
    """

    def __init__(self, console: Console, expected_rows: int) -> None:
        from tfar.cli.progress import bar

        self.progress = bar(console)
        self.expected_rows = expected_rows
        self.task: Any = None

    def update(self, rows: int) -> None:
        """Draws that so many rows are done."""
        if self.task is None:  # Begun with the rows of an earlier run, so that they do not count as speed.
            self.task = self.progress.add_task("Scoring", total=self.expected_rows, completed=rows, note="")
        total = max(self.expected_rows, rows)
        self.progress.update(self.task, completed=rows, total=total, note=f"{rows:,} rows")

    def __enter__(self) -> "Bar":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None and self.task is not None:
            rows = self.progress.tasks[self.task].completed
            self.progress.update(self.task, total=max(rows, 1), completed=max(rows, 1))
        self.progress.stop()


def summary(done: Any) -> str:
    """What was scored, and how many rows have no score."""
    earlier = f", {done.num_resumed:,} of them from an earlier run" if done.num_resumed else ""
    nan = f"{done.num_nan:,} are NaN"
    if done.num_nan:
        nan += f", the first of them row {done.first_nan}: outside the support, missing or not finite"
    return f"The log_prob of {done.num_rows:,} rows lies in [bold]{shown(done.path)}[/]{earlier}; {nan}."


def _columns(text: str | None) -> list[str | int] | None:
    if text is None:
        return None
    return [int(name) if name.isdecimal() else name for name in (part.strip() for part in text.split(","))]
