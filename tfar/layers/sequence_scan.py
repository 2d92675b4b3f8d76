"""The recurrence of an LSTM over the rows of a batch of sequences, as one compiled loop in each direction."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfar.layers.first_derivatives import once
from tfar.layers.lstm_scan import by_gate, sigmoid


def lstm_sequence(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    initial: tuple[tf.Tensor, tf.Tensor],
    known: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """Returns the hidden states of an LSTM, float32 `[B, T, H]`, and the hidden state and cell state after the last time.

        o, f, i, g = inputs_t + h_{t-1} kernel,    c_t = f c_{t-1} + i g,    h_t = o tanh(c_t)

    At a time that is not known, a row keeps its state, so that the state after padding is that before it. A loop over time
    takes a step of all rows with one matrix product. It stores the gates; the gradient is a loop backwards, and the gradient
    of the kernel one product after it. The result is differentiable once.

    Args:
        inputs: float tensor `[B, T, 4 H]`. Contributions of the inputs to the gates o, f, i and g.
        kernel: float tensor `[H, 4 H]`.
        initial: the hidden state and the cell state `[B, H]` before the first time.
        known: None, or bool `[B, T]`.
    """
    by_time = tf.transpose(tf.cast(inputs, tf.float32), [1, 0, 2])
    moves = None if known is None else tf.expand_dims(tf.transpose(tf.cast(known, tf.float32)), -1)
    h, c = (tf.cast(part, tf.float32) for part in initial)
    if inputs.shape[1] == 0:  # TensorFlow cannot trace a loop over no times.
        return tf.zeros([tf.shape(inputs)[0], 0, kernel.shape[0]]), (h, c)
    hidden, h, c = _scan(by_time, tf.cast(kernel, tf.float32), h, c, moves)
    return tf.transpose(hidden, [1, 0, 2]), (h, c)


def lstm_step(sums: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the hidden state, the cell state and the gates `[B, 4 H]` after a step with the sums `[B, 4 H]` of the gates."""
    o, f, i, g = by_gate(sums, 4, 1)
    o, f, i, g = sigmoid(o), sigmoid(f), sigmoid(i), tf.tanh(g)
    c = f * c + i * g
    return o * tf.tanh(c), c, tf.concat([o, f, i, g], axis=-1)


def _scan(
    inputs: tf.Tensor, kernel: tf.Tensor, h: tf.Tensor, c: tf.Tensor, moves: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes `lstm_sequence` with the time as the first axis; `moves [T, B, 1]` is 1 where a row takes a step."""

    @tf.custom_gradient
    def scan(inputs: tf.Tensor, kernel: tf.Tensor, h: tf.Tensor, c: tf.Tensor) -> tuple[tuple, Callable]:
        hidden, cells, gates, *last = _forward(inputs, kernel, h, c, moves)

        def gradient(d_hidden: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor) -> tuple[tf.Tensor, ...]:
            before = tuple(tf.concat([first[None], states[:-1]], 0) for first, states in ((h, hidden), (c, cells)))
            upstream = (d_hidden, d_h, d_c)
            return once(_backward(kernel, gates, cells, before, upstream, moves), "an LSTM")

        return (hidden, *last), gradient

    return scan(inputs, kernel, h, c)


def _forward(inputs: tf.Tensor, kernel: tf.Tensor, h: tf.Tensor, c: tf.Tensor, moves: tf.Tensor | None) -> list:
    """Returns the hidden states and cell states `[T, B, H]`, the gates `[T, B, 4 H]` and the last two states."""
    length = tf.shape(inputs)[0] if inputs.shape[0] is None else inputs.shape[0]

    def body(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, *stored: tf.Tensor) -> tuple:
        new_h, new_c, gates = lstm_step(inputs[t] + tf.matmul(h, kernel), c)
        if moves is not None:
            new_h, new_c = _where(moves[t], new_h, h), _where(moves[t], new_c, c)
        return t + 1, new_h, new_c, *(_put(a, t, b) for a, b in zip(stored, (new_h, new_c, gates), strict=True))

    states = tf.zeros(tf.concat([[length], tf.shape(h)], 0))
    loop = (tf.constant(0), h, c, states, states, tf.zeros_like(inputs))
    _, h, c, hidden, cells, gates = tf.while_loop(lambda t, *_: t < length, body, loop, maximum_iterations=length)
    return [hidden, cells, gates, h, c]


def _backward(
    kernel: tf.Tensor,
    gates: tf.Tensor,
    cells: tf.Tensor,
    before: tuple[tf.Tensor, tf.Tensor],
    upstream: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    moves: tf.Tensor | None,
) -> tuple[tf.Tensor, ...]:
    """Returns the gradients of the inputs, the kernel and the initial states.

    Args:
        kernel, gates, cells: those of the forward loop.
        before: the hidden states and the cell states before each time, `[T, B, H]`.
        upstream: the gradients of the results of `_scan`.
        moves: as in `_scan`.
    """
    length, (d_hidden, d_h, d_c) = tf.shape(gates)[0], upstream

    def body(t: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor, d_sums: tf.Tensor) -> tuple:
        d_h += d_hidden[t]
        own_h, own_c = (d_h, d_c) if moves is None else (moves[t] * d_h, moves[t] * d_c)
        own, through = _through_step(gates[t], cells[t], before[1][t], own_h, own_c)
        new_h = tf.matmul(own, kernel, transpose_b=True)
        if moves is not None:
            new_h, through = new_h + (1.0 - moves[t]) * d_h, through + (1.0 - moves[t]) * d_c
        return t - 1, new_h, through, _put(d_sums, t, own)

    steps = length if gates.shape[0] is None else gates.shape[0]
    loop = (length - 1, d_h, d_c, tf.zeros_like(gates))
    _, d_h, d_c, d_sums = tf.while_loop(lambda t, *_: t >= 0, body, loop, maximum_iterations=steps)
    flat = [tf.reshape(states, [-1, states.shape[-1]]) for states in (before[0], d_sums)]
    return d_sums, tf.matmul(*flat, transpose_a=True), d_h, d_c


def _through_step(
    gates: tf.Tensor, c: tf.Tensor, c_before: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the gradients of the sums of the gates, `[B, 4 H]`, and of the cell state before a step."""
    o, f, i, g = by_gate(gates, 4, 1)
    tanh = tf.tanh(c)
    d_c += d_h * o * (1.0 - tanh * tanh)
    d_o, d_f, d_i = d_h * tanh * o * (1.0 - o), d_c * c_before * f * (1.0 - f), d_c * g * i * (1.0 - i)
    return tf.concat([d_o, d_f, d_i, d_c * i * (1.0 - g * g)], axis=-1), d_c * f


def _where(moves: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    return tf.where(moves > 0.0, new, old)


def _put(states: tf.Tensor, t: tf.Tensor, state: Any) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(states, [[t]], state[None])
