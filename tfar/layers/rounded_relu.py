"""ReLU whose values are whole multiples of a power of two."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfar")
class RoundedReLU:
    """ReLU that rounds to whole multiples of `2**-bits`. It serves as the `activation` of a network.

        y = round(2**bits max(x, 0)) / 2**bits

    A network of such units, whose weights are multiples of a power of two as well, adds whole numbers, in units of a power of
    two. float32 adds them exactly, in any order, as long as the sums stay below 2**24 units; see `tfar.coding.freeze`.

    The gradient is that of a ReLU, as if there were no rounding.

    Args:
        bits: int of at least 0. Binary digits after the point.
        max_value: float, or None. Larger values are cut to it, after it has been rounded down to a multiple of `2**-bits`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> RoundedReLU(bits=2, max_value=1.0)(tf.constant([-1.0, 0.4, 3.0])).numpy()
        array([0. , 0.5, 1. ], dtype=float32)
    """

    def __init__(self, bits: int, max_value: float | None = None) -> None:
        if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits < 24:
            raise ValueError(f"Expected `bits` to be an int from 0 to 23; received {bits!r}.")
        if max_value is not None and not 2.0**-bits <= max_value < 2.0 ** (24 - bits):
            raise ValueError(
                f"Expected `max_value` to be None or a number from 2**-{bits}, the unit of the rounding, to below "
                f"2**{24 - bits}; received {max_value!r}."
            )
        self.bits, self.max_value = bits, max_value

    def __call__(self, x: Any) -> tf.Tensor:
        """Applies the function to a float tensor of any shape."""
        return self.signed(tf.nn.relu(x))

    def signed(self, x: Any) -> tf.Tensor:
        """Rounds a float tensor of any shape without the ReLU. Values are cut to `-max_value` and `max_value`."""
        x, scale = tf.convert_to_tensor(x), 2.0**self.bits
        if self.max_value is not None:
            largest = int(self.max_value * scale) / scale
            x = tf.clip_by_value(x, tf.constant(-largest, x.dtype), tf.constant(largest, x.dtype))
        return x + tf.stop_gradient(tf.round(x * scale) / scale - x)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"bits": self.bits, "max_value": self.max_value}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RoundedReLU":
        """Creates the function from a configuration."""
        return cls(**config)
