"""The recursion of NADE against a cumulative sum over all sites: values, gradients and memory."""

import math
import re
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from tests.parameters import few_by_default
from tfar.networks import nade, nade_scan
from tfar.networks.nade_scan import ACTIVATIONS

NAMES = ("x", "kernel", "first", "output_kernel")
# Sites, inputs of a site, parameters of a site: one site, two blocks (one of them padded), many blocks, blocks of one site.
SIZES = pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 2), (5, 1, 1), (33, 2, 3), (4, 70, 1)])


def plain(x, kernel, first, output_kernel, activation="sigmoid", scale=None, compensated=False):
    """All activations at once, `[B, N, H]`, which autodiff can go through."""
    added = tf.einsum("bni,nih->bnh", x, kernel)
    activations = first[:, None] + tf.cumsum(added, axis=1, exclusive=True)
    hidden = ACTIVATIONS[activation].function(activations if scale is None else activations * scale[:, None])
    return tf.einsum("bnh,nph->bnp", hidden, output_kernel)


def draw(num_sites, inputs=1, params_size=1, units=6, batch_size=4, scale=0.5):
    rng = np.random.default_rng(0)
    shapes = [
        (batch_size, num_sites, inputs),
        (num_sites, inputs, units),
        (batch_size, units),
        (num_sites, params_size, units),
    ]
    return [tf.constant(rng.normal(0.0, scale, shape), tf.float32) for shape in shapes]


def gradients(function, tensors, dtype=tf.float32):
    """Gradients of a weighted sum of the outputs, as float64 arrays."""
    tensors = [tf.cast(tensor, dtype) for tensor in tensors]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = function(*tensors)
        weights = np.random.default_rng(1).normal(size=outputs.shape)
        total = tf.reduce_sum(outputs * tf.cast(weights, dtype))
    return [np.asarray(tf.convert_to_tensor(g), np.float64) for g in tape.gradient(total, tensors)]


@SIZES
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_equal_those_of_a_cumulative_sum(size, activation):
    tensors = draw(*size)
    found = nade_scan.nade_scan(*tensors, activation)
    np.testing.assert_allclose(found, plain(*tensors, activation), rtol=1e-5, atol=1e-5)


def test_sigmoid_by_tanh_is_the_sigmoid():
    a = np.linspace(-100.0, 100.0, 2001, dtype=np.float32)
    np.testing.assert_allclose(ACTIVATIONS["sigmoid"].function(a), tf.sigmoid(a), rtol=0, atol=2e-7)


@SIZES
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_autodiff_of_a_cumulative_sum(size, activation):
    tensors = draw(*size)
    found = gradients(lambda *t: nade_scan.nade_scan(*t, activation), tensors)
    expected = gradients(lambda *t: plain(*t, activation), tensors)
    for name, a, b in zip(NAMES, found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("position", range(4), ids=NAMES)
def test_gradients_equal_finite_differences(position):
    tensors = draw(5, 2, 2)
    slope = gradients(nade_scan.nade_scan, tensors)[position]
    direction = np.sign(slope)  # along which nothing cancels
    weights, ends = np.random.default_rng(1).normal(size=(4, 5, 2)), []
    for step in (1e-2, -1e-2):
        moved = list(tensors)
        moved[position] = tf.cast(tensors[position] + step * direction, tf.float32)
        ends.append(np.sum(np.asarray(nade_scan.nade_scan(*moved), np.float64) * weights))
    assert np.sum(slope * direction) > 1.0
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-2, np.sum(slope * direction), rtol=5e-3)


@pytest.mark.parametrize(("outlier", "limit"), [(None, 3e-6), (1e4, 5e-4)])
def test_walking_back_over_784_sites_does_not_drift(outlier, limit):
    """Against float64; relative to the largest entry of each gradient."""
    tensors = draw(784, units=40, batch_size=8)
    if outlier is not None:
        tensors[0] = tf.tensor_scatter_nd_update(tensors[0], [[0, 500, 0]], [outlier])
    expected = gradients(plain, tensors, tf.float64)
    for name, a, b in zip(NAMES, gradients(tf.function(nade_scan.nade_scan), tensors), expected, strict=True):
        assert np.abs(a - b).max() <= limit * np.abs(b).max(), name


# With scales ---------------------------------------------------------------------------------------------------------


def draw_scaled(num_sites, inputs=1, params_size=1, **kwargs):
    """Also the scales, of either sign."""
    tensors = draw(num_sites, inputs, params_size, **kwargs)
    return [*tensors, tf.constant(np.random.default_rng(2).normal(size=num_sites), tf.float32)]


def scaled(activation="sigmoid", function=nade_scan.nade_scan, compensated=True):
    """The recursion as a function of its tensors, scales last."""
    return lambda *t: function(*t[:4], activation, t[4], compensated)


@SIZES
@pytest.mark.parametrize("compensated", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_scaled_outputs_and_gradients_equal_those_of_a_cumulative_sum(size, activation, compensated):
    tensors = draw_scaled(*size)
    found, expected = scaled(activation, compensated=compensated), scaled(activation, plain)
    np.testing.assert_allclose(found(*tensors), expected(*tensors), rtol=1e-5, atol=1e-5)
    slopes = zip((*NAMES, "scale"), gradients(found, tensors), gradients(expected, tensors), strict=True)
    for name, a, b in slopes:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("compiled", few_by_default([True, False]), ids=["XLA", "graph"])
@pytest.mark.parametrize("activation", few_by_default(["sigmoid", "relu"]))
@pytest.mark.parametrize(("outlier", "limit"), [(None, 3e-6), (1e6, 3e-5)])
def test_walking_back_over_real_values_does_not_drift(outlier, limit, activation, compiled, compensated=True):
    """However large a value is that comes and goes: against float64, relative to the largest entry of each gradient."""
    tensors = draw_scaled(784, units=40, batch_size=8)
    if outlier is not None:
        tensors[0] = tf.tensor_scatter_nd_update(tensors[0], [[0, 500, 0]], [outlier])
    expected = gradients(scaled(activation, plain), tensors, tf.float64)
    found = gradients(tf.function(scaled(activation, compensated=compensated), jit_compile=compiled), tensors)
    for name, a, b in zip((*NAMES, "scale"), found, expected, strict=True):
        assert np.abs(a - b).max() <= limit * np.abs(b).max(), name


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.slow(ci=True)
def test_drift_without_compensation_is_found(activation, compiled):
    with pytest.raises(AssertionError):
        test_walking_back_over_real_values_does_not_drift(1e6, 3e-5, activation, compiled, compensated=False)


@pytest.mark.parametrize("fault", ["outputs", "gradients", "gradient of the scales"])
def test_planted_faults_of_scales_are_found(fault):
    backward = nade_scan._backward
    name, wrong = {
        "outputs": ("_by_site", lambda scale: tf.ones_like(scale)[:, None, None]),
        "gradients": ("_backward", lambda *args: backward(*args[:-1], tf.ones_like(args[-1]))),
        "gradient of the scales": ("_backward", lambda *args: (*backward(*args)[:-1], tf.zeros_like(args[-1]))),
    }[fault]
    with mock.patch.object(nade_scan, name, wrong), pytest.raises(AssertionError):
        test_scaled_outputs_and_gradients_equal_those_of_a_cumulative_sum((5, 1, 1), "sigmoid", True)


# Blocks and modes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [1, 3, 64, 1000])
def test_blocks_hold_all_sites_and_few_columns(inputs):
    for num_sites in range(1, 200):
        num_blocks, size = nade_scan.block_shape(num_sites, inputs)
        assert num_blocks * size >= num_sites and (num_sites == 1 or num_blocks > 1)
        assert size <= nade_scan.BLOCK and (size == 1 or size * inputs <= nade_scan.BLOCK_COLUMNS)


@pytest.mark.parametrize("fault", ["leak", "later blocks forgotten", "not walked back"])
def test_planted_faults_are_found(fault):
    earlier, block, backward = nade_scan._is_earlier, nade_scan._block_gradients, nade_scan._backward
    name, wrong, test = {
        "leak": (
            "_is_earlier",
            lambda x: earlier(x) | tf.repeat(tf.eye(x.shape[0], dtype=tf.float32) > 0.0, x.shape[2], axis=1),
            test_outputs_equal_those_of_a_cumulative_sum,
        ),
        "later blocks forgotten": (
            "_block_gradients",
            lambda d_a, *rest: block(tf.zeros_like(d_a), *rest),
            test_gradients_equal_autodiff_of_a_cumulative_sum,
        ),
        "not walked back": (
            "_backward",
            lambda x, kernel, last, *rest: backward(x, kernel, tuple(map(tf.zeros_like, last)), *rest),
            test_gradients_equal_autodiff_of_a_cumulative_sum,
        ),
    }[fault]
    with mock.patch.object(nade_scan, name, wrong), pytest.raises(AssertionError):
        test((5, 1, 1), "sigmoid")


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_second_differentiation_is_refused(in_graph):
    x, *rest = draw(5)

    def curvature():
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(nade_scan.nade_scan(x, *rest))
            slope = inner.gradient(total, x)
        return outer.gradient(slope, x)

    with pytest.raises(NotImplementedError, match="Expected first derivatives of NADE"):
        (tf.function(curvature) if in_graph else curvature)()


@pytest.mark.slow(ci=True)
def test_gradients_of_each_row_under_vectorized_map():
    x, kernel, first, output_kernel = draw(20)

    def slope(row):
        with tf.GradientTape() as tape:
            tape.watch(row)
            total = tf.reduce_sum(nade_scan.nade_scan(row[None], kernel, first[:1], output_kernel))
        return tape.gradient(total, row)

    expected = tf.stack([slope(row) for row in x])
    np.testing.assert_allclose(tf.vectorized_map(slope, x), expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_summed_in_float32():
    tensors = [tf.cast(tensor, tf.bfloat16) for tensor in draw(200, units=5)]
    found = nade_scan.nade_scan(*tensors)
    assert found.dtype == tf.float32
    expected = plain(*[tf.cast(tensor, tf.float32) for tensor in tensors])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# Memory --------------------------------------------------------------------------------------------------------------

BATCH, SITES, UNITS = 40, 80, 30


def score_and_gradients(network, x, condition):
    """A scalar of all parameters and its gradients, with respect to the inputs too."""
    variables = [variable.value for variable in network.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x, condition])
        total = tf.reduce_sum(tf.sin(network(x, condition)))
    return total, tape.gradient(total, [x, condition, *variables])


def largest(network, compiled):
    """Elements of the largest float tensor of the whole program, loops included, and whether it stacks tensors in lists."""
    arguments = tf.zeros([BATCH, SITES]), tf.zeros([BATCH, 3])
    function = tf.function(lambda *args: score_and_gradients(network, *args), jit_compile=compiled)
    if compiled:
        text = function.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
        assert " while(" in text
        return max(math.prod(map(int, s.split(","))) for s in re.findall(r"f32\[([\d,]+)\]", text)), False
    graph = function.get_concrete_function(*arguments).graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    assert any(node.op in ("While", "StatelessWhile") for node in nodes)
    shapes = [shape for node in nodes for shape in node.attr["_output_shapes"].list.shape]
    return max(math.prod(d.size for d in shape.dim) for shape in shapes), any("TensorList" in n.op for n in nodes)


def network_for_memory(**kwargs):
    network = nade.NADENetwork((SITES,), UNITS, conditional_shape=(3,), **kwargs)
    network.build()
    return network


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("real", [False, True], ids=["NADE", "RNADE"])
def test_no_tensor_holds_the_hidden_units_of_all_sites(compiled, real):
    """The largest is a block's activations, in both directions."""
    elements, lists = largest(network_for_memory(scaled_activations=real, compensated=real), compiled)
    size = nade_scan.block_shape(SITES)[1]
    assert elements == size * BATCH * UNITS < SITES * BATCH * UNITS / 5
    assert not lists


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("fault", ["cumulative sum", "autodiff of the loop"])
def test_planted_memory_is_found(fault, compiled):
    change = mock.patch.object(nade_scan.tf, "custom_gradient", lambda f: lambda *args: f(*args)[0])
    if fault == "cumulative sum":
        change = mock.patch.object(nade, "nade_scan", plain)
    with change, pytest.raises(AssertionError):
        test_no_tensor_holds_the_hidden_units_of_all_sites(compiled, real=False)
