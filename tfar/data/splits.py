"""`DataSplits`: the splits of a data set and the head that suits its values. Every loader returns one."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.data.checks import check_count
from tfar.data.labels import Labels
from tfar.data.sources import Source

SPLIT_NAMES = ("train", "valid", "test")
MEMORY_LIMIT = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class DataSplits:
    """Train, validation and test rows of a data set, with their shape and a suitable head.

    The datasets yield float32 batches `[B, *event_shape]` in the order of the files. They are not shuffled. Pass
    `arrays("train")` to `DensityModel.fit`, which shuffles the rows anew in each epoch.

    Args:
        name: str.
        train: tf.data.Dataset of batches.
        valid: tf.data.Dataset of batches, or None if there is no validation split.
        test: tf.data.Dataset of batches, or None if there is no test split.
        event_shape: tuple of int. Shape of one row.
        head: str. Name of a class of `tfar.heads` that suits the values.
        head_config: dict. Arguments of this class.
        num_train: int. Number of train rows, or None if unknown.
        num_valid: int. Number of validation rows, or None if unknown.
        num_test: int. Number of test rows, or None if unknown.
        description: str. Origin and preprocessing of the rows.
        batch_size: int.
        memory_limit: int. `arrays` returns None for splits of more bytes.
        sources: the source of each split, by its name.
        columns: tuple of str. Names of the columns of a row, or None if the data have none.
        units: mean and standard deviation of each entry of the train rows, float64 `[*event_shape]`, or None if unknown.
        missing: bool. Whether values are missing: NaN in the rows.
        labels: class of each row, or None if the data have no labels.

    Example:
        >>> import tfar.data
        >>> splits = tfar.data.load("digits", batch_size=50)
        >>> splits.event_shape, splits.head, splits.num_train
        ((8, 8), 'Bernoulli', 1297)
        >>> next(iter(splits.train)).shape
        TensorShape([50, 8, 8])
        >>> splits.arrays("test").shape
        (250, 8, 8)
    """

    name: str
    train: tf.data.Dataset = dataclasses.field(repr=False)
    valid: tf.data.Dataset | None = dataclasses.field(repr=False)
    test: tf.data.Dataset | None = dataclasses.field(repr=False)
    event_shape: tuple[int, ...]
    head: str
    head_config: dict[str, Any]
    num_train: int | None = None
    num_valid: int | None = None
    num_test: int | None = None
    description: str = ""
    batch_size: int = 100
    memory_limit: int = MEMORY_LIMIT
    sources: Mapping[str, Source] = dataclasses.field(default_factory=dict, repr=False)
    columns: tuple[str, ...] | None = None
    units: tuple[np.ndarray, np.ndarray] | None = dataclasses.field(default=None, repr=False)
    missing: bool = False
    labels: Labels | None = None
    _in_memory: dict[str, np.ndarray] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_sources(cls, name: str, sources: Mapping[str, Source], *, batch_size: int, **fields: Any) -> "DataSplits":
        """Makes `DataSplits` from a source for each split, of which "train" is required and must have rows.

        `fields` are the other arguments.
        """
        batch_size = check_count("batch_size", batch_size)
        if "train" not in sources or sources["train"].num_rows == 0:
            raise ValueError(f"{name}: the train split needs at least one row; received none")
        datasets = {k: source.dataset(batch_size) for k, source in sources.items()}
        sizes = {k: sources[k].num_rows if k in sources else 0 for k in SPLIT_NAMES}
        return cls(
            name=name,
            train=datasets["train"],
            valid=datasets.get("valid"),
            test=datasets.get("test"),
            num_train=sizes["train"],
            num_valid=sizes["valid"],
            num_test=sizes["test"],
            event_shape=tuple(sources["train"].event_shape),
            batch_size=batch_size,
            sources=dict(sources),
            **fields,
        )

    @property
    def num_rows(self) -> dict[str, int | None]:
        """Number of rows of each split: 0 if there is no such split, None if unknown."""
        return {"train": self.num_train, "valid": self.num_valid, "test": self.num_test}

    def arrays(self, split: str) -> np.ndarray | None:
        """Returns a split as an array. The first call reads the rows of a stream.

        Args:
            split: str. "train", "valid" or "test".

        Returns:
            Array `[N, *event_shape]` in the data type of the source (uint8 for images and binary data, float32 for files).
            None if there is no such split, if its number of rows is unknown, or if it has more than `memory_limit` bytes.

        Raises:
            ValueError: If `split` is another name.
        """
        if split not in SPLIT_NAMES:
            raise ValueError(f"split must be one of {', '.join(SPLIT_NAMES)}; received {split!r}")
        source = self.sources.get(split)
        if source is None or source.num_rows is None:
            return None
        if source.num_rows * math.prod(self.event_shape) * source.dtype.itemsize > self.memory_limit:
            return None
        if split not in self._in_memory:
            self._in_memory[split] = source.array()
        return self._in_memory[split]

    def make_head(self) -> Any:
        """Returns the head that suits the values: `getattr(tfar.heads, head)(**head_config)`.

        Raises:
            ValueError: If `tfar.heads` has no such head, or if the head does not accept the arguments.
        """
        import tfar.heads  # Imported here, so that reading data does not import the models.

        head = getattr(tfar.heads, self.head, None)
        if head is None:
            raise ValueError(f"expected the name of a head in tfar.heads; received {self.head!r}")
        try:
            return head(**self.head_config)
        except TypeError as error:
            raise ValueError(f"tfar.heads.{self.head} does not accept {self.head_config}: {error}") from error
