"""Folders of audio files as data sets."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.data.audio_chunks import AudioChunks
from tfar.data.checks import check_count, check_fractions, check_seed
from tfar.data.hashing import row_fractions
from tfar.data.label_readers import FOLDER, folder_labels
from tfar.data.labels import Labels
from tfar.data.recordings import PEAK, Channel, Recording, find_audio, open_recordings
from tfar.data.splits import SPLIT_NAMES


@dataclasses.dataclass(frozen=True, eq=False)
class AudioSplits:
    """Train, validation and test recordings of one sample rate; `from_audio` makes instances.

    Args:
        name: str.
        recordings: the files of each split.
        sample_rate: int. Samples per second.
        levels: int, the number of mu-law levels, or None for samples of 16 bits.
        labels: class of each file, or None if the data have no labels.
    """

    name: str
    recordings: Mapping[str, Sequence[Recording]] = dataclasses.field(repr=False)
    sample_rate: int
    levels: int | None = 256
    labels: Labels | None = None

    @property
    def description(self) -> str:
        """Origin and form of the values."""
        values = "samples of 16 bits" if self.levels is None else f"{self.levels} mu-law levels"
        return f"{sum(self.num_rows.values())} audio file(s): {self.name}, {self.sample_rate} Hz, {values}"

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The event shape of a model of the recordings: `(None,)`, or `(None, 1)` of 16 bits."""
        return (None,) if self.levels is not None else (None, 1)

    @property
    def num_rows(self) -> dict[str, int]:
        """Number of recordings of each split."""
        return {name: len(self.recordings.get(name, ())) for name in SPLIT_NAMES}

    @property
    def num_samples(self) -> dict[str, int]:
        """Number of samples of each split."""
        return {name: sum(found.num_samples for found in group) for name, group in self.recordings.items()}

    def make_head(self, num_components: int = 10) -> Any:
        """Returns the head of the values: Categorical, or DiscretizedLogisticMixture of `num_components` for 16 bits."""
        import tfar.heads  # Imported here, so that reading data does not import the models.

        if self.levels is not None:
            return tfar.heads.Categorical(self.levels)
        return tfar.heads.DiscretizedLogisticMixture(
            num_components, low=-PEAK, high=PEAK - 1, num_channels=1, companding=255
        )

    def chunks(
        self,
        split: str,
        *,
        length: int,
        warm_up: int = 0,
        batch_size: int = 8,
        shuffle: bool | None = None,
        seed: int = 0,
    ) -> AudioChunks:
        """Returns the chunks of a split for `DensityModel.fit` and `evaluate`; `.dataset()` of them is a tf.data pipeline.

        Args:
            split: str. "train", "valid" or "test".
            length: int. Samples of a chunk that are scored.
            warm_up: int. Samples before them that are context: `dist.receptive_field`, so that no sample is scored as if
                the recording began shortly before it.
            batch_size: int. Chunks of a batch.
            shuffle: bool or None. Whether the order of the chunks is random. None means that of train is.
            seed: int. Seed of the order.

        Returns:
            `AudioChunks`.

        Raises:
            ValueError: If there is no such split, or an argument is invalid.
        """
        if split not in self.recordings:
            raise ValueError(f"expected a split, one of {', '.join(self.recordings)}; received {split!r}")
        labels = {} if self.labels is None else {"num_classes": self.labels.num_classes}
        return AudioChunks(
            self.recordings[split],
            None if self.labels is None else self.labels.splits[split],
            **labels,
            levels=self.levels,
            length=length,
            warm_up=warm_up,
            batch_size=batch_size,
            shuffle=split == "train" if shuffle is None else shuffle,
            seed=seed,
        )


def from_audio(
    path_or_pattern: str | os.PathLike[str],
    *,
    levels: int | None = 256,
    channel: Channel = None,
    condition: str | None = None,
    classes: Sequence[str] | None = None,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> AudioSplits:
    """Opens audio files, and splits them into train, validation and test recordings.

    A split has whole files, at least one: the files with the smallest hashes of (seed, i) are the test split, the next ones the
    validation split, where i numbers the files in the order of their paths. The samples are used as they are: neither silence
    nor loudness is changed, though both move the likelihood of a sample by as much as a bit.

    Only the headers of the files are read. `AudioSplits.chunks` reads samples when they are needed.

    Args:
        path_or_pattern: path of a folder, whose subfolders are searched too, of a file, or a pattern such as "speech/*.flac".
        levels: int or None. Number of mu-law levels of a sample, see `mu_law`; None for whole numbers of 16 bits.
        channel: None for files of one channel; else the number of the channel to use, from 0, or "mean" of all channels.
        condition: None, or "folder": the name of the folder of a file is its class, such as the speaker.
        classes: names of the folders in the order of their numbers. None means all, sorted.
        valid_fraction: float in [0, 1). Fraction of validation files. 0 makes no validation split.
        test_fraction: float in [0, 1). Fraction of test files. 0 makes no test split.
        seed: int. Seed of the split.

    Returns:
        `AudioSplits`.

    Raises:
        FileNotFoundError: If there are no audio files.
        ValueError: If a file is broken or empty, the sample rates differ, a file has several channels and `channel` is None,
            there are too few files for the splits, or an argument is invalid.
        ImportError: If soundfile is not installed.

    Example:
        >>> import pathlib
        >>> for number in range(5):
        ...     tone = 0.5 * np.sin(np.arange(4000) * 0.1 * (number + 1))
        ...     tfar.data.write_audio(pathlib.Path("tones") / f"{number}.wav", tone, sample_rate=8000)
        >>> audio = from_audio("tones")
        >>> audio.sample_rate, audio.num_samples
        (8000, {'train': 12000, 'valid': 4000, 'test': 4000})
        >>> batch = audio.chunks("valid", length=1000, warm_up=500)[0]
        >>> batch["value"].shape, batch["site_weight"].sum(axis=1).tolist()
        ((4, 1500), [1500.0, 1000.0, 1000.0, 500.0])
    """
    fractions, seed = check_fractions(valid_fraction, test_fraction), check_seed(seed)
    levels = None if levels is None else check_count("levels", levels, minimum=2)
    if condition not in (None, FOLDER):
        raise ValueError(f"expected {FOLDER!r} as the condition of audio files, or None; received {condition!r}")
    paths = find_audio(path_or_pattern)
    recordings = open_recordings(paths, channel)
    places = split_files(len(paths), seed, *fractions)
    return AudioSplits(
        paths[0].stem if len(paths) == 1 else str(path_or_pattern),
        {name: [recordings[i] for i in found] for name, found in places.items()},
        recordings[0].sample_rate,
        levels,
        None if condition is None else _labels(paths, places, classes),
    )


def split_files(count: int, seed: int, valid_fraction: float, test_fraction: float) -> dict[str, NDArray[np.int64]]:
    """Returns the numbers of the files of each split, in ascending order; a split with a fraction above 0 has a file.

    Example:
        >>> {name: found.tolist() for name, found in split_files(6, 0, 0.2, 0.2).items()}
        {'train': [0, 1, 3, 4], 'valid': [2], 'test': [5]}
    """
    sizes = {
        name: max(1, round(count * f)) if f else 0 for name, f in (("test", test_fraction), ("valid", valid_fraction))
    }
    if sum(sizes.values()) >= count:
        raise ValueError(
            f"expected more files than the {sum(sizes.values())} of validation and test, so that train has one; received "
            f"{count}. Cut recordings into several files, or pass the fraction 0 to make no such split"
        )
    order = np.argsort(row_fractions(seed, 0, count), kind="stable")
    ends = np.cumsum([sizes["test"], sizes["valid"]])
    parts = dict(zip(("test", "valid", "train"), np.split(order, ends), strict=True))
    return {name: np.sort(parts[name]) for name in SPLIT_NAMES if len(parts[name])}


def _labels(
    paths: Sequence[pathlib.Path], places: Mapping[str, NDArray[np.int64]], classes: Sequence[str] | None
) -> Labels:
    names, labels = folder_labels(paths, classes)
    return Labels(FOLDER, len(names), tuple(names), {split: labels[found] for split, found in places.items()})
