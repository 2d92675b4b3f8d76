"""The network of ConvNADE: what its parameters depend on, steps, configurations, precisions, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar.networks import ConvNADENetwork

CASES = {
    "convolutions": {"kernel_sizes": [(2, 2), (1, 2)]},
    "branch": {"hidden_units": (4,)},
    "site-vectors": {"event_shape": (3, 4, 2), "site_shape": (2,), "params_size": 3},
    "channels-one-hot": {"event_shape": (3, 4, 2), "num_classes": 3, "one_hot": True, "params_size": 3},
    "scaled": {"num_classes": 4, "params_size": 4, "hidden_units": (3, 5), "conditional_shape": (2,)},
}
EACH = pytest.mark.parametrize("name", CASES)


def make(name="convolutions", **kwargs):
    arguments = {"event_shape": (3, 4), "filters": (5, 4), "kernel_sizes": [(2, 2), (2, 3)], "activation": "tanh"}
    network = ConvNADENetwork(**{**arguments, **CASES[name], **kwargs})
    network.build()
    rng = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign(rng.normal(0.0, 0.6, size=variable.shape))
    return network


def values(network, rows=3):
    rng = np.random.default_rng(1)
    x = rng.integers(0, network.num_classes or 2, (rows, *network.event_shape)).astype(np.float32)
    return x, None if network.conditional_shape is None else rng.normal(size=(rows, 2)).astype(np.float32)


def pass_under(network, x, known, c=None):
    masked = x.reshape(len(x), network.num_sites, -1) * known[..., None]
    return np.asarray(network.params_of(tf.constant(masked.reshape(x.shape), tf.float32), tf.constant(known), c))


@EACH
def test_steps_give_the_parameters_of_a_pass(name):
    network = make(name)
    x, c = values(network)
    sites = x.reshape(len(x), network.num_sites, *network.site_shape)
    for order in (np.arange(network.num_sites), np.random.default_rng(5).permutation(network.num_sites)):
        parallel = np.asarray(network(x, c, order=tf.constant(order, tf.int32)))
        rows = tf.constant(np.tile(order, [len(x), 1]), tf.int32)
        state, previous = network.start(len(x), c, order=rows), tf.zeros_like(sites[:, :1])
        for t, site in enumerate(order):
            params, state = network.step(state, tf.constant(t), previous)
            np.testing.assert_allclose(params[:, 0], parallel[:, site], rtol=1e-4, atol=1e-4)
            previous = tf.constant(sites[:, site : site + 1])


@EACH
def test_what_is_unknown_is_not_seen(name):
    network = make(name)
    x, c = values(network)
    known = np.random.default_rng(2).integers(0, 2, (len(x), network.num_sites)).astype(np.float32)
    other = np.where(known.reshape(len(x), -1, 1) > 0, x.reshape(len(x), network.num_sites, -1), 1.0)
    expected = np.asarray(network.params_of(tf.constant(x), tf.constant(known), c))
    found = np.asarray(network.params_of(tf.constant(other.reshape(x.shape)), tf.constant(known), c))
    np.testing.assert_array_equal(found, expected)


@EACH
def test_a_known_zero_is_not_an_unknown_site(name):
    network = make(name)
    x, c = values(network)
    before = pass_under(network, 0 * x, np.zeros([len(x), network.num_sites], np.float32), c)
    known = np.zeros([len(x), network.num_sites], np.float32)
    known[:, 3] = 1.0
    assert np.abs(pass_under(network, 0 * x, known, c) - before).max() > 1e-3


@pytest.mark.parametrize("sizes", [[(2, 2)], [(2, 2), (1, 3)], [(2, 3), (2, 2)], [(3, 4)]], ids=str)
def test_reach_is_what_the_convolutions_connect(sizes):
    network = make(kernel_sizes=sizes, filters=(4,) * len(sizes))
    zeros = np.zeros([1, *network.event_shape], np.float32)
    before = pass_under(network, zeros, np.zeros([1, 12], np.float32))
    seen = [np.abs(pass_under(network, zeros, row[None]) - before)[0, :, 0] > 1e-7 for row in np.eye(12, dtype="f")]
    steps = np.argsort(network.orders[0])
    np.testing.assert_array_equal(network.influences().T, np.array(seen) & (steps[:, None] < steps[None]))


def test_the_branch_connects_all_sites():
    network = make("branch")
    order = np.random.default_rng(5).permutation(network.num_sites)
    steps = np.argsort(order)
    np.testing.assert_array_equal(network.influences(order=order), steps[None] < steps[:, None])


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


def test_other_orders_share_the_weights():
    dist = randomize(tfar.ConvNADE([2, 3], [4], [2], [5], seed=3))
    more = dist.with_orders(3)
    assert {id(v) for v in more.variables} == {id(v) for v in dist.variables} and len(more.variables) == 8
    x = np.array([[[1, 0, 1], [0, 1, 1]]], np.float32)
    alone = [float(more.with_order(order).log_prob(x)[0]) for order in more.law.orders]
    np.testing.assert_allclose(more.log_prob(x)[0], np.log(np.mean(np.exp(alone))), rtol=1e-5)
    assert np.ptp(alone) > 1e-3


@pytest.mark.parametrize("policy", few_by_default(["mixed_bfloat16", "mixed_float16"]))
def test_mixed_precision_gives_float32_parameters(policy, dtype_policy):
    arguments = {"event_shape": [3, 3], "filters": [4], "kernel_sizes": [2], "hidden_units": [5], "seed": 1}
    plain = tfar.ConvNADE(**arguments)
    dtype_policy(policy)
    mixed = tfar.ConvNADE(**arguments)
    x = np.eye(3, dtype=np.float32)[None]
    assert {v.dtype for v in mixed.trainable_variables} == {tf.float32}
    assert mixed.network.convolutions[0].compute_dtype == policy.removeprefix("mixed_")
    assert mixed.network(x).dtype == mixed.log_prob(x).dtype == tf.float32
    np.testing.assert_allclose(mixed.log_prob(x), plain.log_prob(x), rtol=0.02)
    assert np.isfinite(mixed.training_loss(x, seed=1)).all() and np.isfinite(mixed.sample(2, seed=1)).all()


def test_initial_kernels_follow_the_seed():
    kernels = [[np.asarray(v) for v in tfar.ConvNADE([4, 4], [3, 3], [2, 2], seed=s).variables[4:6]] for s in (0, 0, 1)]
    np.testing.assert_array_equal(kernels[0][0], kernels[1][0])
    assert np.abs(kernels[0][0] - kernels[2][0]).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_sizes": [3, 3]}, r"image of at least 5 x 5 pixels for kernels of sizes .*; received .*\(4, 5\)"),
        ({"kernel_sizes": [2]}, "Expected a kernel size for each of 2 `filters`; received 1"),
        ({"kernel_sizes": [2, (2, 2, 2)]}, r"Expected `kernel_sizes` to be an int or two; received \(2, 2, 2\)"),
        ({"kernel_sizes": [2, 0]}, "Expected `kernel_sizes` to be ints of at least 1"),
        ({"filters": []}, "Expected `filters` to hold at least one int"),
        ({"event_shape": [20]}, r"Expected `event_shape` to be \[H, W\] or \[H, W, C\]; received \(20,\)"),
        ({"event_shape": [4, 5, 1, 1]}, r"Expected `event_shape` to be \[H, W\]"),
        ({"hidden_units": [0]}, "Expected `hidden_units`"),
        ({"hidden_units": []}, "Expected `hidden_units` to hold at least one int"),
        ({"num_orders": 0}, "Expected `num_orders` to be an int of at least 1; received 0"),
        ({"orders": [[0, 1]]}, "Expected `order` to be 20 integers"),
        ({"head": "bernoulli"}, "Expected `head` to be a tfar.heads.Head; received 'bernoulli'"),
        ({"conditional_shape": (0,)}, "Expected `conditional_shape`"),
        ({"seed": -1}, "Expected `seed`"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.ConvNADE(**{"event_shape": [4, 5], "filters": [3, 3], "kernel_sizes": [2, 2], **arguments})


@pytest.mark.slow(ci=True)
def test_complete_keeps_what_is_observed_and_training_takes_patterns():
    dist = randomize(tfar.ConvNADE([2, 3], [4], [2], [5]))
    x, observed = np.full([50, 2, 3], np.nan, np.float32), np.zeros([50, 2, 3], bool)
    x[:, 0, 1], x[:, 1, 2], observed[:, 0, 1], observed[:, 1, 2] = 1.0, 0.0, True, True
    full = np.asarray(dist.complete(x, observed, seed=1))
    assert (full[observed] == x[observed]).all() and set(np.unique(full)) == {0.0, 1.0}
    assert np.isfinite(dist.training_loss(x, observed=observed, seed=1)).all()
    model = tfar.training.DensityModel(dist)
    model.compile(optimizer="adam")
    assert np.isfinite(model.fit({"value": x, "observed": observed}, verbose=0).history["loss"]).all()
