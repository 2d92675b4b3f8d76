"""`tfar sample`: draws from a model."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tfar.cli import rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import RunOrModel, Seed
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow

HELP = """Draw samples, as an array, a table or a picture.

[bold]Examples[/]

tfar sample runs/digits --num-samples 64 --seed 1 --out samples.png

tfar sample runs/wine --num-samples 1000 --out samples.csv

tfar sample made.keras --out samples.npy --method fixed_point

tfar sample runs/digits --temperature 0.8 --out sharper.png
"""


@reports_errors
def sample(
    run_or_model: RunOrModel,
    out: Annotated[Path, typer.Option("--out", help=".npy, .csv or, of images, .png.")],
    num_samples: Annotated[int, typer.Option("--num-samples", min=1, help="How many.")] = 64,
    seed: Seed = 0,
    method: Annotated[
        str, typer.Option("--method", help="ancestral, fixed_point or naive: the same samples, at another speed.")
    ] = "ancestral",
    temperature: Annotated[
        float, typer.Option("--temperature", help="Below 1 sharper, above 1 flatter: another law than the model's.")
    ] = 1.0,
) -> None:
    """Draws samples of a model."""
    console = make_console()
    runs.find(run_or_model)
    rows.check_out(out, (".npy", ".csv", ".png"))
    load_tensorflow()
    dist = runs.load_dist(run_or_model).with_temperature(temperature)
    rows.check_out(out, (out.suffix,), tuple(dist.event_shape))
    with console.status(f"Drawing {num_samples} samples"):
        samples = np.asarray(dist.sample(num_samples, seed=seed, method=method))
    if out.suffix == ".png":
        from tfar import plots

        plots.image_grid(samples, out, limits=runs.limits(dist))
    else:
        rows.write_array(out, samples, dist.head.discrete)
    console.print(f"{num_samples} samples of shape {tuple(dist.event_shape)} lie in [bold]{shown(out)}[/].")
