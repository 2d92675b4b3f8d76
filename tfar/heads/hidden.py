"""Base class of heads with many classes, which own the output layer that a network would have."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.heads.base import MAX_WHOLE, Head, check_positive_int
from tfar.heads.chunks import in_chunks
from tfar.heads.support import Support
from tfar.layers.causal import as_float

# What is added to the count of every class, so that none begins with probability 0.
SMOOTHING = 0.01


class HiddenHead(Head, abc.ABC):
    """Head whose parameters are hidden units: an output layer in the head turns them into logits.

    Params are `[h_1 .. h_units, s]`, and the logits are `kernel h + s * bias`. Networks give s = 1, and a temperature T
    divides all params by T. No tensor holds the logits of all sites of a batch in `log_prob` and its gradient.

    Args:
        num_classes: int from 2 to 2**24.
        units: int. Number of hidden units.
        counts: None, or the number of times that each class occurs in training data, `[num_classes]`: the initial bias
            then gives the classes these frequencies.
        seed: int. Determines the initial kernel.

    Raises:
        ValueError: If an argument is out of range.
    """

    discrete = True

    def __init__(self, num_classes: int, units: int, *, counts: Any = None, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = check_positive_int("num_classes", num_classes, lowest=2)
        if self.num_classes > MAX_WHOLE:
            raise ValueError(f"Expected `num_classes` to be at most 2**24; received {num_classes}.")
        self.units, self.seed = check_positive_int("units", units), check_positive_int("seed", seed, lowest=0)
        self.counts = None if counts is None else _checked_counts(counts, self.num_classes)
        self._tied_kernel: Callable[[], Any] | None = None

    def tie_kernel(self, kernel: Callable[[], Any]) -> None:
        """Makes the head use the kernel of another layer in place of its own, as for input and output vectors of words.

        Args:
            kernel: returns a variable `[num_logits, units]`, which the other layer owns.

        Raises:
            ValueError: If the head has been built.
        """
        if self.built:
            raise ValueError("Expected a head without weights; this one has been built with a kernel of its own.")
        self._tied_kernel = kernel

    @property
    def params_size(self) -> int:
        return self.units + 1

    def support(self, site: int | None = None) -> Support:
        return Support(0.0, self.num_classes - 1.0, discrete=True)

    @property
    @abc.abstractmethod
    def num_logits(self) -> int:
        """Number of rows of the kernel."""

    @abc.abstractmethod
    def initial_bias(self) -> Any:
        """Returns the bias `[num_logits]` that gives the classes the frequencies of `counts`."""

    def build(self, input_shape: Any = None) -> None:
        """Creates the kernel and the bias."""
        bias = "zeros" if self.counts is None else keras.initializers.Constant(self.initial_bias())
        shared = {"dtype": "float32", "autocast": False}
        if self._tied_kernel is None:
            kernel = keras.initializers.GlorotUniform(self.seed)
            self.kernel = self.add_weight((self.num_logits, self.units), initializer=kernel, name="kernel", **shared)
        self.bias = self.add_weight(shape=(self.num_logits,), initializer=bias, name="bias", **shared)
        self.built = True

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        return params / temperature

    @property
    def _output_layer(self) -> tuple[tf.Tensor, tf.Tensor]:
        kernel = self.kernel if self._tied_kernel is None else self._tied_kernel()
        return as_float(kernel), as_float(self.bias)

    def _logits(self, params: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[..., num_logits]`."""
        return logits_of(params, *self._output_layer)

    def _of_rows(
        self,
        function: Callable[..., tf.Tensor],
        params: tf.Tensor,
        values: Sequence[tf.Tensor],
        values_per_row: int,
    ) -> tf.Tensor:
        """Computes a function of params and values of all sites in chunks of sites; see `in_chunks`."""
        shape = tf.shape(params)[:-1]
        for value in values:
            shape = tf.broadcast_dynamic_shape(shape, tf.shape(value))
        static = params.shape[:-1]
        for value in values:
            static = tf.broadcast_static_shape(static, value.shape)
        size = static.num_elements()
        flat = tf.reshape(
            tf.broadcast_to(params, tf.concat([shape, [self.params_size]], 0)),
            [-1 if size is None else size, self.params_size],
        )
        others = [tf.reshape(tf.broadcast_to(value, shape), [-1]) for value in values]
        found = in_chunks(function, flat, others, self._output_layer, values_per_row)
        result = tf.reshape(found, shape)
        result.set_shape(static)
        return result

    def get_config(self) -> dict[str, Any]:
        own = {"num_classes": self.num_classes, "units": self.units, "counts": self.counts, "seed": self.seed}
        return {**super().get_config(), **own}


def logits_of(params: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Returns `kernel h + s * bias` for params `[..., units + 1]`, as one product."""
    table = tf.transpose(tf.concat([kernel, bias[:, None]], axis=1))
    if params.shape.rank == 2:
        return tf.matmul(params, table)
    flat = tf.matmul(tf.reshape(params, [-1, params.shape[-1]]), table)
    return tf.reshape(flat, tf.concat([tf.shape(params)[:-1], [table.shape[1]]], 0))


def _checked_counts(counts: Any, num_classes: int) -> list[float]:
    found = np.asarray(counts, np.float64)
    if found.shape != (num_classes,) or not np.isfinite(found).all() or (found < 0.0).any() or not found.any():
        raise ValueError(
            f"Expected `counts` to be {num_classes} numbers of at least 0, not all 0; received an array of shape "
            f"{found.shape}."
        )
    return found.tolist()
