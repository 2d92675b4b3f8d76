"""Gates and inputs of a frozen network: values that are whole multiples of a power of two; see `tfar.coding.freeze`."""

import decimal
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers import RoundedReLU
from tfar.layers.causal import Run
from tfar.networks.gates import gate, of_halves

_DIGITS = 40  # decimal digits of the computation of the tables of `rounded_gate`


def rounded_inputs(run: Run, activation: Any, features: Any) -> Any:
    """Returns the features that enter a convolution: rounded if the activation is a `RoundedReLU`, else as they are."""
    return run(activation.signed, features) if isinstance(activation, RoundedReLU) else features


def gate_for(activation: Any) -> Callable[..., tf.Tensor]:
    """Returns `gate`, or `rounded_gate` with the bits of the activation if it is a `RoundedReLU`."""
    return functools.partial(rounded_gate, bits=activation.bits) if isinstance(activation, RoundedReLU) else gate


def rounded_gate(features: tf.Tensor, half: int | None = None, *, bits: int) -> tf.Tensor:
    """Returns `gate` in multiples of `2**-bits`, the same on every machine.

    The features are rounded to multiples of `2**-bits`. tanh and the sigmoid of them are read from tables, because a
    floating-point exponential differs in its last bit between mathematical libraries. The product of both is exact before it
    is rounded. The gradient is that of `gate`.
    """
    of_tanh, of_sigmoid = (tf.constant(table) for table in gate_tables(bits))
    scale = 2.0**bits

    def exact(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        a, b = tf.round(a * scale), tf.round(b * scale)
        values = tf.sign(a) * _entries(of_tanh, a)
        gates = _entries(of_sigmoid, b)
        gates = tf.where(b < 0.0, 1.0 - gates, gates)
        return tf.round(values * gates * scale) / scale

    smooth = gate(features, half)
    # The difference is 0 and has the gradient of the gate.
    return tf.stop_gradient(of_halves(features, half, exact)) + (smooth - tf.stop_gradient(smooth))


def _entries(table: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Returns the entries at the absolute values of whole numbers; the last one stands for all that follow."""
    places = tf.minimum(tf.abs(numbers), float(table.shape[0] - 1))
    return tf.gather(table, tf.cast(places, tf.int32))


@functools.cache
def gate_tables(bits: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns tanh and the sigmoid of k / 2**bits for k = 0, 1, ..., rounded to multiples of `2**-bits`.

    They end where both are 1. They are computed with decimal numbers, which are the same on every machine.

    Example:
        >>> gate_tables(1)[0].tolist(), gate_tables(1)[1].tolist()
        ([0.0, 0.5, 1.0, 1.0], [0.5, 0.5, 0.5, 1.0])
    """
    scale = 2**bits
    found: list[tuple[int, int]] = []
    with decimal.localcontext(decimal.Context(prec=_DIGITS)):
        while not found or found[-1] != (scale, scale):
            power = (decimal.Decimal(len(found)) / scale).exp()
            square = power * power
            rounded = [int((scale * x).to_integral_value()) for x in ((square - 1) / (square + 1), power / (power + 1))]
            found.append((rounded[0], rounded[1]))
    tables = np.array(found, np.float32).T / np.float32(scale)
    return tables[0], tables[1]
