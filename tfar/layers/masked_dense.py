"""Dense layer whose connections respect an order of the inputs."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers import staircase


@keras.saving.register_keras_serializable("tfar")
class MaskedDense(keras.layers.Dense):
    """Dense layer that connects input i to unit j only if their degrees allow it.

    The mask is part of the computation, so it holds before, during and after training under any optimiser:

        y = activation(x (W * M) + b),    M[i, j] = 1 if in_degrees[i] <= out_degrees[j] else 0

    with `<` in place of `<=` if `strict`. With `use_connectivity_kernel` the units also learn from the mask itself:

        y = activation(x (W * M) + 1 (U * M) + b)

    The mask is made from the degrees where it is used and is never stored. Degrees given to `call` replace those of the
    constructor, which is how one layer serves many masks.

    Args:
        units: int. Number of outputs.
        in_degrees: sequence of int, one for each input.
        out_degrees: sequence of int, one for each unit.
        strict: bool. Compare with `<`: for the output layer of a MADE.
        use_connectivity_kernel: bool. Adds the weights U.
        one_mask: bool. The degrees of the constructor are the only ones. Weights that their mask hides are then not stored, as
            far as blocks of a large sorted kernel allow: `kernel_1`, `kernel_2` and so on are what neighbouring units all see,
            and `kernel_edge` what some of them see. A kernel with a regulariser or a constraint stays whole.
        **kwargs: those of `keras.layers.Dense` (activation, initialisers, regularisers, dtype, name).

    Attributes:
        blocks: tuple of blocks of the kernel; empty if one variable holds the whole.

    Input shape: `[..., len(in_degrees)]`.
    Output shape: `[..., units]`.

    Raises:
        ValueError: If the degrees do not fit the units or the inputs, or others are given in spite of `one_mask`.

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
        one_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.in_degrees = [int(d) for d in in_degrees]
        self.out_degrees = [int(d) for d in out_degrees]
        self.strict = strict
        self.use_connectivity_kernel = use_connectivity_kernel
        self.one_mask = one_mask
        if len(self.out_degrees) != units:
            raise ValueError(f"Expected one of `out_degrees` for each unit: {units}; received {len(self.out_degrees)}.")
        in_blocks = one_mask and self.kernel_regularizer is None and self.kernel_constraint is None
        self.blocks = staircase.find(self.in_degrees, self.out_degrees, strict=strict) if in_blocks else ()

    def build(self, input_shape: Sequence[int | None]) -> None:
        if input_shape[-1] != len(self.in_degrees):
            raise ValueError(
                f"Expected the last axis of the input to have {len(self.in_degrees)} entries, as `in_degrees` has; "
                f"received shape {tuple(input_shape)}."
            )
        if self.blocks:
            self._build_blocks()
        else:
            super().build(input_shape)
        self.connectivity_kernel = None
        if self.use_connectivity_kernel:
            self.connectivity_kernel = self.add_weight(
                name="connectivity_kernel",
                shape=(input_shape[-1], self.units),
                initializer="zeros",
            )

    def _build_blocks(self) -> None:
        """What `Dense.build` does, with the same initial weights, and variables for the parts of the kernel."""
        kernel = self.kernel_initializer((len(self.in_degrees), self.units), dtype=self.variable_dtype)
        parts = staircase.split(kernel, self.blocks)
        self._part_names = (*[f"kernel_{number}" for number in range(1, len(parts))], "kernel_edge")
        for name, part in zip(self._part_names, parts, strict=True):
            weights = self.add_weight(
                name=name, shape=part.shape, initializer=lambda shape, dtype, part=part: tf.cast(part, dtype)
            )
            setattr(self, name, weights)  # not in a list, where tf.train.Checkpoint does not look
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = keras.InputSpec(min_ndim=2, axes={-1: len(self.in_degrees)})
        self.built = True

    @property
    def _parts(self) -> list[Any]:
        """The variables that hold the kernel if it comes in blocks."""
        return [getattr(self, name) for name in self._part_names]

    @property
    def full_kernel(self) -> Any:
        """The weights W before masking, `[inputs, units]`; 0 where none are stored."""
        return staircase.join(self._parts, self.blocks, len(self.in_degrees)) if self.blocks else super().kernel

    @property
    def kernel(self) -> Any:
        """The masked weights W * M, `[inputs, units]`."""
        return self._masked(self.full_kernel, None, None)

    def _masked(self, weights: Any, in_degrees: Any, out_degrees: Any) -> tf.Tensor:
        left = tf.cast(self.in_degrees if in_degrees is None else in_degrees, tf.int32)[..., :, None]
        right = tf.cast(self.out_degrees if out_degrees is None else out_degrees, tf.int32)[..., None, :]
        mask = left < right if self.strict else left <= right
        weights = tf.convert_to_tensor(weights)
        return weights * tf.cast(mask, weights.dtype)

    def call(self, inputs: Any, in_degrees: Any = None, out_degrees: Any = None, training: Any = None) -> tf.Tensor:
        """Applies the layer; int tensors `in_degrees` and `out_degrees` replace the constructor's.

        Degrees may be `[inputs]` and `[units]`, or `[B, inputs]` and `[B, units]`: a mask for each row of inputs `[B, inputs]`.
        """
        if self.one_mask and not (in_degrees is None and out_degrees is None):
            raise ValueError("Expected no other degrees, as `one_mask` is True; received some.")
        if self.blocks:
            inputs = tf.convert_to_tensor(inputs)
            outputs = staircase.matmul(inputs, self._parts, self.blocks)
        else:
            outputs = _product(inputs, self._masked(self.full_kernel, in_degrees, out_degrees))
        if self.connectivity_kernel is not None:
            visible = self._masked(self.connectivity_kernel, in_degrees, out_degrees)
            outputs = outputs + tf.reduce_sum(visible, axis=-2)
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def save_own_variables(self, store: Any) -> None:
        """Stores the weights before masking; Dense would store its `kernel`, in which what one mask hides is lost."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """The inverse of `save_own_variables`."""
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "in_degrees": self.in_degrees,
            "out_degrees": self.out_degrees,
            "strict": self.strict,
            "use_connectivity_kernel": self.use_connectivity_kernel,
            "one_mask": self.one_mask,
        }


def _product(inputs: Any, kernel: tf.Tensor) -> tf.Tensor:
    """Inputs times a kernel `[inputs, units]`, or `[B, inputs, units]`: one for each row, which XLA never writes down."""
    if kernel.shape.rank == 2:
        return keras.ops.matmul(inputs, kernel)
    return tf.reduce_sum(tf.expand_dims(inputs, -1) * kernel, axis=1)
