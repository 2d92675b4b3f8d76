"""`tfar demo`: trains, samples, completes and exports a model of the digits that scikit-learn ships."""

import dataclasses
import math
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from tfar import files
from tfar.cli import baselines, export, readback, train
from tfar.cli.errors import reports_errors
from tfar.cli.masks import observed_mask
from tfar.cli.printing import make_console, shown
from tfar.cli.settings import Settings

HELP = """Train MADE on 8x8 digits, compare it with two baselines, draw samples and completions, export the model and \
compare the exported models with it.

It takes about two minutes on two cores and needs no network. Required packages: pip install \
"tfar\\[data,plots,serving]".

[bold]Examples[/]

tfar demo --out demo
"""
MARK = "demo.json"
COMPONENTS = (8, 16, 32, 64)
# The natural order allows completing the lower half of a digit. The strong weight decay and the moving average of the weights
# prevent overfitting on only 1297 rows.
SETTINGS = Settings(
    data="digits",
    hidden_units=(500,),
    batch_size=50,
    learning_rate=1e-2,
    weight_decay=0.3,
    ema=0.99,
    epochs=70,
    patience=10,
)
QUICK = dataclasses.replace(SETTINGS, hidden_units=(32,), epochs=2)


@reports_errors
def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Output folder. The results of an earlier demo in it are replaced.")
    ] = Path("demo"),
    quick: Annotated[bool, typer.Option("--quick", hidden=True)] = False,
) -> None:
    """Runs the demonstration."""
    console, began = make_console(), time.monotonic()
    _clear(out)
    console.rule("1. A model and two baselines")
    settings = QUICK if quick else SETTINGS
    model = train.run(settings, out / "run", resume=False, console=console, hints=False)
    import tfar.data

    splits = tfar.data.load("digits")
    scores = _compare(model.dist, splits, COMPONENTS[:2] if quick else COMPONENTS, console)
    console.rule("2. Pictures")
    pictures = _draw(model.dist, np.asarray(splits.arrays("test"), np.float32), out / "pictures", console)
    console.rule("3. Exports, compared in separate processes")
    written = export.write(model.dist, out / "exported", export.Format.both, console)
    differences = readback.compare(model.dist, written, np.asarray(splits.arrays("test"), np.float32), console)
    results = {"test_nll": scores, "largest_difference_of_log_prob": differences}
    files.write_json(out / MARK, results)
    _say_where(out, pictures, written, time.monotonic() - began, console)


def _clear(out: Path) -> None:
    """Removes the results of an earlier demo, or raises FileExistsError if the folder holds anything else."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not (out / MARK).exists():
            raise FileExistsError(f"{out} exists and does not hold an earlier demo: choose another --out")
        shutil.rmtree(out)
    files.write_json(out / MARK, {})


def _compare(dist: Any, splits: Any, sizes: tuple[int, ...], console: Console) -> dict[str, float]:
    """Fits both baselines, prints the test scores of the three models and returns their negative log-likelihoods."""
    from tfar.cli.progress import bar

    rows = {name: splits.arrays(name).reshape([-1, 64]).astype(np.float64) for name in ("train", "valid", "test")}
    with bar(console) as progress:
        task = progress.add_task("Mixtures", total=len(sizes), note="")
        mixture, count = baselines.choose_mixture(
            rows["train"],
            rows["valid"],
            sizes,
            on_fit=lambda k: progress.update(task, advance=1, note=f"{k} components, by EM"),
        )
    log_probs = {
        "independent Bernoullis": baselines.fit_independent(rows["train"]).log_prob(rows["test"]),
        f"mixture of {count} products": mixture.log_prob(rows["test"]),
        "MADE": np.asarray(dist.log_prob(splits.arrays("test")), np.float64),
    }
    table = Table(title=f"Test set: {len(rows['test'])} digits", title_justify="left")
    for heading in ("model", "nats", "std error", "bits/dim"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for name, values in log_probs.items():
        nll, error = -values.mean(), values.std(ddof=1) / math.sqrt(len(values))
        cells = (f"{nll:.2f}", f"{error:.2f}", f"{nll / 64 / math.log(2.0):.3f}")
        table.add_row(name, *cells, style="bold" if name == "MADE" else None)
    console.print(table)
    return {name: float(-values.mean()) for name, values in log_probs.items()}


def _draw(dist: Any, test: np.ndarray, folder: Path, console: Console) -> dict[str, Path]:
    """Saves pictures of samples, of completions and of the negative log-likelihood of each pixel.

    Returns:
        The paths by the names "samples", "completions" and "surprise".
    """
    from tfar import plots

    top = observed_mask("top", (8, 8))
    paths = {name: folder / f"{name}.png" for name in ("samples", "completions", "surprise")}
    with console.status("Drawing"):
        samples = np.asarray(dist.sample(36, seed=1))
        groups = {"test digits": test[:36], "samples of MADE": samples}
        plots.image_grid(groups, paths["samples"], limits=(0.0, 1.0))
        completed = np.asarray(dist.complete(test[:12], top, num_samples=5, seed=1))
        title = "Lower half sampled given the upper half"
        plots.completions(test[:12], top, completed, paths["completions"], title=title, limits=(0.0, 1.0))
        shares = np.asarray(dist.site_log_probs(test))
        ranks = np.argsort(-shares.sum(axis=1))
        picked = np.concatenate([ranks[:8], ranks[-8:]])
        title = "Negative log-likelihood of each pixel: the most likely, then the least likely test digits"
        plots.surprise_map(test[picked], shares[picked], paths["surprise"], title=title, limits=(0.0, 1.0))
    for path in paths.values():
        console.print(f"  {shown(path)}")
    return paths


def _say_where(
    out: Path, pictures: dict[str, Path], written: dict[str, Path], seconds: float, console: Console
) -> None:
    console.rule("Done")
    console.print(f"Finished in {seconds:.0f} seconds. Results:")
    table = Table.grid(padding=(0, 2))
    table.add_row("  pictures", str(pictures["samples"].parent))
    table.add_row("  training run", str(out / "run"))
    for what, path in written.items():
        table.add_row(f"  {what}", str(path))
    console.print(table)
    console.print("Commands to try next:")
    for line in (
        f"tfar sample {out / 'run'} --num-samples 100 --seed 2 --out more.png",
        f"tfar complete {out / 'run'} --data digits --observed top --num-samples 4 --out completed.png",
        f"tfar evaluate {out / 'run'} --data digits --out scores.csv",
        "tfar train made --data YOUR.csv --out runs/yours",
    ):
        console.print(f"  {shown(line)}")
