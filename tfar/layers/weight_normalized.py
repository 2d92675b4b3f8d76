"""Base class of linear causal layers with optional weight normalisation."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.layers.causal import CausalLayer, Weights, as_float

# Added to squared norms and to variances to avoid division by zero.
EPSILON = 1e-10


class WeightNormalized(CausalLayer, keras.layers.Layer):
    """Linear causal layer whose kernel may be weight-normalised.

        kernel[..., f] = g[f] v[..., f] / |v[..., f]|

    Initially g = |v|, so that the kernel is v. `initialize(x)` sets g and the bias such that the outputs for a batch have mean 0
    and variance 1.

    Args:
        filters: int. Number of output channels.
        use_weight_norm: bool. If False, the kernel is v.
        use_bias: bool.
        kernel_initializer: initialiser of v.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    References:
        Salimans and Kingma. Weight normalization: a simple reparameterization to accelerate training of deep neural networks.
        NIPS 2016, equations 2, 5 and 6. https://arxiv.org/abs/1602.07868
    """

    filter_axis = -1

    def __init__(
        self,
        filters: int,
        *,
        use_weight_norm: bool = False,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.use_weight_norm, self.use_bias = int(filters), bool(use_weight_norm), bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _add_weights(self, in_channels: int | None, shape: Sequence[int | None]) -> None:
        """Creates v, g and the bias."""
        if in_channels is None:
            raise ValueError("Expected inputs with a known number of channels; received None.")
        self.in_channels = int(in_channels)
        axes = tuple(axis for axis in range(len(shape)) if axis != len(shape) + self.filter_axis)
        self.v = self.add_weight(name="v", shape=tuple(shape), initializer=self.kernel_initializer)
        self.g: Any = None
        self._axes = axes
        if self.use_weight_norm:
            length = np.sqrt(np.sum(np.square(np.asarray(self.v, np.float32)), axis=axes))
            self.g = self.add_weight(name="g", shape=(self.filters,), initializer=lambda *_, **__: length)
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    @property
    def kernel(self) -> tf.Tensor:
        """The kernel, normalised if `use_weight_norm`."""
        return tf.convert_to_tensor(self.v) if self.g is None else self._scaled(tf.convert_to_tensor(self.g))

    def _scaled(self, g: tf.Tensor) -> tf.Tensor:
        """Returns v scaled to the norms g. The norms of v are computed in float32 for every dtype of the layer."""
        v = tf.cast(tf.convert_to_tensor(self.v), tf.float32)
        scale = tf.math.rsqrt(tf.reduce_sum(tf.square(v), axis=self._axes) + EPSILON) * tf.cast(g, tf.float32)
        along_filters = [-1 if axis == len(v.shape) + self.filter_axis else 1 for axis in range(len(v.shape))]
        return tf.cast(v * tf.reshape(scale, along_filters), g.dtype)

    def initialize(self, x: Any, **how: Any) -> tf.Tensor:
        """Sets g and the bias from a batch of inputs and returns the outputs of the layer for it. Works in eager mode only.

        Raises:
            ValueError: If the layer has no weight normalisation or no bias.
        """
        if not self.use_weight_norm or not self.use_bias:
            raise ValueError("Expected a layer with `use_weight_norm` and `use_bias`; received one without.")
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
        outputs = self._linear(tf.convert_to_tensor(x), self.kernel, **how)
        return outputs if self.bias is None else outputs + tf.convert_to_tensor(self.bias)

    def _linear(self, x: tf.Tensor, kernel: tf.Tensor, **how: Any) -> tf.Tensor:
        """Applies a kernel, without the bias."""
        raise NotImplementedError(f"{type(self).__name__} defines no linear map.")

    def step_weights(self) -> Weights:
        bias = tf.zeros([self.filters]) if self.bias is None else as_float(self.bias)
        return {"kernel": as_float(self.kernel), "bias": bias}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "use_weight_norm": self.use_weight_norm,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
