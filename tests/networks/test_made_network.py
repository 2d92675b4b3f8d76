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
def test_influences_equal_the_connectivity_of_each_member(name):
    """Change one site at a time to another value and see whose parameters change."""
    network = make(name)
    x = np.ones((network.num_sites + 1, network.num_sites), np.float32)
    np.fill_diagonal(x, 0.0)
    c = condition(network, 1)
    c = None if c is None else np.repeat(c, len(x), 0)
    for member in range(network.num_members):
        params = np.asarray(network(x, c, member=member))
        changed = np.any(params[:-1] != params[-1], axis=-1)
        declared = network.connectivity(member)
        assert not np.any(changed & ~declared)
        order = network.orders[member if len(network.orders) > 1 else 0]
        steps = np.argsort(order)
        if network.direct_connections:
            np.testing.assert_array_equal(declared, steps[:, None] < steps[None])
        if network.activation is keras.activations.relu:
            assert changed.sum() >= 0.5 * declared.sum()


@pytest.mark.parametrize("in_stages", [False, True])
@EACH
def test_steps_give_the_parameters_of_a_pass(name, in_stages):
    network = make(name)
    network.stages_differ = in_stages and network.num_masks == 1
    rng = np.random.default_rng(2)
    rows = 4
    x = rng.integers(0, network.num_classes or 2, (rows, network.num_sites)).astype(np.float32)
    c = condition(network, rows)
    member = tf.constant(np.arange(rows) % network.num_members, tf.int32)
    parallel = np.stack([network(x, c, member=int(k))[i] for i, k in enumerate(member)])
    state = network.start(rows, c, member=member)
    assert all(tensor.shape[0] == rows for tensor in state.values())
    previous = tf.zeros([rows])
    for t in range(network.num_sites):
        if t % network.steps_per_stage == 0:
            state = network.start_stage(state, t // network.steps_per_stage, previous)
        params, state = network.step(state, tf.constant(t), previous)
        sites = np.broadcast_to(network.sites_at(state, tf.constant(t)), [rows])
        np.testing.assert_allclose(params, parallel[range(rows), sites], rtol=1e-4, atol=1e-4)
        previous = tf.constant(x[range(rows), sites])


def test_the_state_of_a_stage_holds_what_its_steps_need():
    """Of 784 sites and 500 units in four stages: fewer and fewer sums, more and more values."""
    network = MADENetwork((784,), (500,))
    network.build()
    state = network.start(2)
    sums, hidden, inputs = [], [], []
    for stage in range(4):
        state = network.start_stage(state, stage, tf.zeros([2]))
        for sizes, name in ((sums, "sums_1"), (hidden, "hidden_1"), (inputs, "inputs")):
            sizes.append(state[name].shape[1])
    assert (sums, hidden, inputs) == ([500, 375, 250, 125], [125, 250, 375, 500], [196, 392, 588, 784])


@pytest.mark.parametrize("name", ["agnostic"])
def test_steps_in_an_order_of_each_row(name):
    network = make(name)
    rng = np.random.default_rng(3)
    orders = np.stack([rng.permutation(5) for _ in range(3)]).astype(np.int32)
    x = rng.integers(0, 2, (3, 5)).astype(np.float32)
    member = tf.constant([1, 0, 1])
    state, previous = network.start(3, order=orders, member=member), tf.zeros([3])
    expected = [network(x[i : i + 1], member=int(member[i]), order=tf.constant(orders[i]))[0] for i in range(3)]
    for t in range(5):
        params, state = network.step(state, tf.constant(t), previous)
        for i in range(3):
            np.testing.assert_allclose(params[i], expected[i][orders[i, t]], rtol=1e-4, atol=1e-4)
        previous = tf.constant(x[range(3), orders[:, t]])


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
    orders = np.stack([generator.permutation(5) for _ in range(4)]).astype(np.int32)
    found = network(x, order=tf.constant(orders))
    for i in range(4):
        np.testing.assert_allclose(
            found[i], network(x[i : i + 1], order=tf.constant(orders[i]))[0], rtol=1e-4, atol=1e-5
        )


def test_training_on_what_is_observed():
    """The observed sites come first in each row's order, and nothing else is looked at or counts."""
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
