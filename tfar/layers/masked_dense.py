"""Dense layer whose connections respect an autoregressive order."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.layers.masked_matmul import masked, masked_matmul


@keras.saving.register_keras_serializable("tfar")
class MaskedDense(keras.layers.Dense):
    """Dense layer that connects input i to unit j only if their degrees allow it.

    The mask is part of the computation, so it holds before, during and after training with any optimizer:

        y = activation(x (W * M) + b),    M[i, j] = 1 if in_degrees[i] <= out_degrees[j] else 0

    with `<` instead of `<=` if `strict`. With `use_connectivity_kernel` the units also receive the mask as an input:

        y = activation(x (W * M) + 1 (U * M) + b)

    W is one variable `kernel` of shape `[inputs, units]`, including the masked entries. `call` accepts other degrees
    than those of the constructor, so that one layer can be used with many masks.

    Args:
        units: int. Number of outputs.
        in_degrees: sequence of int, one for each input.
        out_degrees: sequence of int, one for each unit.
        strict: bool. Compare with `<`, as the output layer of a MADE does. Default: False.
        use_connectivity_kernel: bool. Add the weights U. Default: False.
        **kwargs: arguments of `keras.layers.Dense` (activation, initializers, regularizers, dtype, name).

    Input shape: `[..., len(in_degrees)]`.
    Output shape: `[..., units]`.

    Raises:
        ValueError: If the number of degrees differs from the number of units or inputs.

    Example:
        >>> layer = MaskedDense(3, in_degrees=[1, 2], out_degrees=[1, 1, 2])
        >>> layer(tf.ones([4, 2])).shape
        TensorShape([4, 3])

    References:
        Germain et al. MADE: Masked Autoencoder for Distribution Estimation. ICML 2015, equations 8-9 and section 4.3.
        https://arxiv.org/abs/1502.03509
    """

    def __init__(
        self,
        units: int,
        in_degrees: Sequence[int],
        out_degrees: Sequence[int],
        *,
        strict: bool = False,
        use_connectivity_kernel: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.in_degrees = [int(d) for d in in_degrees]
        self.out_degrees = [int(d) for d in out_degrees]
        self.strict = strict
        self.use_connectivity_kernel = use_connectivity_kernel
        if len(self.out_degrees) != units:
            raise ValueError(f"Expected one of `out_degrees` for each unit: {units}; received {len(self.out_degrees)}.")

    def build(self, input_shape: Sequence[int | None]) -> None:
        if input_shape[-1] != len(self.in_degrees):
            raise ValueError(
                f"Expected the last axis of the input to have {len(self.in_degrees)} entries, as `in_degrees` has; "
                f"received shape {tuple(input_shape)}."
            )
        super().build(input_shape)
        self.connectivity_kernel = None
        if self.use_connectivity_kernel:
            self.connectivity_kernel = self.add_weight(
                name="connectivity_kernel", shape=(input_shape[-1], self.units), initializer="zeros"
            )

    @property
    def full_kernel(self) -> Any:
        """The variable W before masking, `[inputs, units]`."""
        return super().kernel

    @property
    def kernel(self) -> Any:
        """The masked weights W * M, `[inputs, units]`."""
        return self._masked(self.full_kernel, None, None)

    @property
    def masked_connectivity(self) -> Any:
        """The masked weights U * M, `[inputs, units]`; None without them."""
        return None if self.connectivity_kernel is None else self._masked(self.connectivity_kernel, None, None)

    def _masked(self, weights: Any, in_degrees: Any, out_degrees: Any) -> tf.Tensor:
        """Masks weights by the given degrees; None selects the degrees of the layer."""
        in_degrees = self.in_degrees if in_degrees is None else in_degrees
        out_degrees = self.out_degrees if out_degrees is None else out_degrees
        return masked(tf.convert_to_tensor(weights), in_degrees, out_degrees, strict=self.strict)

    def call(self, inputs: Any, in_degrees: Any = None, out_degrees: Any = None, training: Any = None) -> tf.Tensor:
        """Applies the layer.

        Args:
            inputs: float tensor `[..., inputs]`.
            in_degrees: None for the degrees of the layer, or int tensor `[inputs]`, or `[B, inputs]` for one mask per
                row of inputs `[B, inputs]`.
            out_degrees: None, or int tensor `[units]` or `[B, units]`.
            training: ignored.

        Returns:
            float tensor `[..., units]`.
        """
        inputs = tf.convert_to_tensor(inputs)
        if in_degrees is None and out_degrees is None:
            degrees = (np.asarray(degrees, np.int32) for degrees in (self.in_degrees, self.out_degrees))
            outputs = masked_matmul(inputs, tf.convert_to_tensor(self.full_kernel), *degrees, strict=self.strict)
        else:
            outputs = _product(inputs, self._masked(self.full_kernel, in_degrees, out_degrees))
        if self.connectivity_kernel is not None:
            outputs += tf.reduce_sum(self._masked(self.connectivity_kernel, in_degrees, out_degrees), axis=-2)
        if self.bias is not None:
            outputs += self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def save_own_variables(self, store: Any) -> None:
        """Stores W, because `Dense` would store `kernel`, which lacks masked entries that another mask may use."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """Loads the weights that `save_own_variables` stored."""
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "in_degrees": self.in_degrees,
            "out_degrees": self.out_degrees,
            "strict": self.strict,
            "use_connectivity_kernel": self.use_connectivity_kernel,
        }


def _product(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiplies inputs by a kernel `[inputs, units]`, or by one kernel per row, `[B, inputs, units]`."""
    if kernel.shape.rank == 2:
        return tf.matmul(inputs, kernel)
    # XLA fuses this sum without storing a kernel per row, which a batched matmul would store.
    return tf.reduce_sum(tf.expand_dims(inputs, -1) * kernel, axis=1)
