"""Orders of rows as gathers and scatters, beside NumPy's sorts and plain lists."""

import numpy as np
import pytest
import tensorflow as tf

from tfar.networks.permutations import inverted, observed_first, permuted, unpermuted

ROWS, SITES = 5, 7


@pytest.fixture
def orders():
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(SITES) for _ in range(ROWS)]).astype(np.int32)


@pytest.mark.parametrize("site_shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("shared", [False, True])
def test_permuted_equals_numpy_and_unpermuted_undoes_it(orders, site_shape, shared):
    values = np.random.default_rng(1).normal(size=(ROWS, SITES, *site_shape)).astype(np.float32)
    order = orders[0] if shared else tf.constant(orders)
    by_step = permuted(values, order)
    rows = np.tile(orders[:1], [ROWS, 1]) if shared else orders
    np.testing.assert_array_equal(by_step, np.stack([row[sites] for row, sites in zip(values, rows, strict=True)]))
    np.testing.assert_array_equal(unpermuted(by_step, order), values)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_number_of_rows_may_be_unknown(orders, jit_compile):
    function = tf.function(
        unpermuted, input_signature=[tf.TensorSpec([None, SITES], tf.int32)] * 2, jit_compile=jit_compile
    )
    np.testing.assert_array_equal(function(orders, orders), np.tile(np.arange(SITES), [ROWS, 1]))


def test_inverted_is_the_step_of_each_site(orders):
    np.testing.assert_array_equal(inverted(tf.constant(orders)), np.argsort(orders, axis=1))
    np.testing.assert_array_equal(inverted(tf.constant(orders[0])), np.argsort(orders[0]))
    assert inverted(tf.constant(orders, tf.int64)).dtype == tf.int32


def test_the_natural_order_costs_nothing(orders):
    values = tf.constant(orders)
    natural = np.arange(SITES)
    assert permuted(values, natural) is values and unpermuted(values, natural) is values


@pytest.mark.parametrize("shared", [False, True])
def test_observed_sites_come_first_and_keep_their_order(orders, shared):
    observed = np.random.default_rng(2).random((ROWS, SITES)) < 0.5
    observed[0], observed[1] = True, False
    rows = np.tile(orders[:1], [ROWS, 1]) if shared else orders
    expected = [[*row[seen[row]], *row[~seen[row]]] for row, seen in zip(rows, observed, strict=True)]
    given = tf.constant(orders[0] if shared else orders)
    np.testing.assert_array_equal(observed_first(given, tf.constant(observed)), expected)
