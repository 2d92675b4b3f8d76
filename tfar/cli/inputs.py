"""The rows of a split in the form in which a model is trained: values, the observed ones, and their condition."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfar.data.labels import one_hot


def of_split(splits: Any, split: str, event_shape: Any, in_memory: bool = True) -> Any:
    """Returns the data of a split for `DensityModel`, or None if there is no such split.

    Args:
        splits: tfar.data.DataSplits.
        split: str.
        event_shape: shape of one row of the model, to which the rows are reshaped.
        in_memory: bool. Whether rows that fit into memory are arrays, which training shuffles.

    Returns:
        An array or a data set of rows; of dicts with `observed` if values are missing, and `conditional_input` if there are
        labels.
    """
    data, shape = getattr(splits, split), [-1, *event_shape]
    if data is None:
        return None
    condition = None
    if splits.labels is not None:
        condition = one_hot(splits.labels.splits[split], splits.labels.num_classes)
    rows = splits.arrays(split) if in_memory else None
    if rows is not None:
        return _parts(rows.reshape(shape), None if not splits.missing else ~np.isnan(rows.reshape(shape)), condition)
    if condition is not None:
        labels = tf.data.Dataset.from_tensor_slices(condition).batch(splits.batch_size)
        data = tf.data.Dataset.zip((data, labels))

    def parts(value: tf.Tensor, condition: tf.Tensor | None = None) -> Any:
        value = tf.reshape(value, shape)
        return _parts(value, None if not splits.missing else ~tf.math.is_nan(value), condition)

    return data.map(parts)


def _parts(value: Any, observed: Any, condition: Any) -> Any:
    if observed is None and condition is None:
        return value
    parts = {"value": value, "observed": observed, "conditional_input": condition}
    return {name: part for name, part in parts.items() if part is not None}
