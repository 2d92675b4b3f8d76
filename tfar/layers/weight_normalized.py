"""Layers whose kernel is a direction times a length for each filter."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Keeps the length of a direction of zeros, and the deviation of constant outputs, away from zero.
EPSILON = 1e-10


class WeightNormalized(keras.layers.Layer):
    """Base of linear layers with a bias whose kernel may be normalised.

        kernel[..., f] = g[f] v[..., f] / |v[..., f]|

    At first g = |v|, so that the kernel is v. `initialize(x)` chooses g and the bias such that the outputs of a batch have mean
    0 and variance 1.

    Args:
        filters: int. Number of output channels.
        use_weight_norm: bool. Without it the kernel is v.
        kernel_initializer: of v.
        **kwargs: those of `keras.layers.Layer`.

    References:
        Salimans and Kingma. Weight normalization: a simple reparameterization to accelerate training of deep neural networks.
        NIPS 2016, equations 2, 5 and 6. https://arxiv.org/abs/1602.07868
    """

    filter_axis = -1

    def __init__(
        self, filters: int, *, use_weight_norm: bool = False, kernel_initializer: Any = "glorot_uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.use_weight_norm = int(filters), bool(use_weight_norm)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _add_weights(self, shape: Sequence[int | None]) -> None:
        """Makes v, g and the bias; the initialiser gives v again when g asks for its length, as it holds a seed."""
        axes = tuple(axis for axis in range(len(shape)) if axis != len(shape) + self.filter_axis)
        self.v = self.add_weight(name="v", shape=tuple(shape), initializer=self.kernel_initializer)
        self.g: Any = None
        self._axes = axes
        if self.use_weight_norm:
            length = np.sqrt(np.sum(np.square(np.asarray(self.v, np.float32)), axis=axes))
            self.g = self.add_weight(name="g", shape=(self.filters,), initializer=lambda *_, **__: length)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    @property
    def kernel(self) -> tf.Tensor:
        """The kernel, normalised if asked for."""
        return tf.convert_to_tensor(self.v) if self.g is None else self._scaled(tf.convert_to_tensor(self.g))

    def _scaled(self, g: tf.Tensor) -> tf.Tensor:
        """Directions of length g. Lengths are float32 sums, whatever the dtype of the layer."""
        v = tf.cast(tf.convert_to_tensor(self.v), tf.float32)
        scale = tf.math.rsqrt(tf.reduce_sum(tf.square(v), axis=self._axes) + EPSILON) * tf.cast(g, tf.float32)
        along_filters = [-1 if axis == len(v.shape) + self.filter_axis else 1 for axis in range(len(v.shape))]
        return tf.cast(v * tf.reshape(scale, along_filters), g.dtype)

    def initialize(self, x: Any, **how: Any) -> tf.Tensor:
        """Chooses g and the bias by a batch and returns the layer's outputs for it. Eager calls alone.

        Args:
            x: inputs of the layer.
            **how: further arguments of its call.

        Raises:
            ValueError: If the layer has no weight normalisation.
        """
        if not self.use_weight_norm:
            raise ValueError(
                "Expected a layer with `use_weight_norm`, which data can initialise; received one without."
            )
        kernel = tf.cast(self._scaled(tf.ones([self.filters])), tf.float32)
        outputs = self._linear(tf.cast(x, tf.float32), kernel, **how)
        mean, variance = tf.nn.moments(outputs, axes=list(range(outputs.shape.rank - 1)))
        scale = tf.math.rsqrt(variance + EPSILON)
        self.g.assign(scale)
        self.bias.assign(-mean * scale)
        return self(x, **how)

    def call(self, x: Any) -> tf.Tensor:
        """Applies the layer."""
        return self._affine(x)

    def _affine(self, x: Any, **how: Any) -> tf.Tensor:
        return self._linear(tf.convert_to_tensor(x), self.kernel, **how) + tf.convert_to_tensor(self.bias)

    def _linear(self, x: tf.Tensor, kernel: tf.Tensor, **how: Any) -> tf.Tensor:
        """The linear map of a kernel, without the bias."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its kernel does.")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "use_weight_norm": self.use_weight_norm,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
