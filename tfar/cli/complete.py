"""`tfar complete`: samples the missing values of rows."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tfar.cli import rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import DATA_HELP, OBSERVED_HELP, SPLIT_HELP, DataDir, RunOrModel, Seed
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow

HELP = """Sample the missing values of rows, given their observed values.

The order of the model must put the observed values first. A model with order "natural" can complete an image of which \
the top is observed, and one with order "reverse" an image of which the bottom is observed. A model that was trained with \
--order random --num-masks fresh can complete any pattern.

[bold]Examples[/]

tfar complete runs/digits --data digits --observed top --rows 8 --num-samples 4 --out completed.png

tfar complete runs/any_order --data photos.npy --observed left --out completed.npy

tfar complete runs/wine --data partial.csv --observed observed.npy --out completed.csv
"""


@reports_errors
def complete(
    run_or_model: RunOrModel,
    data: Annotated[str, typer.Option("--data", help=DATA_HELP)],
    observed: Annotated[str, typer.Option("--observed", help=f"Which values are observed. {OBSERVED_HELP}")],
    out: Annotated[Path, typer.Option("--out", help="Output file: .npy, .csv or, for images, .png.")],
    num_samples: Annotated[int, typer.Option("--num-samples", min=1, help="Number of completions of each row.")] = 1,
    num_rows: Annotated[
        int | None,
        typer.Option("--rows", min=1, help="Complete only the first rows. Default: all rows, or 10 for a .png file."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help=SPLIT_HELP)] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
) -> None:
    """Samples the values that are not observed."""
    console = make_console()
    runs.find(run_or_model)
    rows.check_out(out, (".npy", ".csv", ".png"))
    load_tensorflow()
    dist = runs.load_dist(run_or_model)
    rows.check_out(out, (out.suffix,), tuple(dist.event_shape))
    mask = rows.observed_mask(observed, tuple(dist.event_shape))
    count = num_rows or (10 if out.suffix == ".png" else None)
    values = _first(rows.read_rows(data, tuple(dist.event_shape), split, data_dir, 100)[0], count)
    mask = rows.mask_of_rows(mask, 0, values.shape)
    with console.status(f"Completing {len(values)} rows"):
        drawn = np.asarray(dist.complete(values, mask, num_samples=num_samples, seed=seed))
    _write(out, values, mask, drawn, dist)
    console.print(f"Wrote {num_samples} completion(s) of {len(values)} rows to [bold]{shown(out)}[/].")


def _first(batches: Any, count: int | None) -> np.ndarray:
    """Returns the first `count` rows of the batches, or all rows if `count` is None."""
    taken: list[np.ndarray] = []
    for batch in batches:
        taken.append(batch)
        if count is not None and sum(map(len, taken)) >= count:
            break
    return np.concatenate(taken)[:count]


def _write(out: Path, values: np.ndarray, mask: np.ndarray, drawn: np.ndarray, dist: Any) -> None:
    """Writes completions `[num_samples, N, ...]`. A .csv file holds them one after the other; one completion is `[N, ...]`."""
    if out.suffix == ".png":
        from tfar import plots

        plots.completions(values, mask, drawn, out, limits=runs.limits(dist))
    elif out.suffix == ".csv":
        rows.write_array(out, drawn.reshape([-1, *dist.event_shape]), dist.head.discrete)
    else:
        rows.write_array(out, drawn[0] if len(drawn) == 1 else drawn, dist.head.discrete)
