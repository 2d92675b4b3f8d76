"""The any-order transformer in any order of each row: passes, marginals, conditionals, completions, columns and training."""

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.cases import randomize
from tests.reference.oracles import transformer as oracle
from tfar import random
from tfar.networks.training_orders import draw_orders

ORDERS = np.array([[2, 0, 3, 1], [3, 2, 1, 0], [1, 2, 0, 3]], np.int32)
PATTERNS = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 1]], bool)
VALUES = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]], np.float32)
COLUMNS = np.array([[1, 2, -0.4, 33], [0, 0, 1.3, 7], [1, 1, 0.2, 0]], np.float32)
CONDITION = np.array([[0.5, -1.0], [1.5, 0.2], [-0.3, 0.4]], np.float32)


def make(**kwargs: Any) -> tfar.AnyOrderTransformer:
    sizes = {"event_shape": [4], "units": 6, "num_layers": 2, "num_heads": 2, "mlp_units": 5, "jit_compile": False}
    return randomize(tfar.AnyOrderTransformer(**{**sizes, **kwargs}))


def columns() -> tfar.heads.PerSite:
    heads = [tfar.heads.Bernoulli(), tfar.heads.Categorical(3), tfar.heads.NormalMixture(2), tfar.heads.Categorical(40)]
    return tfar.heads.PerSite(heads)


@pytest.fixture(scope="module")
def dist() -> tfar.AnyOrderTransformer:
    return make(conditional_shape=[2], order=[1, 3, 0, 2])


@pytest.fixture(scope="module")
def table() -> tfar.AnyOrderTransformer:
    return make(head=columns())


def first(order: Any, known: Any) -> list[int]:
    """The known sites, then the others, each in an order."""
    return [site for site in order if known[site]] + [site for site in order if not known[site]]


# Orders --------------------------------------------------------------------------------------------------------------


def test_orders_of_rows_and_shared_orders_equal_the_loops(dist: Any) -> None:
    member = dist.law.member(0)
    found = member.with_order(tf.constant(ORDERS)).site_log_probs(tf.constant(VALUES), tf.constant(CONDITION))
    for row, order in enumerate(ORDERS):
        expected = oracle.along(dist, VALUES[row], CONDITION[row], order)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-5)
        own = dist.with_order(order).site_log_probs(VALUES[row : row + 1], conditional_input=CONDITION[row : row + 1])
        np.testing.assert_allclose(own[0], expected, rtol=1e-5, atol=1e-5)


def test_ensembles_of_orders_average_probabilities(dist: Any) -> None:
    found = dist.with_orders(ORDERS).log_prob(VALUES, conditional_input=CONDITION)
    for row in range(3):
        parts = [oracle.along(dist, VALUES[row], CONDITION[row], order).sum() for order in ORDERS]
        np.testing.assert_allclose(found[row], np.log(np.mean(np.exp(parts))), rtol=1e-5)


# What is observed ----------------------------------------------------------------------------------------------------


def test_marginals_put_the_observed_sites_of_each_row_first(dist: Any) -> None:
    values = np.where(PATTERNS, VALUES, np.nan)
    found = dist.log_prob(values, conditional_input=CONDITION, observed=PATTERNS)
    for row, known in enumerate(PATTERNS):
        expected = oracle.along(dist, VALUES[row], CONDITION[row], first([1, 3, 0, 2], known))[known].sum()
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


@pytest.mark.parametrize("case", ["dist", "table"])
def test_conditionals_given_any_sites_take_one_pass(case: str, request: pytest.FixtureRequest) -> None:
    """Each unknown site as if it came next, each known one given those before it."""
    dist, is_table = request.getfixturevalue(case), case == "table"
    x, condition = (COLUMNS, None) if is_table else (VALUES, tf.constant(CONDITION))
    params = dist.law.conditional_params(tf.constant(x), condition, tf.constant(PATTERNS))
    found = dist.head.log_prob(params, x, site=np.arange(4))
    for row, known in enumerate(PATTERNS):
        c = None if is_table else CONDITION[row]
        for site in range(4):
            order = first(dist.network.orders[0], known)
            if not known[site]:
                order = [*(i for i in order if known[i]), site, *(i for i in order if not known[i] and i != site)]
            expected = oracle.along(dist, x[row], c, order)[site]
            np.testing.assert_allclose(found[row, site], expected, rtol=1e-4, atol=1e-4)


def test_completions_of_a_batch_of_patterns_are_those_of_each_row(table: Any) -> None:
    """Rows whose patterns have observed sites in common are prefilled to another length together than alone."""
    patterns = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [1, 0, 0, 1]], bool)
    seeds, x = random.row_seeds(5, 3), tf.constant(np.where(patterns, COLUMNS, 0.0))
    found = np.asarray(table.law.complete(seeds, x, tf.constant(patterns)))
    np.testing.assert_array_equal(found[patterns], COLUMNS[patterns])
    for row in range(3):
        own = slice(row, row + 1)
        alone = table.law.complete(seeds[own], x[own], tf.constant(patterns[own]))
        np.testing.assert_allclose(found[own], alone, rtol=1e-5, atol=1e-5)


# Columns of several kinds ----------------------------------------------------------------------------------------------


def test_columns_of_several_kinds_equal_the_loops(table: Any) -> None:
    found = table.site_log_probs(COLUMNS)
    for row, x in enumerate(COLUMNS):
        np.testing.assert_allclose(found[row], oracle.along(table, x, None, range(4)), rtol=1e-4, atol=1e-4)
    samples = np.asarray(table.sample(50, seed=1))
    assert table.valid_rows(samples).numpy().all()


@pytest.mark.slow(ci=True)
def test_steps_of_columns_equal_the_pass(table: Any) -> None:
    tfar.testing.check_steps(table)
    tfar.testing.check_samplers_agree(table, num_samples=50)


# Training ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["completion", "random"])
@pytest.mark.parametrize("known", [[1, 1, 1, 1], [1, 0, 1, 1]])
def test_training_draws_its_orders_with_their_probabilities(kind: str, known: list[int]) -> None:
    rows, order = 20000, np.array([2, 0, 3, 1], np.int32)
    observed = None if all(known) else tf.constant(np.tile(np.array(known, bool), (rows, 1)))
    drawn = np.asarray(draw_orders(kind, random.row_seeds(1, rows), order, observed))
    sites, rest = [i for i in order if known[i]], [i for i in order if not known[i]]
    shares: dict[tuple[int, ...], float] = {}
    everything = [(1.0, each) for each in itertools.permutations(sites)]
    for share, each in oracle.subsets_first(sites) if kind == "completion" else everything:
        shares[(*each, *rest)] = shares.get((*each, *rest), 0.0) + share
    keys, counts = np.unique(drawn, axis=0, return_counts=True)
    found = dict(zip(map(tuple, keys.tolist()), counts / rows, strict=True))
    total = sum(shares.values())
    assert set(found) == set(shares)
    for key, share in shares.items():
        p = share / total
        assert abs(found[key] - p) < 5.0 * (p * (1.0 - p) / rows) ** 0.5, (key, found[key], p)


def test_training_on_partly_observed_rows_uses_the_observed_sites_alone() -> None:
    dist, known, x, rows = make(), np.array([1, 0, 1, 1], bool), VALUES[0], 4000
    expected = 0.0
    for share, order in oracle.subsets_first([0, 2, 3]):
        expected -= share * oracle.along(dist, x, None, [*order, 1])[known].sum()
    pattern = np.tile(known, (rows, 1))
    losses = [
        np.asarray(dist.training_loss(np.where(pattern, x, other), observed=pattern, seed=2)) for other in (np.nan, 1.0)
    ]
    np.testing.assert_array_equal(*losses)
    assert abs(losses[0].mean() - expected) < 5.0 * losses[0].std() / rows**0.5 + 1e-5


def test_dropout_acts_in_training_alone() -> None:
    dist = make(dropout_rate=0.5)
    x = np.tile(VALUES[:1], (50, 1))
    without = make().training_loss(x, seed=1)
    assert np.abs(dist.training_loss(x, seed=1) - without).max() > 0.1
    np.testing.assert_array_equal(dist.log_prob(x), make().log_prob(x))
    loss = tf.function(lambda x: dist.training_loss(x, seed=1), input_signature=[tf.TensorSpec([None, 4])])
    np.testing.assert_allclose(loss(x), dist.training_loss(x, seed=1), rtol=1e-5)


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 7}, "multiple of `num_heads`, or the width of a head as `key_dim`; received 7 units and 2 heads"),
        ({"num_layers": 0}, "`num_layers`"),
        ({"key_dim": 0}, "`key_dim`"),
        ({"mlp_units": 2.5}, "`mlp_units`"),
        ({"training_orders": "any"}, r"Expected `training_orders` to be one of \('completion', 'random'\)"),
        ({"order": [0, 1, 1, 2]}, "Expected `order`"),
        ({"event_shape": [3], "head": columns}, "an event of 4 sites, as PerSite has; received one of 3"),
        ({"dropout_rate": 1.0}, "`dropout_rate`"),
    ],
)
def test_bad_arguments_are_errors(arguments: dict[str, Any], message: str) -> None:
    arguments = {name: value() if callable(value) else value for name, value in arguments.items()}
    with pytest.raises(ValueError, match=message):
        make(**arguments)
