"""Samplers, which are deterministic functions of uniform noise and all give the same draws.

`ancestral` visits the sites in steps of the network. `naive` runs a whole pass for each step and is the reference.
`fixed_point` iterates whole passes until nothing changes (Jacobi iteration): the sites of step t are correct after at
most t + 1 passes, and for easy data a few passes suffice.

Noise is `[B, num_sites, noise_size]` in raster order, regardless of the order in which the sites are decided.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.laws.member import Member
from tfar.networks import AutoregressiveNetwork, schedule
from tfar.networks.base import Weights
from tfar.networks.conditions import State
from tfar.networks.permutations import permuted, unpermuted
from tfar.networks.phases import Phase, PhasedNetwork

METHODS = ("ancestral", "fixed_point", "naive")


def ancestral(
    member: Member,
    noise: tf.Tensor,
    conditional_input: Any = None,
    *,
    given: tf.Tensor | None = None,
    observed: tf.Tensor | None = None,
) -> tf.Tensor:
    """Visits the sites in order, keeps the observed ones and draws the others.

    If the network implements `prefill` as one pass, that pass processes the first steps, as long as their sites are
    observed in every row.

    Args:
        member: what the sites are drawn from.
        noise: float32 `[B, num_sites, noise_size]`.
        conditional_input: the conditional input of the network, with batch B.
        given: None, or float32 `[B, num_sites, *site_shape]`: the values of the observed sites.
        observed: None, or bool `[B, num_sites]`.

    Returns:
        float32 `[B, num_sites, *site_shape]`.
    """
    network, batch_size = member.network, tf.shape(noise)[0]
    weights = network.step_weights()
    order = member.order_of_rows(batch_size)
    state = network.start(batch_size, conditional_input, order=member.row_order(batch_size), member=member.member)
    walk = _Walk(member, order, weights, permuted(noise, order))
    if given is not None:
        walk.given, walk.observed = permuted(given, order), permuted(observed, order)
    segments = member.segments(tf.shape(noise)[1])
    has_pass = type(network).prefill is not AutoregressiveNetwork.prefill
    walk.prefills = given is not None and has_pass and len(segments) == 1
    x, found = None, []
    if isinstance(network, PhasedNetwork):
        found, segments = walk.run_phases(network.phases, state), ()
    for segment in segments:
        walk.enter(segment)
        values, x, state = walk.run(segment, x, state)
        found.append(values)
    values = found[0] if len(found) == 1 else tf.concat(found, axis=1)
    return unpermuted(values, order)


class _Walk:
    """Runs the steps of `ancestral`, one segment of the schedule at a time.

    Args:
        member: what the sites are drawn from.
        order: the sites in the order of the steps, an int32 array `[N]`, a tensor `[B, N]`, or None for the raster order.
        weights: the result of `step_weights`.
        noise: noise in the order of the steps, `[B, N, noise_size]`.

    Attributes:
        given, observed: None, or as in `ancestral`, in the order of the steps.
        prefills: bool. Whether `prefill` processes the first steps that are observed in every row.
    """

    def __init__(self, member: Member, order: Any, weights: Weights, noise: tf.Tensor) -> None:
        self.member, self.order, self.weights, self.noise = member, order, weights, noise
        self.given: tf.Tensor | None = None
        self.observed: tf.Tensor | None = None
        self.prefills = False
        self._steps: AutoregressiveNetwork | Phase = member.network
        self._end: Any = 0

    def run_phases(self, phases: Sequence[Phase], state: State) -> list[tf.Tensor]:
        """Takes the steps of all phases but those whose sites are observed in every row.

        Args:
            phases: the phases of the network.
            state: the state of the network before the first one.

        Returns:
            The values of each phase in the order of the steps, `[B, sites of the phase, *site_shape]`.
        """
        found = []
        for phase in phases:
            values = self._of_phase(phase, state)
            by_step = tf.reshape(values, [-1, phase.num_steps, phase.group_size, *self.member.head.site_shape])
            encoded = self.member.head.encode_inputs(by_step, self._sites)
            state = phase.finish(state, encoded)
            found.append(values)
        return found

    def _of_phase(self, phase: Phase, state: State) -> tf.Tensor:
        """Returns the values of a phase; see `run_phases`."""
        segment = schedule.Segment(0, phase.num_steps, phase.group_size)
        self._steps = phase
        self.enter(segment)

        def values() -> tf.Tensor:
            return self.run(segment, None, phase.start(state, self.weights))[0]

        if self._observed is None:
            return values()
        return tf.cond(tf.reduce_all(self._observed), lambda: self._by_row(self._given), values)

    def enter(self, segment: schedule.Segment) -> None:
        """Selects the noise, the sites and what is observed of the segment that follows that of the previous call."""
        first, count, size = segment.first, segment.num_steps, segment.group_size
        self._offset, self._end = self._end, self._end + count * size
        self._noise, self._sites = self._by_step(self.noise, count, size), self._sites_by_step(count, size)
        self._given = None if self.given is None else self._by_step(self.given, count, size)
        self._observed = None if self.observed is None else self._by_step(self.observed, count, size)
        self._first, self._size = first, size

    def run(self, segment: schedule.Segment, x: tf.Tensor | None, state: State) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Takes the steps of a segment.

        Args:
            segment: the segment of the last call of `enter`.
            x: None, or the values of the last step of the previous segment, `[B, G, *site_shape]`.
            state: the state after the previous segment.

        Returns:
            The values in the order of the steps, `[B, sites of the segment, *site_shape]`, the values of the last step,
            and the state.
        """
        first, count, size = segment.first, segment.num_steps, segment.group_size
        batch_size = tf.shape(self.noise)[0]
        values = tf.zeros([count, batch_size, size, *self.member.head.site_shape])
        index: Any = tf.constant(first)
        is_single = isinstance(count, int) and count == 1 and not self._steps.stages
        # The first step cannot be part of the loop if the previous group has a different size.
        is_apart = not self.prefills and (x is not None or is_single)
        if x is None:
            x = tf.zeros([batch_size, size, *self.member.head.site_shape])
        if self.prefills:
            index, x, values, state = self._prefilled(state)
        elif is_apart:
            index, x, values, state = self._visit(index, x, values, state)
        loop = (index, x, values, state)
        if not (is_apart and is_single):
            loop = _in_stages(self._steps, self.weights, self._visit, loop, first + count, count)
        _, x, values, state = loop
        return self._by_row(values), x, state

    def _by_row(self, values: tf.Tensor) -> tf.Tensor:
        """Reshapes values by step, `[steps, B, G, ...]`, to `[B, steps * G, ...]`."""
        batch_size, count = tf.shape(self.noise)[0], tf.shape(values)[0]
        values = tf.transpose(values, [1, 0, *range(2, values.shape.rank)])
        return tf.reshape(values, [batch_size, count * self._size, *self.member.head.site_shape])

    def _by_step(self, values: tf.Tensor, count: Any, size: int) -> tf.Tensor:
        """Reshapes the values `[B, N, ...]` of a segment to `[steps, B, G, ...]`."""
        part = values[:, self._offset : self._offset + count * size]
        part = tf.reshape(part, [tf.shape(part)[0], count, size, *values.shape[2:]])
        return tf.transpose(part, [1, 0, *range(2, part.shape.rank)])

    def _sites_by_step(self, count: Any, size: int) -> tf.Tensor:
        """Returns the sites of each step of a segment: int32 `[steps, G]`, or `[steps, B, G]` for orders per row."""
        if self.order is None:
            return tf.reshape(self._offset + tf.range(count * size), [-1, size])
        if isinstance(self.order, np.ndarray):
            return tf.constant(self.order[self._offset : self._offset + count * size].reshape(-1, size))
        return self._by_step(self.order, count, size)

    def _prefilled(self, state: State) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, State]:
        """Processes the first steps, whose sites are observed in every row; returns the loop variables of `_visit`."""
        given, sites = self._given, self._sites if self._sites.shape.rank == 3 else self._sites[:, None]
        is_observed = tf.reduce_all(self._observed, axis=[1, 2])
        num_steps = tf.shape(is_observed)[0]
        length = tf.reduce_min(tf.where(is_observed, num_steps, tf.range(num_steps)))
        for stage in self.member.network.stages[:1]:
            length -= length % stage
        encoded = self.member.head.encode_inputs(given, sites)
        by_row = tf.transpose(encoded, [1, 0, *range(2, encoded.shape.rank)])
        state = self.member.network.prefill(state, by_row, length)
        return length, encoded[tf.maximum(length - 1, 0)], given, state

    def _visit(self, index: tf.Tensor, x: tf.Tensor, values: tf.Tensor, state: State) -> tuple:
        """Takes a step; maps the step number, the previous values, all values so far and the state to the next ones."""
        params, state = self._steps.step(state, index, x, self.weights)
        number = index - self._first
        x = self.member.conditional.sample(params, self._noise[number], self._sites[number])
        if self._observed is not None and self._given is not None:
            is_given = self._observed[number]
            is_given = tf.reshape(is_given, [-1, is_given.shape[1]] + [1] * (x.shape.rank - 2))
            x = tf.where(is_given, self._given[number], x)
        values = tf.tensor_scatter_nd_update(values, [[number]], x[None])
        x = self.member.head.encode_inputs(x, self._sites[number])
        x.set_shape([None, self._size, *self.member.head.site_shape])  # Sets the static shape that the loop expects.
        return index + 1, x, values, state


def _in_stages(
    network: AutoregressiveNetwork | Phase, weights: Weights, visit: Any, loop_vars: tuple, end: Any, num_steps: Any
) -> tuple:
    """Loops over the steps up to `end`, in the nested stages of a network.

    Args:
        network: the network, or one of its phases.
        weights: the result of `step_weights` of the network.
        visit: takes one step; maps `loop_vars` to `loop_vars`.
        loop_vars: number of the step, values of the previous step, all values so far, state.
        end: int or int32 scalar. The step after the last.
        num_steps: int or int32 scalar. An upper bound on the number of steps.
    """

    def run(level: int, end: Any, most: Any, loop_vars: tuple) -> tuple:
        if level == len(network.stages):
            return tf.while_loop(lambda index, *_: index < end, visit, loop_vars, maximum_iterations=most)
        length = network.stages[level]

        def stage(index: tf.Tensor, x: tf.Tensor, values: tf.Tensor, state: State) -> tuple:
            number = index // length
            state = network.start_stage(level, state, number, x, weights)
            return run(level + 1, tf.minimum((number + 1) * length, end), length, (index, x, values, state))

        if most == length:  # One stage needs no loop.
            return stage(*loop_vars)
        return tf.while_loop(lambda index, *_: index < end, stage, loop_vars, maximum_iterations=-(-most // length))

    return run(0, end, num_steps, loop_vars)


def naive(member: Member, noise: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
    """Draws with a whole pass for each step, as a reference for the other samplers.

    Args:
        member, noise, conditional_input: see `ancestral`.

    Returns:
        float32 `[B, num_sites, *site_shape]`.
    """
    step_of_site = member.step_of_site_of_rows(tf.shape(noise)[0], tf.shape(noise)[1])
    limit = member.num_steps(tf.shape(noise)[1])

    def body(index: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draws = _draw_all(member, values, noise, conditional_input)
        is_next = tf.equal(step_of_site, index)
        is_next = tf.reshape(is_next, tf.concat([tf.shape(is_next), [1] * (values.shape.rank - 2)], 0))
        return index + 1, tf.where(is_next, draws, values)

    start = (tf.constant(0), tf.zeros([*tf.unstack(tf.shape(noise)[:2]), *member.head.site_shape]))
    return tf.while_loop(lambda index, _: index < limit, body, start, maximum_iterations=limit)[1]


def fixed_point(member: Member, noise: tf.Tensor, conditional_input: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws all sites at once given the values of the previous pass, until nothing changes.

    Args:
        member, noise, conditional_input: see `ancestral`.

    Returns:
        float32 `[B, num_sites, *site_shape]` and the number of passes, int32, including the last one, which changes
        nothing.

    References:
        Song et al. Accelerating feedforward computation via parallel nonlinear equation solving. ICML 2021.
    """

    def body(count: tf.Tensor, values: tf.Tensor, changed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        draws = _draw_all(member, values, noise, conditional_input)
        return count + 1, draws, tf.reduce_any(tf.not_equal(draws, values))

    values = tf.zeros([*tf.unstack(tf.shape(noise)[:2]), *member.head.site_shape])
    passes, values, _ = tf.while_loop(
        lambda count, values, changed: changed,
        body,
        (tf.constant(0), values, tf.constant(True)),
        maximum_iterations=member.num_steps(tf.shape(noise)[1]) + 1,
    )
    return values, passes


def _draw_all(member: Member, values: tf.Tensor, noise: tf.Tensor, conditional_input: Any) -> tf.Tensor:
    """Draws every site once given the values of all sites."""
    params = member.params(member.event(values), conditional_input)
    return member.conditional.sample(params, noise, member.sites(tf.shape(noise)[1]))
