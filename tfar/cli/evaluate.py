"""`tfar evaluate`: scores data with a model."""

import collections
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import Progress
from rich.table import Table

from tfar.cli import audio, masks, models, outputs, rows, runs, texts
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
variables the importance-weighted bound takes the place of the log-likelihood, beside the evidence lower bound (ELBO). A row of \
audio files is a whole recording.

[bold]Examples[/]

tfar evaluate runs/digits --data digits

tfar evaluate runs/wine --data new_bottles.csv --out scores.csv

tfar evaluate made.keras --data rows.npz --split valid

tfar evaluate runs/digits --data digits --observed top

tfar evaluate runs/speakers --data recordings/ --out scores.csv
"""

BATCH_SIZE = 100
# Names of the scores, as the table calls what is minimised.
LABELS = {
    "log_prob": "negative log-likelihood",
    "importance_log_prob": "negative importance-weighted bound",
    "elbo": "negative ELBO",
}


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
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", min=1, help="Number of rows scored at once. Default: 100, or 4 chunks of audio files."
        ),
    ] = None,
    latents: Annotated[
        int,
        typer.Option(
            "--latents",
            min=0,
            help="Number of latents for each row of a model with latent variables; 0: only the ELBO.",
        ),
    ] = 100,
    data_dir: DataDir = None,
) -> None:
    """Scores data with a model."""
    console = make_console()
    runs.find(run_or_model)
    if out is not None:
        outputs.check_out(out, (".csv",))
    load_tensorflow()
    from tfar.cli.progress import bar

    dist, trained = runs.load_dist(run_or_model), runs.trained_on(run_or_model)
    reading = rows.Reading(parse_columns(columns), key, header)
    noun = "recording" if trained.audio is not None else "row" if trained.text is None else "text"
    summary = Summary(noun)
    with bar(console) as progress:
        if trained.text is not None:
            rows.check_no_options(reading, observed, "texts")
            documents, split, is_held_out = texts.open_like(data, split, data_dir, trained)
            scored = texts.scores(dist, documents, split, batch_size or BATCH_SIZE, latents)
            lines = _text_lines(scored, summary, progress)
        elif trained.audio is not None:
            rows.check_no_options(reading, observed, "audio files")
            recordings, split, is_held_out = audio.open_like(data, split, data_dir, trained)
            lines = _recording_lines(dist, audio.scored_chunks(dist, recordings, split, batch_size), summary, progress)
        else:
            event_shape = rows.fixed_shape(dist)
            mask = np.ones(event_shape, bool) if observed is None else masks.observed_mask(observed, event_shape)
            options = (data_dir, batch_size or BATCH_SIZE, trained, reading)
            found = rows.read_rows(data, event_shape, split, *options, prefer_held_out=True)
            split, is_held_out = found.split, found.is_held_out
            lines = _lines(dist, found.batches, mask, summary, progress, found.count, latents)
        heading: Any = next(lines)
        if out is None:
            collections.deque(lines, maxlen=0)
        else:
            outputs.write_table(out, heading, lines)
    console.print(summary.table(shown(f"{run_or_model} on {data} ({split})")))
    if is_held_out:
        console.print(
            f"The model was trained on these data. Only the test {noun}s are scored, which training did not use. "
            f"All {noun}s: --split all"
        )
    if out is not None:
        console.print(f"Wrote the score of each {noun} to [bold]{shown(out)}[/].")


class Summary:
    """Accumulates the scores of batches. `noun` is what one score belongs to: "row" or "recording"."""

    def __init__(self, noun: str) -> None:
        self.noun, self.num_values = noun, 0
        self.scores: dict[str, list[np.ndarray]] = {}

    def add(self, scores: Mapping[str, np.ndarray], num_values: int) -> None:
        """Adds the scores `[B]` by their names, the main one first, of rows with this number of scored values."""
        for name, values in scores.items():
            self.scores.setdefault(name, []).append(values)
        self.num_values += num_values

    def table(self, title: str) -> Table:
        """Returns the table that the command prints, or raises ValueError if no value was observed."""
        if not self.num_values:
            raise ValueError("--observed: expected at least one observed value; received none")
        names, columns = list(self.scores), [np.concatenate(parts) for parts in self.scores.values()]
        scores = columns[0]
        error = float(scores.std(ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan
        result = Table(title=title, title_justify="left", show_header=False)
        result.add_row(f"{self.noun}s", str(len(scores)))
        result.add_row(LABELS[names[0]], f"[bold]{-scores.mean():.4f}[/] nats")
        result.add_row("standard error", f"{error:.4f} nats")
        if self.noun == "text":
            result.add_row("perplexity of a word", f"[bold]{math.exp(-scores.sum() / self.num_values):.1f}[/]")
        result.add_row("bits per dimension", f"{-scores.sum() / self.num_values / math.log(2.0):.4f}")
        for name, values in zip(names[1:], columns[1:], strict=True):
            result.add_row(LABELS[name], f"{-values.mean():.4f} nats")
        return result


def _lines(
    dist: Any,
    batches: Iterable[rows.Batch],
    mask: np.ndarray,
    summary: Summary,
    progress: Progress,
    count: int | None,
    latents: int,
) -> Iterator[Sequence[Any]]:
    """Yields the header of the output file and then (row, score, ...) for each row. Adds every batch to the summary."""
    row = 0
    task = progress.add_task("Scoring", total=count, note="")
    for batch in batches:
        observed = masks.mask_of_rows(mask, row, batch.value.shape) & ~np.isnan(batch.value)
        scores = _scored(dist, batch, observed, row, latents)
        if not row:
            yield "row", *scores
        # A site is scored if all of its values are observed.
        sites = observed.reshape([len(observed), dist.num_sites, -1])
        summary.add(scores, int(sites.all(axis=-1).sum()) * sites.shape[-1])
        yield from ((row + i, *map(float, own)) for i, own in enumerate(zip(*scores.values(), strict=True)))
        row += len(observed)
        progress.update(task, completed=row, note=f"{row} rows")


def _text_lines(
    scored: Iterable[tuple[dict[str, np.ndarray], int]], summary: Summary, progress: Progress
) -> Iterator[Sequence[Any]]:
    """Yields the header of the output file and then (text, score, ...) for each text. Adds every batch to the summary."""
    task, row = progress.add_task("Scoring", total=None, note=""), 0
    for scores, num_words in scored:
        if not row:
            yield "text", *scores
        summary.add(scores, num_words)
        columns = zip(*scores.values(), strict=True)
        yield from ((row + i, *map(float, own)) for i, own in enumerate(columns))
        row += len(next(iter(scores.values())))
        progress.update(task, completed=row, note=f"{row} texts")


def _recording_lines(dist: Any, scored: Any, summary: Summary, progress: Progress) -> Iterator[Sequence[Any]]:
    """Yields the header of the output file and then (file, score) for each recording. Adds every one to the summary."""
    task = progress.add_task("Scoring", total=scored.num_rows, note="")
    yield "file", "log_prob"
    for path, score, count in audio.recording_scores(dist, scored, lambda chunks: progress.advance(task, chunks)):
        summary.add({"log_prob": np.array([score])}, count)
        yield path, score


def _scored(dist: Any, batch: rows.Batch, observed: np.ndarray, first: int, latents: int) -> dict[str, np.ndarray]:
    """Returns the scores `[B]` of a batch whose first row is row `first` of the data, by their names, the main one first."""
    given: dict[str, Any] = {} if batch.condition is None else {"conditional_input": batch.condition}
    if dist.num_latents:  # Every row has latents of its own.
        given |= {"seed": first, "num_samples": latents}
    try:
        result = dist.evaluate(batch.value, observed=None if observed.all() else observed, **given)
    except ValueError as error:
        hint = f" An empty cell is not observed. {models.MISSING_HINT}." if np.isnan(batch.value).any() else ""
        raise ValueError(f"{error}{hint} (The first row of this batch is row {first} of the data.)") from error
    if "nll" in result:
        result = {"log_prob": -result["nll"]}
    scores = {name: np.asarray(result[name], np.float64) for name in LABELS if name in result}
    for name, values in scores.items():
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            raise ValueError(
                f"expected a number as the {name} of row {first + missing[0]} (counted from 0); received NaN"
            )
    return scores
