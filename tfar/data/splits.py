"""What every loader returns: three splits of one data set, and the head that suits its values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.data.checks import check_count, row_bytes
from tfar.data.sources import Source

SPLIT_NAMES = ("train", "valid", "test")
MEMORY_LIMIT = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class DataSplits:
    """Train, validation and test rows of one data set, with what a model must know about them.

    The datasets give float32 batches `[B, *event_shape]` in the order of the files. Nothing is shuffled here: an order
    is a function of (seed, epoch), and is drawn while fitting (`DensityModel.fit` on `arrays("train")`).

    Args:
        name: str.
        train: tf.data.Dataset of batches.
        valid: the same, or None where the set has no such split.
        test: the same, or None.
        event_shape: tuple of int. Shape of one row.
        head: str. Name of the suited head, a class of `tfar.heads`.
        head_config: dict. The arguments of that class.
        num_train: int, or None for a stream nobody has counted.
        num_valid: int or None.
        num_test: int or None.
        description: str. Where the rows come from, and what was done to them.
        batch_size: int.
        memory_limit: int. `arrays` reads a stream into memory only below that many bytes.

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
    _in_memory: dict[str, np.ndarray] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_sources(cls, name: str, sources: Mapping[str, Source], *, batch_size: int, **fields: Any) -> "DataSplits":
        """Builds the splits, their datasets and their sizes from one source for each split.

        Args:
            name: str.
            sources: `Source` by split name; "train" is needed.
            batch_size: int.
            **fields: `head`, `head_config`, `description`, `memory_limit`.

        Returns:
            A `DataSplits`.

        Raises:
            ValueError: the batch size is not positive, or the train split is missing or empty.
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

    def arrays(self, split: str) -> np.ndarray | None:
        """Returns one split as an array, for whoever shuffles it; a stream is read on the first call.

        Args:
            split: "train", "valid" or "test".

        Returns:
            `[N, *event_shape]` in the compact type of the source (uint8 for images and bits, float32 for files).
            None if the set has no such split, if nobody has counted its rows, or if it exceeds `memory_limit` bytes.

        Raises:
            ValueError: there is no split of that name.
        """
        if split not in SPLIT_NAMES:
            raise ValueError(f"split must be one of {', '.join(SPLIT_NAMES)}; received {split!r}")
        source = self.sources.get(split)
        if source is None or source.num_rows is None:
            return None
        if source.num_rows * row_bytes(self.event_shape, source.dtype.itemsize) > self.memory_limit:
            return None
        if split not in self._in_memory:
            self._in_memory[split] = source.array()
        return self._in_memory[split]

    def make_head(self) -> Any:
        """Builds the suited head.

        Returns:
            `getattr(tfar.heads, head)(**head_config)`.
        """
        import tfar.heads  # Imported here: the data needs no model to be read.

        return getattr(tfar.heads, self.head)(**self.head_config)
