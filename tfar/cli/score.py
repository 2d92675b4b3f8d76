"""`tfar score`: computes the log_prob of each row of files that may be larger than memory."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tfar.cli.errors import reports_errors
from tfar.cli.options import Export
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow, silenced
from tfar.exports import find_export

HELP = """Score files of any size with an exported SavedModel: the log_prob of each row, in nats, in constant memory.

If the command is stopped or killed, run it again: it continues and gives the same result as an uninterrupted run. \
The log_prob of a row with values that are missing, not finite or outside the support is NaN.

OUT is a .csv or .parquet table with the columns row (counted from 0) and log_prob, or a .npy array. It appears under its \
name when it is complete.

[bold]Examples[/]

tfar score exported/digits rows.npy --out scores.npy

tfar score exported/wine/3 bottles.csv --out scores.csv --columns ph,alcohol

tfar score exported/logs "logs/*.parquet" --out scores.parquet
"""


@reports_errors
def score(
    export: Export,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A .npy, .npz, .csv or .parquet file, or a quoted pattern.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Output file: .csv, .npy or .parquet.")],
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Number of rows scored at once.")] = 1000,
    columns: Annotated[
        str | None,
        typer.Option("--columns", help="Names or indices of the columns to use, such as a,b,c. Default: all."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Name of the array in an .npz file.")] = None,
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether a .csv file starts with column names. Default: detected."),
    ] = None,
) -> None:
    """Scores files of any size with an exported model."""
    console = make_console()
    found = find_export(export)
    condition = sorted({*found.description["signatures"]["log_prob"]["inputs"]} - {"value"})
    if condition:
        raise ValueError(
            f"{found.path} needs the input {', '.join(condition)}, which `tfar score` cannot read from "
            "files. In Python, pass tfar.serving.score a tf.data.Dataset of dicts"
        )
    load_tensorflow()
    from tfar import serving
    from tfar.data import open_rows

    rows = open_rows(data, batch_size=batch_size, columns=_columns(columns), key=key, header=header)
    if out.exists() and any(out.samefile(path) for path in rows.paths):
        raise ValueError(f"expected --out to be a new file; {out} is one of the files to score")
    try:
        with Bar(console, rows.expected_rows) as bar, silenced():
            done = serving.score(found.path, rows, out, progress=bar.update)
    except KeyboardInterrupt:
        console.print("The scores so far are kept. Run the same command again to continue.")
        raise
    console.print(summary(done))


class Bar:
    """A progress bar over an estimated number of rows. It appears with the first update."""

    def __init__(self, console: Console, expected_rows: int) -> None:
        from tfar.cli.progress import bar

        self.progress = bar(console)
        self.expected_rows = expected_rows
        self.task: Any = None

    def update(self, rows: int) -> None:
        """Shows that `rows` rows are scored."""
        if self.task is None:  # Rows of an earlier run must not affect the estimated time.
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
    """Returns a sentence with the number of rows, of resumed rows and of rows with the score NaN."""
    earlier = f" ({done.num_resumed:,} of them in an earlier run)" if done.num_resumed else ""
    nan = f"The log_prob of {done.num_nan:,} rows is NaN"
    if done.num_nan:
        nan += (
            f" because of values that are missing, not finite or outside the support; the first is row {done.first_nan}"
        )
    return f"Wrote the log_prob of {done.num_rows:,} rows{earlier} to [bold]{shown(done.path)}[/]. {nan}."


def _columns(text: str | None) -> list[str | int] | None:
    if text is None:
        return None
    return [int(name) if name.isdecimal() else name for name in (part.strip() for part in text.split(","))]
