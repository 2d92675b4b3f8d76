"""Groups, nested stages and events of any length, each by a small network of its own."""

import itertools

import numpy as np
import pytest

import tfar
from tests.contract_networks import GroupsNetwork, SequenceNetwork, SteppingSequenceNetwork, VideoNetwork
from tests.registry import randomize

TWO_GROUPS, THREE_GROUPS, MIXED = [0, 0, 1, 1, 1, 1], [0, 1, 1, 2, 2, 2], [3, 0, 1, 1, 4, 2, 2, 3]
VIDEO = (2, 2, 3)


def groups(step_of_site=TWO_GROUPS, conditional_size=2):
    network = GroupsNetwork(step_of_site, conditional_size)
    return randomize(tfar.Autoregressive(network, tfar.heads.Bernoulli(), jit_compile=False))


def video(network=VideoNetwork):
    return randomize(tfar.Autoregressive(network(VIDEO), tfar.heads.Bernoulli(), jit_compile=False))


def sequence(length=5, head=None, network=SequenceNetwork, **kwargs):
    head = head or tfar.heads.Bernoulli()
    network = network(params_size=head.params_size, **kwargs)
    return randomize(tfar.Autoregressive(network, head, jit_compile=False)).with_length(length)


CASES = {
    "two-groups": (groups, [[j < 2 <= i for j in range(6)] for i in range(6)]),
    "three-groups": (
        lambda: groups(THREE_GROUPS, 0),
        [[False] * 6, *[[True] + [False] * 5] * 2, *[[True] * 3 + [False] * 3] * 3],
    ),
    "mixed-groups": (
        lambda: groups(MIXED),
        [[MIXED[j] < MIXED[i] for j in range(8)] for i in range(8)],
    ),
    "video": (
        video,
        [
            [
                (s < t and (g, v) == (h, w)) or (s == t and (g < h or (g == h and v < w)))
                for s, g, v in itertools.product(range(2), range(2), range(3))
            ]
            for t, h, w in itertools.product(range(2), range(2), range(3))
        ],
    ),
    "sequence": (sequence, np.tri(5, k=-1)),
    "sequence-conditional": (lambda: sequence(conditional_size=2), np.tri(5, k=-1)),
    "sequence-channels": (
        lambda: sequence(3, channels=2, conditional_size=2),
        [[j // 2 < i // 2 for j in range(6)] for i in range(6)],
    ),
    "sequence-stepwise-prefill": (
        lambda: sequence(3, tfar.heads.Categorical(3), SteppingSequenceNetwork),
        np.tri(3, k=-1),
    ),
}


@pytest.fixture(params=list(CASES), scope="module")
def made(request):
    make, connectivity = CASES[request.param]
    return make(), np.array(connectivity, bool)


def test_parameters_depend_on_the_sites_of_earlier_steps(made):
    dist, connectivity = made
    tfar.testing.check_autoregressive(dist, connectivity=connectivity)


def test_steps_prefill_and_streams_equal_the_pass(made):
    tfar.testing.check_steps(made[0])


def test_probabilities_sum_to_one(made):
    tfar.testing.check_normalized(made[0])


def test_samples_follow_log_prob(made):
    tfar.testing.check_samples(made[0], num_samples=5000)


def test_samplers_agree(made):
    tfar.testing.check_samplers_agree(made[0], num_samples=200)
