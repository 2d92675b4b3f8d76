"""Cells of columns as tensors, encoded in plain operations as `Column.encode` does: for exported models."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfar.optional import require
from tfar.tables.classes import CategoricalColumn, OrdinalColumn
from tfar.tables.column import MISSING, Column
from tfar.tables.datetimes import DAY, DatetimeColumn
from tfar.tables.numbers import CountColumn, RealColumn

NAN = float("nan")


class CellTensors(NamedTuple):
    """The tensors of `Cells`: float32 `[B, num_sites]`, bool `[B]` and float64 `[B]`.

    A cell that does not fit its column has a value outside the support, so that the result of its row is NaN.
    """

    values: tf.Tensor
    observed: tf.Tensor
    log_scale: tf.Tensor


def input_dtype(column: Column) -> tf.DType:
    """Returns the dtype of the input of a column: string, bool or float64."""
    if not isinstance(column, CategoricalColumn | OrdinalColumn):
        return tf.float64
    if all(isinstance(value, bool) for value in column.categories):
        return tf.bool
    is_number = all(isinstance(value, int | float) for value in column.categories)
    return tf.float64 if is_number else tf.string


def inputs_of(column: Column, series: Any) -> Any:
    """Returns the cells of a Series as an input array `[B]`: "" or NaN for missing cells, seconds since 1970 for times."""
    pandas, dtype = require("pandas", "tables"), input_dtype(column)
    if isinstance(column, DatetimeColumn):
        days, within, present = column._split(series)
        return np.where(present, (days + column.origin) * float(DAY) + within / 1e9, NAN)
    if dtype == tf.string:
        return np.array(["" if pandas.isna(cell) else str(cell) for cell in series], object)
    return series.to_numpy(bool) if dtype == tf.bool else series.astype("float64").to_numpy()


def encoded(column: Column, cells: tf.Tensor) -> CellTensors:
    """Returns the cells `[B]` of a column as values of its sites."""
    if isinstance(column, CategoricalColumn | OrdinalColumn):
        return _classes(column, cells)
    if isinstance(column, DatetimeColumn):
        return _times(column, cells)
    is_missing = tf.math.is_nan(cells)
    if isinstance(column, RealColumn):
        return _real(column, cells, is_missing)
    if not isinstance(column, CountColumn):
        raise ValueError(f"Expected a column with an input; received the {column!r}.")
    return _numbers(column, tf.expand_dims(tf.cast(cells, tf.float32), -1), is_missing)


def _classes(column: CategoricalColumn | OrdinalColumn, cells: tf.Tensor) -> CellTensors:
    if cells.dtype == tf.string:
        labels, is_missing = tf.constant([str(value) for value in column.categories]), tf.equal(cells, "")
    else:
        labels = tf.constant(column.categories, cells.dtype)
        is_missing = tf.zeros_like(cells, tf.bool) if cells.dtype == tf.bool else tf.math.is_nan(cells)
    hits = tf.cast(tf.equal(tf.expand_dims(cells, -1), labels), tf.float32)
    position = tf.reduce_sum(hits * tf.range(1.0, len(column.categories) + 1.0), axis=-1)  # 0 for none
    observed = tf.logical_or(tf.logical_not(is_missing), column.missing)
    if isinstance(column, OrdinalColumn):
        codes = tf.where(is_missing, -1.0, tf.where(position > 0.0, position - 1.0, NAN))
        return CellTensors(tf.expand_dims(codes, -1), observed, tf.zeros_like(codes, tf.float64))
    codes = tf.where(is_missing, column.num_classes - 1.0 if column.missing else 0.0, position)
    if column.base is None:
        values = tf.expand_dims(codes, -1)
    else:
        first = tf.floor(codes / column.base)
        values = tf.stack([first, codes - first * column.base], axis=-1)
    return CellTensors(values, observed, tf.zeros_like(codes, tf.float64))


def _numbers(column: Column, values: tf.Tensor, is_missing: tf.Tensor) -> CellTensors:
    """Returns values `[B, num_sites]` with those of missing cells in place."""
    values = tf.where(tf.expand_dims(is_missing, -1), MISSING if column.missing else 0.0, values)
    observed = tf.logical_or(tf.logical_not(is_missing), column.missing)
    return CellTensors(values, observed, tf.zeros_like(values[:, 0], tf.float64))


def _real(column: RealColumn, numbers: tf.Tensor, is_missing: tf.Tensor) -> CellTensors:
    values = tf.cast((numbers - column.loc) / column.scale, tf.float32)
    found = _numbers(column, tf.expand_dims(values, -1), is_missing)
    dense = tf.logical_not(is_missing)
    if column.atoms:
        is_atom = tf.equal(tf.expand_dims(values, -1), tf.constant(column.atoms, tf.float32))
        dense = tf.logical_and(dense, tf.logical_not(tf.reduce_any(is_atom, axis=-1)))
    return found._replace(log_scale=tf.cast(dense, tf.float64) * np.log(column.scale))


def _times(column: DatetimeColumn, seconds: tf.Tensor) -> CellTensors:
    is_missing, since = tf.math.is_nan(seconds), seconds - float(column.origin * DAY)
    if column.resolution == "real":
        return _real(column.real, since, is_missing)
    days = since / DAY
    if column.resolution == "day":
        return _numbers(column, tf.expand_dims(tf.cast(days, tf.float32), -1), is_missing)
    whole = tf.floor(days)
    values = tf.cast(tf.stack([whole, since - whole * DAY], axis=-1), tf.float32)
    return _numbers(column, values, is_missing)
