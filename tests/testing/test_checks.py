"""What the public checks refuse, restore and forgive."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.contract_networks import VideoNetwork
from tests.registry import CASES, normals
from tfar import heads, testing
from tfar.testing.samples import chi_square, differences

BY_NAME = {case.name: case for case in CASES}


def small(**kwargs: Any) -> tfar.MADE:
    return tfar.MADE(**{"event_shape": [3], "hidden_units": [6], "jit_compile": False, **kwargs})


def test_check_error_is_an_assertion_error_that_pytest_shows() -> None:
    assert issubclass(testing.CheckError, AssertionError)


def test_weights_are_put_back_even_if_the_check_fails() -> None:
    dist = tfar.Autoregressive(VideoNetwork((2, 1, 2)), tfar.heads.Bernoulli(), jit_compile=False)
    before = [v.numpy() for v in dist.variables]
    testing.check_autoregressive(dist)
    with pytest.raises(testing.CheckError, match=r"dead connection.*random weights"):
        testing.check_autoregressive(dist, connectivity=np.tri(4, k=-1))
    for old, variable in zip(before, dist.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_zero_weights_hide_no_connection() -> None:
    dist = small()
    for variable in dist.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    testing.check_autoregressive(dist)


def test_a_network_that_uses_fewer_sites_passes_if_told_so() -> None:
    network = tfar.layers.MaskedDense(3, [1, 9, 9], [1, 2, 3], strict=True)
    dist = tfar.Autoregressive(network, tfar.heads.Bernoulli(), [3])
    testing.check_autoregressive(dist, exact=False)
    with pytest.raises(testing.CheckError, match="dead connection: site 1 -> site 2"):
        testing.check_autoregressive(dist)


@pytest.mark.parametrize("check", [testing.check_normalized, testing.check_samples])
def test_large_supports_are_refused(check: Any) -> None:
    with pytest.raises(ValueError, match=r"at most 65536 events.*2\*\*17"):
        check(small(event_shape=[17]))
    with pytest.raises(ValueError, match="1 or 2 dimensions"):
        check(small(head=normals()))


@pytest.mark.parametrize("check", [testing.check_normalized, testing.check_samples])
@pytest.mark.parametrize(
    ("head", "what"),
    [
        (lambda: heads.PerSite([heads.NormalMixture(1), heads.Bernoulli()]), r"PerSite have a mass \(site 1\)"),
        (lambda: heads.Atoms([0.0], heads.NormalMixture(1)), "Atoms have a mass and others"),
    ],
)
def test_masses_beside_densities_are_refused(check: Any, head: Any, what: str) -> None:
    """A grid over real numbers misses the masses, and the checks would reject a correct distribution."""
    with pytest.raises(ValueError, match=what):
        check(small(event_shape=[2], head=head()))


def test_largest_support_is_enumerated() -> None:
    assert testing.support.enumerate_events(small(event_shape=[4, 4])).shape == (2**16, 4, 4)


@pytest.mark.parametrize(
    "check", [testing.check_autoregressive, testing.check_normalized, testing.check_steps, testing.check_samplers_agree]
)
def test_conditions_are_given_bound_or_random(check: Any) -> None:
    dist = small(conditional_shape=[2])
    check(dist)
    check(dist, conditional_input=[0.5, -1.0])
    check(dist.given(np.ones([3, 2], np.float32)))
    with pytest.raises(ValueError, match="conditional_input"):
        check(dist, conditional_input=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="Expected no `conditional_input`"):
        check(small(), conditional_input=[1.0])


def test_condition_reaches_the_density() -> None:
    dist = small(conditional_shape=[2])
    events = testing.support.enumerate_events(dist)
    one, other = (testing.support.log_probs(dist, events, c, 0) for c in ([5.0, 0.0], [0.0, 5.0]))
    assert np.abs(one - other).max() > 0.1


# Equal samples -------------------------------------------------------------------------------------------------------


def draws(dist: tfar.MADE, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    noise = dist.law.uniform_noise(tfar.random.row_seeds(1, count))
    return np.array(dist.law.sample_from_noise(noise)), np.array(noise)


def test_one_flip_far_from_an_edge_is_unequal() -> None:
    dist = small()
    x, noise = draws(dist)
    assert testing.equal_samples(dist, x, x.copy(), noise)
    y = x.copy()
    y[17, 2] = 1.0 - y[17, 2]
    assert not testing.equal_samples(dist, x, y, noise)
    found = differences(dist, x, y, noise)
    assert (found.rows.tolist(), found.sites.tolist(), found.explained.tolist()) == ([17], [2], [False])


def test_one_flip_at_an_edge_is_forgiven_and_what_follows_it() -> None:
    dist = small(order="reverse")
    x, noise = draws(dist)
    params = np.asarray(dist.network(x))
    noise[5, 2, 0] = 1.0 / (1.0 + np.exp(params[5, 2, 0])) + 3e-6
    x[5, 2], y = 1.0, x.copy()
    y[5] = [1.0 - x[5, 0], 1.0 - x[5, 1], 0.0]
    assert testing.equal_samples(dist, x, y, noise)
    noise[5, 2, 0] += 3e-5
    assert not testing.equal_samples(dist, x, y, noise)


def test_many_flips_at_edges_are_unequal() -> None:
    dist = small()
    x, noise = draws(dist)
    edges = 1.0 / (1.0 + np.exp(np.asarray(dist.network(x))[:2, 0, 0]))
    noise[:2, 0, 0] = edges + 1e-6
    x[:2, 0], y = 1.0, x.copy()
    y[:2, 0] = 0.0
    assert differences(dist, x, y, noise).explained.all()
    assert not testing.equal_samples(dist, x, y, noise)


def test_continuous_samples_may_differ_by_rounding_alone() -> None:
    dist = small(event_shape=[2], head=normals())
    x, noise = draws(dist)
    assert testing.equal_samples(dist, x, x + 1e-5, noise)
    y = x.copy()
    y[3, 1] += 0.01
    assert not testing.equal_samples(dist, x, y, noise)


def test_nan_is_unequal() -> None:
    dist = small()
    x, noise = draws(dist)
    y = x.copy()
    y[0, 0] = np.nan
    assert not testing.equal_samples(dist, x, y, noise)


def test_ensembles_need_the_noise_of_the_member() -> None:
    dist = small(num_masks=2)
    noise = dist.law.uniform_noise(tfar.random.row_seeds(1, 4))
    with pytest.raises(ValueError, match="member_noise"):
        testing.equal_samples(dist, np.zeros([4, 3]), np.zeros([4, 3]), noise)


# Statistics ----------------------------------------------------------------------------------------------------------


def test_chi_square_has_its_declared_error_rate() -> None:
    """p-values of a right sampler are uniform: between 2 and 9 % of 400 fall below 5 %."""
    generator = np.random.default_rng(0)
    probs = generator.dirichlet(np.ones(20))
    p_values = [chi_square(generator.multinomial(2000, probs), 2000 * probs)[2] for _ in range(400)]
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09


def test_chi_square_joins_rare_cells_and_keeps_their_surprise() -> None:
    expected = np.array([900.0, 90.0] + [0.5] * 20)
    statistic, freedom, p_value = chi_square(np.array([900, 90] + [1] * 10 + [0] * 10), expected)
    assert freedom == 2 and statistic == 0.0 and p_value == 1.0
    assert chi_square(np.array([860, 90] + [5] * 10 + [0] * 10), expected)[2] < 1e-6


def test_chi_square_of_a_textbook_case() -> None:
    statistic, freedom, p_value = chi_square(np.array([44, 56]), np.array([50.0, 50.0]))
    assert (round(statistic, 2), freedom, round(p_value, 4)) == (1.44, 1, 0.2301)
