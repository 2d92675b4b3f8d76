"""`tfar complete`: draws what is missing."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tfar.cli import rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import DATA_HELP, DataDir, RunOrModel, Seed
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow

HELP = """Draw the missing values of rows from those that are observed.

The order of the model must put the observed values first: order "natural" completes from the top, "reverse" from the \
bottom; a model with --order random --num-masks fresh completes any pattern.

[bold]Examples[/]

tfar complete runs/digits --data digits --observed top --rows 8 --num-samples 4 --out completed.png

tfar complete runs/any_order --data photos.npy --observed left --out completed.npy

tfar complete runs/wine --data partial.csv --observed observed.npy --out completed.csv
"""


@reports_errors
def complete(
    run_or_model: RunOrModel,
    data: Annotated[str, typer.Option("--data", help=DATA_HELP)],
    observed: Annotated[
        str, typer.Option("--observed", help="top, bottom, left or right half of an image, or a .npy file of booleans.")
    ],
    out: Annotated[Path, typer.Option("--out", help=".npy, .csv or, of images, .png.")],
    num_samples: Annotated[int, typer.Option("--num-samples", min=1, help="Completions of each row.")] = 1,
    num_rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Complete the first rows alone. Default: all; in a picture, 10.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, valid, test or all. Default: test of a named set, all rows of a file."),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
) -> None:
    """Completes what a pattern leaves out."""
    console = make_console()
    runs.find(run_or_model)
    rows.check_out(out, (".npy", ".csv", ".png"))
    load_tensorflow()
    dist = runs.load_dist(run_or_model)
    rows.check_out(out, (out.suffix,), tuple(dist.event_shape))
    mask = rows.observed_mask(observed, tuple(dist.event_shape))
    count = num_rows or (10 if out.suffix == ".png" else None)
    values = _first(rows.read_rows(data, tuple(dist.event_shape), split, data_dir, 100)[0], count)
    if mask.ndim > len(dist.event_shape):
        if len(mask) < len(values):
            raise ValueError(f"{observed}: expected a mask for each of the {len(values)} rows; received {len(mask)}")
        mask = mask[: len(values)]
    with console.status(f"Completing {len(values)} rows"):
        drawn = np.asarray(dist.complete(values, mask, num_samples=num_samples, seed=seed))
    _write(out, values, mask, drawn, dist)
    console.print(f"{num_samples} completion(s) of {len(values)} rows lie in [bold]{shown(out)}[/].")


def _first(batches: Any, count: int | None) -> np.ndarray:
    taken: list[np.ndarray] = []
    for batch in batches:
        taken.append(batch)
        if count is not None and sum(map(len, taken)) >= count:
            break
    return np.concatenate(taken)[:count]


def _write(out: Path, values: np.ndarray, mask: np.ndarray, drawn: np.ndarray, dist: Any) -> None:
    """Writes completions `[num_samples, N, ...]`; a single one as `[N, ...]`, and in a table one after the other."""
    if out.suffix == ".png":
        from tfar import plots

        plots.completions(values, np.broadcast_to(mask, values.shape), drawn, out, limits=runs.limits(dist))
    elif out.suffix == ".csv":
        rows.write_array(out, drawn.reshape([-1, *dist.event_shape]), dist.head.discrete)
    else:
        rows.write_array(out, drawn[0] if len(drawn) == 1 else drawn, dist.head.discrete)
