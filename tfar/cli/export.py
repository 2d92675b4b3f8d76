"""`tfar export`: writes a model as a SavedModel for TF Serving, as a TFLite file, or both."""

import enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from tfar import files
from tfar.cli import audio, rows, runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import DATA_HELP, DataDir, RunOrModel
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow, silenced
from tfar.cli.trained_on import TrainedOn

HELP = """Export a model as a SavedModel for TF Serving, as a TFLite file for mobile devices, or both.

The SavedModel is written to a folder with the next version number: OUT/1, OUT/2, ..., or with the number --version. It contains \
the names of the columns, by which `tfar score` matches tables. The TFLite file is OUT/model.tflite. \
--quantize rounds the weights of the TFLite file and prints how much this changes log_prob on test rows, which come from \
--data or from the data of the run.

[bold]Examples[/]

tfar export runs/digits --out exported/digits

tfar export made.keras --out exported/made --format both

tfar export runs/digits --out exported/digits --format tflite --quantize float16
"""

MEASURED_ROWS, MEASURED_RECORDINGS = 1000, 8


class Format(enum.StrEnum):
    """Format of the export."""

    saved_model = "saved_model"
    tflite = "tflite"
    both = "both"


class Quantize(enum.StrEnum):
    """Data type of the weights in a TFLite file."""

    none = "none"
    float16 = "float16"
    dynamic = "dynamic"


@reports_errors
def export(
    run_or_model: RunOrModel,
    out: Annotated[Path, typer.Option("--out", help="Folder for the exported model.")],
    format: Annotated[Format, typer.Option("--format", help="Format of the export.")] = Format.saved_model,
    quantize: Annotated[
        Quantize, typer.Option("--quantize", help="Weights of the TFLite file: float16, or 8-bit integers (dynamic).")
    ] = Quantize.none,
    version: Annotated[
        int | None,
        typer.Option(
            "--version", min=1, help="Version of the SavedModel. Default: one more than the highest in the folder."
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help=f"Data that measure the effect of --quantize. {DATA_HELP}")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Exports a model."""
    console = make_console()
    runs.find(run_or_model)
    if quantize != Quantize.none and format == Format.saved_model:
        raise ValueError(f"expected --format tflite or both with --quantize {quantize.value}; received {format.value}")
    if version is not None and format == Format.tflite:
        raise ValueError(f"--version {version}: a TFLite file has no version; expected --format saved_model or both")
    load_tensorflow()
    dist, trained = runs.load_dist(run_or_model), runs.trained_on(run_or_model)
    weights = None if quantize == Quantize.none else quantize.value
    written = write(dist, out, format, console, weights, version=version, trained=trained)
    for what, path in written.items():
        console.print(f"{what}: [bold]{shown(path)}[/]")
    if quantize != Quantize.none:
        if data is None and run_or_model.is_dir():
            settings = runs.read_config(run_or_model)["settings"]
            data, data_dir = settings["data"], data_dir or settings["data_dir"]
        console.print(_rounding(dist, written["TFLite"], data, data_dir, trained))


def _rounding(dist: Any, path: Path, data: str | None, data_dir: Path | None, trained: TrainedOn) -> str:
    """Returns a sentence on how much rounded weights change log_prob on the first test rows of the data."""
    from tfar import serving

    if dist.num_latents or trained.text is not None:
        return "The effect of rounded weights is not measured for texts and for models with a latent variable."
    if data is None:
        return (
            "Pass --data to measure how much the rounded weights change log_prob: a .keras file does not name its data."
        )
    if trained.audio is not None:
        recordings, split, _ = audio.open_like(data, None, data_dir, trained)
        difference = serving.log_prob_error(dist, path, *audio.beginnings(recordings, split, MEASURED_RECORDINGS))
        return f"On the beginnings of {split} recordings of {shown(data)}: {difference}."
    found = rows.read_rows(data, rows.fixed_shape(dist), None, data_dir, MEASURED_ROWS, trained, prefer_held_out=True)
    batch = next(iter(found.batches))
    complete = ~np.isnan(batch.value).reshape([len(batch.value), -1]).any(axis=1)
    condition = None if batch.condition is None else batch.condition[complete]
    difference = serving.log_prob_error(dist, path, batch.value[complete], condition)
    return f"On {found.split} rows of {shown(data)}: {difference}."


def write(
    dist: Any,
    out: Path,
    format: Format,
    console: Console,
    quantize: str | None = None,
    *,
    version: int | None = None,
    trained: TrainedOn | None = None,
) -> dict[str, Path]:
    """Writes a distribution in the given format; returns the paths by "SavedModel", "TFLite" and "Columns"."""
    from tfar import serving
    from tfar.cli.progress import bar
    from tfar.serving.saved_model import EXPORT_STEPS

    data = {}
    if trained is not None:
        data = {name: getattr(trained, name) for name in ("columns", "condition", "audio", "text")}
    written = {}
    if format in (Format.saved_model, Format.both):
        with bar(console) as progress, silenced():
            task = progress.add_task("SavedModel", total=len(EXPORT_STEPS), note="")

            def say(step: str) -> None:
                progress.update(task, completed=EXPORT_STEPS.index(step), note=step)

            written["SavedModel"] = serving.export_saved_model(dist, out, version, data=data, progress=say)
            progress.update(task, completed=len(EXPORT_STEPS), note="")
    if format in (Format.tflite, Format.both):
        with console.status("Writing the TFLite file"), silenced():
            written["TFLite"] = serving.export_tflite(dist, out / "model.tflite", quantize)
        if any(data.values()):  # A TFLite file has no place for them.
            files.write_json(out / "model.json", data)
            written["Columns"] = out / "model.json"
    return written
