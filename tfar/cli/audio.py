"""Audio files in the commands: how a run reads them, its head, chunks for training, and scores of recordings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfar.cli.trained_on import SPLIT, TrainedOn, describe_labels, located
from tfar.exports import sha256

LEVELS, NUM_COMPONENTS = 256, 10
HEADS = "Categorical:256 of mu-law levels, or DiscretizedLogisticMixture:10 of samples of 16 bits"
# Scored samples of a chunk, and chunks of a batch, in training and in evaluation.
CHUNK_LENGTH, BATCH_SIZE = 4096, 8
SCORED_LENGTH, SCORED_BATCH = 8192, 4


def parse_head(text: str | None) -> tuple[int | None, int]:
    """Returns the number of mu-law levels, None for 16 bits, and the number of components of a `--head`.

    Example:
        >>> parse_head(None), parse_head("DiscretizedLogisticMixture:5")
        ((256, 10), (None, 5))
    """
    name, colon, size = (text or "Categorical").partition(":")
    if name not in ("Categorical", "DiscretizedLogisticMixture") or (colon and not (size.isdecimal() and int(size))):
        raise ValueError(f"--head {text}: expected a head of audio, {HEADS}")
    if name == "Categorical":
        return int(size) if colon else LEVELS, NUM_COMPONENTS
    return None, int(size) if colon else NUM_COMPONENTS


def make_head(text: str | None, splits: Any) -> Any:
    """Makes the head of a `--head` for recordings."""
    return splits.make_head(parse_head(text)[1])


def load(settings: Any) -> tuple[Any, TrainedOn]:
    """Opens the recordings of a run, and returns them with what the run remembers of them.

    Raises:
        ValueError: If options of tables are given, or the files do not fit together.
    """
    from tfar.data import from_audio

    given = [f"--{name}" for name in ("columns", "key", "header", "frames") if getattr(settings, name) is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: expected a table as --data; received audio files")
    path, channel = located(str(settings.data), settings.data_dir), parse_channel(settings.channel)
    levels = parse_head(settings.head)[0]
    splits = from_audio(path, levels=levels, channel=channel, condition=settings.condition, **SPLIT)
    audio = {"sample_rate": splits.sample_rate, "levels": levels, "channel": channel}
    files = {"sha256": fingerprint(path), **SPLIT}
    return splits, TrainedOn(None, describe_labels(splits.labels), files, audio)


def parse_channel(text: str | None) -> int | str | None:
    """Parses the value of `--channel`: a number, or "mean"."""
    return int(text) if text is not None and text.isdecimal() else text


def fingerprint(path: str) -> str:
    """Returns the SHA-256 of the content of audio files."""
    from tfar.data.recordings import find_audio

    return sha256(find_audio(path))


def chunks(splits: Any, split: str, dist: Any, settings: Any) -> Any:
    """Returns the chunks of a split for training and validation, or None if there is no such split."""
    if split not in splits.recordings:
        return None
    return splits.chunks(
        split,
        length=settings.chunk_length or CHUNK_LENGTH,
        warm_up=dist.receptive_field,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )


def open_like(data: str, split: str | None, data_dir: Path | None, trained: TrainedOn) -> tuple[Any, str, bool]:
    """Opens recordings as those that a model was trained on.

    Args:
        data: str. Path of audio files.
        split: str or None. Default: "test" for the files that the model was trained on, "all" for others.
        data_dir: folder that `data` is relative to, or None.
        trained: what the model knows of its data.

    Returns:
        The recordings, the name of the split, and whether these are the test files of those that the model was trained on.

    Raises:
        ValueError: If the files have another sample rate, or there is no such split.
    """
    from tfar.data import from_audio
    from tfar.data.splits import SPLIT_NAMES

    audio, path = trained.audio or {}, located(data, data_dir)
    is_known = trained.files is not None and fingerprint(path) == trained.files["sha256"]
    split = split or ("test" if is_known else "all")
    if split not in (*SPLIT_NAMES, "all"):
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join((*SPLIT_NAMES, 'all'))}")
    fractions: dict[str, Any] = {**SPLIT, **({"valid_fraction": 0.0, "test_fraction": 0.0} if split == "all" else {})}
    labels: dict[str, Any] = {"condition": trained.label, "classes": trained.classes}
    splits = from_audio(path, levels=audio["levels"], channel=audio["channel"], **labels, **fractions)
    if splits.sample_rate != audio["sample_rate"]:
        raise ValueError(
            f"expected files of {audio['sample_rate']} Hz, as the model was trained on; received {splits.sample_rate} Hz. "
            "Resample the files first, with a library such as soxr or librosa"
        )
    return splits, split, is_known and split == "test"


def scored_chunks(dist: Any, splits: Any, split: str, batch_size: int | None) -> Any:
    """Returns the chunks of a split, in order, whose log-probabilities add up to those of the recordings."""
    return splits.chunks(
        "train" if split == "all" else split,
        length=SCORED_LENGTH,
        warm_up=dist.receptive_field,
        batch_size=batch_size or SCORED_BATCH,
        shuffle=False,
    )


def recording_scores(dist: Any, scored: Any, advance: Any) -> Iterator[tuple[Path, float, int]]:
    """Yields the path, the log-probability and the number of samples of each recording.

    Args:
        dist: the distribution.
        scored: the result of `scored_chunks`.
        advance: a function that is called with the number of chunks of each batch, when they have been scored.
    """
    total, current = 0.0, 0
    for index in range(len(scored)):
        scores = -np.asarray(dist.evaluate(**scored[index])["nll"], np.float64)
        for row, score in zip(scored.rows(index), scores, strict=True):
            number = scored.recording_of(row)[0]
            if number != current:
                yield scored.recordings[current].path, total, scored.recordings[current].num_samples
                total, current = 0.0, number
            total += float(score)
        advance(len(scores))
    yield scored.recordings[current].path, total, scored.recordings[current].num_samples


def beginnings(splits: Any, split: str, count: int) -> tuple[Any, Any]:
    """Returns the beginnings of the first recordings of a split, cut to one length, and their condition or None."""
    found = splits.chunks("train" if split == "all" else split, length=CHUNK_LENGTH, batch_size=1, shuffle=False)
    firsts = [row for row in range(found.num_rows) if found.recording_of(row)[1] == 0][:count]
    batches = [found[row] for row in firsts]
    length = min(int(batch["observed"].sum()) for batch in batches)
    value = np.concatenate([batch["value"][:, :length] for batch in batches])
    return value, np.concatenate([b["conditional_input"] for b in batches]) if splits.labels else None


def sample_names(trained_classes: Sequence[str] | None, count: int) -> list[str]:
    """Returns the names of samples: of the classes if there are any, else numbers from 1.

    Example:
        >>> sample_names(None, 2), sample_names(["ann", "bob", "eve"], 2)
        (['1', '2'], ['ann', 'bob'])
    """
    return list(trained_classes[:count]) if trained_classes else [str(number + 1) for number in range(count)]
