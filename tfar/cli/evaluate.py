"""`tfar evaluate`: scores data with a model."""

import collections
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import Progress
from rich.table import Table

from tfar.cli import rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import DATA_HELP, OBSERVED_HELP, SPLIT_HELP, DataDir, RunOrModel
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow

HELP = """Score data: negative log-likelihood in nats with its standard error, and bits per dimension.

Bits per dimension are the bits of all rows divided by the number of observed values in these rows.

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
    split: Annotated[str | None, typer.Option("--split", help=SPLIT_HELP)] = None,
    observed: Annotated[
        str | None, typer.Option("--observed", help=f"Score only the observed values. {OBSERVED_HELP}")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file for the log_prob of each row.")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Number of rows scored at once.")] = 100,
    data_dir: DataDir = None,
) -> None:
    """Scores data with a model."""
    console = make_console()
    runs.find(run_or_model)
    if out is not None:
        rows.check_out(out, (".csv",))
    load_tensorflow()
    from tfar.cli.progress import bar

    dist = runs.load_dist(run_or_model)
    event_shape = tuple(dist.event_shape)
    mask = np.ones(event_shape, bool) if observed is None else rows.observed_mask(observed, event_shape)
    batches, count, split = rows.read_rows(data, event_shape, split, data_dir, batch_size)
    summary = Summary()
    with bar(console) as progress:
        scores = _scores(dist, batches, mask, summary, progress, count)
        if out is None:
            collections.deque(scores, maxlen=0)
        else:
            rows.write_table(out, ["row", "log_prob"], scores)
    console.print(summary.table(shown(f"{run_or_model} on {data} ({split})")))
    if out is not None:
        console.print(f"Wrote the log_prob of each row to [bold]{shown(out)}[/].")


class Summary:
    """Accumulates the scores of batches.

    Attributes:
        log_probs: list of float64 `[B]`, one for each batch.
        num_values: int. Number of observed values in all rows. A site of several values counts as several.
    """

    def __init__(self) -> None:
        self.log_probs: list[np.ndarray] = []
        self.num_values = 0

    def add(self, log_prob: np.ndarray, observed: np.ndarray) -> None:
        """Adds the scores `[B]` of rows of which the values `observed`, bool `[B, *event_shape]`, were scored."""
        self.log_probs.append(log_prob)
        self.num_values += int(observed.sum())

    def table(self, title: str) -> Table:
        """Returns the table that the command prints.

        Raises:
            ValueError: If no value was observed.
        """
        if not self.num_values:
            raise ValueError("--observed: expected at least one observed value; received none")
        scores = np.concatenate(self.log_probs)
        error = float(scores.std(ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan
        result = Table(title=title, title_justify="left", show_header=False)
        result.add_row("rows", str(len(scores)))
        result.add_row("negative log-likelihood", f"[bold]{-scores.mean():.4f}[/] nats")
        result.add_row("standard error", f"{error:.4f} nats")
        result.add_row("bits per dimension", f"{-scores.sum() / self.num_values / math.log(2.0):.4f}")
        return result


def _scores(
    dist: Any, batches: Iterable[np.ndarray], mask: np.ndarray, summary: Summary, progress: Progress, count: int | None
) -> Iterator[tuple[int, float]]:
    """Yields (row, log_prob) for each row and adds every batch to the summary."""
    row = 0
    task = progress.add_task("Scoring", total=count, note="")
    for batch in batches:
        observed = rows.mask_of_rows(mask, row, batch.shape)
        log_prob = _log_prob(dist, batch, observed, row)
        summary.add(log_prob, observed)
        yield from ((row + i, float(score)) for i, score in enumerate(log_prob))
        row += len(batch)
        progress.update(task, completed=row, note=f"{row} rows")


def _log_prob(dist: Any, batch: np.ndarray, observed: np.ndarray, first: int) -> np.ndarray:
    """Returns the log-likelihood `[B]` of a batch whose first row is row `first` of the data."""
    try:
        log_prob = np.asarray(dist.log_prob(batch, observed=None if observed.all() else observed), np.float64)
    except ValueError as error:
        raise ValueError(f"{error} (The first row of this batch is row {first} of the data.)") from error
    missing = np.flatnonzero(np.isnan(log_prob))
    if len(missing):
        raise ValueError(
            f"expected a log_prob that is a number; the model gives NaN for row {first + missing[0]} (counted from 0)"
        )
    return log_prob
