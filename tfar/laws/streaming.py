"""Streams: sequences that are drawn one step per request, where the caller holds the state of the network."""

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfar import random
from tfar.laws.bad_rows import nan_unless, rows_where
from tfar.laws.signature import (
    Example,
    Inputs,
    Output,
    Signature,
    condition_specs,
    example_condition,
    make_signature,
    named_condition,
    spec,
    unnamed_condition,
)
from tfar.networks import AutoregressiveNetwork
from tfar.networks.conditions import State

ROWS, LENGTH = 3, 4
_PREFIX = "state_"


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
        self, state: State, index: tf.Tensor, previous: tf.Tensor, seeds: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Draws the next entry of each row.

        Args:
            state: the state after the previous step.
            index: int32 `[B]`. Number of the entry, from 0.
            previous: float32 `[B, *entry]`. The previous entry, which the first step ignores.
            seeds: int32 `[B, 2]`. The draws equal those of `AutoregressiveLaw.sample` with the same seeds.

        Returns:
            The entries `[B, *entry]`, their log-probabilities `[B]` and the state.
        """
        size, batch_size = self.network.sites_per_step, tf.shape(index)[0]
        index = tf.maximum(index, 0)
        x = tf.reshape(previous, [batch_size, 1, size, *self.head.site_shape])
        x, valid = self._cleaned(x, tf.maximum(index - 1, 0)[:, None], (index > 0)[:, None])
        params, state = self.network.step(state, index, x[:, 0])
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


def streaming_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures with which a caller draws a sequence one entry per request.

    Args:
        dist: the distribution, without a bound condition.

    Returns:
        `start` and `step`, and `prefill` if the network computes the state after a prefix in one pass; an empty dict if
        the network does not allow streams. Entries of the state are named `state_<name>`.
    """
    if dist.event_shape.as_list()[:1] != [None] or not can_stream(dist.law):
        return {}
    stream, shape = Stream(dist.law), dist.conditional_shape
    states = _state_specs(stream, shape)
    state_outputs = {
        name: Output(tuple(s.shape[1:]), "the state of the network, an input of the next step")
        for name, s in states.items()
    }
    examples = _Examples(dist, stream)
    seed, entry = {"seed": spec("seed", (2,), tf.int32)}, stream.entry_shape
    made = {
        "start": make_signature(
            lambda given, condition: _named(stream.start(tf.shape(given["seed"])[0], condition)),
            seed,
            state_outputs,
            shape,
            examples.start,
        ),
        "step": make_signature(
            functools.partial(_step, stream),
            {**states, "index": spec("index", (), tf.int32), "previous": spec("previous", entry), **seed},
            {
                "value": Output(
                    entry, "the next entry of the sequence, a function of the state, the index and the seed"
                ),
                "log_prob": Output((), "log-probability of that entry given those before it, in nats"),
                **state_outputs,
            },
            None,
            examples.step,
        ),
    }
    if stream.has_prefill:
        made["prefill"] = make_signature(
            lambda given, condition: _named(stream.prefill(given["value"], given["length"], condition)),
            {"value": spec("value", (None, *entry)), "length": spec("length", (), tf.int32)},
            state_outputs,
            shape,
            examples.prefill,
        )
    return made


def _step(stream: Stream, given: Inputs, condition: Any) -> dict[str, tf.Tensor]:
    state = {name.removeprefix(_PREFIX): t for name, t in given.items() if name.startswith(_PREFIX)}
    value, log_prob, state = stream.step(state, given["index"], given["previous"], given["seed"])
    return {"value": value, "log_prob": log_prob, **_named(state)}


def _named(state: State) -> dict[str, tf.Tensor]:
    return {f"{_PREFIX}{name}": t for name, t in state.items()}


def _state_specs(stream: Stream, conditional_shape: Any) -> dict[str, tf.TensorSpec]:
    """Returns the specification of each entry of the state that `start` returns."""
    start = tf.function(
        lambda size, **given: stream.start(size, unnamed_condition(given, conditional_shape)), autograph=False
    )
    concrete = start.get_concrete_function(tf.TensorSpec([], tf.int32), **condition_specs(conditional_shape))
    state = _named(concrete.structured_outputs)
    return {name: spec(name, tuple(t.shape.as_list()[1:]), t.dtype) for name, t in state.items()}


class _Examples:
    """Examples computed by the original distribution: entries of `dist.sample`, and states of the law."""

    def __init__(self, dist: Any, stream: Stream) -> None:
        self.dist, self.stream = dist.copy(jit_compile=False), stream

    def _drawn(self, seed: int) -> tuple[Any, Any, Any]:
        """Returns a condition, sequences and the log-probabilities of their entries `[B, T]`."""
        condition = example_condition(self.dist.conditional_shape, ROWS, seed, LENGTH)
        if condition is None:
            value = self.dist.sample(ROWS, seed=seed, length=LENGTH)
        else:
            value = self.dist.sample(1, seed=seed, conditional_input=condition, length=LENGTH)[0]
        shares = self.dist.site_log_probs(value, conditional_input=condition)
        return condition, value, tf.reduce_sum(tf.reshape(shares, [ROWS, LENGTH, -1]), axis=-1)

    def start(self, seed: int) -> Example:
        condition, _, _ = self._drawn(seed)
        inputs = {"seed": random.row_seeds(seed, ROWS), **named_condition(condition)}
        return _example(inputs, _named(self.stream.start(ROWS, condition)))

    def step(self, seed: int) -> Example:
        """Returns an example in which row i takes step i after the steps before it."""
        condition, value, log_probs = self._drawn(seed)
        seeds, rows = random.row_seeds(seed, ROWS), np.arange(ROWS)
        state, before, after = self.stream.start(ROWS, condition), [], []
        for t in range(ROWS):
            before.append(state)
            previous = value[:, max(t - 1, 0)]
            _, _, state = self.stream.step(state, tf.fill([ROWS], t), previous, seeds)
            after.append(state)
        own = lambda states: {name: np.stack([states[i][name][i] for i in rows]) for name in state}  # noqa: E731
        value = np.asarray(value)
        inputs = {
            **_named(own(before)),
            "index": rows.astype(np.int32),
            "previous": value[rows, np.maximum(rows - 1, 0)],
            "seed": seeds,
        }
        outputs = {"value": value[rows, rows], "log_prob": np.asarray(log_probs)[rows, rows], **_named(own(after))}
        return _example(inputs, outputs)

    def prefill(self, seed: int) -> Example:
        """Returns an example in which row i has a prefix of i + 1 steps and the state after it."""
        condition, value, _ = self._drawn(seed)
        state, after = self.stream.start(ROWS, condition), []
        for t in range(ROWS):
            _, _, state = self.stream.step(
                state, tf.fill([ROWS], t), value[:, max(t - 1, 0)], tf.zeros([ROWS, 2], tf.int32)
            )
            after.append(state)
        outputs = {name: np.stack([after[i][name][i] for i in range(ROWS)]) for name in state}
        inputs = {"value": value, "length": np.arange(1, ROWS + 1, dtype=np.int32), **named_condition(condition)}
        return _example(inputs, _named(outputs))


def _example(inputs: dict[str, Any], outputs: dict[str, Any]) -> Example:
    given, expected = ({name: np.asarray(part) for name, part in parts.items()} for parts in (inputs, outputs))
    return Example(given, expected)
