"""Networks with a planted fault, which the checks must find and name."""

import pytest
import tensorflow as tf

import tfar
from tests.contract_networks import GroupsNetwork, SequenceNetwork, VideoNetwork
from tests.registry import randomize


def distribution(network, length=None):
    head = tfar.heads.Bernoulli() if length is None else tfar.heads.NormalMixture(1)
    dist = randomize(tfar.Autoregressive(network, head, jit_compile=False))
    return dist if length is None else dist.with_length(length)


class LeakingGroup(GroupsNetwork):
    """Sites of a group depend on each other."""

    def _masked_kernel(self):
        return tf.convert_to_tensor(self.kernel) * (self.step_of_site[0][:, None] <= self.step_of_site[0]).astype(
            "float32"
        )


class ForgetfulGroups(GroupsNetwork):
    """The steps of a group use the values of the group before it alone."""

    def step(self, state, index, x_previous, weights=None):
        return super().step({**state, "sums": tf.zeros_like(state["sums"])}, index, x_previous, weights)


class UnsortedGroups(GroupsNetwork):
    """The parameters of a group are in the wrong order."""

    def step(self, state, index, x_previous, weights=None):
        params, state = super().step(state, index, x_previous, weights)
        return params[:, ::-1], state


class StaleFrame(VideoNetwork):
    """The first row of a frame does without the last pixel of the frame before."""

    def start_stage(self, level, state, number, x_previous, weights=None):
        return super().start_stage(level, state, number, x_previous * float(level), weights)


class StaleRow(VideoNetwork):
    """A row does without the last pixel of the row above."""

    def start_stage(self, level, state, number, x_previous, weights=None):
        return super().start_stage(level, state, number, x_previous * float(1 - level), weights)


class LatePrefill(SequenceNetwork):
    """`prefill` takes the value that the next step takes, too."""

    def prefill(self, state, x_prefix, length):
        return super().prefill(state, x_prefix, length + 1)


class SharedPrefill(SequenceNetwork):
    """`prefill` takes the longest prefix for all rows."""

    def prefill(self, state, x_prefix, length):
        return super().prefill(state, x_prefix, tf.reduce_max(length))


class SharedPosition(SequenceNetwork):
    """All rows of a batch read the condition of the first one's position."""

    def step(self, state, index, x_previous, weights=None):
        return super().step(state, tf.reshape(index, [-1])[0], x_previous, weights)


class LateFramePrefill(VideoNetwork):
    """`prefill` keeps a pixel that the next stage takes, too."""

    def prefill(self, state, x_prefix, length):
        state = super().prefill(state, x_prefix, length)
        return {**state, "past": 1.5 * state["past"] + state["frame"]}


def test_a_dependence_within_a_group_is_found():
    with pytest.raises(tfar.testing.CheckError, match="leak: site 0 -> site 0"):
        tfar.testing.check_autoregressive(distribution(LeakingGroup([0, 0, 1, 1])))


@pytest.mark.parametrize(
    ("network", "length", "message"),
    [
        (lambda: ForgetfulGroups([0, 1, 1, 2, 2, 2]), None, "step 2"),
        (lambda: UnsortedGroups([0, 1, 1, 2, 2, 2]), None, "step 1"),
        (lambda: StaleFrame((2, 2, 3)), None, "step 11"),
        (lambda: StaleRow((2, 2, 3)), None, "step 3"),
        (lambda: LateFramePrefill((2, 2, 3)), None, "prefix of 6 steps"),
        (lambda: LatePrefill(params_size=3), 4, "prefix of 1 steps"),
        (lambda: SharedPrefill(params_size=3), 4, r"prefixes of \[3, 2, 1\] steps"),
        (lambda: SharedPosition(params_size=3, conditional_size=2), 4, "prefixes of|streams at"),
    ],
)
def test_steps_that_differ_from_the_pass_are_found(network, length, message):
    with pytest.raises(tfar.testing.CheckError, match=message):
        tfar.testing.check_steps(distribution(network(), length))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([[0, 2, 2]], "without a gap"),
        ([[1, 2, 3]], "from 0"),
        ([[-1, 0, 1]], "from 0"),
        ([[0, 1, 1], [0, 0, 1]], "same sizes for every member"),
        ([[0, 1]], r"shape \[members, 3\]"),
        ([[0.0, 1.0, 2.0]], "to be integers"),
    ],
)
def test_a_network_refuses_a_schedule_that_is_none(steps, message):
    network = GroupsNetwork([0, 1, 2])
    with pytest.raises(ValueError, match=message):
        network.step_of_site = steps
