"""Errors of `fit` that name a row: of data outside the support, and of a loss that is not finite."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.moments import Moments
from tfar.numbered import NumberedBatches
from tfar.training import forms
from tfar.training.batches import Batches

CHUNK_VALUES = 1 << 22
REMEDY = "Values far from the others cause this: scale the data or remove the row; or lower the learning rate."


class DataCheck:
    """Refuses rows whose value is outside the support of a distribution or whose condition is not finite.

    Arrays are checked at once. A stream is checked batch by batch as it is read; `raising` turns the error that Keras or
    tf.data makes of it back into the ValueError.
    """

    def __init__(self, dist: Any) -> None:
        self.dist = dist
        self.error: Exception | None = None

    def data(self, x: Any) -> Any:
        """Checks arrays and returns them; returns a stream that checks itself."""
        if isinstance(x, Batches):
            self.arrays(x.arrays)
        elif forms.is_arrays(x):
            self.arrays(x)
        elif isinstance(x, keras.utils.PyDataset):
            return _CheckedDataset(x, self._read_batch)
        elif isinstance(x, tf.data.Dataset):
            return self._checked_stream(x)
        elif isinstance(x, Iterator):
            return self._checked_batches(x)
        return x

    def arrays(self, arrays: Any) -> None:
        """Checks every row that has a weight; the ValueError names the row and the site."""
        if not forms.is_arrays(arrays):
            return
        parts = forms.checked_dict(arrays) if isinstance(arrays, dict) else {"value": arrays}
        weight = parts.pop("sample_weight", None)
        count = len(parts["value"])
        rows = max(1, CHUNK_VALUES // max(1, math.prod(parts["value"].shape[1:])))
        for first in range(0, count, rows):
            chunk = keras.tree.map_structure(lambda part, first=first: part[first : first + rows], parts)
            self._check(forms.Batch(**chunk), None if weight is None else weight[first : first + rows], first)
        if weight is None and "observed" not in parts:
            _check_precision(parts["value"], rows)

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Raises the error of a stream in place of the one that arrives."""
        try:
            yield
        except Exception:
            if self.error is not None:
                raise self.error from None
            raise

    def _check(self, batch: forms.Batch, weight: Any, first_row: int = 0) -> None:
        if weight is not None:  # A row of weight zero may be anything: the first row that counts takes its place.
            counts = np.reshape(np.asarray(weight), [-1]) != 0
            if not counts.any():
                return
            rows = np.where(counts, np.arange(len(counts)), np.argmax(counts))
            parts = {name: part for name, part in batch._asdict().items() if part is not None}
            batch = forms.Batch(**keras.tree.map_structure(lambda part: np.asarray(part)[rows], parts))
        self.dist.check_rows(batch.value, batch.conditional_input, observed=batch.observed, first_row=first_row)

    def _check_batch(self, data: Any, number: int) -> None:
        """Checks a batch of a stream, and keeps the error."""
        batch = forms.unpack(data)
        try:
            self._check(batch._replace(sample_weight=None), batch.sample_weight)
        except ValueError as error:
            found = ValueError(f"{error} (Rows are counted within batch {number} of the data set, from 0.)")
            self.error = self.error or found  # A pipeline may check later batches before the first error arrives.
            raise found from None

    def _read_batch(self, data: keras.utils.PyDataset, number: int) -> Any:
        """Reads a batch of a data set and checks it; keeps the error of either."""
        try:
            batch = data[number]
        except Exception as error:
            self.error = self.error or error
            raise
        self._check_batch(batch, number)
        return batch

    def _checked_batches(self, batches: Iterator[Any]) -> Iterator[Any]:
        for number, data in enumerate(batches):
            self._check_batch(data, number)
            yield data

    def _checked_stream(self, stream: tf.data.Dataset) -> tf.data.Dataset:
        """A tf.data pipeline that looks at every batch in plain ops, and calls Python for a bad one alone."""

        @tf.autograph.experimental.do_not_convert  # AutoGraph puts its own traceback before the message of an error.
        def check(number: tf.Tensor, *element: Any) -> Any:
            data = element if len(element) > 1 else element[0]
            batch = forms.unpack(data)
            valid = self.dist.valid_rows(batch.value, batch.conditional_input, observed=batch.observed)
            if batch.sample_weight is not None:
                valid = tf.logical_or(valid, tf.equal(batch.sample_weight, 0.0))
            present = [part for part in keras.tree.flatten(data) if part is not None]

            def refuse() -> tf.Tensor:
                return tf.py_function(lambda n, *parts: self._refuse(data, parts, int(n)), [number, *present], tf.bool)

            passed = tf.cond(tf.reduce_all(valid), lambda: tf.constant(True), refuse)
            with tf.control_dependencies([passed]):
                return keras.tree.map_structure(lambda part: None if part is None else tf.identity(part), data)

        return stream.enumerate().map(check).prefetch(tf.data.AUTOTUNE)

    def _refuse(self, structure: Any, parts: Any, number: int) -> bool:
        present = iter(parts)
        flat = [None if part is None else next(present) for part in keras.tree.flatten(structure)]
        self._check_batch(keras.tree.pack_sequence_as(structure, flat), number)
        return True


class _CheckedDataset(keras.utils.PyDataset):
    """A `PyDataset` that checks each of its batches."""

    def __init__(self, data: keras.utils.PyDataset, read: Callable[[keras.utils.PyDataset, int], Any]) -> None:
        super().__init__(
            workers=data.workers, use_multiprocessing=data.use_multiprocessing, max_queue_size=data.max_queue_size
        )
        self._data, self._read = data, read

    def __len__(self) -> int:
        return len(self._data)

    @property
    def num_batches(self) -> int | None:
        return self._data.num_batches

    def __getitem__(self, index: int) -> Any:
        return self._read(self._data, index)

    def on_epoch_begin(self) -> None:
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._data.on_epoch_end()


class LossCheck(keras.callbacks.Callback):
    """Ends `fit` with an error when the loss is not finite; the update of that step has been skipped.

    It looks at the loss of a step when the next one has been started, so that an accelerator never waits for it. The gradient
    of a finite loss may be NaN: it makes the loss of the next step NaN, and after the last step of an epoch the weights
    themselves are looked at, before a `Backup` commits them.

    Args:
        batches: None, or the numbered batches that `fit` reads, of which a row can be named.
    """

    def __init__(self, batches: NumberedBatches | None = None) -> None:
        super().__init__()
        self.batches = batches
        self.epoch = 0
        self._last: tuple[int, Any] | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self._last = epoch, None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        last, self._last = self._last, (batch, (logs or {}).get("loss"))
        self._check(last)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._check(self._last)
        loss = (logs or {}).get("loss", 0.0)  # Of all steps: a loop of its own may report none of them.
        if not math.isfinite(loss):
            raise ValueError(f"Expected a finite training loss; received {loss} in epoch {epoch}. {REMEDY}")
        if not all(np.isfinite(variable).all() for variable in self.model.trainable_variables):
            raise ValueError(
                f"Expected finite weights after epoch {epoch}; received others, as the gradient of a step with a finite loss "
                f"was not finite. {REMEDY}"
            )

    def _check(self, step: tuple[int, Any] | None) -> None:
        if step is not None and step[1] is not None and not math.isfinite(loss := float(step[1])):
            raise ValueError(
                f"Expected a finite training loss; received {loss} in step {step[0]} of epoch {self.epoch}"
                f"{self._rows(step[0])}. That update was skipped. {REMEDY}"
            )

    def _rows(self, step: int) -> str:
        """Names the rows of a batch whose losses are not finite, where the batch can be read again."""
        if self.batches is None:
            return ""
        batch, model = forms.unpack(self.batches[step]), self.model
        losses = model.dist.training_loss(batch.value, batch.conditional_input, seed=0, **batch.keywords)
        bad = np.flatnonzero(~np.isfinite(losses))
        if not len(bad):
            return ""
        row = int(bad[0])
        value = np.reshape(np.asarray(batch.value[row], np.float64), [-1, forms.values_of_a_site(model.dist)])
        site = int(np.argmax(np.abs(value).max(axis=-1)))
        number = self.batches.rows(step)[row]
        return f", at row {number}, whose largest value is {value[site].max()} at site {site}"


def _check_precision(value: np.ndarray, rows: int) -> None:
    """Raises ValueError if float32, to which values are cast, rounds away the variation of an entry of the events."""
    if np.can_cast(value.dtype, np.float32):
        return
    moments, is_rounded = Moments(value.shape[1:]), np.zeros(value.shape[1:], bool)
    for first in range(0, len(value), rows):
        part = value[first : first + rows]
        moments.add(part)
        is_rounded |= (part.astype(np.float32) != part).any(axis=0)
    mean, deviation = moments.loc_and_scale()
    spacing = np.spacing(np.abs(mean).astype(np.float32))
    lost = np.argwhere(is_rounded & (deviation < spacing) & (moments.low < moments.high))
    if len(lost):
        entry = tuple(int(i) for i in lost[0])
        raise ValueError(
            f"Expected values that float32 tells apart; received entry {list(entry)} of the events with standard deviation "
            f"{deviation[entry]:.6g} at mean {mean[entry]:.10g}, where float32 numbers are {spacing[entry]:.6g} apart. "
            "Subtract an offset from the data in float64 first, and add it to samples."
        )
