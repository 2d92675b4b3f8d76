"""The network of NADE: orders, steps, the first state, configurations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar.networks import NADENetwork

CASES = {
    "plain": {},
    "blocks": {"event_shape": (33,), "order": "random", "seed": 2},
    "vector-params": {"params_size": 3, "order": "reverse", "activation": "tanh"},
    "one-hot": {"num_classes": 3, "one_hot": True, "params_size": 3},
    "scaled": {"num_classes": 3, "params_size": 3, "activation": "relu"},
    "first-state": {"learned_first_state": True, "conditional_shape": (2,)},
    "site-vectors": {"event_shape": (4, 3), "site_shape": (3,), "params_size": 2},
    "one-site": {"event_shape": (1,), "conditional_shape": (2,)},
    "scaled-activations": {
        "scaled_activations": True,
        "compensated": True,
        "learned_first_state": True,
        "order": "random",
    },
}
EACH = pytest.mark.parametrize("name", CASES)


def make(name="plain", **kwargs):
    network = NADENetwork(**{"event_shape": (5,), "hidden_units": 6, **CASES[name], **kwargs})
    network.build()
    rng = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign(rng.normal(size=variable.shape))
    return network


def values(network, rows=4):
    rng = np.random.default_rng(1)
    x = rng.integers(0, network.num_classes or 2, (rows, *network.event_shape)).astype(np.float32)
    return x, None if network.conditional_shape is None else rng.normal(size=(rows, 2)).astype(np.float32)


@EACH
def test_steps_give_the_parameters_of_a_pass(name):
    network = make(name)
    x, c = values(network)
    parallel = np.asarray(network(x, c))
    sites = x.reshape(len(x), network.num_sites, *network.site_shape)
    state, previous = network.start(len(x), c), tf.zeros([len(x), 1, *network.site_shape])
    assert all(tensor.shape[0] == len(x) for tensor in state.values())
    for t, site in enumerate(np.argsort(network.step_of_site[0])):
        params, state = network.step(state, tf.constant(t), previous)
        assert params.shape == (len(x), 1, network.params_size)
        np.testing.assert_allclose(params[:, 0], parallel[:, site], rtol=1e-4, atol=1e-4)
        previous = tf.constant(sites[:, site])[:, None]


def test_parameters_depend_on_the_earlier_sites_of_the_order_alone():
    """In an order that is not its own inverse."""
    order = [2, 0, 1, 4, 3]
    network = make(order=order)
    x = np.ones((6, 5), np.float32)
    np.fill_diagonal(x, 0.0)
    params = np.asarray(network(x))
    changed = np.any(params[:-1] != params[-1], axis=-1)
    for t, site in enumerate(order):
        np.testing.assert_array_equal(np.flatnonzero(changed[:, site]), np.sort(order[:t]))
        np.testing.assert_array_equal(np.flatnonzero(network.influences([site])[0]), np.sort(order[:t]))


def test_the_first_state_serves_the_first_site_alone():
    network = make("first-state")
    x, c = values(network)
    before = np.asarray(network(x, c))
    network.first_state.assign_add(tf.ones(6))
    changed = np.abs(np.asarray(network(x, c)) - before).max(axis=(0, 2))
    assert changed[0] > 0.01 and not changed[1:].any()
    network.bias.assign_add(tf.ones(6))
    after = np.asarray(network(x, c))
    assert (after[:, 0] != before[:, 0]).any() and np.abs(after[:, 1:] - before[:, 1:]).max() > 0.01


def test_without_a_first_state_the_first_site_sees_c():
    network = make()
    x, _ = values(network)
    before = np.asarray(network(x))
    network.bias.assign_add(tf.ones(6))
    assert np.abs(np.asarray(network(x)) - before)[:, 0].min() > 0.01


def test_the_condition_has_its_gradient():
    network = make("first-state")
    x, c = values(network, rows=1)
    c = tf.constant(c)
    with tf.GradientTape() as tape:
        tape.watch(c)
        total = tf.reduce_sum(network(x, c))
    slopes = tape.gradient(total, c)
    for feature, step in enumerate(np.eye(2, dtype=np.float32) * 1e-2):
        ends = [float(tf.reduce_sum(network(x, c + sign * step))) for sign in (1.0, -1.0)]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-2, slopes[0, feature], rtol=1e-2, atol=1e-3)


@EACH
def test_config_round_trip(name):
    network = make(name)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    if not again.built:
        again.build()
    assert again.get_config() == network.get_config()
    for a, b in zip(again.variables, network.variables, strict=True):
        a.assign(b)
    x, c = values(network)
    np.testing.assert_array_equal(again(x, c), network(x, c))


def test_initial_kernels_differ_and_follow_the_seed():
    kernels = [np.asarray(v) for s in (0, 1) for v in _built(s).variables if v.shape == (5, 5)]
    assert len(kernels) == 6 and len({k.tobytes() for k in kernels}) == 6
    again = [np.asarray(v) for v in _built(0).variables if v.shape == (5, 5)]
    assert all((a == b).all() for a, b in zip(again, kernels, strict=False))


def _built(seed):
    network = NADENetwork((5,), 5, conditional_shape=(5,), seed=seed)
    network.build()
    return network


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "gelu"}, r"Expected `activation` to be one of .*'sigmoid'.*; received 'gelu'"),
        ({"hidden_units": 0}, "Expected `hidden_units` to be an int of at least 1; received 0"),
        ({"hidden_units": [5, 5]}, "Expected `hidden_units`"),
        ({"order": [0, 1]}, "Expected `order` to be 5 integers"),
        ({"order": "backwards"}, "Expected `order` to be one of"),
        ({"head": "bernoulli"}, "Expected `head` to be a tfar.heads.Head; received 'bernoulli'"),
        ({"head": tfar.heads.Bernoulli}, "received the class Bernoulli"),
        ({"seed": -1}, "Expected `seed`"),
        ({"conditional_shape": (0,)}, "Expected `conditional_shape`"),
        ({"event_shape": []}, "Expected `event_shape`"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.NADE(**{"event_shape": [5], "hidden_units": 6, **arguments})
