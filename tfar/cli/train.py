"""`tfar train`: trains a model in the folder of a run."""

import importlib.util
import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from tfar import files
from tfar.cli import models, runs
from tfar.cli.errors import reports_errors
from tfar.cli.models import HEADS, MODELS, parse_arguments
from tfar.cli.options import DATA_HELP, Columns, DataDir, Header, Key, parse_columns
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow
from tfar.cli.settings import Settings, parse_masks, parse_units, resumed
from tfar.cli.trained_on import SPLIT, TrainedOn, describe, located

HELP = """Train a model and keep everything in one folder.

The folder gets config.json, model.keras, metrics.csv, tensorboard/, and pictures/ of samples if the events are images. \
--resume continues after a kill from journal.json and the weights that it names: the result is that of a run that was never \
killed. One process at a time can train in a folder.

The rows of a file are split into training, validation and test rows. The head is chosen by the values: real values are \
standardised. Empty cells are values that are not observed, for the models of any order: orderless_nade, conv_nade, \
and made with --order random --num-masks fresh.

[bold]Examples[/]

tfar train made --data digits --out runs/digits

tfar train made --data mnist_binarized --out runs/mnist --hidden-units 500,500 --num-masks 32 --order random

tfar train rnade --data wine.csv --out runs/wine --head NormalMixture:5 --hidden-units 100 --epochs 200

tfar train gated_pixel_cnn --data mnist_binarized --out runs/pixels --set filters=32 --set num_blocks=6 --ema 0.999

tfar train orderless_nade --data incomes.csv --out runs/incomes --columns age,income,hours

tfar train gated_pixel_cnn --data mnist.npz --condition y --out runs/mnist

tfar train made --out runs/digits --resume
"""


@reports_errors
def train(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The model: {', '.join(MODELS)}.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    data: Annotated[str | None, typer.Option("--data", help=DATA_HELP)] = None,
    columns: Columns = None,
    key: Key = None,
    header: Header = None,
    condition: Annotated[
        str | None,
        typer.Option(
            "--condition",
            help="Class labels that are the condition of the model: a column of whole numbers, y for the arrays y_train and "
            "y_test of an .npz file, or folder for the folders of pictures.",
        ),
    ] = None,
    hidden_units: Annotated[
        list[str] | None,
        typer.Option(
            "--hidden-units",
            help="Units of the hidden layers: 500,500, or the option once for each layer. Default: the model's, else 500,500.",
        ),
    ] = None,
    order: Annotated[
        str, typer.Option("--order", help="Order of the sites of MADE, NADE and RNADE: natural, reverse or random.")
    ] = "natural",
    num_masks: Annotated[
        str, typer.Option("--num-masks", help="Number of masks of MADE, or 'fresh' for new ones at every update.")
    ] = "1",
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Another argument of the constructor of the model: num_blocks=5."
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            help="Distribution of a value, with the number of its components or classes: NormalMixture:5. "
            f"One of {', '.join(HEADS)}. Default: the one that suits the data.",
        ),
    ] = None,
    standardize: Annotated[
        bool,
        typer.Option(
            "--standardize/--no-standardize",
            help="Whether real values are standardised inside the model: minus their mean, divided by their standard deviation.",
        ),
    ] = True,
    epochs: Annotated[int, typer.Option("--epochs", help="Maximum number of epochs; --resume may raise it.")] = 100,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Rows per update.")] = 100,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Learning rate of AdamW.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Weight decay of AdamW.")] = 1e-4,
    patience: Annotated[
        int, typer.Option("--patience", help="Epochs without a better validation metric before the run stops.")
    ] = 10,
    ema: Annotated[
        float | None, typer.Option("--ema", help="Keep a moving average of the weights with this momentum: 0.999.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights, masks and shuffling.")] = 0,
    data_dir: DataDir = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder.")] = False,
) -> None:
    """Trains a model."""
    values = dict(context.params)
    now = Settings(
        **{
            **{name: values[name] for name in Settings.__dataclass_fields__},
            "columns": None if columns is None else tuple(parse_columns(columns) or ()),
            "hidden_units": parse_units(hidden_units) if hidden_units else None,
            "arguments": parse_arguments(arguments or []),
            "num_masks": parse_masks(num_masks),
            "data_dir": None if data_dir is None else str(data_dir),
        }
    )
    given = {n for n in values if _was_given(context, n)}
    settings = _settings(now, given & set(Settings.__dataclass_fields__), out, resume)
    run(settings, out, resume=resume, console=make_console())


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _settings(now: Settings, given: set[str], out: Path, resume: bool) -> Settings:
    if resume:
        return resumed(Settings.from_json(runs.read_config(out)["settings"]), now, given, out)
    if now.data is None:
        raise typer.BadParameter("a new run needs data: a name such as digits, or a file", param_hint="--data")
    return now


def run(settings: Settings, out: Path, *, resume: bool, console: Console, hints: bool = True) -> Any:
    """Trains in a new folder, or continues a run; returns the trained `DensityModel` with its best weights.

    Raises:
        FileExistsError: If a new run is to be made in a folder that contains something.
        BlockingIOError: If another process trains in the folder.
        ValueError: If the data of a resumed run have changed.
    """
    if not resume:
        runs.check_new(out)
    load_tensorflow()
    splits, trained = load(settings)
    config = runs.describe(settings, splits, trained)
    model = runs.build(config)  # Before the folder is made, so that invalid options leave none.
    _say(settings, splits, model.dist.head, console)
    with files.locked(out):
        if resume:
            runs.check_same_data(out, config)
        else:
            runs.check_new(out)
        files.sweep(out)
        files.write_json(out / runs.CONFIG, config)
        try:
            _fit(model, settings, splits, out, console)
        except KeyboardInterrupt:
            console.print(f"Stopped. Continue with: [bold]tfar train {settings.model} --out {shown(out)} --resume[/]")
            raise
        runs.finish(model)
        model.save(out / runs.MODEL)
    _report(model, splits, console)
    if hints:
        _hint(settings, out, trained, console)
    return model


def load(settings: Settings) -> tuple[Any, TrainedOn]:
    """Loads the data of a run, and returns them with what the run remembers of them.

    Raises:
        ValueError: If options of files are given for a named data set, or values are missing that the model needs.
    """
    import tfar.data
    from tfar.data.opening import is_files
    from tfar.data.readers import MissingCellError

    data = str(settings.data)
    options: dict[str, Any] = {name: getattr(settings, name) for name in ("columns", "key", "header", "condition")}
    of_files = data not in tfar.data.names() and is_files(located(data, settings.data_dir))
    if not of_files:
        given = [f"--{name}" for name, value in options.items() if value is not None]
        if given:
            raise ValueError(f"{', '.join(given)}: expected files as --data; received the data set {data}")
        options = {}
    else:
        missing = models.takes_missing(settings.model, settings.order, settings.num_masks)
        options = {**options, **SPLIT, "missing": missing}
    try:
        splits = tfar.data.load(data, data_dir=settings.data_dir, batch_size=settings.batch_size, **options)
    except MissingCellError as error:
        raise ValueError(f"{error}. {models.MISSING_HINT}") from error
    return splits, describe(splits, settings if of_files else None)


def _say(settings: Settings, splits: Any, head: Any, console: Console) -> None:
    """Says what was chosen for the values, and how to choose otherwise."""
    import tfar.heads

    standardized = isinstance(head, tfar.heads.Standardized)
    inner = head.head if standardized else head
    name = f"{type(inner).__name__} of standardised values" if standardized else type(inner).__name__
    kind = f"values {inner.support()}" if inner.discrete else "real values"
    others = ["another: --head"] if models.takes_head(settings.model) and not settings.head else []
    if not inner.discrete and settings.model not in models.STANDARDISE:
        others.append("--no-standardize takes the values as they are" if standardized else "--standardize standardises")
    console.print(f"Data: {splits.event_shape}, {kind}. Head: {name}" + (f" ({'; '.join(others)})." if others else "."))
    if splits.columns is not None:
        console.print(f"Columns: {shown(', '.join(splits.columns))}.")
    if splits.labels is not None:
        console.print(f"Condition: {splits.labels.num_classes} classes of {shown(splits.labels.name)}.")
    if splits.missing:
        console.print("Some values are missing: they are not observed, and training uses the others.")


def _fit(model: Any, settings: Settings, splits: Any, out: Path, console: Console) -> None:
    from tfar.cli import inputs
    from tfar.cli.progress import EpochBar

    train_rows = splits.arrays("train")
    if train_rows is None:
        console.print("The rows do not fit into memory: they are read in the order of the file and not shuffled.")
    if hasattr(model.dist, "adapt"):  # its units are those of the training rows
        model.dist.adapt(splits.train if train_rows is None else train_rows)
    valid = inputs.of_split(splits, "valid", model.dist.event_shape)
    monitor = "loss" if valid is None else "val_nll"
    model.fit(
        inputs.of_split(splits, "train", model.dist.event_shape),
        batch_size=None if train_rows is None else settings.batch_size,
        validation_data=valid,
        epochs=settings.epochs,
        verbose=0,
        callbacks=[*_callbacks(settings, splits, out, monitor), EpochBar(settings.epochs, monitor, console)],
    )


def _callbacks(settings: Settings, splits: Any, out: Path, monitor: str) -> list[Any]:
    import keras

    from tfar import training
    from tfar.data.labels import one_hot
    from tfar.training.logs import is_image

    board = out / "tensorboard"
    callbacks = [
        training.Backup(out),
        training.ResumableEarlyStopping(out, monitor=monitor, patience=settings.patience),
        training.MetricsLog(out / runs.METRICS),
        training.BoardLog(board),
    ]
    if settings.ema is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    if is_image(splits.event_shape):
        condition = None
        if splits.labels is not None:  # One column of samples for each of the first classes.
            condition = one_hot(np.arange(16) % splits.labels.num_classes, splits.labels.num_classes)
        grids: dict[str, Any] = {"pictures": out / "pictures", "conditional_input": condition}
        callbacks.append(training.SampleGrid(board, seed=settings.seed, **grids))
    return callbacks


def _report(model: Any, splits: Any, console: Console) -> None:
    if splits.valid is not None:
        from tfar.cli import inputs

        valid = inputs.of_split(splits, "valid", model.dist.event_shape, in_memory=False)
        nll = model.evaluate(valid, verbose=0, return_dict=True)
        estimate = ", an estimate of the mean over orders" if model.validation_draws else ""
        console.print(
            f"Validation: [bold]{nll['nll']:.3f}[/] nats, [bold]{nll['bits_per_dim']:.4f}[/] bits per dimension, "
            f"with the best weights{estimate}."
        )


def _hint(settings: Settings, out: Path, trained: TrainedOn, console: Console) -> None:
    label = "" if trained.condition is None else f" --condition {shown(shlex.quote((trained.classes or ['0'])[0]))}"
    samples = "samples.npy" if trained.columns is None else "samples.csv"
    console.print(f"The run is in [bold]{shown(out)}[/]. Next:")
    console.print(f"  tfar evaluate {shown(out)} --data {shown(settings.data)}")
    console.print(f"  tfar sample {shown(out)}{label} --out {samples}")
    board = f"  tensorboard --logdir {shown(out / 'tensorboard')}"
    if importlib.util.find_spec("tensorboard") is None:
        board += r'   (after pip install "tfar\[tensorboard]")'
    console.print(board)
