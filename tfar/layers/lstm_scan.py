"""The recurrence of LSTMs over the rows or the diagonals of images, as one compiled loop."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class Cell(NamedTuple):
    """The formula of an LSTM.

    Attributes:
        step: function of the sums of the gates `[..., num_gates h]`, the cell states `[..., h]` of some neighbours and the
            number of groups of features. It returns the hidden state and the cell state.
        num_gates: int.
        cell_offsets: tuple of int. The neighbours in the previous step of the recurrence whose cell states enter, relative to
            the own position.
    """

    step: Callable[[tf.Tensor, Sequence[tf.Tensor], int], tuple[tf.Tensor, tf.Tensor]]
    num_gates: int
    cell_offsets: tuple[int, ...]


def lstm(sums: tf.Tensor, cells: Sequence[tf.Tensor], num_groups: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the hidden state and the cell state of an LSTM after the cell state c.

        o, f, i = sigmoid(sums),    g = tanh(sums),    c' = f c + i g,    h' = o tanh(c')

    The features of h and c are split into groups, such as those of red, green and blue. `sums [..., 4 h]` hold the gates
    o, f, i and g of the first group, then those of the next.

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, equation 3.
    """
    o, f, i, g = by_gate(sums, 4, num_groups)
    c = sigmoid(f) * cells[0] + sigmoid(i) * tf.tanh(g)
    return sigmoid(o) * tf.tanh(c), c


def spatial_lstm(sums: tf.Tensor, cells: Sequence[tf.Tensor], num_groups: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the hidden state and the cell state of a spatial LSTM after those of the pixels to the left and above.

        o, f, k, i = sigmoid(sums),    g = tanh(sums),    c' = f c_left + k c_above + i g,    h' = tanh(o c')

    The output gate is inside the tanh. `sums [..., 5 h]` hold the gates o, f, k, i and g by group, as for `lstm`.

    References:
        Theis and Bethge. Generative image modeling using spatial LSTMs. NIPS 2015, section 2.1, equations 1 and 2.
    """
    o, f, k, i, g = by_gate(sums, 5, num_groups)
    left, above = cells
    c = sigmoid(f) * left + sigmoid(k) * above + sigmoid(i) * tf.tanh(g)
    return tf.tanh(sigmoid(o) * c), c


LSTM = Cell(lstm, num_gates=4, cell_offsets=(0,))
# In a column of a skewed image, the pixel to the left is at the same position of the column before, and the pixel above is
# one position higher.
SPATIAL_LSTM = Cell(spatial_lstm, num_gates=5, cell_offsets=(0, -1))


def lstm_scan(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    initial: tf.Tensor,
    offsets: Sequence[int],
    is_inside: NDArray[np.bool_] | None = None,
    num_groups: int = 1,
    cell: Cell = LSTM,
) -> tf.Tensor:
    """Returns the hidden states of T steps of D independent LSTMs over N positions: float32 `[T, D, B, N, h]`.

        h_t[n], c_t[n] = cell(inputs[t, n] + sum_k h_{t-1}[n + offsets_k] kernel_k,  c_{t-1}[n + cell_offsets])

    All positions and LSTMs take a step at once, with one matrix product for all gates, neighbours and LSTMs. States are
    the initial ones before the first step, outside the positions 0 .. N - 1, and wherever `is_inside` is False. The
    memory is proportional to T N, with a gradient too.

    Args:
        inputs: float tensor `[T, D, B, N, G h]` with static T, D and N. Contributions of the inputs to the G gates of the cell.
        kernel: float tensor `[D, K h, G h]` for K offsets.
        initial: float tensor `[D, 2, h]`. The initial hidden state and cell state.
        offsets: K positions of neighbours in the previous step, relative to the own position.
        is_inside: bool array `[T, N]`, or None if all positions are inside.
        num_groups: int. Number of groups of features.
        cell: the formula of the LSTM.
    """
    inputs, kernel, initial = (tf.cast(tensor, tf.float32) for tensor in (inputs, kernel, initial))
    num_steps, num_directions, _, num_positions, _ = inputs.shape
    shape = tf.stack([num_directions, tf.shape(inputs)[2], num_positions, initial.shape[-1]])
    first = [tf.broadcast_to(initial[:, number, None, None], shape) for number in (0, 1)]
    inside = None if is_inside is None else tf.constant(is_inside)[:, None, None, :, None]

    def body(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, hidden: tf.Tensor) -> tuple:
        seen = tf.reshape(_neighbours(h, first[0], offsets), [num_directions, -1, kernel.shape[1]])
        sums = inputs[t] + tf.reshape(tf.matmul(seen, kernel), tf.shape(inputs)[1:])
        state = cell.step(sums, _at_offsets(c, first[1], cell.cell_offsets), num_groups)
        if inside is not None:
            state = tuple(tf.where(inside[t], new, old) for new, old in zip(state, first, strict=True))
        return t + 1, *state, tf.tensor_scatter_nd_update(hidden, [[t]], state[0][None])

    loop = (tf.constant(0), *first, tf.zeros(tf.concat([[num_steps], shape], 0)))
    return tf.while_loop(lambda t, *_: t < num_steps, body, loop, maximum_iterations=num_steps)[-1]


def _neighbours(h: tf.Tensor, outside: tf.Tensor, offsets: Sequence[int]) -> tf.Tensor:
    """Joins the hidden states of the positions at all offsets: `[D, B, N, h]` to `[D, B, N, K h]`."""
    return tf.concat(_at_offsets(h, outside, offsets), axis=-1)


def _at_offsets(x: tf.Tensor, outside: tf.Tensor, offsets: Sequence[int]) -> list[tf.Tensor]:
    """Returns the states `[D, B, N, h]` of the positions at each offset."""
    before, after, num_positions = max(0, -min(offsets)), max(0, max(offsets)), x.shape[2]
    edge = outside[:, :, :1]
    padded = tf.concat([edge] * before + [x] + [edge] * after, axis=2)
    return [padded[:, :, before + offset : before + offset + num_positions] for offset in offsets]


def sigmoid(x: tf.Tensor) -> tf.Tensor:
    """Returns the sigmoid by tanh, which XLA evaluates faster than its sigmoid, an exponential."""
    return 0.5 * tf.tanh(0.5 * x) + 0.5


def by_gate(sums: tf.Tensor, num_gates: int, num_groups: int) -> list[tf.Tensor]:
    """Splits `[..., num_gates h]`, the gates of each group, into the gates of all groups, `[..., h]` each."""
    if num_groups == 1:
        return tf.split(sums, num_gates, axis=-1)
    lead, size = tf.shape(sums)[:-1], sums.shape[-1] // (num_gates * num_groups)
    gates = tf.unstack(tf.reshape(sums, tf.concat([lead, [num_groups, num_gates, size]], 0)), axis=-2)
    return [tf.reshape(gate, tf.concat([lead, [num_groups * size]], 0)) for gate in gates]
