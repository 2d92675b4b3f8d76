"""`tfar evaluate`: scores data with a model."""

import collections
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import Progress
from rich.table import Table

from tfar.cli import masks, models, outputs, rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import (
    DATA_HELP,
    OBSERVED_HELP,
    SPLIT_HELP,
    Columns,
    DataDir,
    Header,
    Key,
    RunOrModel,
    parse_columns,
)
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow

HELP = """Score data: negative log-likelihood in nats with its standard error, and bits per dimension.

Of the file that the model was trained on, only the test rows are scored by default, which training did not use; pass \
--split all for all rows. Columns of a table are matched by name. An empty cell is a value that is not observed.

Bits per dimension are the bits of all rows divided by the number of observed values in these rows. For a model with latent \
variables the evidence lower bound (ELBO) takes the place of the log-likelihood.

[bold]Examples[/]

tfar evaluate runs/digits --data digits

tfar evaluate runs/wine --data new_bottles.csv --out scores.csv

tfar evaluate made.keras --data rows.npz --split valid

tfar evaluate runs/digits --data digits --observed top
"""


@reports_errors
def evaluate(
    run_or_model: RunOrModel,
    data: Annotated[str, typer.Option("--data", help=DATA_HELP)],
    split: Annotated[
        str | None, typer.Option("--split", help=f"{SPLIT_HELP} Of the file of the training: test.")
    ] = None,
    columns: Columns = None,
    key: Key = None,
    header: Header = None,
    observed: Annotated[
        str | None, typer.Option("--observed", help=f"Score only the observed values. {OBSERVED_HELP}")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file for the score of each row.")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Number of rows scored at once.")] = 100,
    data_dir: DataDir = None,
) -> None:
    """Scores data with a model."""
    console = make_console()
    runs.find(run_or_model)
    if out is not None:
        outputs.check_out(out, (".csv",))
    load_tensorflow()
    from tfar.cli.progress import bar

    dist = runs.load_dist(run_or_model)
    event_shape = tuple(dist.event_shape)
    mask = np.ones(event_shape, bool) if observed is None else masks.observed_mask(observed, event_shape)
    reading = rows.Reading(parse_columns(columns), key, header)
    trained = runs.trained_on(run_or_model)
    found = rows.read_rows(data, event_shape, split, data_dir, batch_size, trained, reading, prefer_held_out=True)
    summary = Summary(dist.num_sites)
    with bar(console) as progress:
        lines = _lines(dist, found.batches, mask, summary, progress, found.count)
        heading: Any = next(lines)
        if out is None:
            collections.deque(lines, maxlen=0)
        else:
            outputs.write_table(out, heading, lines)
    console.print(summary.table(shown(f"{run_or_model} on {data} ({found.split})")))
    if found.is_held_out:
        console.print(
            "The model was trained on this file: these are its test rows, which training did not use. All rows: --split all"
        )
    if out is not None:
        console.print(f"Wrote the score of each row to [bold]{shown(out)}[/].")


class Summary:
    """Accumulates the scores of batches for a model of `num_sites` sites; a site of several values counts as several values."""

    def __init__(self, num_sites: int) -> None:
        self.num_sites, self.name, self.num_values = num_sites, "log_prob", 0
        self.scores: list[np.ndarray] = []

    def add(self, name: str, scores: np.ndarray, observed: np.ndarray) -> None:
        """Adds the scores `[B]` of rows with the observed values `observed`, bool `[B, *event_shape]`."""
        self.name = name
        self.scores.append(scores)
        # A site is scored if all of its values are observed.
        sites = observed.reshape([len(observed), self.num_sites, -1])
        self.num_values += int(sites.all(axis=-1).sum()) * sites.shape[-1]

    def table(self, title: str) -> Table:
        """Returns the table that the command prints, or raises ValueError if no value was observed."""
        if not self.num_values:
            raise ValueError("--observed: expected at least one observed value; received none")
        scores = np.concatenate(self.scores)
        error = float(scores.std(ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan
        result = Table(title=title, title_justify="left", show_header=False)
        result.add_row("rows", str(len(scores)))
        label = "negative log-likelihood" if self.name == "log_prob" else "negative ELBO"
        result.add_row(label, f"[bold]{-scores.mean():.4f}[/] nats")
        result.add_row("standard error", f"{error:.4f} nats")
        result.add_row("bits per dimension", f"{-scores.sum() / self.num_values / math.log(2.0):.4f}")
        return result


def _lines(
    dist: Any, batches: Iterable[rows.Batch], mask: np.ndarray, summary: Summary, progress: Progress, count: int | None
) -> Iterator[Sequence[Any]]:
    """Yields the header of the output file and then (row, score) for each row. Adds every batch to the summary."""
    row = 0
    task = progress.add_task("Scoring", total=count, note="")
    for batch in batches:
        observed = masks.mask_of_rows(mask, row, batch.value.shape) & ~np.isnan(batch.value)
        name, scores = _scored(dist, batch, observed, row)
        if not row:
            yield "row", name
        summary.add(name, scores, observed)
        yield from ((row + i, float(score)) for i, score in enumerate(scores))
        row += len(scores)
        progress.update(task, completed=row, note=f"{row} rows")


def _scored(dist: Any, batch: rows.Batch, observed: np.ndarray, first: int) -> tuple[str, np.ndarray]:
    """Returns "log_prob" or "elbo" and the scores `[B]` of a batch whose first row is row `first` of the data."""
    try:
        condition = {} if batch.condition is None else {"conditional_input": batch.condition}
        result = dist.evaluate(batch.value, observed=None if observed.all() else observed, **condition)
    except ValueError as error:
        hint = f" An empty cell is not observed. {models.MISSING_HINT}." if np.isnan(batch.value).any() else ""
        raise ValueError(f"{error}{hint} (The first row of this batch is row {first} of the data.)") from error
    name, scores = ("elbo", result["elbo"]) if "elbo" in result else ("log_prob", -result["nll"])
    scores = np.asarray(scores, np.float64)
    missing = np.flatnonzero(np.isnan(scores))
    if len(missing):
        raise ValueError(f"expected a number as the {name} of row {first + missing[0]} (counted from 0); received NaN")
    return name, scores
