"""`tfar sample`: draws samples from a model."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tfar.cli import outputs, runs, texts
from tfar.cli.errors import reports_errors
from tfar.cli.options import RunOrModel, Seed
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow
from tfar.cli.trained_on import TrainedOn

HELP = """Draw samples from a model and write them to an array, a table, a picture, an animation or audio files.

[bold]Examples[/]

tfar sample runs/digits --num-samples 64 --seed 1 --out samples.png

tfar sample runs/wine --num-samples 1000 --out samples.csv

tfar sample made.keras --out samples.npy --method fixed_point

tfar sample runs/mnist --condition 7 --out sevens.png

tfar sample runs/articles --length 30 --num-samples 5 --out samples.txt

tfar sample runs/digits --temperature 0.8 --out sharper.png

tfar sample runs/articles --top-k 40 --top-p 0.9 --length 30 --out likely.txt

tfar sample runs/videos --num-samples 9 --out samples.gif

tfar sample runs/speakers --condition ann --length 32000 --num-samples 1 --out ann.wav
"""


@reports_errors
def sample(
    run_or_model: RunOrModel,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Output file: .npy, .csv, .png for images and audio, .gif for videos, .wav or .flac for audio, .txt for texts.",
        ),
    ],
    num_samples: Annotated[
        int | None, typer.Option("--num-samples", min=1, help="Number of samples. Default: 64, or 4 of audio.")
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            "--length", min=1, help="Length of the samples of a model of any length. Default: a second of audio."
        ),
    ] = None,
    seed: Seed = 0,
    condition: Annotated[
        str | None,
        typer.Option("--condition", help="Class of the samples, its number or its name, of a conditional model."),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help="ancestral, fixed_point or naive. All give the same samples; the speed differs."),
    ] = "ancestral",
    temperature: Annotated[
        float,
        typer.Option("--temperature", help="Temperature of every conditional. Lower values give less diverse samples."),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k", help="Draw every value from so many most probable classes. Applies after --temperature."
        ),
    ] = None,
    top_p: Annotated[
        float,
        typer.Option(
            "--top-p",
            help="Draw every value from the most probable classes with this share of the probability. Applies after --top-k.",
        ),
    ] = 1.0,
) -> None:
    """Draws samples from a model."""
    console = make_console()
    runs.find(run_or_model)
    outputs.check_out(out, (".npy", ".csv", ".png", ".gif", ".txt", *outputs.SOUNDS))
    load_tensorflow()
    dist, trained = runs.load_dist(run_or_model), runs.trained_on(run_or_model)
    dist = _sharpened(dist, temperature, top_k, top_p)
    if condition is not None:
        dist = dist.given(trained.one_hot(condition))
    elif trained.condition is not None:
        names = trained.classes or [f"0 to {trained.condition['num_classes'] - 1}"]
        raise ValueError(
            f"the model has the condition {trained.label}: expected --condition, one of {', '.join(names)}"
        )
    if trained.audio is None:
        text = (".txt",) if trained.text is not None else ()
        outputs.check_out(out, (".npy", ".csv", ".png", ".gif", *text), tuple(dist.event_shape))
    number = num_samples or (64 if trained.audio is None else 4)
    if length is None and trained.text is not None and dist.event_shape[0] is None:
        raise ValueError("expected --length, the number of words of a sample of a model of texts of any length")
    if length is None and trained.audio is not None:
        length = trained.audio["sample_rate"]
    noun = "sample" if number == 1 else "samples"
    with console.status(f"Drawing {number} {noun}"):
        samples = np.asarray(dist.sample(number, seed=seed, method=method, length=length))
    written = ", ".join(map(str, _write(out, samples, dist, trained)))
    console.print(f"Wrote {number} {noun} of shape {samples.shape[1:]} to [bold]{shown(written)}[/].")


def _sharpened(dist: Any, temperature: float, top_k: int | None, top_p: float) -> Any:
    """Returns the copy whose conditionals are those of the options."""
    changes = {"temperature": (temperature, 1.0), "top_k": (top_k, None), "top_p": (top_p, 1.0)}
    for name, (value, default) in changes.items():
        if value == default:
            continue
        option = f"--{name.replace('_', '-')}"
        if dist.num_latents:
            raise ValueError(f"{option}: {type(dist).__name__} has a latent variable, and so no such option")
        try:
            dist = getattr(dist, f"with_{name}")(value)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from error
    return dist


def _write(out: Path, samples: np.ndarray, dist: Any, trained: TrainedOn) -> list[Path]:
    """Writes the samples and returns the paths of the files."""
    if trained.audio is not None and out.suffix in (".png", *outputs.SOUNDS):
        return outputs.write_sounds(out, samples, trained.audio)
    if out.suffix == ".txt":
        texts.write(out, samples, trained)
    elif out.suffix == ".png":
        from tfar import plots

        plots.image_grid(samples, out, limits=runs.limits(dist))
    elif out.suffix == ".gif":
        from tfar import plots

        plots.animation(samples, out, limits=runs.limits(dist))
    else:
        outputs.write_array(out, samples, dist.head.discrete, trained.columns)
    return [out]
