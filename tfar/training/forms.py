"""The forms in which training takes data, and the one form in which a step sees them."""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfar.training.batches import Batches

KEYS = ("value", "conditional_input", "observed", "site_weight", "sample_weight")


class Batch(NamedTuple):
    """The parts of a batch; all but the value may be None.

    Attributes:
        value: `[B, *event_shape]`.
        conditional_input: `[B, *conditional_shape]`, or a dict of such tensors.
        observed: bool that broadcasts to the shape of `value`.
        site_weight: numbers that broadcast to the shape of `value`.
        sample_weight: float32 `[B]`.
    """

    value: Any
    conditional_input: Any = None
    observed: Any = None
    site_weight: Any = None
    sample_weight: Any = None

    @property
    def keywords(self) -> dict[str, Any]:
        """The keyword arguments of a method of a distribution: the parts that are present."""
        parts = {"observed": self.observed, "site_weight": self.site_weight}
        return {name: part for name, part in parts.items() if part is not None}


def unpack(data: Any) -> Batch:
    """Returns the parts of a batch: `x`, `(x,)`, `(x, None, sample_weight)`, or a dict with the keys `KEYS`."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    if y is not None:
        raise ValueError(
            "Expected no targets: a density model learns from `x` or `(x, None, sample_weight)`; received y."
        )
    parts = checked_dict(x) if isinstance(x, dict) else {"value": x}
    weight = parts.pop("sample_weight", weight)
    weight = None if weight is None else tf.reshape(tf.cast(weight, tf.float32), [-1])
    return Batch(**parts, sample_weight=weight)


def checked_dict(parts: dict[str, Any]) -> dict[str, Any]:
    """Returns the parts that are present, or raises ValueError if a key is unknown or `value` is missing."""
    if "value" not in parts or set(parts) - set(KEYS):
        raise ValueError(f"Expected a dict with the key 'value' and none but {KEYS}; received {sorted(parts)}.")
    return {name: part for name, part in parts.items() if part is not None}


def pack(x: Any, y: Any, weight: Any, event_shape: Any) -> Any:
    """Joins arrays and their weights in a dict, as Keras drops weights without targets; returns other data as they are.

    `event_shape` tells one array in a list, which is Keras's form, from a list of rows.
    """
    if y is not None:
        raise ValueError("Expected no targets: a density model learns from `x` alone; received y.")
    x, weight = _as_arrays(x, len(event_shape)), _as_array("sample_weight", weight)
    if is_arrays(x):
        _check_shape(x["value"] if isinstance(x, dict) else x, event_shape)
    if weight is None:
        return x
    if not is_arrays(x):
        raise ValueError(
            "Expected `sample_weight` beside arrays; a data set contains its own: (x, None, sample_weight)."
        )
    return {**(x if isinstance(x, dict) else {"value": x}), "sample_weight": weight}


def is_arrays(x: Any) -> bool:
    """Whether data are one array or a dict of arrays."""
    parts = keras.tree.flatten(x) if isinstance(x, dict) else [x]
    return all(isinstance(part, np.ndarray) for part in parts) if parts else False


def split(x: Any, fraction: float) -> tuple[Any, Any]:
    """Splits the last rows off arrays, for validation."""
    if not is_arrays(x) or not 0.0 < fraction < 1.0:
        raise ValueError(f"Expected arrays and a `validation_split` between 0 and 1; received {fraction!r}.")
    count = len(keras.tree.flatten(x)[0])
    cut = count - max(1, int(count * fraction))
    return keras.tree.map_structure(lambda a: a[:cut], x), keras.tree.map_structure(lambda a: a[cut:], x)


def first_rows(x: Any, count: int) -> Batch:
    """Returns rows with which a distribution can be initialised, or raises ValueError if the data can be read only once.

    Whole batches are read until there are `count` rows. `Batches` give their first batch for 1, and all rows otherwise.
    """
    if isinstance(x, Batches):
        return unpack(x[0] if count == 1 else x.arrays)
    if not isinstance(x, keras.utils.PyDataset | tf.data.Dataset):
        raise ValueError(
            "Expected arrays or a data set that can be read twice, as the distribution is initialised with the first rows; "
            f"received a {type(x).__name__}. Call `dist.initialize(rows)` before `fit`."
        )
    found: list[dict[str, Any]] = []
    for batch in x if isinstance(x, tf.data.Dataset) else (x[i] for i in range(len(x))):
        found.append({name: part for name, part in unpack(batch)._asdict().items() if part is not None})
        count -= len(found[-1]["value"])
        if count <= 0:
            break
    return Batch(**keras.tree.map_structure(lambda *parts: tf.concat(parts, 0), *found))


def weighted_rows(batch: Batch) -> Batch:
    """Returns the rows whose sample weight is not 0."""
    if batch.sample_weight is None:
        return batch
    numbers = np.flatnonzero(np.asarray(batch.sample_weight))
    parts = {name: part for name, part in batch._asdict().items() if part is not None}
    return Batch(**keras.tree.map_structure(lambda part: np.asarray(part)[numbers], parts))


def counted_values(batch: Batch) -> Any:
    """Returns which values count in the loss, bool `[B, *event_shape]`: observed ones whose site weight is not 0.

    None if all do.
    """
    if batch.observed is None and batch.site_weight is None:
        return None
    observed = np.ones(np.shape(batch.value), bool)
    for marks in (batch.observed, batch.site_weight):
        if marks is not None:
            observed &= np.asarray(marks) != 0
    return observed


def with_a_row(batch: Batch) -> Batch:
    """Adds a row of weight zero to a batch without rows: the last batch of an epoch may leave a replica none.

    Many ops, and the gradients of more, fail on tensors without rows.
    """
    missing = tf.cast(tf.equal(tf.shape(batch.value)[0], 0), tf.int32)

    def padded(part: Any) -> tf.Tensor:
        part = tf.convert_to_tensor(part)
        return tf.pad(part, [[0, missing], *[[0, 0]] * (part.shape.rank - 1)])

    weight = tf.ones([tf.shape(batch.value)[0]]) if batch.sample_weight is None else batch.sample_weight
    parts = {name: part for name, part in batch._asdict().items() if part is not None}
    return Batch(**keras.tree.map_structure(padded, {**parts, "sample_weight": weight}))


def zero_weightless(batch: Batch) -> Batch:
    """Replaces values and conditions of rows of weight zero, which may be anything, by 0: NaN would reach the gradient."""
    if batch.sample_weight is None:
        return batch
    is_weightless = tf.equal(batch.sample_weight, 0.0)

    def zeroed(part: Any) -> tf.Tensor:
        part = tf.convert_to_tensor(part)
        rows = tf.reshape(is_weightless, [-1, *[1] * (part.shape.rank - 1)])
        return tf.where(rows, tf.zeros_like(part), part)

    condition = batch.conditional_input
    condition = None if condition is None else keras.tree.map_structure(zeroed, condition)
    return batch._replace(value=zeroed(batch.value), conditional_input=condition)


def observed_dimensions(batch: Batch, dist: Any) -> tf.Tensor:
    """The number of values that are observed in each row, or the sum of their site weights, float32 `[B]`.

    A site counts with all its values if all of them are observed, and not at all otherwise, as in `log_prob`. The padding of a
    text does not count.
    """
    shape, values = tf.shape(batch.value), values_of_a_site(dist)

    def of_sites(part: Any) -> tf.Tensor:
        return tf.reshape(tf.broadcast_to(tf.cast(part, tf.float32), shape), [shape[0], -1, values])

    observed = None if batch.observed is None else tf.reduce_min(of_sites(batch.observed), axis=-1) > 0.0
    counted = dist.law.counted_sites(tf.cast(batch.value, tf.float32), observed)
    if counted is None and batch.site_weight is None:
        return tf.fill(shape[:1], tf.cast(tf.reduce_prod(shape[1:]), tf.float32))
    counts = tf.ones([]) if counted is None else tf.cast(counted, tf.float32)
    if batch.site_weight is not None:
        counts *= tf.reduce_mean(of_sites(batch.site_weight), axis=-1)
    return tf.reduce_sum(counts, axis=-1) * values


def values_of_a_site(dist: Any) -> int:
    """The number of values that one parameter vector describes."""
    return math.prod(dist.head.site_shape)


def _as_arrays(x: Any, event_rank: int) -> Any:
    """Turns everything that numpy reads into arrays, in dicts too: Keras reads a list as a structure of many inputs."""
    if isinstance(x, list | tuple) and len(x) == 1 and (isinstance(x[0], dict) or np.ndim(x[0]) == event_rank + 1):
        x = x[0]
    if isinstance(x, dict):
        parts = checked_dict(x)
        return {name: _as_array(name, part) for name, part in parts.items()}
    if isinstance(x, tuple):
        raise ValueError(
            "Expected one array of rows, a dict or a data set, and weights as `sample_weight`; received a tuple of "
            f"{len(x)}."
        )
    return _as_array("x", x)


def _as_array(name: str, part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _as_array(f"{name}[{key!r}]", value) for key, value in part.items()}
    if np.ma.is_masked(part):
        raise ValueError(
            f"Expected `{name}` without masked entries, as the mask is lost; received {np.ma.count_masked(part)} of them. Pass a "
            "dict of `value` and `observed`, the inverse of the mask."
        )
    if isinstance(part, list) or hasattr(part, "__array__"):
        try:
            part = np.asarray(part)
        except (ValueError, TypeError) as error:
            raise ValueError(f"Expected `{name}` to be an array, or lists that make one; received {error}.") from error
        if part.dtype.kind not in "biuf":
            raise ValueError(f"Expected `{name}` to contain numbers; received an array of {part.dtype}.")
    return part


def _check_shape(value: np.ndarray, event_shape: Any) -> None:
    expected, received = [None, *event_shape], list(value.shape)
    fits = len(expected) == len(received) and all(e in (None, r) for e, r in zip(expected, received, strict=True))
    if not fits:
        shown = ", ".join("any" if size is None else str(size) for size in event_shape)
        raise ValueError(f"Expected rows of shape [N, {shown}]; received an array of shape {received}.")
