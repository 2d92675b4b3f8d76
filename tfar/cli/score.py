"""`tfar score`: computes the log_prob of each row of files that may be larger than memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tfar.cli import table_commands, table_runs, texts
from tfar.cli.errors import reports_errors
from tfar.cli.models import MISSING_HINT
from tfar.cli.options import Columns, Export, Header, Key, parse_columns
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow, silenced
from tfar.cli.rows import Reading, check_no_options, num_frames
from tfar.cli.trained_on import TrainedOn
from tfar.exports import DESCRIPTION, find_export
from tfar.model_files import reading as reading_file

HELP = """Score files of any size with an exported SavedModel: the log_prob of each row, in nats, in constant memory.

If the command is stopped or killed, run it again: it continues and gives the same result as an uninterrupted run. \
Columns of .csv and .parquet files are matched by name with those that the model was trained on, in whatever order they \
stand; a missing column is an error. A table without names is read in its own order.

An empty cell, or NaN in an array, is a value that is not observed, if the model takes any pattern of observed values: the \
score is the log_prob of the others. For other models the log_prob of such a row is NaN, and so is that of a row with \
values outside the support.

A row of a model of texts is a text; one longer than the texts of the model is cut.

OUT is a .csv or .parquet table with the columns row (counted from 0) and log_prob, or a .npy array. It appears under its \
name when it is complete.

For a run of `tfar train table` or its .keras file, DATA is a .csv, .csv.gz or .parquet file with the columns of the model, and \
log_prob is in the units of the data. --explain adds a column for each of them: the surprise of its cell, minus its \
log-density in nats.

[bold]Examples[/]

tfar score runs/adult adult.csv --out scores.csv --explain

tfar score exported/digits rows.npy --out scores.npy

tfar score exported/wine/3 bottles.csv --out scores.csv --columns ph,alcohol

tfar score exported/articles articles.csv --out scores.csv

tfar score exported/logs "logs/*.parquet" --out scores.parquet
"""


@reports_errors
def score(
    export: Export,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A .npy, .npz, .csv or .parquet file, or a quoted pattern. Of a model of texts, a .txt, .tsv, .csv or .parquet "
            "file with the column of the training.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Output file: .csv, .npy or .parquet.")],
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Number of rows scored at once.")] = 1000,
    columns: Columns = None,
    key: Key = None,
    header: Header = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also write the surprise of each cell, for a model of a table.")
    ] = False,
    given: Annotated[
        str,
        typer.Option(
            "--given", help="With --explain: surprise given the columns before, or all others: before, others."
        ),
    ] = "before",
) -> None:
    """Scores files of any size with an exported model, or a table with a run of `tfar train table`."""
    console = make_console()
    if table_runs.is_table(export):
        table_commands.refuse(columns=columns, key=key, header=header)
        table_commands.score(export, data, out, batch_size, given if explain else None, console)
        return
    if explain:
        raise ValueError(
            f"--explain: expected a run of `tfar train table` or a .keras file of its model; received {export}"
        )
    found = find_export(export)
    with reading_file(found.path / DESCRIPTION, "what an export writes"):
        trained = TrainedOn.from_json(found.description.get("data", {}))
        signatures = found.description["signatures"]
        condition = sorted({*signatures["log_prob"]["inputs"]} - {"value"}) if "log_prob" in signatures else None
    if condition is None:
        raise ValueError(
            f"{found.path}: expected an export with the signature log_prob; it has {', '.join(sorted(signatures))}. For "
            "bounds of a model with a latent variable, run tfar evaluate on its run or .keras file"
        )
    if condition and trained.condition is None:
        raise ValueError(
            f"{found.path} needs the input {', '.join(condition)}, which `tfar score` cannot read from "
            "files. In Python, pass tfar.serving.score a tf.data.Dataset of dicts"
        )
    load_tensorflow()
    from tfar import serving

    rows, scored = _opened(data, found.description, trained, Reading(parse_columns(columns), key, header), batch_size)
    if out.exists() and any(out.samefile(path) for path in rows.paths):
        raise ValueError(f"expected --out to be a new file; {out} is one of the files to score")
    try:
        with Bar(console, getattr(rows, "expected_rows", 0)) as bar, silenced():
            done = serving.score(found.path, scored, out, progress=bar.update)
    except KeyboardInterrupt:
        console.print("The scores so far are kept. Run the same command again to continue.")
        raise
    console.print(summary(done))
    if done.num_nan and not found.description.get("any_pattern", False):
        console.print(f"{MISSING_HINT}.")


def _opened(
    data: str, description: Mapping[str, Any], trained: TrainedOn, reading: Reading, batch_size: int
) -> tuple[Any, Any]:
    """Opens the files, and returns them and their batches as the model takes them."""
    if trained.text is not None:
        check_no_options(reading, None, "texts")
        rows: Any = texts.open_rows(data, description, trained, batch_size)
        return rows, rows
    from tfar.data import open_rows
    from tfar.data.columns import matched
    from tfar.data.opening import find_files

    paths, chosen = find_files(data), reading.columns
    if chosen is None and trained.columns is not None:
        chosen = matched(paths, trained.columns, header=reading.header)
    how: dict[str, Any] = {"columns": chosen, "key": reading.key, "header": reading.header}
    how["frames"] = num_frames(paths, description["event_shape"])
    rows = open_rows(data, batch_size=batch_size, condition=trained.label, classes=trained.classes, **how)
    return rows, rows if trained.condition is None else Conditioned(rows, trained.condition["num_classes"])


class Conditioned:
    """Batches of rows with the one-hot labels that are their condition."""

    def __init__(self, rows: Any, num_classes: int) -> None:
        self.rows, self.num_classes, self.identity = rows, num_classes, rows.identity

    def batches(self, skip: int = 0) -> Iterator[dict[str, Any]]:
        """Yields the batches after the first `skip`."""
        from tfar.data.labels import one_hot

        for value, labels in zip(self.rows.batches(skip), self.rows.labels.batches(skip), strict=True):
            yield {"value": value, "conditional_input": one_hot(labels[:, 0], self.num_classes)}


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
