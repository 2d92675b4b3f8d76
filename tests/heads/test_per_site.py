"""Another head for each site: which are evaluated together, shared weights, mixed tables as models."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.registry import randomize
from tfar import heads

SITES = np.arange(5)


def make():
    shared = heads.Standardized(heads.LaplaceMixture(1), loc=10.0, scale=2.0)
    return heads.PerSite([heads.Bernoulli(), shared, heads.NormalMixture(2), heads.Bernoulli(name="other"), shared])


def test_equal_heads_are_evaluated_together_in_a_pass_and_once_each_in_a_step():
    head, rng = make(), np.random.default_rng(0)
    params, x = rng.normal(size=(3, 5, 6)).astype(np.float32), np.float32([[1.0, 9.0, 0.5, 0.0, 12.0]] * 3)
    seen = []
    before = heads.Bernoulli._log_prob

    def record(self, params, x, site):
        seen.append(tuple(params.shape))
        return before(self, params, x, site)

    with mock.patch.object(heads.Bernoulli, "_log_prob", record):
        together = head.log_prob(params, x, SITES)
        assert seen == [(3, 2, 1)]
        alone = [tf.function(head.log_prob, autograph=False)(params[:, i], x[:, i], tf.constant(i)) for i in SITES]
    np.testing.assert_allclose(together, np.stack(alone, -1), rtol=1e-6)
    assert len(head._parts) == 3


def test_a_subset_of_sites_in_another_order_is_evaluated_too():
    head, rng = make(), np.random.default_rng(1)
    params, noise = rng.normal(size=(4, 5, 6)).astype(np.float32), rng.uniform(size=(4, 5, 2)).astype(np.float32)
    order = np.array([4, 2, 0])
    every = np.asarray(head.sample(params, noise, SITES))
    np.testing.assert_array_equal(head.sample(params[:, order], noise[:, order], order), every[:, order])


def test_supports_and_sizes():
    head = make()
    assert [str(head.support(site)) for site in SITES] == [
        "{0, 1}",
        "real numbers",
        "real numbers",
        "{0, 1}",
        "real numbers",
    ]
    assert (head.num_sites, head.params_size, head.noise_size, head.discrete) == (5, 6, 2, False)
    both = heads.PerSite([heads.Bernoulli(), heads.Categorical(4)])
    assert both.discrete and str(both.support()) == "whole numbers 0 .. 3"
    params = np.random.default_rng(2).normal(size=(2, 4)).astype(np.float32)
    probs = both.probs(params, [0, 1])
    np.testing.assert_allclose(probs[0], [*heads.Bernoulli().probs(params[:1, :1])[0], 0.0, 0.0])
    np.testing.assert_allclose(probs[1], heads.Categorical(4).probs(params[1]))


def test_heads_with_weights_keep_their_sharing_through_a_configuration():
    head = make()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    again.build()
    assert len(again.weights) == len(head.weights) == 2
    assert again.heads[1] is again.heads[4] and again.heads[0] is again.heads[3]
    assert again.get_config() == head.get_config()


def test_each_head_adapts_to_its_sites():
    rng = np.random.default_rng(3)
    data = np.stack([rng.normal(5, 2, 300), rng.integers(0, 2, 300), rng.normal(-50, 10, 300)], -1)
    one, other = (heads.Standardized(heads.NormalMixture(2)) for _ in range(2))
    head = heads.PerSite([one, heads.Bernoulli(), other])
    assert head.awaits_data
    head.adapt(data)
    np.testing.assert_allclose([one.units.loc, other.units.loc], data.mean(0)[[0, 2]], rtol=1e-6)
    np.testing.assert_allclose([one.units.scale, other.units.scale], data.std(0)[[0, 2]], rtol=1e-6)
    assert not head.awaits_data
    with pytest.raises(ValueError, match="Expected a head with units"):
        heads.PerSite([heads.Bernoulli()]).adapt(data[:, :1])


def test_a_site_is_needed():
    with pytest.raises(ValueError, match="Expected `site`, because the heads of the"):
        make().log_prob(tf.zeros([1, 5, 6]), tf.zeros([1, 5]))


@pytest.mark.parametrize("parts", [[], [heads.Bernoulli(), heads.DiscretizedLogisticMixture(1)], [heads.Bernoulli]])
def test_bad_heads_are_errors(parts):
    with pytest.raises(ValueError, match="Expected"):
        heads.PerSite(parts)


# A table with columns of several kinds ----------------------------------------------------------------------------------


def table(rows, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, rows)
    return np.stack([kind, rng.normal(100 + 50 * kind, 5), rng.uniform(size=rows) < kind / 3 + 0.1], -1)


def mixed(order="natural"):
    parts = [heads.Categorical(3), heads.NormalMixture(3, min_scale=0.05), heads.Bernoulli()]
    return tfar.MADE([3], [16], head=heads.Standardized(heads.PerSite(parts), [3]), order=order, jit_compile=False)


@pytest.mark.parametrize("order", ["natural", "random"])
def test_a_model_of_a_mixed_table_is_normalised_and_samples_what_it_scores(order):
    dist = randomize(mixed(order))
    dist.initialize(table(500))
    np.testing.assert_allclose(dist.head.units.loc, [0.0, table(500)[:, 1].mean(), 0.0], rtol=1e-5)
    grid = np.linspace(-2000.0, 2500.0, 20_001)
    total = 0.0
    for kind in range(3):
        for flag in range(2):
            events = np.stack([np.full_like(grid, kind), grid, np.full_like(grid, flag)], -1)
            total += np.trapezoid(np.exp(np.asarray(dist.log_prob(events), np.float64)), grid)
    assert total == pytest.approx(1.0, abs=1e-3)
    draws = np.asarray(dist.sample(300, seed=1))
    assert np.isfinite(dist.log_prob(draws)).all()
    np.testing.assert_allclose(dist.sample(300, seed=1, method="naive"), draws, rtol=1e-4)
    assert set(draws[:, 0]) == {0.0, 1.0, 2.0} and set(draws[:, 2]) == {0.0, 1.0}


@pytest.mark.slow(ci=True)
def test_a_model_of_a_mixed_table_learns_and_is_saved(tmp_path):
    dist = mixed()
    model = tfar.training.DensityModel(dist)
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    model.fit(table(2000), epochs=30, batch_size=100, verbose=0)
    # The truth: kinds of equal probability, a normal of deviation 5, and the entropy of the flag given the kind.
    p = np.arange(3) / 3 + 0.1
    truth = np.log(3) + 0.5 * np.log(2 * np.pi * np.e * 25) - np.mean(p * np.log(p) + (1 - p) * np.log(1 - p))
    nll = -float(np.mean(dist.log_prob(table(2000, seed=1))))
    assert truth - 0.1 < nll < truth + 0.3
    model.save(tmp_path / "made.keras")
    np.testing.assert_allclose(tfar.load(tmp_path / "made.keras").sample(5, seed=1), dist.sample(5, seed=1), rtol=1e-5)
