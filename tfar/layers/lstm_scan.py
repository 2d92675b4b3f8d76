"""The recurrence of LSTMs over the rows or the diagonals of images, as one compiled loop."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def cell(sums: tf.Tensor, c: tf.Tensor, num_groups: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the hidden state and the cell state of an LSTM after the cell state `c [..., h]`.

        o, f, i = sigmoid(sums),    g = tanh(sums),    c' = f c + i g,    h' = o tanh(c')

    The features of h and c are split into groups, such as those of red, green and blue. `sums [..., 4 h]` hold the gates
    o, f, i and g of the first group, then those of the next.

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, equation 3.
    """
    o, f, i, g = by_gate(sums, num_groups)
    c = sigmoid(f) * c + sigmoid(i) * tf.tanh(g)
    return sigmoid(o) * tf.tanh(c), c


def lstm_scan(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    initial: tf.Tensor,
    offsets: Sequence[int],
    is_inside: NDArray[np.bool_] | None = None,
    num_groups: int = 1,
) -> tf.Tensor:
    """Returns the hidden states of T steps of D independent LSTMs over N positions: float32 `[T, D, B, N, h]`.

        h_t[n], c_t[n] = cell(inputs[t, n] + sum_k h_{t-1}[n + offsets_k] kernel_k,  c_{t-1}[n])

    All positions and LSTMs take a step at once, with one matrix product for all gates, neighbours and LSTMs. States are
    the initial ones before the first step, outside the positions 0 .. N - 1, and wherever `is_inside` is False. The
    memory is proportional to T N, with a gradient too.

    Args:
        inputs: float tensor `[T, D, B, N, 4 h]` with static T, D and N. Contributions of the inputs to the gates; see `cell`.
        kernel: float tensor `[D, K h, 4 h]` for K offsets.
        initial: float tensor `[D, 2, h]`. The initial hidden state and cell state.
        offsets: K positions of neighbours in the previous step, relative to the own position.
        is_inside: bool array `[T, N]`, or None if all positions are inside.
        num_groups: int. Number of groups of features.
    """
    inputs, kernel, initial = (tf.cast(tensor, tf.float32) for tensor in (inputs, kernel, initial))
    num_steps, num_directions, _, num_positions, _ = inputs.shape
    shape = tf.stack([num_directions, tf.shape(inputs)[2], num_positions, initial.shape[-1]])
    first = [tf.broadcast_to(initial[:, number, None, None], shape) for number in (0, 1)]
    inside = None if is_inside is None else tf.constant(is_inside)[:, None, None, :, None]

    def body(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, hidden: tf.Tensor) -> tuple:
        seen = tf.reshape(_neighbours(h, first[0], offsets), [num_directions, -1, kernel.shape[1]])
        sums = inputs[t] + tf.reshape(tf.matmul(seen, kernel), tf.shape(inputs)[1:])
        state = cell(sums, c, num_groups)
        if inside is not None:
            state = tuple(tf.where(inside[t], new, old) for new, old in zip(state, first, strict=True))
        return t + 1, *state, tf.tensor_scatter_nd_update(hidden, [[t]], state[0][None])

    loop = (tf.constant(0), *first, tf.zeros(tf.concat([[num_steps], shape], 0)))
    return tf.while_loop(lambda t, *_: t < num_steps, body, loop, maximum_iterations=num_steps)[-1]


def _neighbours(h: tf.Tensor, outside: tf.Tensor, offsets: Sequence[int]) -> tf.Tensor:
    """Joins the hidden states of the positions at all offsets: `[D, B, N, h]` to `[D, B, N, K h]`."""
    before, after, num_positions = max(0, -min(offsets)), max(0, max(offsets)), h.shape[2]
    edge = outside[:, :, :1]
    padded = tf.concat([edge] * before + [h] + [edge] * after, axis=2)
    starts = [before + offset for offset in offsets]
    return tf.concat([padded[:, :, start : start + num_positions] for start in starts], axis=-1)


def sigmoid(x: tf.Tensor) -> tf.Tensor:
    """Returns the sigmoid by tanh, which XLA evaluates faster than its sigmoid, an exponential."""
    return 0.5 * tf.tanh(0.5 * x) + 0.5


def by_gate(sums: tf.Tensor, num_groups: int) -> list[tf.Tensor]:
    """Splits `[..., 4 h]`, the four gates of each group, into the gates of all groups, `[..., h]` each."""
    if num_groups == 1:
        return tf.split(sums, 4, axis=-1)
    lead, size = tf.shape(sums)[:-1], sums.shape[-1] // (4 * num_groups)
    gates = tf.unstack(tf.reshape(sums, tf.concat([lead, [num_groups, 4, size]], 0)), axis=-2)
    return [tf.reshape(gate, tf.concat([lead, [num_groups * size]], 0)) for gate in gates]
