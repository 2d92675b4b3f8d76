"""`tfar export`: a model for TF Serving, or for a phone."""

import enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tfar.cli import runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import RunOrModel
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow, silenced

HELP = """Export a model: a SavedModel with its signatures for TF Serving, a TFLite file for a phone, or both.

The SavedModel gets the next version number: OUT/1, OUT/2, ...; the TFLite file is OUT/model.tflite.

[bold]Examples[/]

tfar export runs/digits --out exported/digits

tfar export made.keras --out exported/made --format both
"""


class Format(enum.StrEnum):
    """What to write."""

    saved_model = "saved_model"
    tflite = "tflite"
    both = "both"


@reports_errors
def export(
    run_or_model: RunOrModel,
    out: Annotated[Path, typer.Option("--out", help="Folder for the exported model.")],
    format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.saved_model,
) -> None:
    console = make_console()
    runs.find(run_or_model)
    load_tensorflow()
    dist = runs.load_dist(run_or_model)
    for what, path in write(dist, out, format, console).items():
        console.print(f"{what}: [bold]{shown(path)}[/]")


def write(dist: Any, out: Path, format: Format, console: Console) -> dict[str, Path]:
    """Writes what is asked for.

    Returns:
        The paths by what lies there.
    """
    from tfar import serving

    written = {}
    if format in (Format.saved_model, Format.both):
        with console.status("Writing the SavedModel"), silenced():
            written["SavedModel"] = serving.export_saved_model(dist, out)
    if format in (Format.tflite, Format.both):
        with console.status("Writing the TFLite file"), silenced():
            written["TFLite"] = serving.export_tflite(dist, out / "model.tflite")
    return written
