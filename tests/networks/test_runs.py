"""The engine carries layers of other kinds: dilated convolutions over a signal, and a recurrence over the rows of an image."""

import numpy as np
import pytest
import tensorflow as tf

from tfar.layers import MaskedConv2D
from tfar.layers.causal import CausalLayer, Parallel
from tfar.networks.plan import Plan
from tfar.networks.raster import RasterNetwork
from tfar.networks.runs import Walk, by_call, step_weights

LENGTH, CHANNELS = 11, 3


class DilatedConv(CausalLayer):
    """y[t] = tanh(x[t] U + x[t - d] V), with a ring buffer of d + 1 samples, as in WaveNet."""

    in_channels = filters = CHANNELS

    def __init__(self, dilation, seed):
        rng = np.random.default_rng(seed)
        self.dilation, self.kernels = dilation, rng.normal(size=(2, CHANNELS, CHANNELS)).astype(np.float32)

    def __call__(self, x):
        before = tf.pad(x, [[0, 0], [self.dilation, 0], [0, 0]])[:, : x.shape[1]]
        return tf.tanh(x @ self.kernels[1] + before @ self.kernels[0])

    def step_weights(self):
        return {"kernels": tf.constant(self.kernels)}

    def start(self, batch_size, spatial=()):
        return tf.zeros([batch_size, self.dilation + 1, CHANNELS])

    def push(self, cache, x, index):
        rows, size = tf.range(tf.shape(x)[0]), self.dilation + 1
        return tf.tensor_scatter_nd_update(cache, tf.stack([rows, tf.zeros_like(rows) + index % size], 1), x)

    def read(self, cache, index, weights, part=None):
        size = self.dilation + 1
        now, before = tf.gather(cache, index % size, axis=1), tf.gather(cache, (index + 1) % size, axis=1)
        return tf.tanh(now @ weights["kernels"][1] + before @ weights["kernels"][0])

    def reach(self, asked, size):
        result = asked.copy()
        result[:, : size[0] - self.dilation] |= asked[:, self.dilation :]
        return result


LAYERS = [DilatedConv(dilation, dilation) for dilation in (1, 2, 4)]


def wavenet(run, x):
    total = x
    for layer in LAYERS:
        x = run(layer, x)
        total = total + x
    return total


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_walk_over_samples_equals_the_pass(jit_compile):
    x = tf.constant(np.random.default_rng(0).normal(size=(2, LENGTH, CHANNELS)), tf.float32)
    plan = Plan(lambda run, x: None, wavenet, (LENGTH, 1))
    weights = by_call(step_weights(plan.pixels))

    @tf.function(jit_compile=jit_compile)
    def walk():
        state = {call.name: call.layer.start(2) for call in plan.pixels}

        def body(index, outputs, state):
            run = Walk(plan, state, weights, index)
            output = wavenet(run, tf.gather(x, index, axis=1))
            return index + 1, tf.tensor_scatter_nd_update(outputs, [[index]], output[None]), {**state, **run.changes()}

        loop = (tf.constant(0), tf.zeros([LENGTH, 2, CHANNELS]), state)
        return tf.transpose(tf.while_loop(lambda index, *_: index < LENGTH, body, loop)[1], [1, 0, 2])

    np.testing.assert_allclose(walk(), wavenet(Parallel(), x), rtol=1e-5, atol=1e-5)


def test_the_reach_of_dilated_convolutions():
    plan = Plan(lambda run, x: None, wavenet, (LENGTH, 1))
    plan.sizes = [(LENGTH,)]
    asked = np.zeros([1, LENGTH, 1], bool)
    asked[0, 9] = True
    expected = np.arange(LENGTH) - 9
    np.testing.assert_array_equal(plan.reach(asked)[0, :, 0], (expected <= 0) & (expected >= -7))


class RowRecurrence(CausalLayer):
    """h[i, j] = tanh(x[i, j] + U h[i - 1, j]): like a Row LSTM, it keeps its own output of the row above."""

    filters = in_channels = CHANNELS
    num_above = 1

    def __init__(self):
        self.built, self.kernel = True, np.random.default_rng(5).normal(size=(CHANNELS, CHANNELS)).astype(np.float32)

    def __call__(self, x):
        rows = [tf.zeros_like(x[:, 0])]
        for i in range(x.shape[1]):
            rows.append(tf.tanh(x[:, i] + rows[-1] @ self.kernel))
        return tf.stack(rows[1:], 1)

    def step_weights(self):
        return {"kernel": tf.constant(self.kernel)}

    def read(self, cache, index, weights, part=None):
        return tf.tanh(cache[:, -1] + part)

    def step(self, cache, x, index, weights, part=None):
        output, cache, _ = super().step(cache, x, index, weights, part)
        return output, cache, output

    def read_rows(self, rows, index, weights):
        return rows[:, -1] @ weights["kernel"]

    def reach(self, asked, size):
        return np.logical_or.accumulate(asked[:, ::-1], axis=1)[:, ::-1]


class RecurrentNetwork(RasterNetwork):
    """A masked convolution and a recurrence over rows."""

    def __init__(self):
        super().__init__((3, 4), (), CHANNELS)
        self.first = self._add(MaskedConv2D, 1, CHANNELS, (3, 3), "A")
        self.recurrence = RowRecurrence()

    def encode(self, values):
        return values[..., None]

    def flow(self, run, image, conditions):
        return run(self.recurrence, run(self.first, image))


def test_a_recurrence_over_rows_joins():
    network = RecurrentNetwork()
    network.build()
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    expected, sites = network(x), tf.reshape(x, [2, 12, 1])
    state, previous, found = network.start(2), tf.zeros([2, 1]), []
    for index in range(12):
        if index % 4 == 0:
            state = network.start_stage(0, state, tf.constant(index // 4), previous)
        params, state = network.step(state, tf.constant(index), previous)
        found.append(params)
        previous = sites[:, index]
    np.testing.assert_allclose(tf.concat(found, 1), expected, rtol=1e-5, atol=1e-5)
    # The convolution sees the row above and the pixel to the left; the recurrence adds all of that for the rows above.
    np.testing.assert_array_equal(
        network.influences([9])[0].reshape(3, 4).astype(int), [[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]]
    )
