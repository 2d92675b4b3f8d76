"""Every check of the suite rejects a planted fault: a check that cannot fail proves nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.conformance import test_values
from tests.registry import CASES, Case, randomize
from tfar import samplers, testing
from tfar.distributions import density
from tfar.distributions.density import Density
from tfar.heads import Bernoulli, Categorical
from tfar.layers import MaskedDense
from tfar.networks import MADENetwork, WholePassNetwork

BY_NAME = {case.name: case for case in CASES}


def plain(name: str) -> Any:
    """The distribution of a case, fresh and without XLA."""
    return BY_NAME[f"MADE-{name}"].make().copy(jit_compile=False)


@contextmanager
def output_masks(change: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Replaces the masks of the strict layers: `change(in_degrees [I, 1], out_degrees [1, O])`."""
    right = MaskedDense._masked

    def wrong(self: MaskedDense, weights: Any, in_degrees: Any, out_degrees: Any) -> tf.Tensor:
        if not self.strict:
            return right(self, weights, in_degrees, out_degrees)
        left = tf.convert_to_tensor(self.in_degrees if in_degrees is None else in_degrees, tf.int32)[:, None]
        above = tf.convert_to_tensor(self.out_degrees if out_degrees is None else out_degrees, tf.int32)[None, :]
        weights = tf.convert_to_tensor(weights)
        return weights * tf.cast(change(left, above), weights.dtype)

    with mock.patch.object(MaskedDense, "_masked", wrong):
        yield


# Influences ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bernoulli", "categorical-one-hot", "normals", "masks-3-random-orders"])
def test_a_leaking_mask_is_found(name: str) -> None:
    dist = plain(name)
    with (
        output_masks(lambda left, above: left <= above),
        pytest.raises(testing.CheckError, match=r"leak: site \d+ -> site \d+"),
    ):
        testing.check_autoregressive(dist)


def test_one_leaking_pair_is_named() -> None:
    """One direct connection from the site of degree 4 to that of degree 2."""
    dist = plain("bernoulli")

    def change(left: Any, above: Any) -> Any:
        is_direct = tf.equal(tf.size(left), dist.num_sites)
        return (left < above) | (is_direct & (left == 4) & (above == 2))

    with output_masks(change):
        with pytest.raises(testing.CheckError, match=r"leak: site 3 -> site 1"):
            testing.check_autoregressive(dist)
        with pytest.raises(testing.CheckError, match=r"leak: site 3 -> site 1"):
            testing.check_autoregressive(dist, randomize=False)


def test_a_dead_connection_is_found() -> None:
    dist = plain("no-direct")
    with (
        output_masks(lambda left, above: (left < above) & (left > 1)),
        pytest.raises(testing.CheckError, match=r"dead connection: site 0 -> site \d"),
    ):
        testing.check_autoregressive(dist)


def test_a_leak_in_one_member_alone_is_found() -> None:
    dist = plain("masks-3")
    right = MADENetwork._connectivity

    def wrong(self: Any, member: Any, order: Any, seed: Any) -> Any:
        found = right(self, member, order, seed)
        positions = tf.where(tf.equal(member, 2), found.positions[::-1], found.positions)
        return found._replace(positions=positions)

    with mock.patch.object(MADENetwork, "_connectivity", wrong), pytest.raises(testing.CheckError, match="member 2"):
        testing.check_autoregressive(dist)


def test_a_declared_influence_from_the_future_is_found() -> None:
    dist = plain("bernoulli")
    with (
        mock.patch.object(MADENetwork, "connectivity", lambda self, member=0: np.ones([5, 5], bool)),
        pytest.raises(testing.CheckError, match="declares that site 0 influences site 0"),
    ):
        testing.check_autoregressive(dist)


def test_rows_that_see_each_other_are_found() -> None:
    dist = plain("bernoulli")
    right = MADENetwork.call

    def wrong(self: Any, x: Any, *args: Any, **kwargs: Any) -> tf.Tensor:
        params = right(self, x, *args, **kwargs)
        return params - 0.01 * tf.reduce_mean(params, axis=0, keepdims=True)

    with (
        mock.patch.object(MADENetwork, "call", wrong),
        pytest.raises(testing.CheckError, match=r"independent rows|leak"),
    ):
        testing.check_autoregressive(dist)


def test_an_unmasked_network_of_ones_own_is_found() -> None:
    network = MaskedDense(3, [1, 1, 1], [1, 1, 1])
    dist = randomize(tfar.Autoregressive(network, Bernoulli(), [3]))
    with pytest.raises(testing.CheckError, match="leak: site 0 -> site 0"):
        testing.check_autoregressive(dist)


# Probabilities -------------------------------------------------------------------------------------------------------


def test_a_leaking_mask_is_not_normalised() -> None:
    dist = plain("bernoulli")
    with output_masks(lambda left, above: left <= above), pytest.raises(testing.CheckError, match="sum to 1"):
        testing.check_normalized(dist)


@pytest.mark.parametrize("fault", ["no log K", "mean of logs"])
def test_an_unnormalised_ensemble_is_found(fault: str) -> None:
    dist = plain("masks-3")

    def wrong(self: Density, member_log_prob: Any) -> tf.Tensor:
        members = tf.stack([member_log_prob(k) for k in range(self.network.num_members)])
        return tf.reduce_logsumexp(members, 0) if fault == "no log K" else tf.reduce_mean(members, 0)

    with mock.patch.object(Density, "_log_mean_exp", wrong), pytest.raises(testing.CheckError, match="sum to 1"):
        testing.check_normalized(dist)


def test_an_unnormalised_density_is_found() -> None:
    dist = plain("laplaces-one-site")
    right = type(dist.head)._standard_log_prob
    with (
        mock.patch.object(type(dist.head), "_standard_log_prob", lambda self, z: right(self, z) + 0.01),
        pytest.raises(testing.CheckError, match="integrate to 1"),
    ):
        testing.check_normalized(dist)


# Samples -------------------------------------------------------------------------------------------------------------


def flipped(self: Any, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    return tf.cast(noise[..., 0] >= 0.97 * tf.sigmoid(-params[..., 0]) - 0.03, tf.float32)


def test_a_biased_sampler_is_found() -> None:
    dist = plain("bernoulli")
    with mock.patch.object(Bernoulli, "_sample", flipped), pytest.raises(testing.CheckError, match="chi-square"):
        testing.check_samples(dist, num_samples=8000, seed=5)


def test_a_sampler_that_feeds_back_other_values_is_found() -> None:
    """The value fed back is not the value returned: the fault of samplers that round at the end."""
    dist = plain("categorical-scaled")
    right = MADENetwork.step

    def wrong(self: Any, state: Any, index: Any, x_previous: Any, weights: Any = None) -> Any:
        return right(self, state, index, x_previous + 0.4, weights)

    with mock.patch.object(MADENetwork, "step", wrong):
        with pytest.raises(testing.CheckError, match="chi-square"):
            testing.check_samples(dist, num_samples=8000, seed=5)
        with pytest.raises(testing.CheckError, match="ancestral to give the samples of naive"):
            testing.check_samplers_agree(dist)


def test_samples_outside_the_support_are_found() -> None:
    dist = plain("categorical-one-hot")
    right = Categorical._sample
    with (
        mock.patch.object(Categorical, "_sample", lambda self, params, noise: right(self, params, noise) + 0.5),
        pytest.raises(testing.CheckError, match=r"samples in 0 \.\. 2"),
    ):
        testing.check_samples(dist, num_samples=100)


@pytest.mark.parametrize("name", ["normals", "laplaces-one-site"])
def test_a_continuous_sampler_of_another_scale_is_found(name: str) -> None:
    dist = plain(name)
    kind = type(dist.head)
    right = kind._standard_quantile
    with (
        mock.patch.object(kind, "_standard_quantile", lambda self, p: 1.1 * right(self, p)),
        pytest.raises(testing.CheckError, match="chi-square"),
    ):
        testing.check_samples(dist, num_samples=8000, seed=5)


def test_a_member_that_is_drawn_too_often_is_found() -> None:
    dist = plain("masks-3-random-orders")
    with (
        mock.patch.object(Density, "_uniform_member", lambda self, noise: tf.zeros(tf.shape(noise), tf.int32)),
        pytest.raises(testing.CheckError, match="chi-square"),
    ):
        testing.check_samples(dist, num_samples=8000, seed=5)


@pytest.mark.parametrize("name", ["bernoulli", "normals"])
def test_noise_that_is_shifted_by_a_site_is_found(name: str) -> None:
    dist = plain(name)
    right = samplers.naive
    with (
        mock.patch.object(samplers, "naive", lambda n, h, noise, *a, **k: right(n, h, tf.roll(noise, 1, 1), *a, **k)),
        pytest.raises(testing.CheckError, match="give the samples of naive"),
    ):
        testing.check_samplers_agree(dist, num_samples=50)


def test_a_fixed_point_that_stops_early_is_found() -> None:
    dist = plain("bernoulli")
    right = samplers.fixed_point

    def wrong(network: Any, head: Any, noise: tf.Tensor, *args: Any, **kwargs: Any) -> Any:
        values, passes = right(network, head, noise, *args, **kwargs)
        x = tf.zeros([noise.shape[0], *network.event_shape])
        first = head.sample(network(x), noise)
        return tf.where(tf.range(noise.shape[0])[:, None] % 7 == 0, first, values), passes

    with (
        mock.patch.object(samplers, "fixed_point", wrong),
        pytest.raises(testing.CheckError, match="fixed_point to give the samples of naive"),
    ):
        testing.check_samplers_agree(dist)


# Steps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bernoulli", "masks-3-random-orders", "deep", "normals"])
def test_a_step_off_by_one_is_found(name: str) -> None:
    dist = plain(name)
    right = MADENetwork._finish_units

    def wrong(self: Any, layer: int, state: Any, index: Any, weights: Any) -> Any:
        return right(self, layer, state, tf.maximum(index - 1, 0), weights)

    with mock.patch.object(MADENetwork, "_finish_units", wrong), pytest.raises(testing.CheckError, match="step"):
        testing.check_steps(dist)


def test_a_whole_pass_that_forgets_the_order_is_found() -> None:
    degrees = [3, 1, 2]
    network = MaskedDense(3, degrees, degrees, strict=True)
    dist = randomize(tfar.Autoregressive(network, Bernoulli(), [3], order=[1, 2, 0]))
    testing.check_steps(dist)
    with (
        mock.patch.object(WholePassNetwork, "sites_at", lambda self, state, index: index),
        pytest.raises(testing.CheckError, match="`sites_at` says"),
    ):
        testing.check_steps(dist)


# Values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["finite", "all rows"])
def test_bad_values_that_stay_finite_or_spread_are_found(fault: str) -> None:
    case: Case = BY_NAME["MADE-bernoulli"]

    def wrong(valid: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        if fault == "finite":
            return values
        return tf.where(tf.reduce_all(valid), values, tf.constant(float("nan")))

    with mock.patch.object(density, "_nan_unless", wrong), pytest.raises(AssertionError):
        test_values.check_rows(case.make(), case, jit_compile=False)
    with mock.patch.object(density, "_nan_unless", lambda valid, values: values), pytest.raises(pytest.fail.Exception):
        test_values.test_bad_values_are_errors_eagerly(
            case, lambda case, jit_compile: case.make().copy(jit_compile=jit_compile)
        )
