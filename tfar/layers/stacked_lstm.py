"""A stack of LSTMs over sequences of vectors."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.layers.causal import Weights, as_float
from tfar.layers.initializers import seeded_initializer
from tfar.layers.sequence_scan import lstm_sequence, lstm_step

State = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable("tfar")
class StackedLSTM(keras.layers.Layer):
    """LSTMs over sequences of vectors, each of which reads the hidden states of the one below.

        o, f, i, g = u_t W + z V + h_{t-1} R + b,    c_t = f c_{t-1} + i g,    h_t = o tanh(c_t)

    The first LSTM reads the vectors u, and may read a vector z at every time. The gates o, f and i are sigmoids, and g is a
    tanh. The layer is evaluated in three ways: in parallel (`read`), in steps (`start`, `step`) and as the inputs that
    outputs depend on (`reach`).

    A state is a dict `{"h": [B, num_layers * units], "c": [B, num_layers * units]}`, the states of all layers one after the
    other.

    Args:
        units: int. Number of hidden units of each LSTM.
        num_layers: int. Number of LSTMs.
        conditional_size: int. Size of z; 0 for none.
        reads_inputs: bool. Whether the first LSTM reads u. If not, it has no kernel W, and u says only how many times there are.
        dropout_rate: float in [0, 1). Dropout of the inputs of each LSTM and of the output, if `read` has seeds.
        first_part: int. Part of the random stream of the first dropout; layers that drop with the same seeds need parts of
            their own, `num_layers + 1` each.
        kernel_initializer: initializer of W and V.
        recurrent_initializer: initializer of R.
        seed: int. Determines the initial weights.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Input shape: `[B, T, I]`.
    Output shape: `[B, T, units]`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> layer = tfar.layers.StackedLSTM(3, num_layers=2)
        >>> hidden, state = layer.read(tf.ones([1, 5, 4]), known=tf.sequence_mask([2], 5))
        >>> hidden.shape, state["h"].shape
        (TensorShape([1, 5, 3]), TensorShape([1, 6]))
        >>> bool(tf.reduce_all(state["h"][:, 3:] == hidden[:, 1]))
        True

    References:
        Hochreiter and Schmidhuber. Long short-term memory. Neural computation 9, 1997.
        Zaremba, Sutskever and Vinyals. Recurrent neural network regularization. 2014, section 3 (where dropout is).
        https://arxiv.org/abs/1409.2329

    Notes:
        The forget gate is open before training: its bias is 1, as in `keras.layers.LSTM`. The kernels of the four gates are
        initialised separately. All computations are in float32.
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        *,
        conditional_size: int = 0,
        reads_inputs: bool = True,
        dropout_rate: float = 0.0,
        first_part: int = 0,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(units, num_layers) < 1 or conditional_size < 0:
            raise ValueError(
                "Expected `units` and `num_layers` of at least 1 and `conditional_size` of at least 0; received "
                f"{units}, {num_layers} and {conditional_size}."
            )
        if not 0.0 <= dropout_rate < 1.0:
            raise ValueError(f"Expected `dropout_rate` in [0, 1); received {dropout_rate}.")
        self.units, self.num_layers, self.conditional_size = int(units), int(num_layers), int(conditional_size)
        self.reads_inputs, self.dropout_rate = bool(reads_inputs), float(dropout_rate)
        self.first_part, self.seed = int(first_part), int(seed)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        sizes = [int(input_shape[-1] or 0), *[self.units] * (self.num_layers - 1)]
        for number, size in enumerate(sizes):
            if number or self.reads_inputs:
                self._weight(f"kernel_{number}", size, self.kernel_initializer, 3 * number)
            self._weight(f"recurrent_kernel_{number}", self.units, self.recurrent_initializer, 3 * number + 1)
            bias = self.add_weight(
                shape=(4 * self.units,), initializer=_open_forget_gate, name=f"bias_{number}", autocast=False
            )
            setattr(self, f"bias_{number}", bias)
        if self.conditional_size:
            self._weight("conditional_kernel", self.conditional_size, self.kernel_initializer, 2)
        self.built = True

    def _weight(self, name: str, size: int, initializer: Any, salt: int) -> None:
        """Adds a kernel `[size, 4 units]`, the gates o, f, i and g of which are initialised separately."""
        of_gates = [seeded_initializer(initializer, self.seed, 4 * salt + gate) for gate in range(4)]

        def initial(shape: Any, dtype: Any = None) -> tf.Tensor:
            return tf.concat([of_gate((size, self.units), dtype) for of_gate in of_gates], axis=1)

        setattr(
            self, name, self.add_weight(shape=(size, 4 * self.units), initializer=initial, name=name, autocast=False)
        )

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.units)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, conditional_input: Any = None, known: Any = None) -> tf.Tensor:
        """Returns the hidden states of the last LSTM; see `read`."""
        return self.read(inputs, conditional_input=conditional_input, known=known)[0]

    def read(
        self,
        inputs: tf.Tensor,
        initial_state: State | None = None,
        *,
        conditional_input: tf.Tensor | None = None,
        given: tf.Tensor | None = None,
        known: tf.Tensor | None = None,
        seeds: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, State]:
        """Reads sequences.

        Args:
            inputs: float tensor `[B, T, I]`.
            initial_state: None for zeros, or the state before the first time.
            conditional_input: None, or z, `[B, conditional_size]`.
            given: None, or the result of the method `given` in place of z.
            known: None, or bool `[B, T]`. At a time that is not known, a row keeps its state. With
                `tf.sequence_mask(lengths)` the returned state is the one before the padding of each row.
            seeds: None, or int32 `[B, 2]`, which determine the dropout.

        Returns:
            The hidden states of the last LSTM, float32 `[B, T, units]`, and the state after the last time.
        """
        if not self.built:
            self.build(inputs.shape)
        weights, state = self.step_weights(), self.start(tf.shape(inputs)[0], initial_state)
        given = self.given(conditional_input) if given is None else given
        hidden, ends = self._dropped(as_float(inputs), seeds, 0), []
        for number, initial in enumerate(self._by_layer(state)):
            gates = _of_inputs(hidden, weights, number)
            gates = gates if number or given is None else gates + given[:, None]
            hidden, last = lstm_sequence(gates, weights[f"recurrent_kernel_{number}"], initial, known)
            hidden = self._dropped(hidden, seeds, number + 1)
            ends.append(last)
        return hidden, _state(ends)

    def _dropped(self, x: tf.Tensor, seeds: tf.Tensor | None, part: int) -> tf.Tensor:
        if seeds is None or self.dropout_rate == 0.0:
            return x
        length = tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
        kept = random.kept(seeds, length * x.shape[-1], self.dropout_rate, self.first_part + part)
        return x * tf.reshape(kept, tf.shape(x))

    def given(self, conditional_input: tf.Tensor | None) -> tf.Tensor | None:
        """Returns the contribution of z to the gates of the first LSTM, `[B, 4 units]`, which all times share.

        Raises:
            ValueError: If there is a z and the layer has none, or the reverse.
        """
        if (conditional_input is None) != (self.conditional_size == 0):
            raise ValueError(
                f"Expected a conditional input of {self.conditional_size} numbers a row; received "
                f"{None if conditional_input is None else conditional_input.shape}."
            )
        if conditional_input is None:
            return None
        kernel = as_float(self.conditional_kernel)
        return tf.matmul(as_float(conditional_input), kernel)

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        """Returns float32 tensors that all steps use, computed once before a loop."""
        names = ("kernel", "recurrent_kernel", "bias")
        found = [f"{name}_{i}" for i in range(self.num_layers) for name in names]
        return {name: as_float(getattr(self, name)) for name in found if self.reads_inputs or name != "kernel_0"}

    def start(self, batch_size: int | tf.Tensor, initial_state: State | None = None) -> State:
        """Returns the state before the first step: `initial_state`, or zeros."""
        if initial_state is not None:
            return {name: as_float(initial_state[name]) for name in ("h", "c")}
        return {name: tf.zeros([batch_size, self.num_layers * self.units]) for name in ("h", "c")}

    def step(self, state: State, x: tf.Tensor, weights: Weights, given: Any = None) -> tuple[tf.Tensor, State]:
        """Reads the vectors of one time.

        Args:
            state: the state after the previous step.
            x: float tensor `[B, I]`.
            weights: the result of `step_weights`.
            given: None, or the result of the method `given`.

        Returns:
            The hidden state of the last LSTM, `[B, units]`, and the state.
        """
        hidden, ends = as_float(x), []
        for number, (h, c) in enumerate(self._by_layer(state)):
            sums = _of_inputs(hidden, weights, number)
            sums = sums if number or given is None else sums + given
            hidden, c, _ = lstm_step(sums + tf.matmul(h, weights[f"recurrent_kernel_{number}"]), c)
            ends.append((hidden, c))
        return hidden, _state(ends)

    def _by_layer(self, state: State) -> list[tuple[tf.Tensor, tf.Tensor]]:
        return list(zip(*(tf.split(state[name], self.num_layers, axis=-1) for name in ("h", "c")), strict=True))

    def reach(self, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Returns the times of the input that sets of outputs, bool `[S, T]`, depend on: all up to the last of a set."""
        return np.flip(np.logical_or.accumulate(np.flip(asked, 1), axis=1), 1)

    def get_config(self) -> dict[str, Any]:
        own = {
            name: getattr(self, name)
            for name in (
                "units",
                "num_layers",
                "conditional_size",
                "reads_inputs",
                "dropout_rate",
                "first_part",
                "seed",
            )
        }
        initializers = {
            name: keras.initializers.serialize(getattr(self, name))
            for name in ("kernel_initializer", "recurrent_initializer")
        }
        return {**super().get_config(), **own, **initializers}


def _state(ends: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> State:
    return {name: tf.concat([end[i] for end in ends], axis=-1) for i, name in enumerate(("h", "c"))}


def _of_inputs(x: tf.Tensor, weights: Weights, number: int) -> tf.Tensor:
    """Returns `x W + b` of an LSTM, or b alone if it reads no inputs, for x `[B, T, I]` or `[B, I]`."""
    kernel = weights.get(f"kernel_{number}")
    return (tf.zeros_like(x[..., :1]) if kernel is None else _product(x, kernel)) + weights[f"bias_{number}"]


def _product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns `x kernel` for x `[B, T, I]` or `[B, I]`, as one product."""
    if x.shape.rank == 2:
        return tf.matmul(x, kernel)
    flat = tf.matmul(tf.reshape(x, [-1, kernel.shape[0]]), kernel)
    return tf.reshape(flat, tf.concat([tf.shape(x)[:2], [kernel.shape[1]]], 0))


def _open_forget_gate(shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
    """Returns the bias `[4 units]` before training: 1 for the forget gate and 0 for the others."""
    return tf.constant(np.repeat([0.0, 1.0, 0.0, 0.0], shape[0] // 4), dtype)
