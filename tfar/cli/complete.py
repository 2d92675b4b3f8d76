"""`tfar complete`: samples the missing values of rows."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tfar.cli import masks, models, outputs, rows, runs, table_commands, table_runs, texts
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
    Seed,
    parse_columns,
)
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow
from tfar.cli.trained_on import TrainedOn, located

HELP = """Sample the missing values of rows, given their observed values.

The order of the model must put the observed values first. A model with order "natural" can complete an image of which \
the top is observed, and one with order "reverse" an image of which the bottom is observed. A model that was trained with \
--order random --num-masks fresh can complete any pattern, and so can orderless_nade, conv_nade, \
any_order_transformer and cf_nade.

A model of texts continues them: each text of the data is a beginning. A .txt file holds the completions of a text below each \
other.

Without --observed, the values that are missing in the data are completed: empty cells of a table, or NaN in an array.

With a run of `tfar train table`, the missing cells of a .csv, .csv.gz or .parquet file are completed; several completions of \
the rows stand one after the other, numbered in the column draw.

[bold]Examples[/]

tfar complete runs/adult --data with_empty_cells.csv --out completed.csv

tfar complete runs/digits --data digits --observed top --rows 8 --num-samples 4 --out completed.png

tfar complete runs/videos --data videos/ --observed first_frames.npy --rows 4 --num-samples 3 --out completed.gif

tfar complete runs/any_order --data photos.npy --observed left --out completed.npy

tfar complete runs/wine --data with_empty_cells.csv --out completed.csv

tfar complete runs/wine --data partial.csv --observed observed.npy --out completed.csv

tfar complete runs/articles --data beginnings.txt --length 30 --num-samples 3 --out completed.txt
"""


@reports_errors
def complete(
    run_or_model: RunOrModel,
    data: Annotated[str, typer.Option("--data", help=DATA_HELP)],
    out: Annotated[
        Path, typer.Option("--out", help="Output file: .npy, .csv, .png for images, .gif for videos, .txt for texts.")
    ],
    observed: Annotated[
        str | None,
        typer.Option(
            "--observed", help=f"Which values are observed. {OBSERVED_HELP} Default: those that are not missing."
        ),
    ] = None,
    columns: Columns = None,
    key: Key = None,
    header: Header = None,
    num_samples: Annotated[int, typer.Option("--num-samples", min=1, help="Number of completions of each row.")] = 1,
    num_rows: Annotated[
        int | None,
        typer.Option("--rows", min=1, help="Complete only the first rows. Default: all rows, or 10 for a picture."),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option("--length", min=1, help="Number of words of a completed text, of a model of texts of any length."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help=SPLIT_HELP)] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
) -> None:
    """Samples the values that are not observed."""
    console = make_console()
    if table_runs.is_table(run_or_model):
        table_commands.refuse(observed=observed, columns=columns, key=key, header=header, split=split)
        table_commands.complete(run_or_model, located(data, data_dir), out, num_samples, num_rows, seed, console)
        return
    runs.find(run_or_model)
    outputs.check_out(out, (".npy", ".csv", ".png", ".gif", ".txt"))
    load_tensorflow()
    dist, trained = runs.load_dist(run_or_model), runs.trained_on(run_or_model)
    reading = rows.Reading(parse_columns(columns), key, header)
    if trained.text is not None:
        rows.check_no_options(reading, observed, "texts")
        if split is not None:
            raise ValueError(f"--split: expected a table or images; received texts and {split}")
        outputs.check_out(out, (".npy", ".txt"))
        beginnings = texts.beginnings(data, data_dir, trained, dist, length, num_rows)
        with console.status(f"Completing {len(beginnings[0])} texts"):
            drawn = np.asarray(dist.complete(*beginnings, num_samples=num_samples, seed=seed))
        _write_texts(out, drawn, trained)
        console.print(f"Wrote {num_samples} completion(s) of {drawn.shape[1]} texts to [bold]{shown(out)}[/].")
        return
    if length is not None:
        raise ValueError(f"--length: expected a model of texts; received {type(dist).__name__}")
    event_shape = rows.fixed_shape(dist)
    outputs.check_out(out, (".npy", ".csv", ".png", ".gif"))
    outputs.check_out(out, (out.suffix,), event_shape)
    mask = np.ones(event_shape, bool) if observed is None else masks.observed_mask(observed, event_shape)
    count = num_rows or (10 if out.suffix in outputs.SHOWN else None)
    found = _first(rows.read_rows(data, event_shape, split, data_dir, 100, trained, reading).batches, count)
    mask = masks.mask_of_rows(mask, 0, found.value.shape) & ~np.isnan(found.value)
    if mask.all():
        raise ValueError(f"every value of {data} is observed: expected --observed, or data with missing values")
    with console.status(f"Completing {len(mask)} rows"):
        drawn = _completed(dist, found, mask, num_samples, seed)
    _write(out, found.value, mask, drawn, dist, trained.columns)
    console.print(f"Wrote {num_samples} completion(s) of {len(mask)} rows to [bold]{shown(out)}[/].")


def _first(batches: Iterable[rows.Batch], count: int | None) -> rows.Batch:
    """Returns the first `count` rows of the batches, or all rows if `count` is None."""
    values, conditions = [], []
    for batch in batches:
        values.append(batch.value)
        if batch.condition is not None:
            conditions.append(batch.condition)
        if count is not None and sum(map(len, values)) >= count:
            break
    return rows.Batch(np.concatenate(values)[:count], np.concatenate(conditions)[:count] if conditions else None)


def _completed(dist: Any, batch: rows.Batch, mask: np.ndarray, num_samples: int, seed: int) -> np.ndarray:
    """Returns completions `[num_samples, N, ...]`."""
    condition = {} if batch.condition is None else {"conditional_input": batch.condition}
    try:
        return np.asarray(dist.complete(batch.value, mask, num_samples=num_samples, seed=seed, **condition))
    except ValueError as error:
        hint = f" An empty cell is not observed. {models.MISSING_HINT}." if np.isnan(batch.value).any() else ""
        raise ValueError(f"{error}{hint}") from error


def _write_texts(out: Path, drawn: np.ndarray, trained: TrainedOn) -> None:
    """Writes completions `[num_samples, N, words]`. In a .txt file those of a text are below each other."""
    if out.suffix == ".txt":
        texts.write(out, np.swapaxes(drawn, 0, 1).reshape([-1, drawn.shape[-1]]), trained)
    else:
        outputs.write_array(out, drawn[0] if len(drawn) == 1 else drawn, discrete=True)


def _write(out: Path, values: np.ndarray, mask: np.ndarray, drawn: np.ndarray, dist: Any, columns: Any) -> None:
    """Writes completions `[num_samples, N, ...]`. A .csv file holds them one after the other; one completion is `[N, ...]`.

    A .gif file has those of a video side by side; its frames are red from the first one that is not given in all videos.
    """
    if out.suffix == ".png":
        from tfar import plots

        plots.completions(values, mask, drawn, out, limits=runs.limits(dist))
    elif out.suffix == ".gif":
        from tfar import plots

        is_given = mask.reshape([*mask.shape[:2], -1]).all(axis=(0, 2))
        rows_of_draws = np.swapaxes(drawn, 0, 1).reshape([-1, *dist.event_shape])
        num_given = int(np.cumprod(is_given).sum())
        plots.animation(rows_of_draws, out, num_given=num_given, columns=len(drawn), limits=runs.limits(dist))
    elif out.suffix == ".csv":
        outputs.write_array(out, drawn.reshape([-1, *dist.event_shape]), dist.head.discrete, columns)
    else:
        outputs.write_array(out, drawn[0] if len(drawn) == 1 else drawn, dist.head.discrete)
