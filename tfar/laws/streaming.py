"""Streams: sequences that are drawn one step or a chunk of steps per call, where the caller holds the state of the network."""

import math
from typing import Any

import tensorflow as tf

from tfar import random
from tfar.laws.bad_rows import nan_unless, rows_where
from tfar.laws.weights import reads_weights_once
from tfar.networks import AutoregressiveNetwork
from tfar.networks.base import Weights
from tfar.networks.conditions import State


def can_stream(law: Any) -> bool:
    """Returns whether each step of a law decides one entry of the first axis and rows may be at different positions."""
    network = law.network
    if network.num_sites is not None or not network.streams or network.stages or law.num_members > 1:
        return False
    return math.prod(network.event_shape[1:]) == network.sites_per_step * math.prod(law.head.site_shape)


class Stream:
    """The steps of a law on flat batches.

    Args:
        law: a law for which `can_stream` holds.
    """

    def __init__(self, law: Any) -> None:
        self.law, self.network, self.head = law, law.network, law.head
        self.entry_shape = tuple(self.network.event_shape[1:])
        self.has_prefill = type(self.network).prefill is not AutoregressiveNetwork.prefill

    def start(self, batch_size: tf.Tensor, conditional_input: Any) -> State:
        """Returns the state before the first step."""
        state = self.network.start(batch_size, conditional_input)
        # The state is an input and an output of signatures, so it must not have a half type, which some runtimes lack.
        state = {name: tf.convert_to_tensor(t) for name, t in state.items()}
        return {name: tf.cast(t, tf.float32) if t.dtype.is_floating else t for name, t in state.items()}

    def prefill(self, value: tf.Tensor, length: tf.Tensor, conditional_input: Any) -> State:
        """Returns the state after the first `length` steps of each row, int32 `[B]`, whose values are known.

        Values from `length` on are ignored. Rows whose other values are outside the support become NaN.
        """
        num_steps = tf.shape(value)[1]
        length = tf.clip_by_value(length, 0, num_steps)
        x = tf.reshape(value, [tf.shape(value)[0], num_steps, self.network.sites_per_step, *self.head.site_shape])
        is_known = tf.range(num_steps)[None] < length[:, None]
        x, valid = self._cleaned(x, tf.range(num_steps)[None], is_known)
        state = self.start(tf.shape(x)[0], conditional_input)
        return self._marked(self.network.prefill(state, x, length), tf.reduce_all(valid, axis=1))

    def step(
        self,
        state: State,
        index: tf.Tensor,
        previous: tf.Tensor,
        seeds: tf.Tensor,
        weights: Weights | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Draws the next entry of each row.

        Args:
            state: the state after the previous step.
            index: int32 `[B]`. Number of the entry, from 0.
            previous: float32 `[B, *entry]`. The previous entry, which the first step ignores.
            seeds: int32 `[B, 2]`. The draws equal those of `AutoregressiveLaw.sample` with the same seeds.
            weights: the result of `step_weights` of the network, or None to compute it here.

        Returns:
            The entries `[B, *entry]`, their log-probabilities `[B]` and the state.
        """
        size, batch_size = self.network.sites_per_step, tf.shape(index)[0]
        index = tf.maximum(index, 0)
        x = tf.reshape(previous, [batch_size, 1, size, *self.head.site_shape])
        x, valid = self._cleaned(x, tf.maximum(index - 1, 0)[:, None], (index > 0)[:, None])
        params, state = self.network.step(state, index, x[:, 0], weights)
        sites = index[:, None] * size + tf.range(size)
        width = size * self.head.noise_size
        noise = random.uniform_at(seeds, index[:, None] * width + tf.range(width), random.Stream.NOISE)
        conditional, params = self.law.member(0).conditional, tf.cast(params, tf.float32)
        noise = tf.reshape(noise, [batch_size, size, self.head.noise_size])
        drawn = conditional.sample(params, noise, sites)
        log_prob = tf.reduce_sum(conditional.log_prob(params, drawn, sites), axis=-1)
        value = tf.reshape(drawn, [batch_size, *self.entry_shape])
        # If the state is NaN, the parameters are NaN too, but a discrete draw would hide this.
        valid = tf.logical_and(valid[:, 0], rows_where(tf.logical_not(tf.math.is_nan(params))))
        return nan_unless(valid, value), nan_unless(valid, log_prob), self._marked(state, valid)

    def chunk(
        self, state: State, index: tf.Tensor, previous: tf.Tensor, seeds: tf.Tensor, num_steps: int
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Draws the next `num_steps` entries of each row.

        Args:
            state, index, previous, seeds: as in `step`.
            num_steps: int.

        Returns:
            The entries `[B, num_steps, *entry]`, their log-probabilities `[B, num_steps]` and the state.
        """
        weights, batch_size = self.network.step_weights(), tf.shape(index)[0]
        values = tf.zeros([num_steps, batch_size, *self.entry_shape])
        log_probs = tf.zeros([num_steps, batch_size])

        def body(number: tf.Tensor, values: Any, log_probs: Any, previous: Any, state: State) -> tuple:
            previous, log_prob, state = self.step(state, index + number, previous, seeds, weights)
            values = tf.tensor_scatter_nd_update(values, [[number]], previous[None])
            log_probs = tf.tensor_scatter_nd_update(log_probs, [[number]], log_prob[None])
            previous.set_shape([None, *self.entry_shape])
            return number + 1, values, log_probs, previous, state

        previous = tf.reshape(previous, [batch_size, *self.entry_shape])
        loop = (tf.constant(0), values, log_probs, previous, state)
        _, values, log_probs, _, state = tf.while_loop(
            lambda number, *_: number < num_steps, body, loop, maximum_iterations=num_steps
        )
        return tf.transpose(values, [1, 0, *range(2, values.shape.rank)]), tf.transpose(log_probs), state

    def _cleaned(self, x: tf.Tensor, steps: tf.Tensor, is_used: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes entries `[B, T, G, *site_shape]` for the network; also returns which are in the support, `[B, T]`.

        Unused entries become 0 and count as valid.
        """
        sites = steps[..., None] * self.network.sites_per_step + tf.range(self.network.sites_per_step)
        supported = tf.reduce_all(self.head.in_support(x, sites), axis=-1)
        keep = tf.reshape(tf.logical_and(supported, is_used), tf.concat([tf.shape(x)[:2], [1] * (x.shape.rank - 2)], 0))
        x = self.head.encode_inputs(tf.where(keep, x, tf.zeros_like(x)), sites)
        return tf.where(keep, x, tf.zeros_like(x)), tf.logical_or(supported, tf.logical_not(is_used))

    def _marked(self, state: State, valid: tf.Tensor) -> State:
        """Sets the state of invalid rows to NaN, so that all later steps of these rows are NaN too."""
        return {name: nan_unless(valid, t) if t.dtype.is_floating else t for name, t in state.items()}


class Streaming:
    """The functions of a law by which `dist.stream` draws; see `Stream`."""

    @reads_weights_once
    def start_stream(self, seeds: tf.Tensor, conditional_input: Any = None) -> State:
        """Returns the state before the first step, for int32 seeds `[B, 2]`."""
        return Stream(self).start(tf.shape(seeds)[0], conditional_input)

    @reads_weights_once
    def prefill_stream(self, prefix: tf.Tensor, conditional_input: Any = None) -> State:
        """Returns the state after a prefix `[B, T, *entry]`."""
        stream, length = Stream(self), tf.shape(prefix)[1]
        if stream.has_prefill:
            return stream.prefill(prefix, tf.fill([tf.shape(prefix)[0]], length), conditional_input)
        x = tf.reshape(prefix, [tf.shape(prefix)[0], length, stream.network.sites_per_step, *stream.head.site_shape])
        sites = tf.range(length)[:, None] * stream.network.sites_per_step + tf.range(stream.network.sites_per_step)
        state = stream.start(tf.shape(prefix)[0], conditional_input)
        return stream.network.prefill(state, stream.head.encode_inputs(x, sites), length)

    @reads_weights_once
    def step_stream(
        self, state: State, index: tf.Tensor, previous: tf.Tensor, seeds: tf.Tensor, num_steps: int
    ) -> tuple[tf.Tensor, State]:
        """Returns the next `num_steps` entries of each row, `[B, num_steps, *entry]`, and the state."""
        values, _, state = Stream(self).chunk(state, index, previous, seeds, num_steps)
        return values, state
