"""Check that the steps of a network give the same parameters as a pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.distributions import Autoregressive
from tfar.laws.member import Member
from tfar.networks import AutoregressiveNetwork
from tfar.networks.permutations import permuted
from tfar.networks.phases import Phase, PhasedNetwork
from tfar.testing import support
from tfar.testing.errors import CheckError


def check_steps(
    dist: Autoregressive, conditional_input: Any = None, seed: int = 0, *, num_rows: int = 3, rtol: float = 1e-5
) -> None:
    """Checks that `start`, `start_stage` and `step` give the same parameters as a pass, for each member and phase.

    All members are evaluated in one batch. Networks for any order are also checked with a different order for each row,
    networks with streams with a different position for each row, and networks without stages after `prefill` of a
    prefix.

    Args:
        dist: the distribution.
        conditional_input: None for random conditions, or the condition of one row.
        seed: int. Seed of the values.
        num_rows: int. Number of rows for each member.
        rtol: float. The largest difference, relative to the largest parameter (at least 1).

    Raises:
        CheckError: If they differ; the message names the row, the site and both values.

    Example:
        >>> tfar.testing.check_steps(tfar.MADE(event_shape=[4], hidden_units=[8], num_masks=2))
    """
    law, count = dist.law, dist.num_members * num_rows
    numbers = np.repeat(np.arange(dist.num_members, dtype=np.int32), num_rows)
    x = support.random_values(dist, count, seed)
    condition = support.condition_rows(dist, conditional_input, count, seed)
    members = [law.member(tf.constant(numbers) if dist.num_members > 1 else 0)]
    if law.allows_any_pattern:
        generator = np.random.default_rng([seed, 3])
        rows = np.stack([generator.permutation(dist.num_sites) for _ in numbers]).astype(np.int32)
        members.append(members[0].with_order(tf.constant(rows)))
    for member in members:
        walk = _Steps(member, x, condition, rtol)
        if isinstance(dist.network, PhasedNetwork):
            walk.check_phases(dist.network.phases)
            continue
        walk.check_steps()
        walk.check_prefill()
        if dist.network.streams:
            walk.check_streams()


class _Steps:
    """Evaluates the steps for known values.

    Args:
        member: the members of the rows.
        x: values `[B, *event_shape]`.
        condition: the conditional input of the network.
        rtol: float. The largest relative difference.
    """

    def __init__(self, member: Member, x: Any, condition: Any, rtol: float) -> None:
        self.member, self.network, self.condition, self.rtol = member, member.network, condition, rtol
        self.values = np.asarray(member.values(member.encoded(tf.constant(x))))
        self.num_sites, self.num_rows = self.values.shape[1], len(x)
        order = member.order_of_rows(self.num_rows)
        order = np.arange(self.num_sites) if order is None else np.asarray(order)
        self.order = np.broadcast_to(order, [self.num_rows, self.num_sites])
        self.expected = np.asarray(member.params(tf.constant(x), condition), np.float64)
        self.weights = self.network.step_weights()
        self.groups: list[tuple[int, int]] = []  # The first place in the order and the size of each step's group.
        for segment in member.segments(self.num_sites):
            for _ in range(int(segment.num_steps)):
                first = sum(self.groups[-1]) if self.groups else 0
                self.groups.append((first, int(segment.group_size)))

    def start(self) -> Any:
        member = self.member
        state = self.network.start(
            self.num_rows, self.condition, order=member.row_order(self.num_rows), member=member.member
        )
        for name, tensor in state.items():
            if not tf.is_tensor(tensor) or not tensor.shape.rank or tensor.shape[0] != self.num_rows:
                raise CheckError(
                    f"Expected a state of tensors with the batch of {self.num_rows} first; {name!r} is {tensor!r}."
                )
        return state

    def group(self, index: int) -> np.ndarray:
        """Returns the sites of a step, `[B, G]`."""
        first, size = self.groups[index]
        return self.order[:, first : first + size]

    def x_previous(self, index: int) -> tf.Tensor:
        """Returns the values of the previous step, `[B, G, *site_shape]`; zeros for step 0."""
        values = self.of_step(max(index - 1, 0))
        return tf.constant(values if index else np.zeros_like(values))

    def of_step(self, index: int) -> np.ndarray:
        """Returns the values of a step, `[B, G, *site_shape]`."""
        return self.values[np.arange(self.num_rows)[:, None], self.group(index)]

    def check_steps(self) -> None:
        """Compares all steps with the pass."""
        state = self.start()
        for index in range(len(self.groups)):
            state = start_stages(self.network, state, index, self.x_previous(index), self.weights)
            params, state = self.network.step(state, tf.constant(index), self.x_previous(index), self.weights)
            self.compare(params, np.full(self.num_rows, index), f"step {index}")

    def check_phases(self, phases: Sequence[Phase]) -> None:
        """Compares all steps of all phases with the pass."""
        state, index = self.start(), 0
        for phase in phases:
            own, last = phase.start(state, self.weights), index + phase.num_steps
            values = np.stack([self.of_step(number) for number in range(index, last)], axis=1)
            for number in range(phase.num_steps):
                x = tf.constant(values[:, number - 1] if number else np.zeros_like(values[:, 0]))
                own = start_stages(phase, own, number, x, self.weights)
                params, own = phase.step(own, tf.constant(number), x, self.weights)
                self.compare(params, np.full(self.num_rows, index + number), f"step {index + number}")
            state, index = phase.finish(state, tf.constant(values)), last

    def check_prefill(self) -> None:
        """Compares the step after `prefill` with the pass, for a few lengths."""
        sizes = {size for _, size in self.groups}
        has_pass = type(self.network).prefill is not AutoregressiveNetwork.prefill
        if len(sizes) > 1 or (self.network.stages and not has_pass):
            return
        by_step = np.asarray(permuted(tf.constant(self.values), tf.constant(self.order)))
        by_step = by_step.reshape(self.num_rows, len(self.groups), sizes.pop(), *self.values.shape[2:])
        stage, last = self.network.stages[0] if self.network.stages else 1, len(self.groups) - 1
        for length in sorted({0, last // 2 // stage * stage, last // stage * stage}):
            state = self.network.prefill(self.start(), tf.constant(by_step), tf.constant(length))
            state = start_stages(self.network, state, length, self.x_previous(length), self.weights)
            params, _ = self.network.step(state, tf.constant(length), self.x_previous(length), self.weights)
            self.compare(params, np.full(self.num_rows, length), f"the step after a prefix of {length} steps")
        if self.network.streams and has_pass:
            lengths = (last - np.arange(self.num_rows, dtype=np.int32)) % len(self.groups)
            state = self.network.prefill(self.start(), tf.constant(by_step), tf.constant(lengths))
            x = tf.stack([self.x_previous(int(length))[row] for row, length in enumerate(lengths)])
            params, _ = self.network.step(state, tf.constant(lengths), x, self.weights)
            self.compare(params, lengths, f"the steps after prefixes of {lengths.tolist()} steps")

    def check_streams(self) -> None:
        """Compares rows that are at different positions with the pass: row i is i steps behind the first."""
        state, last = self.start(), len(self.groups)
        for clock in range(last + self.num_rows - 1):
            behind = clock - np.arange(self.num_rows)
            index = np.clip(behind, 0, last - 1)
            x = tf.stack([self.x_previous(int(i))[row] for row, i in enumerate(index)])
            params, new = self.network.step(state, tf.constant(index, tf.int32), x, self.weights)
            active = (behind >= 0) & (behind < last)
            self.compare(params, index, f"streams at positions {index.tolist()}", active)
            state = {
                name: tf.where(tf.reshape(active, [-1] + [1] * (t.shape.rank - 1)), t, state[name])
                for name, t in new.items()
            }

    def compare(self, params: tf.Tensor, index: np.ndarray, what: str, active: Any = True) -> None:
        """Raises CheckError if the parameters of a step, one for each row, differ from those of the pass."""
        sites = np.stack([self.group(int(i))[row] for row, i in enumerate(index)])
        expected = self.expected[np.arange(self.num_rows)[:, None], sites]
        found = np.asarray(params, np.float64)
        if found.shape != expected.shape:
            raise CheckError(
                f"Expected parameters of shape {list(expected.shape)} at {what}; received {list(found.shape)}."
            )
        scale = max(1.0, float(np.abs(self.expected).max()))
        wrong = ~(np.abs(found - expected) <= self.rtol * scale) & np.reshape(active, [-1, 1, 1])
        if wrong.any():
            row, place, k = (int(i) for i in np.argwhere(wrong)[0])
            raise CheckError(
                f"Expected the steps to give the parameters of the pass; row {row}, {what}, site {sites[row, place]}, "
                f"parameter {k}: {expected[row, place, k]:.7g} in the pass, {found[row, place, k]:.7g} in steps."
            )


def start_stages(network: AutoregressiveNetwork | Phase, state: Any, index: int, x_previous: Any, weights: Any) -> Any:
    """Begins the stages whose first step is `index`, from the outermost to the innermost."""
    for level, length in enumerate(network.stages):
        if index % length == 0:
            state = network.start_stage(level, state, tf.constant(index // length), x_previous, weights)
    return state
