"""Encoding of the values of sites that may differ in kind, such as the columns of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Largest number of classes of a site that is one-hot encoded by default.
ONE_HOT_CLASSES = 32


class ColumnEncoding:
    """Encodes the value of each site as `inputs_per_site` inputs of a network, by the kind of the site.

    Classes are one-hot vectors, or scaled to -1 .. 1. Other values are not changed. Vectors that are shorter than the longest
    one are padded with zeros.

    Args:
        site_shape: shape of the value of one site.
        num_classes: for each site its number of classes, or None if its values are numbers.
        one_hot: bool or None. Whether to encode classes as one-hot vectors. None: those of sites of up to 32 classes.

    Attributes:
        inputs_per_site: int. Number of inputs for each site, I.

    Example:
        >>> encoding = ColumnEncoding((), [None, 3])
        >>> encoding(tf.constant([[0.7, 2.0]]), np.arange(2)).numpy()
        array([[[0.7, 0. , 0. ],
                [0. , 0. , 1. ]]], dtype=float32)
    """

    def __init__(
        self, site_shape: Sequence[int], num_classes: Sequence[int | None], one_hot: bool | None = None
    ) -> None:
        self._site_size = int(np.prod(site_shape, dtype=int))
        self._rank = len(site_shape)
        counts = np.array([count or 0 for count in num_classes], np.int32)
        self.is_one_hot = (counts > 0) & (counts <= ONE_HOT_CLASSES if one_hot is None else bool(one_hot))
        is_scaled = (counts > 2) & ~self.is_one_hot
        self._scales = np.where(is_scaled, 2.0 / np.maximum(counts - 1, 1), 1.0).astype(np.float32)
        self._shifts = np.where(is_scaled, -1.0, 0.0).astype(np.float32)
        widths = np.where(self.is_one_hot, counts * self._site_size, self._site_size)
        self.inputs_per_site = int(widths.max())
        self._classes = int(np.where(self.is_one_hot, counts, 0).max())

    def __call__(self, values: tf.Tensor, site: Any) -> tf.Tensor:
        """Returns the inputs of values.

        Args:
            values: float tensor `[..., *site_shape]`.
            site: the sites, ints that broadcast against the leading axes of `values`.

        Returns:
            float tensor `[..., I]`.
        """
        lead = tf.shape(values)[: values.shape.rank - self._rank]
        values = tf.reshape(values, tf.concat([lead, [self._site_size]], 0))
        if self.is_one_hot.all():
            return self._one_hot(values, lead)
        numbers = self._numbers(values, site)
        if not self.is_one_hot.any():
            return numbers
        is_one_hot = tf.expand_dims(tf.gather(tf.constant(self.is_one_hot), site), -1)
        return tf.where(is_one_hot, self._one_hot(values, lead), numbers)

    def _numbers(self, values: tf.Tensor, site: Any) -> tf.Tensor:
        if (self._shifts != 0.0).any():
            scales, shifts = (tf.gather(tf.constant(t, values.dtype), site) for t in (self._scales, self._shifts))
            values = values * tf.expand_dims(scales, -1) + tf.expand_dims(shifts, -1)
        missing = self.inputs_per_site - self._site_size
        return tf.pad(values, [[0, 0]] * (values.shape.rank - 1) + [[0, missing]]) if missing else values

    def _one_hot(self, values: tf.Tensor, lead: tf.Tensor) -> tf.Tensor:
        is_class = tf.equal(tf.expand_dims(values, -1), tf.cast(tf.range(self._classes), values.dtype))
        return tf.reshape(tf.cast(is_class, values.dtype), tf.concat([lead, [self.inputs_per_site]], 0))
