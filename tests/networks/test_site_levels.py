"""Sites that differ: inputs for the classes and atoms of each site, and its own initial parameters, in any order."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar import heads
from tfar.networks.inputs import LevelEncoding, SiteEncoding

ORDER = [2, 0, 3, 1]
WIDTH = 1 + 3
MODELS = {
    "made": lambda **kw: tfar.MADE([4], [12], order=ORDER, **kw),
    "made-any-order": lambda **kw: tfar.MADE([4], [12], order="random", num_masks=None, num_eval_masks=2, **kw),
    "nade": lambda **kw: tfar.NADE([4], 6, order=ORDER, **kw),
    "orderless": lambda **kw: tfar.OrderlessNADE([4], [12], orders=[ORDER], **kw),
    "transformer": lambda **kw: tfar.AnyOrderTransformer([4], 8, num_layers=1, num_heads=2, order=ORDER, **kw),
}
EACH = pytest.mark.parametrize("name", MODELS)


def columns():
    atoms = heads.Atoms([7.0, 0.0], heads.NormalMixture(2))
    return heads.PerSite([heads.Categorical(3), atoms, heads.Ordinal(2), heads.Count(2, 0, 3.0, 2.0)])


def made(name, **kwargs):
    return MODELS[name](head=columns(), jit_compile=False, **kwargs)


def test_the_encoding_is_that_of_loops():
    levels, rng = [[0.0, 1.0, 2.0], [], [-4.0, -4.125]], np.random.default_rng(0)
    values = np.float32([[2.0, 0.3, -4.125], [0.0, -4.0, 1.0], [1.0, 2.0, -4.0]])
    expected = np.zeros((3, 3, 4), np.float32)
    for row, own in zip(expected, values, strict=True):
        for i, value in enumerate(own):
            if value in levels[i]:
                row[i, 1 + levels[i].index(value)] = 1.0
            else:
                row[i, 0] = value
    encode = LevelEncoding(levels)
    np.testing.assert_array_equal(encode(tf.constant(values)), expected)
    site = rng.integers(0, 3, 3)
    np.testing.assert_array_equal(encode(tf.constant(values[np.arange(3), site]), site), expected[np.arange(3), site])
    np.testing.assert_array_equal(encode(tf.constant(values[:, 2]), tf.constant(2)), expected[:, 2])


def test_sites_of_several_values_have_a_one_hot_vector_for_each():
    values = tf.constant([[[0.0, 2.0], [1.0, 1.0]]])
    found = SiteEncoding((2,), 3, one_hot=True)(values, np.arange(2))
    np.testing.assert_array_equal(found[0], [[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0]])
    np.testing.assert_array_equal(SiteEncoding((2,), 3)(values)[0], [[-1.0, 1.0], [0.0, 0.0]])


@EACH
def test_a_class_reaches_its_own_input(name):
    """The kernel rows that a first site's class selects are those that get a gradient."""
    dist = made(name)
    kernel = {
        "nade": lambda n: n.kernel,
        "orderless": lambda n: n.input_layer.kernel,
        "transformer": lambda n: n.value_kernel,
    }.get(name, lambda n: n.hidden_layers[0].full_kernel)(dist.network)
    variable = kernel if isinstance(kernel, tf.Variable) else kernel.value
    x = tf.constant([[1.0, 7.0, 2.0, 4.0]])  # site 1 is an atom, and site 2 its second level
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = tf.reduce_sum(tf.square(dist.network(dist.law.encoded(x)) - 0.5))
    rows = np.flatnonzero(np.abs(np.asarray(tape.gradient(loss, variable))).sum(-1))
    inputs = {0: 1 + 1, 1: 1 + 0, 2: 1 + 1, 3: 0}  # the input of each site that is not 0; the count has no levels
    order = dist.network.orders[0]  # for orderless NADE the natural one, unless another is given
    slots = range(4) if dist.network.any_order else np.argsort(ORDER)
    expected = {slots[site] * WIDTH + inputs[site] for site in order[:-1]}  # the last site is no input
    assert set(rows.tolist()) == expected


@EACH
def test_each_site_starts_from_its_own_parameters(name):
    dist = made(name, kernel_initializer="zeros")
    params = np.asarray(dist.network(dist.law.encoded(tf.constant([[1.0, 7.0, 2.0, 4.0]]))))[0]
    expected = np.zeros_like(params)
    for site, head in enumerate(columns().heads):
        own = head.initial_params()
        expected[site, : len(own or [])] = own or []
    np.testing.assert_allclose(params, expected, atol=1e-6)
    assert np.abs(expected).sum() > 0.0


@pytest.mark.parametrize("name", few_by_default(MODELS, in_ci=1))
def test_steps_equal_passes(name):
    dist = randomize(made(name))
    draws = dist.sample(20, seed=3)
    np.testing.assert_allclose(dist.sample(20, seed=3, method="naive"), draws, rtol=1e-3, atol=1e-4)
    assert np.isfinite(dist.log_prob(draws)).all()
    tfar.testing.check_autoregressive(dist)


def test_plain_inputs_remain_possible():
    dist = made("made", one_hot_inputs=False)
    assert dist.network._encode.inputs_per_site == 1
    assert made("made").network._encode.inputs_per_site == WIDTH
