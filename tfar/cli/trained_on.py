"""What a model knows of the data that it was trained on: columns, class labels, and the files with their split."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfar.exports import sha256

# The split of files in `tfar train`.
SPLIT: dict[str, Any] = {"seed": 0, "valid_fraction": 0.1, "test_fraction": 0.1}


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The part of a run's config.json, and of the `tfar.json` of an export, that later commands need of the data.

    Args:
        columns: names of the columns of a row, or None if they have none.
        condition: name, num_classes and classes of the labels that are the condition of the model, or None.
        files: sha256 of the files, their split (seed, valid_fraction, test_fraction), and how they are read (columns, key,
            header); None for a named data set.
        audio: of a model of audio files: sample_rate, levels (of mu-law, or None for samples of 16 bits) and channel; else None.
        text: of a model of texts: vocabulary (see `tfar.data.Vocabulary.as_json`), column, and counts of the words in the
            training texts; else None.
    """

    columns: Sequence[str] | None = None
    condition: Mapping[str, Any] | None = None
    files: Mapping[str, Any] | None = None
    audio: Mapping[str, Any] | None = None
    text: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrainedOn":
        """Takes the known keys of a JSON object; ValueError if one has another form."""
        columns, condition, files, audio, text = (content.get(field.name) for field in dataclasses.fields(cls))
        if columns is not None and not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
            raise ValueError(f"columns {str(columns)[:100]}")
        if condition is not None and not (
            isinstance(condition["name"], str) and isinstance(condition["num_classes"], int)
        ):
            raise ValueError(f"condition {str(condition)[:100]}")
        if audio is not None and not (
            isinstance(audio["sample_rate"], int) and isinstance(audio["levels"], int | None) and "channel" in audio
        ):
            raise ValueError(f"audio {str(audio)[:100]}")
        if text is not None and not (isinstance(text["vocabulary"]["words"], list) and "column" in text):
            raise ValueError(f"text {str(text)[:100]}")
        return cls(columns, condition, files, audio, text)

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return dataclasses.asdict(self)

    @property
    def label(self) -> str | None:
        """Name of the labels, or None."""
        return None if self.condition is None else self.condition["name"]

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes, or None."""
        return None if self.condition is None else self.condition["classes"]

    def one_hot(self, label: str) -> Any:
        """Returns the condition of a class, float32 `[num_classes]`, given its number or its name."""
        import numpy as np

        from tfar.data.labels import one_hot

        if self.condition is None:
            raise ValueError(f"--condition {label}: the model was trained without class labels")
        count = self.condition["num_classes"]
        names = list(self.classes or map(str, range(count)))
        if label not in names and not (label.isdecimal() and int(label) < count):
            raise ValueError(f"--condition: expected one of {', '.join(names)}; received {label}")
        number = names.index(label) if label in names else int(label)
        return one_hot(np.array([number]), count)[0]


def describe(splits: Any, settings: Any) -> TrainedOn:
    """Returns what a new run remembers of its data; `settings` are those of the run, or None for a named data set."""
    condition = describe_labels(splits.labels)
    columns = None if splits.columns is None else list(splits.columns)
    if settings is None:
        return TrainedOn(columns, condition)
    chosen = None if settings.columns is None else list(settings.columns)
    read = {"columns": chosen, "key": settings.key, "header": settings.header}
    return TrainedOn(columns, condition, {"sha256": fingerprint(settings.data, settings.data_dir), **SPLIT, **read})


def describe_labels(labels: Any) -> dict[str, Any] | None:
    """Returns `tfar.data.labels.Labels` as the condition that a run remembers, or None if there are none."""
    if labels is None:
        return None
    classes = None if labels.classes is None else list(labels.classes)
    return {"name": labels.name, "num_classes": labels.num_classes, "classes": classes}


def fingerprint(data: str, data_dir: str | Path | None) -> str:
    """Returns the SHA-256 of the content of files."""
    from tfar.data.opening import find_files

    return sha256(find_files(located(data, data_dir)))


def located(data: str, data_dir: str | Path | None) -> str:
    """Returns the path of a file, which is relative to `data_dir` if that is given."""
    return data if data_dir is None else str(Path(data_dir).expanduser() / data)
