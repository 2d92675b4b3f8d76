"""The steps of a model on a batch of rows, one call a step, between which the caller decides the values."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.networks.conditions import State
from tfar.networks.phases import PhasedNetwork

# Maps a table `[B, G, K]` of the sites of a step and the numbers of these sites, `[G]`, to their values, whole numbers from 0.
Choose = Callable[[NDArray[np.float32], NDArray[np.int32]], NDArray[np.int32]]


class Steps:
    """Compiles the steps of a distribution for a number of rows.

    Args:
        dist: the distribution.
        table: maps the parameters of the sites of a step, and their numbers `[G]`, to a table `[B, G, K]`; see `Choose`.
        batch_size: int, B.

    Raises:
        ValueError: As `step_order` does.
    """

    def __init__(self, dist: Any, table: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], batch_size: int) -> None:
        self.batch_size, self._table = batch_size, table
        self.network, self.head = dist.law.network, dist.head
        self._weights = self.network.step_weights()
        self._options = {"jit_compile": dist.jit_compile, "autograph": False}
        self._start = self._compiled(self._started)
        self._start_stages = [self._compiled(self._stage_of(level)) for level in range(len(self.network.stages))]
        self._runs, first = [], 0
        for _, group in itertools.groupby(step_order(dist), key=len):
            sites = np.stack(list(group))
            self._runs.append(_Run(first, sites, self._first_of(first, sites), self._next_of(first, sites)))
            first += len(sites)

    def run(self, choose: Choose, conditional_input: Any = None) -> None:
        """Takes all steps.

        Args:
            choose: decides the values of each step.
            conditional_input: conditional inputs of B rows, if the model has a condition.
        """
        state = self._start(
            None if conditional_input is None else tf.nest.map_structure(tf.constant, conditional_input)
        )
        x = tf.zeros([self.batch_size, self._runs[0].sites.shape[1]])
        for part in self._runs:
            for index, sites in enumerate(part.sites, part.first):
                for level, length in enumerate(self.network.stages):
                    if index % length == 0:
                        state = self._start_stages[level](state, tf.constant(index // length), x)
                step = part.first_step if index == part.first and index else part.next_step
                table, state = step(state, tf.constant(index), x)
                values = choose(table.numpy(), sites) + self.head.support().low
                x = self.head.encode_inputs(tf.constant(values, tf.float32), tf.constant(sites))

    def _compiled(self, function: Callable) -> Callable:
        return tf.function(function, **self._options)

    def _started(self, conditional_input: Any) -> State:
        return self.network.start(self.batch_size, conditional_input)

    def _stage_of(self, level: int) -> Callable[..., State]:
        def stage(state: State, number: tf.Tensor, x: tf.Tensor) -> State:
            visit = lambda number, state: (self.network.start_stage(level, state, number, x, self._weights),)  # noqa: E731
            return _once(number, visit, (state,))[0]

        return stage

    def _first_of(self, first: int, sites: NDArray[np.int32]) -> Callable[..., tuple[tf.Tensor, State]]:
        """Returns the first step of a run, before which a step decides another number of sites."""
        return self._compiled(
            lambda state, index, x: self._visited(state, tf.constant(first), x, tf.constant(sites[0]))
        )

    def _next_of(self, first: int, sites: NDArray[np.int32]) -> Callable[..., tuple[tf.Tensor, State]]:
        """Returns a later step of a run, whose number is an input."""

        def step(state: State, index: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, State]:
            visit = lambda index, _, state: self._visited(state, index, x, tf.gather(sites, index - first))  # noqa: E731
            empty = tf.zeros([*x.shape, self.head.support().num_values])
            return _once(index, visit, (empty, state))

        return self._compiled(step)

    def _visited(self, state: State, index: tf.Tensor, x: tf.Tensor, sites: tf.Tensor) -> tuple[tf.Tensor, State]:
        params, state = self.network.step(state, index, x, self._weights)
        return self._table(tf.cast(params, tf.float32), sites), state


class _Run(NamedTuple):
    """Consecutive steps that decide the same number of sites.

    Attributes:
        first: int. Number of the first step.
        sites: int32 `[num_steps, G]`. The sites of each step.
        first_step, next_step: map the state, the number of the step and the values of the step before to a table and the state.
    """

    first: int
    sites: NDArray[np.int32]
    first_step: Callable[..., tuple[tf.Tensor, State]]
    next_step: Callable[..., tuple[tf.Tensor, State]]


def _once(index: tf.Tensor, visit: Callable[..., tuple], values: tuple) -> Any:
    """Returns `visit(index, *values)`, computed in a loop of one turn.

    XLA compiles a slice at a position that is an input for each of its values, but a slice at the counter of a loop once.
    """
    loop = lambda number, *values: (number + 1, *visit(number, *values))  # noqa: E731
    return tf.while_loop(lambda number, *_: number <= index, loop, (index, *values), maximum_iterations=1)[1:]


def step_order(dist: Any) -> list[NDArray[np.int32]]:
    """Returns the sites of each step, int32 `[G]` each, where a step may decide more sites than another.

    Raises:
        ValueError: If the model is an ensemble, has a latent variable or no fixed length, or its steps have phases.
    """
    if dist.num_latents or dist.num_members > 1:
        parts = "a latent variable" if dist.num_latents else f"{dist.num_members} members"
        raise ValueError(
            f"Expected a model of one member, whose conditionals code the sites; received {type(dist).__name__} with {parts}. "
            "Make the model with one order and mask."
        )
    if dist.num_sites is None:
        raise ValueError("Expected a distribution over events of a fixed length; fix it with `with_length`.")
    member, count = dist.law.member(0), int(dist.num_sites)
    if isinstance(dist.law.network, PhasedNetwork) or member.order is not None:
        raise ValueError(
            f"Expected a model that decides its sites in the order of its network; received {type(dist).__name__}."
        )
    order = member.order_of_rows(1)
    order = (np.arange(count) if order is None else np.asarray(order)).astype(np.int32)
    sizes = [part.group_size for part in member.segments(count) for _ in range(part.num_steps)]
    return np.split(order, np.cumsum(sizes)[:-1])
