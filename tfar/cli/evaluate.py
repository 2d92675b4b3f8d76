"""`tfar evaluate`: what a model makes of rows it has not seen."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from tfar.cli import rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import DATA_HELP, DataDir, RunOrModel
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow

HELP = """Score data: negative log-likelihood in nats with its standard error, and bits per dimension.

[bold]Examples[/]

tfar evaluate runs/digits --data digits

tfar evaluate runs/wine --data new_bottles.csv --out scores.csv

tfar evaluate made.keras --data rows.npz --split valid
"""


@reports_errors
def evaluate(
    run_or_model: RunOrModel,
    data: Annotated[str, typer.Option("--data", help=DATA_HELP)],
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, valid, test or all. Default: test of a named set, all rows of a file."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file for the log_prob of each row.")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Rows scored at once.")] = 100,
    data_dir: DataDir = None,
) -> None:
    """Scores data with a model."""
    console = make_console()
    runs.find(run_or_model)
    if out is not None:
        rows.check_out(out, (".csv",))
    load_tensorflow()
    dist = runs.load_dist(run_or_model)
    batches, count, split = rows.read_rows(data, tuple(dist.event_shape), split, data_dir, batch_size)
    scores: list[np.ndarray] = []
    scored = _score(dist, batches, count, scores, console)
    if out is None:
        for _ in scored:
            pass
    else:
        rows.write_table(out, ["row", "log_prob"], scored)
    console.print(table(np.concatenate(scores), dist, shown(f"{run_or_model} on {data} ({split})")))
    if out is not None:
        console.print(f"The log_prob of each row lies in [bold]{shown(out)}[/].")


def _score(
    dist: Any, batches: Any, count: int | None, scores: list[np.ndarray], console: Console
) -> Iterator[tuple[int, float]]:
    """Gives (row, log_prob) as they are computed, and keeps the scores."""
    from tfar.cli.progress import bar

    row = 0
    with bar(console) as progress:
        task = progress.add_task("Scoring", total=count, note="")
        for batch in batches:
            scores.append(np.asarray(_log_prob(dist, batch, row), np.float64))
            yield from ((row + i, float(score)) for i, score in enumerate(scores[-1]))
            row += len(batch)
            progress.update(task, completed=row, note=f"{row} rows")


def _log_prob(dist: Any, batch: np.ndarray, first: int) -> Any:
    try:
        return dist.log_prob(batch)
    except ValueError as error:
        raise ValueError(f"{error} (Rows are counted from row {first} of the data.)") from error


def table(scores: np.ndarray, dist: Any, title: str) -> Table:
    """The summary of scores `[N]`."""
    nll, error = (
        -float(scores.mean()),
        float(scores.std(ddof=1) / math.sqrt(len(scores))) if len(scores) > 1 else math.nan,
    )
    dims = math.prod(dist.event_shape)
    result = Table(title=title, title_justify="left", show_header=False)
    result.add_row("rows", str(len(scores)))
    result.add_row("negative log-likelihood", f"[bold]{nll:.4f}[/] nats")
    result.add_row("standard error", f"{error:.4f} nats")
    result.add_row("bits per dimension", f"{nll / dims / math.log(2.0):.4f}")
    return result
