"""Ends of sequences: after the value 0 there are no others."""

import tensorflow as tf


def before_end(is_end: tf.Tensor, row_length: int | None = None) -> tf.Tensor:
    """Returns which sites have no end before them, given which values are 0, both bool `[B, N]`; an end itself has none.

    Args:
        is_end: bool `[B, N]`.
        row_length: None, or T: 0 ends a row of T sites, and a row that begins with 0 ends the sequence.

    Example:
        >>> values = tf.constant([[3, 0, 0, 2, 4, 1, 0, 0, 0]])
        >>> before_end(values == 0, row_length=3).numpy().astype(int)
        array([[1, 1, 0, 1, 1, 1, 1, 0, 0]])
    """
    if row_length is None:
        return _none_before(is_end, 1)
    rows = tf.reshape(is_end, [tf.shape(is_end)[0], -1, row_length])
    open_rows = _none_before(rows[:, :, 0], 1)
    return tf.reshape(tf.logical_and(_none_before(rows, 2), tf.expand_dims(open_rows, -1)), tf.shape(is_end))


def _none_before(marks: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.equal(tf.cumsum(tf.cast(marks, tf.int32), axis=axis, exclusive=True), 0)
