"""The data of a run of `tfar train`: opened, described to the user, and in the form in which `fit` takes them."""

import importlib.util
from typing import Any

from rich.console import Console

from tfar.cli import audio, models, texts
from tfar.cli.printing import shown
from tfar.cli.settings import Settings
from tfar.cli.trained_on import SPLIT, TrainedOn, describe, located


def load(settings: Settings) -> tuple[Any, TrainedOn]:
    """Loads the data of a run, and returns them with what the run remembers of them.

    Raises:
        ValueError: If options of files are given for a named data set, values are missing that the model needs, or the model
            does not take audio files.
    """
    import tfar.data
    from tfar.data.opening import is_files
    from tfar.data.readers import MissingCellError
    from tfar.data.recordings import is_audio

    if settings.model in models.TEXTS:
        return texts.load(settings)
    if settings.max_words is not None:
        raise ValueError(
            f"--max-words: expected one of the models {', '.join(models.TEXTS)}; received {settings.model}"
        )
    data, path = str(settings.data), located(str(settings.data), settings.data_dir)
    is_named = data in tfar.data.names()
    if not is_named and is_audio(path):
        if settings.model in models.SEQUENCES:
            return audio.load(settings)
        if not is_files(path):
            raise ValueError(
                f"{data} holds audio files: expected one of the models {', '.join(models.SEQUENCES)}; received {settings.model}"
            )
    of_audio = [f"--{n}" for n in ("channel", "chunk-length") if getattr(settings, n.replace("-", "_")) is not None]
    if of_audio:
        raise ValueError(f"{', '.join(of_audio)}: expected audio files as --data; received {data}")
    options: dict[str, Any] = {
        name: getattr(settings, name) for name in ("columns", "key", "header", "frames", "condition")
    }
    of_files = not is_named and is_files(path)
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


def say(settings: Settings, splits: Any, head: Any, console: Console) -> None:
    """Says what was chosen for the values, and how to choose otherwise."""
    from tfar.data import AudioSplits, TextSplits

    if isinstance(splits, TextSplits):
        console.print(f"Data: {sum(splits.num_rows.values())} texts. Vocabulary: {splits.vocabulary.size - 2} words.")
    elif isinstance(splits, AudioSplits):
        _say_audio(splits, head, console)
    else:
        _say_rows(settings, splits, head, console)
    if splits.labels is not None:
        console.print(f"Condition: {splits.labels.num_classes} classes of {shown(splits.labels.name)}.")


def _say_audio(splits: Any, head: Any, console: Console) -> None:
    minutes = sum(splits.num_samples.values()) / splits.sample_rate / 60.0
    values = "samples of 16 bits" if splits.levels is None else f"{splits.levels} mu-law levels"
    console.print(
        f"Data: {sum(splits.num_rows.values())} recordings of {splits.sample_rate} Hz, {minutes:.1f} minutes. "
        f"Head: {type(head).__name__} of {values} (another: --head)."
    )
    if importlib.util.find_spec("matplotlib") is None:
        console.print(r'Pictures of the samples are left out: they need pip install "tfar\[plots]".')


def _say_rows(settings: Settings, splits: Any, head: Any, console: Console) -> None:
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
    if splits.missing:
        console.print("Some values are missing: they are not observed, and training uses the others.")


def of_split(splits: Any, split: str, dist: Any, settings: Settings, in_memory: bool = True) -> Any:
    """Returns the data of a split for `DensityModel`, or None if there is no such split; see `inputs.of_split`."""
    from tfar.cli import inputs
    from tfar.data import AudioSplits, TextSplits

    if isinstance(splits, TextSplits):
        return texts.batches(splits, split, dist, settings)
    if isinstance(splits, AudioSplits):
        return audio.chunks(splits, split, dist, settings)
    return inputs.of_split(splits, split, dist.event_shape, in_memory)
