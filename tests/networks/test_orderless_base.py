"""The base of networks for all orders, under a network that writes nothing but `params_of`."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar import random
from tfar.networks.conditions import flatten_condition
from tfar.networks.orderless import OrderlessNetwork, draw_known


@keras.saving.register_keras_serializable("tests")
class Plain(OrderlessNetwork):
    """One hidden layer on values and mask."""

    params_size = 1

    def build(self, input_shape=None):
        condition = 0 if self.conditional_shape is None else self.conditional_shape[0]
        self.hidden, self.outputs = keras.layers.Dense(6, "tanh"), keras.layers.Dense(self.num_sites)
        self.hidden.build((None, 2 * self.num_sites + condition))
        self.outputs.build((None, 6))
        self.built = True

    def params_of(self, x, known, conditional_input=None, seed=None):
        parts = [tf.reshape(x, [-1, self.num_sites]), tf.cast(known, x.dtype)]
        if self.conditional_shape is not None:
            parts.append(flatten_condition(conditional_input, self.conditional_shape))
        return self.outputs(self.hidden(tf.concat(parts, axis=1)))[..., None]


def make(num_orders=1, **kwargs):
    network = Plain(**{"event_shape": (5,), **kwargs})
    return randomize(tfar.Autoregressive(network, tfar.heads.Bernoulli(), orders=num_orders))


EVENTS = np.array(list(itertools.product([0, 1], repeat=5)), np.float32)
KINDS = pytest.mark.parametrize(
    "kwargs",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"num_orders": 3}, marks=pytest.mark.slow),
        pytest.param({"conditional_shape": (2,), "num_orders": 2}, marks=pytest.mark.slow(ci=True)),
    ],
)


@KINDS
def test_a_pass_is_all_it_takes(kwargs):
    dist = make(**kwargs)
    tfar.testing.check_autoregressive(dist)
    tfar.testing.check_normalized(dist)
    tfar.testing.check_steps(dist)
    tfar.testing.check_samplers_agree(dist, num_samples=50)


@pytest.mark.parametrize("chunk_rows", [1, 7, 64, 96, 1000])
def test_chunks_do_not_change_the_parameters(chunk_rows, monkeypatch):
    network, order = make().network, tf.constant([2, 0, 4, 1, 3])
    expected = network(EVENTS, order=order)
    monkeypatch.setattr(Plain, "chunk_rows", chunk_rows)
    np.testing.assert_allclose(network(EVENTS, order=order), expected, atol=1e-5)


def test_orders_of_rows_give_the_parameters_of_each_order():
    network = make(conditional_shape=(2,)).network
    orders = np.array([[2, 0, 4, 1, 3], [0, 1, 2, 3, 4], [4, 3, 1, 0, 2]], np.int32)
    x, condition = tf.constant(EVENTS[[3, 17, 30]]), tf.constant([[0.5, 1.0], [-1.0, 0.0], [2.0, 0.3]])
    found = network(x, condition, order=tf.constant(orders))
    for row, order in enumerate(orders):
        own = slice(row, row + 1)
        expected = network(x[own], condition[own], order=tf.constant(order))
        np.testing.assert_allclose(found[row], expected[0], atol=1e-5)


def exact_loss(dist, x, observed):
    """Minus the mean over all orders of the observed sites of their log-probability."""
    sites = np.flatnonzero(observed)
    rest = np.flatnonzero(~observed)
    totals = []
    for order in itertools.permutations(sites):
        whole = dist.with_order([*order, *rest])
        totals.append(float(np.asarray(whole.site_log_probs(x))[sites].sum()))
    return -np.mean(totals)


@pytest.mark.parametrize("pattern", few_by_default([[0, 0, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 0]], count=2))
def test_the_objective_is_the_mean_over_orders(pattern):
    dist = make(event_shape=(4,)).copy(jit_compile=False)
    pattern, x = np.array(pattern, bool), np.array([1.0, 0.0, 1.0, 1.0], np.float32)
    expected = exact_loss(dist, x, pattern)
    rows = 20000
    value, observed = np.tile(np.where(pattern, x, np.nan), (rows, 1)), np.tile(pattern, (rows, 1))
    whole = {} if not pattern.all() else {"observed": None}
    losses = np.asarray(dist.training_loss(value, seed=3, **{"observed": observed, **whole}))
    assert abs(losses.mean() - expected) <= 5 * losses.std() / rows**0.5 + 1e-6


def test_steps_are_uniform_and_weights_are_those_of_the_paper():
    rows = 40000
    observed = np.tile(np.array([1, 1, 0, 1, 1], bool), (rows, 1))
    known, weights = (np.asarray(t) for t in draw_known(random.row_seeds(1, rows), 5, tf.constant(observed)))
    counts = np.bincount(known.sum(1), minlength=4)
    assert len(counts) == 4 and np.abs(counts / rows - 0.25).max() < 0.01
    assert not known[:, 2].any() and not weights[:, 2].any() and not weights[known].any()
    d = known.sum(1, keepdims=True) + 1
    expected = np.where(observed & ~known, 4 / (4 - d + 1), 0)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    of_two = known[known.sum(1) == 2][:, [0, 1, 3, 4]]
    assert np.abs(of_two.mean(0) - 0.5).max() < 0.02


@pytest.mark.slow(ci=True)
def test_with_orders_shares_the_weights():
    dist = make(num_orders=2, conditional_shape=(2,))
    c = np.ones([32, 2], np.float32)
    more = dist.with_orders(5)
    assert more.num_members == 5 and dist.num_members == 2
    np.testing.assert_array_equal(more.law.orders[:2], dist.law.orders)
    assert {id(v) for v in more.variables} == {id(v) for v in dist.variables}
    np.testing.assert_allclose(
        more.with_orders(2).log_prob(EVENTS, conditional_input=c), dist.log_prob(EVENTS, conditional_input=c), rtol=1e-6
    )
    alone = [np.asarray(more.with_order(o).log_prob(EVENTS, conditional_input=c)) for o in more.law.orders]
    mean = np.log(np.mean(np.exp(alone), axis=0))
    np.testing.assert_allclose(more.log_prob(EVENTS, conditional_input=c), mean, rtol=1e-5)
    assert more.with_order("natural").num_members == 1
    for variable in dist.trainable_variables:
        variable.assign(variable * 0.5)
    assert np.abs(np.asarray(more.log_prob(EVENTS, conditional_input=c)) - mean).max() > 1e-3


@pytest.mark.parametrize("orders", [0, True, 2.5, [0, 1, 2, 3, 4], [[0, 1, 2, 3, 3]], np.zeros([0, 5], int)])
def test_bad_orders_are_errors(orders):
    with pytest.raises(ValueError, match=r"Expected .*order"):
        make().with_orders(orders)


def test_other_models_have_no_orders_to_choose():
    with pytest.raises(ValueError, match="MADE has masks or weights for its own orders"):
        tfar.MADE([5], [6]).with_orders(2)
