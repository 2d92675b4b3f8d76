"""Signatures of streams, which draw a sequence one entry or a chunk of entries per request."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from tfar import random
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
from tfar.laws.streaming import Stream, can_stream
from tfar.networks.conditions import State

ROWS, LENGTH = 3, 4
# Number of entries that `step_chunk` draws per request.
CHUNK = 64
_PREFIX = "state_"


def streaming_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures with which a caller draws a sequence one entry, or `CHUNK` entries, per request.

    Args:
        dist: the distribution, without a bound condition.

    Returns:
        `start`, `step` and `step_chunk`, and `prefill` if the network computes the state after a prefix in one pass; an
        empty dict if the network does not allow streams. Entries of the state are named `state_<name>`.
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
    step_inputs = {**states, "index": spec("index", (), tf.int32), "previous": spec("previous", entry), **seed}
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
            step_inputs,
            {**_drawn((), entry, "the next entry, a function of the state, the index and the seed"), **state_outputs},
            None,
            examples.step,
        ),
        "step_chunk": make_signature(
            functools.partial(_step_chunk, stream),
            step_inputs,
            {**_drawn((CHUNK,), entry, f"the next {CHUNK} entries, as {CHUNK} steps draw them"), **state_outputs},
            None,
            examples.step_chunk,
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


def _drawn(lead: tuple[int, ...], entry: tuple[int, ...], what: str) -> dict[str, Output]:
    """Returns the outputs of a draw of one entry, or of several if `lead` is their number."""
    log_prob = Output(lead, "log-probability of each entry given those before it, in nats")
    return {"value": Output((*lead, *entry), what), "log_prob": log_prob}


def _step(stream: Stream, given: Inputs, condition: Any) -> dict[str, tf.Tensor]:
    value, log_prob, state = stream.step(_state(given), given["index"], given["previous"], given["seed"])
    return {"value": value, "log_prob": log_prob, **_named(state)}


def _step_chunk(stream: Stream, given: Inputs, condition: Any) -> dict[str, tf.Tensor]:
    value, log_prob, state = stream.chunk(_state(given), given["index"], given["previous"], given["seed"], CHUNK)
    return {"value": value, "log_prob": log_prob, **_named(state)}


def _state(given: Inputs) -> State:
    return {name.removeprefix(_PREFIX): t for name, t in given.items() if name.startswith(_PREFIX)}


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

    def _drawn(self, seed: int, length: int = LENGTH) -> tuple[Any, Any, Any]:
        """Returns a condition, sequences and the log-probabilities of their entries `[B, T]`."""
        condition = example_condition(
            self.dist.conditional_shape, ROWS, seed, length, self.dist.network.num_condition_values
        )
        if condition is None:
            value = self.dist.sample(ROWS, seed=seed, length=length)
        else:
            value = self.dist.sample(1, seed=seed, conditional_input=condition, length=length)[0]
        shares = self.dist.site_log_probs(value, conditional_input=condition)
        return condition, np.asarray(value), tf.reduce_sum(tf.reshape(shares, [ROWS, length, -1]), axis=-1)

    def start(self, seed: int) -> Example:
        condition, _, _ = self._drawn(seed)
        inputs = {"seed": random.row_seeds(seed, ROWS), **named_condition(condition)}
        return _example(inputs, _named(self.stream.start(ROWS, condition)))

    def step(self, seed: int) -> Example:
        """Returns an example in which row i takes step i after the steps before it."""
        condition, value, log_probs = self._drawn(seed)
        inputs, after = self._steps(seed, condition, value, 1)
        rows = np.arange(ROWS)
        return _example(inputs, {"value": value[rows, rows], "log_prob": np.asarray(log_probs)[rows, rows], **after})

    def step_chunk(self, seed: int) -> Example:
        """Returns an example in which row i takes the `CHUNK` steps from step i on."""
        condition, value, log_probs = self._drawn(seed, ROWS + CHUNK)
        inputs, after = self._steps(seed, condition, value, CHUNK)
        own = lambda t: np.stack([np.asarray(t)[i, i : i + CHUNK] for i in range(ROWS)])  # noqa: E731
        return _example(inputs, {"value": own(value), "log_prob": own(log_probs), **after})

    def _steps(self, seed: int, condition: Any, value: np.ndarray, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the inputs of row i before step i, and its named state after `count` steps."""
        seeds, rows = random.row_seeds(seed, ROWS), np.arange(ROWS)
        states = [self.stream.start(ROWS, condition)]
        for t in range(ROWS - 1 + count):
            previous = value[:, max(t - 1, 0)]
            states.append(self.stream.step(states[-1], tf.fill([ROWS], t), previous, seeds)[2])
        own = lambda first: _named({n: np.stack([states[first + i][n][i] for i in rows]) for n in states[0]})  # noqa: E731
        previous = value[rows, np.maximum(rows - 1, 0)]
        return {**own(0), "index": rows.astype(np.int32), "previous": previous, "seed": seeds}, own(count)

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
