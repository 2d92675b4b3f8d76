"""The network of MADE: masks, degrees and steps against the definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.parameters import few_by_default
from tfar import masks, random
from tfar.networks import MADENetwork
from tfar.networks.connectivity import ConnectivityDraw

CASES = {
    "plain": {},
    "deep-random": {"hidden_units": (9, 5, 7), "degrees": "random", "order": "random", "seed": 4},
    "narrow": {"hidden_units": (2, 3)},
    "no-direct": {"direct_connections": False},
    "one-hot": {"num_classes": 3, "one_hot": True, "params_size": 3},
    "scaled": {"num_classes": 3, "params_size": 3},
    "members": {"num_masks": 3, "order": "random", "degrees": "random", "hidden_units": (8, 8)},
    "flags": {"num_masks": 2, "connectivity_weights": True, "order": "reverse"},
    "conditional": {"conditional_shape": (2,), "hidden_units": (8, 6)},
    "agnostic": {"num_masks": None, "num_eval_masks": 2, "order": "random", "connectivity_weights": True},
    "one-site": {"event_shape": (1,), "conditional_shape": (2,)},
}
EACH = pytest.mark.parametrize("name", CASES)
NOT_OWN_INVERSE = np.array([2, 0, 1, 4, 3], np.int32)


def make(name):
    network = MADENetwork(**{"event_shape": (5,), "hidden_units": (12,), "params_size": 2, **CASES[name]})
    network.build()
    rng = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign(rng.normal(size=variable.shape))
    return network


def condition(network, batch_size=3):
    if network.conditional_shape is None:
        return None
    return np.random.default_rng(1).normal(size=(batch_size, 2)).astype(np.float32)


@EACH
def test_influences_equal_those_of_changed_sites(name):
    """Changes one site at a time and compares the sites whose parameters change."""
    network = make(name)
    x = np.ones((network.num_sites + 1, network.num_sites), np.float32)
    np.fill_diagonal(x, 0.0)
    c = condition(network, 1)
    c = None if c is None else np.repeat(c, len(x), 0)
    for member in range(network.num_members):
        params = np.asarray(network(x, c, member=member))
        changed = np.any(params[:-1] != params[-1], axis=-1).T
        declared = network.influences(member=member)
        assert not np.any(changed & ~declared)
        steps = network.step_of_site[member if len(network.step_of_site) > 1 else 0]
        if network.direct_connections:
            np.testing.assert_array_equal(declared, steps[None] < steps[:, None])
        assert changed.sum() >= 0.5 * declared.sum()
        some = np.arange(network.num_sites)[::-2]
        np.testing.assert_array_equal(network.influences(some, member), declared[some])


def test_influences_in_another_order():
    network, order = make("agnostic"), NOT_OWN_INVERSE
    steps = [int(np.flatnonzero(order == site)[0]) for site in range(5)]
    expected = [[earlier < step for earlier in steps] for step in steps]
    np.testing.assert_array_equal(network.influences(order=order), expected)


@EACH
def test_steps_give_the_parameters_of_a_pass(name):
    network = make(name)
    rng = np.random.default_rng(2)
    rows = 4
    x = rng.integers(0, network.num_classes or 2, (rows, network.num_sites)).astype(np.float32)
    c = condition(network, rows)
    member = tf.constant(np.arange(rows) % network.num_members, tf.int32)
    orders = network.orders[member if len(network.orders) > 1 else np.zeros(rows, int)]
    parallel = np.stack([network(x, c, member=int(k))[i] for i, k in enumerate(member)])
    state = network.start(rows, c, member=member)
    assert all(tensor.shape[0] == rows for tensor in state.values())
    previous = tf.zeros([rows, 1])
    for t in range(network.num_sites):
        params, state = network.step(state, tf.constant(t), previous)
        assert params.shape == (rows, 1, network.params_size)
        np.testing.assert_allclose(params[:, 0], parallel[range(rows), orders[:, t]], rtol=1e-4, atol=1e-4)
        previous = tf.constant(x[range(rows), orders[:, t]])[:, None]


def test_steps_in_an_order_of_each_row():
    network = make("agnostic")
    rng = np.random.default_rng(3)
    orders = np.stack([NOT_OWN_INVERSE, *(rng.permutation(5) for _ in range(2))]).astype(np.int32)
    x = rng.integers(0, 2, (3, 5)).astype(np.float32)
    member = tf.constant([1, 0, 1])
    state, previous = network.start(3, order=orders, member=member), tf.zeros([3, 1])
    expected = [network(x[i : i + 1], member=int(member[i]), order=tf.constant(orders[i]))[0] for i in range(3)]
    for t in range(5):
        params, state = network.step(state, tf.constant(t), previous)
        for i in range(3):
            np.testing.assert_allclose(params[i, 0], expected[i][orders[i, t]], rtol=1e-4, atol=1e-4)
        previous = tf.constant(x[range(3), orders[:, t]])[:, None]


def test_training_masks_are_a_function_of_the_seed():
    network = make("agnostic")
    x = np.ones((2, 5), np.float32)
    draws = [np.asarray(network.training_pass(x, None, random.as_seed(s)).params) for s in (1, 1, 2, 3, 4)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert len({d.tobytes() for d in draws}) == 4
    members = make("members")
    of_members = [np.asarray(members(x, member=k)) for k in range(3)]
    seen = set()
    for s in range(20):
        params = members.training_pass(x, None, random.as_seed(s)).params
        seen.add(next(k for k, m in enumerate(of_members) if np.allclose(m, params, atol=1e-5)))
    assert seen == {0, 1, 2}


@pytest.mark.parametrize(
    "kwargs", [{}, {"one_hot": True, "num_classes": 3, "params_size": 2}, {"connectivity_weights": True}]
)
def test_a_pass_with_an_order_for_each_row(kwargs):
    network = MADENetwork(
        (5,), (9, 7), order="random", num_masks=None, num_eval_masks=2, **{"params_size": 1, **kwargs}
    )
    generator = np.random.default_rng(0)
    network.build()
    for variable in network.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    x = generator.integers(2, size=(4, 5)).astype(np.float32)
    orders = np.stack([NOT_OWN_INVERSE, *(generator.permutation(5) for _ in range(3))]).astype(np.int32)
    found = network(x, order=tf.constant(orders))
    for i in range(4):
        np.testing.assert_allclose(
            found[i], network(x[i : i + 1], order=tf.constant(orders[i]))[0], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("shape", ["[N]", "[B, N]"])
def test_a_pass_in_another_order_depends_on_the_sites_before_it(shape):
    """The first site of the order depends on none, and the last one on all others."""
    network, order = make("agnostic"), NOT_OWN_INVERSE
    x = np.ones((6, 5), np.float32)
    np.fill_diagonal(x, 0.0)
    params = np.asarray(network(x, order=tf.constant(order if shape == "[N]" else np.tile(order, (6, 1)))))
    changed = np.any(params[:-1] != params[-1], axis=-1)
    for t, site in enumerate(order):
        np.testing.assert_array_equal(np.flatnonzero(changed[:, site]), np.sort(order[:t]))


@pytest.mark.parametrize("name", ["plain", "members"])
def test_an_order_is_an_error_unless_any_order_is_allowed(name):
    with pytest.raises(ValueError, match="Expected no `order`, which needs order='random' and num_masks=None"):
        make(name)(np.ones((1, 5), np.float32), order=tf.range(5))


@pytest.mark.parametrize("name", ["agnostic", "conditional"])
def test_parameters_given_the_known_sites_alone(name):
    """Those of an unknown site are those of a pass whose order puts it right after the known sites."""
    options = {"hidden_units": (12, 8), "order": "random", "num_masks": None, **CASES[name], "num_eval_masks": 1}
    network = MADENetwork((5,), **options)
    network.build()
    generator = np.random.default_rng(4)
    for variable in network.variables:
        variable.assign(generator.normal(size=variable.shape))
    c = condition(network, 6)
    known = generator.random(size=(6, 5)) < np.arange(6)[:, None] / 5
    x = np.where(known, generator.integers(2, size=(6, 5)), 0).astype(np.float32)
    found = np.asarray(network.params_given(tf.constant(x), tf.constant(known), c))
    own = network.orders[0]
    for row in range(6):
        row_condition = None if c is None else c[row : row + 1]
        for site in np.flatnonzero(~known[row]):
            before, others = own[known[row, own]], own[~known[row, own] & (own != site)]
            order = np.concatenate([before, [site], others]).astype(np.int32)
            expected = network(x[row : row + 1], row_condition, order=tf.constant(order))[0, site]
            np.testing.assert_allclose(found[row, site], expected, rtol=1e-4, atol=1e-5)


def test_training_on_what_is_observed():
    """The observed sites come first in the order of each row. The other sites are not used and have the weight 0."""
    network = make("agnostic")
    generator = np.random.default_rng(1)
    x, observed = generator.integers(2, size=(6, 5)).astype(np.float32), generator.random(size=(6, 5)) < 0.6
    seed = random.as_seed(3)
    whole = network.training_pass(x, None, seed, tf.ones([6, 5], tf.bool))
    np.testing.assert_allclose(whole.params, network.training_pass(x, None, seed).params, rtol=1e-5, atol=1e-6)
    params, weights = network.training_pass(x, None, seed, tf.constant(observed))
    np.testing.assert_array_equal(weights, observed)
    other = network.training_pass(np.where(observed, x, 1.0 - x), None, seed, tf.constant(observed)).params
    np.testing.assert_allclose(params[observed], other[observed], rtol=1e-5, atol=1e-6)
    drawn = np.argsort(network._drawing.draw(seed).positions)
    for i in range(6):
        order = np.concatenate([drawn[observed[i, drawn]], drawn[~observed[i, drawn]]]).astype(np.int32)
        expected = network(x[i : i + 1], order=tf.constant(order), seed=seed)[0]
        np.testing.assert_allclose(params[i], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("evenly", few_by_default([False, True]))
@pytest.mark.parametrize(
    "num_sites, units, lowest", [(2, (3,), 1), (9, (4, 30), 1), (9, (2, 2, 2), 0), (30, (5, 1, 8), 1)]
)
def test_no_unit_is_cut_off(evenly, num_sites, units, lowest):
    """Each unit sees a unit or a site of the layer before, and a unit of the layer after sees it."""
    draw = ConnectivityDraw(num_sites, units, lowest, evenly, positions=None)
    for s in range(30):
        drawn = draw.draw(random.as_seed(s))
        assert sorted(drawn.positions.numpy()) == list(range(num_sites))
        before = np.arange(lowest, num_sites)
        for deeper, degrees in enumerate(drawn.hidden):
            degrees = degrees.numpy()
            assert degrees.min() >= lowest and degrees.max() <= num_sites - 1
            seen = masks.degree_mask(before, degrees)
            assert seen.any(0).all(), "a unit that sees nothing"
            assert deeper == 0 or seen.any(1).all(), "a unit that no unit sees"
            before = degrees


def test_draws_differ_and_are_uniform_degrees():
    draw = ConnectivityDraw(5, (200,), 1, evenly=False, positions=np.arange(5, dtype=np.int32))
    counts = sum(np.bincount(draw.draw(random.as_seed(s)).hidden[0], minlength=5) for s in range(5))
    assert counts[0] == 0 and np.sum((counts[1:] - 250.0) ** 2 / 250.0) < 21.1, "chi-square, false once in 10,000"


@EACH
def test_config_round_trip(name):
    network = make(name)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    if not again.built:
        again.build()
    assert again.get_config() == network.get_config()
    for a, b in zip(again.variables, network.variables, strict=True):
        a.assign(b)
    x, c = np.ones((2, network.num_sites), np.float32), condition(network, 2)
    np.testing.assert_array_equal(again(x, c), network(x, c))


def test_initial_weights_differ_between_layers_and_follow_the_seed():
    kernels = lambda seed: [  # noqa: E731
        np.asarray(v) for v in _built(hidden_units=(5, 5, 5), seed=seed).variables if v.shape == (5, 5)
    ]
    first, again, other = kernels(0), kernels(0), kernels(1)
    assert len(first) >= 3
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    flat = [k.tobytes() for k in first + other]
    assert len(set(flat)) == len(flat)


def _built(**kwargs):
    network = MADENetwork(event_shape=(5,), **kwargs)
    network.build()
    return network
