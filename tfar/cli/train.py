"""`tfar train`: trains a model in the folder of a run."""

import importlib.util
import math
import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from tfar import files
from tfar.cli import audio, models, run_data, runs, table_runs, texts
from tfar.cli.errors import reports_errors
from tfar.cli.models import HEADS, MODELS, parse_arguments
from tfar.cli.options import DATA_HELP, Columns, DataDir, Header, Key, parse_columns
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow
from tfar.cli.settings import TABLE, Settings, parse_masks, parse_units, resumed
from tfar.cli.trained_on import TrainedOn

HELP = """Train a model and keep everything in one folder.

The folder gets config.json, model.keras, metrics.csv, tensorboard/, and pictures/ of samples if the events are images; of audio \
files also samples/, which can be listened to. \
--resume continues after a kill from journal.json and the weights that it names: the result is that of a run that was never \
killed. One process at a time can train in a folder.

The rows of a file are split into training, validation and test rows. The head is chosen by the values: real values are \
standardised. Empty cells are values that are not observed, for the models of any order: orderless_nade, conv_nade, \
any_order_transformer, and made with --order random --num-masks fresh.

The model "table" takes a .csv, .csv.gz or .parquet file with columns of several kinds: text, counts, real numbers, dates. It is \
a tfar.TableModel, of which --set gives the arguments: network=orderless for a model of any order (default: made), \
missing=value for missing cells that are a value (default: marginalise), num_components=10. The other commands for it are score, \
complete and query.

[bold]Examples[/]

tfar train made --data digits --out runs/digits

tfar train made --data mnist_binarized --out runs/mnist --hidden-units 500,500 --num-masks 32 --order random

tfar train rnade --data wine.csv --out runs/wine --head NormalMixture:5 --hidden-units 100 --epochs 200

tfar train gated_pixel_cnn --data mnist_binarized --out runs/pixels --set filters=32 --set num_blocks=6 --ema 0.999

tfar train orderless_nade --data incomes.csv --out runs/incomes --columns age,income,hours

tfar train gated_pixel_cnn --data mnist.npz --condition y --out runs/mnist

tfar train video_pixel_network --data videos/ --frames 10 --out runs/videos

tfar train wavenet --data recordings/ --condition folder --out runs/speakers --set num_stacks=2

tfar train doc_nade --data articles.csv --out runs/articles --hidden-units 50 --set tree=balanced

tfar train table --data adult.csv --out runs/adult --set network=orderless --set missing=value

tfar train made --out runs/digits --resume
"""


@reports_errors
def train(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The model: {', '.join(MODELS)}, {TABLE}.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    data: Annotated[str | None, typer.Option("--data", help=DATA_HELP)] = None,
    columns: Columns = None,
    key: Key = None,
    header: Header = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            help="Number of frames of a video. A folder of .png files is a video, whose first frames are read.",
        ),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            "--condition",
            help="Class labels that are the condition of the model: a column of whole numbers, y for the arrays y_train and "
            "y_test of an .npz file, or folder for the folders of pictures or audio files.",
        ),
    ] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="Channel of audio files of several: 0, 1, ..., or mean.")
    ] = None,
    chunk_length: Annotated[
        int | None, typer.Option("--chunk-length", help="Samples of audio files that a row scores. Default: 4096.")
    ] = None,
    max_words: Annotated[
        int | None, typer.Option("--max-words", help="Words of the vocabulary of texts. Default: 10000.")
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
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Rows per update. Default: 100, or 8 of wavenet.")
    ] = None,
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
    usual_batch_size = audio.BATCH_SIZE if model in models.SEQUENCES else Settings.batch_size
    now = Settings(
        **{
            **{name: values[name] for name in Settings.__dataclass_fields__},
            "columns": None if columns is None else tuple(parse_columns(columns) or ()),
            "hidden_units": parse_units(hidden_units) if hidden_units else None,
            "arguments": parse_arguments(arguments or []),
            "num_masks": parse_masks(num_masks),
            "data_dir": None if data_dir is None else str(data_dir),
            "batch_size": usual_batch_size if batch_size is None else batch_size,
        }
    )
    given = {n for n in values if _was_given(context, n)}
    settings = _settings(now, given & set(Settings.__dataclass_fields__), out, resume)
    if settings.model == TABLE:
        table_runs.check_options(given)
        table_runs.run(settings, out, resume=resume, console=make_console())
        return
    run(settings, out, resume=resume, console=make_console())


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _settings(now: Settings, given: set[str], out: Path, resume: bool) -> Settings:
    if resume:
        read = runs.read_table_config if now.model == TABLE else runs.read_config
        return resumed(Settings.from_json(read(out)["settings"]), now, given, out)
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
    splits, trained = run_data.load(settings)
    config = runs.describe(settings, splits, trained)
    model = runs.build(config)  # Before the folder is made, so that invalid options leave none.
    run_data.say(settings, splits, model.dist.head, console)
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
    _report(model, settings, splits, console)
    if hints:
        _hint(settings, out, trained, console)
    return model


def _fit(model: Any, settings: Settings, splits: Any, out: Path, console: Console) -> None:
    from tfar.cli.progress import EpochBar
    from tfar.numbered import NumberedBatches

    train_rows, valid = (run_data.of_split(splits, name, model.dist, settings) for name in ("train", "valid"))
    in_memory = isinstance(train_rows, np.ndarray | dict)
    if not in_memory and not isinstance(train_rows, NumberedBatches):
        console.print("The rows do not fit into memory: they are read in the order of the file and not shuffled.")
    if hasattr(model.dist, "adapt"):  # its units are those of the training rows
        model.dist.adapt(splits.arrays("train") if in_memory else splits.train)
    monitor = "loss" if valid is None else f"val_{model.score_name}"
    model.fit(
        train_rows,
        batch_size=settings.batch_size if in_memory else None,
        validation_data=valid,
        epochs=settings.epochs,
        verbose=0,
        callbacks=[*_callbacks(settings, splits, out, monitor), EpochBar(settings.epochs, monitor, console)],
    )


def _callbacks(settings: Settings, splits: Any, out: Path, monitor: str) -> list[Any]:
    import keras

    from tfar import training
    from tfar.cli.audio_samples import audio_samples
    from tfar.data import AudioSplits
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
    if isinstance(splits, AudioSplits):
        callbacks.append(audio_samples(splits, out, settings.seed))
    elif is_image(splits.event_shape):
        condition = None
        if splits.labels is not None:  # One column of samples for each of the first classes.
            condition = one_hot(np.arange(16) % splits.labels.num_classes, splits.labels.num_classes)
        grids: dict[str, Any] = {"pictures": out / "pictures", "conditional_input": condition}
        callbacks.append(training.SampleGrid(board, seed=settings.seed, **grids))
    return callbacks


def _report(model: Any, settings: Settings, splits: Any, console: Console) -> None:
    from tfar.data import AudioSplits, TextSplits

    valid = run_data.of_split(splits, "valid", model.dist, settings, in_memory=False)
    if valid is None:
        return
    found = model.evaluate(valid, verbose=0, return_dict=True)
    if isinstance(splits, TextSplits) and not model.dist.num_latents:
        each = texts.perplexity(found["nll"], valid)
        console.print(
            f"Validation: [bold]{found['nll']:.3f}[/] nats a text, perplexity [bold]{each:.1f}[/] a word, with the best weights."
        )
        return
    if isinstance(splits, AudioSplits):  # Chunks of audio differ in length: the mean over samples is more telling.
        bits = found["nll"] * valid.num_rows / valid.num_samples / math.log(2.0)
        console.print(f"Validation: [bold]{bits:.4f}[/] bits per sample, with the best weights.")
        return
    if model.dist.num_latents:
        if isinstance(splits, TextSplits):
            console.print(f"Validation: perplexity [bold]{texts.perplexity(found['neg_elbo'], valid):.1f}[/] a word.")
        console.print(
            f"Validation: a bound of [bold]{found['neg_elbo']:.3f}[/] nats, of which the latent takes {found['kl']:.3f}, with "
            f"the best weights. {found['active_units']:.0f} of {model.dist.num_latents} entries of the latent are active."
        )
        return
    estimate = ", an estimate of the mean over orders" if model.validation_draws else ""
    console.print(
        f"Validation: [bold]{found['nll']:.3f}[/] nats, [bold]{found['bits_per_dim']:.4f}[/] bits per dimension, "
        f"with the best weights{estimate}."
    )


def _hint(settings: Settings, out: Path, trained: TrainedOn, console: Console) -> None:
    label = "" if trained.condition is None else f" --condition {shown(shlex.quote((trained.classes or ['0'])[0]))}"
    suffix = "wav" if trained.audio is not None else "npy" if trained.columns is None else "csv"
    suffix = suffix if trained.text is None else "txt --length 30"
    console.print(f"The run is in [bold]{shown(out)}[/]. Next:")
    console.print(f"  tfar evaluate {shown(out)} --data {shown(settings.data)}")
    console.print(f"  tfar sample {shown(out)}{label} --out samples.{suffix}")
    board = f"  tensorboard --logdir {shown(out / 'tensorboard')}"
    if importlib.util.find_spec("tensorboard") is None:
        board += r'   (after pip install "tfar\[tensorboard]")'
    console.print(board)
