"""Rows that a law cannot serve: they become NaN and do not affect the other rows."""

import functools
from typing import Any

import tensorflow as tf


def rows_where(elements: tf.Tensor) -> tf.Tensor:
    """Returns whether all elements of a row are true, bool `[B]`."""
    return elements if elements.shape.rank == 1 else tf.reduce_all(elements, axis=list(range(1, elements.shape.rank)))


def finite_rows(conditional_input: Any) -> tf.Tensor | None:
    """Returns whether each row of a condition is finite, bool `[B]`; None without a condition."""
    if conditional_input is None:
        return None
    parts = [rows_where(tf.abs(part) <= tf.float32.max) for part in tf.nest.flatten(conditional_input)]
    return functools.reduce(tf.logical_and, parts)


def served_conditions(conditional_input: Any, num_values: int | None) -> tf.Tensor | None:
    """Returns whether each row of a condition is finite and, if `num_values` is an int K, consists of 0 .. K - 1."""
    finite = finite_rows(conditional_input)
    if finite is None or num_values is None:
        return finite
    parts = [
        rows_where(
            tf.logical_and(tf.equal(part, tf.floor(part)), tf.logical_and(part >= 0.0, part < float(num_values)))
        )
        for part in tf.nest.flatten(conditional_input)
    ]
    return functools.reduce(tf.logical_and, parts, finite)


def nan_unless(valid: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor:
    """Replaces invalid rows of `values [B, ...]` by NaN, given bool `valid [B]`; None means that all rows are valid."""
    if valid is None:
        return values
    valid = tf.reshape(valid, [-1] + [1] * (values.shape.rank - 1))
    return tf.where(valid, values, tf.constant(float("nan"), tf.float32))
