"""Properties that hold for every configuration of MADE, sought by hypothesis."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfar
from tfar import masks, orders

LIGHT = settings(max_examples=60, deadline=None, derandomize=True)
HEAVY = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def mades(draw):
    """Arguments of a small discrete MADE."""
    event_shape = draw(st.sampled_from([[1], [2], [4], [2, 2], [3, 1, 2]]))
    num_sites = int(np.prod(event_shape))
    num_classes = draw(st.integers(2, 3))
    return {
        "event_shape": event_shape,
        "hidden_units": draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)),
        "head": tfar.heads.Categorical(num_classes) if draw(st.booleans()) else tfar.heads.Bernoulli(),
        "order": draw(st.sampled_from(["natural", "reverse", "random"]) | st.permutations(range(num_sites))),
        "num_masks": draw(st.sampled_from([1, 2, None])),
        "num_eval_masks": 2,
        "degrees": draw(st.sampled_from(["even", "random"])),
        "direct_connections": draw(st.booleans()),
        "connectivity_weights": draw(st.booleans()),
        "one_hot_inputs": draw(st.sampled_from([None, False, True])),
        "seed": draw(st.integers(0, 99)),
        "jit_compile": False,
    }


def make(arguments):
    dist = tfar.MADE(**arguments)
    rng = np.random.default_rng(0)
    for variable in dist.variables:
        variable.assign(rng.normal(size=variable.shape))
    return dist


def support(dist):
    events = itertools.product(range(dist.head.support().num_values), repeat=dist.num_sites)
    return np.array(list(events), np.float32).reshape(-1, *dist.event_shape)


@pytest.mark.slow(ci=True)
@HEAVY
@given(mades())
def test_normalised_and_its_samplers_agree(arguments):
    dist = make(arguments)
    log_prob = dist.log_prob(support(dist)).numpy().astype(np.float64)
    assert abs(np.exp(log_prob).sum() - 1.0) < 1e-5
    first, second = (dist.sample(40, seed=1, method=m).numpy() for m in ("ancestral", "naive"))
    assert (first == second).reshape(40, -1).all(-1).mean() > 0.95
    np.testing.assert_allclose(
        tf.reduce_sum(dist.site_log_probs(first), -1), dist.log_prob(first), rtol=1e-3, atol=1e-3
    )


@HEAVY
@given(mades())
def test_config_round_trip(arguments):
    dist = tfar.MADE(**arguments)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(dist))
    assert again.get_config() == dist.get_config()
    assert [v.shape for v in again.variables] == [v.shape for v in dist.variables]
    for k in range(dist.network.num_members):
        np.testing.assert_array_equal(again.network.influences(member=k), dist.network.influences(member=k))
    assert all((a.numpy() == b.numpy()).all() for a, b in zip(again.variables, dist.variables, strict=True))


@LIGHT
@given(st.data())
def test_influences_from_degrees_have_no_leak(data):
    num_sites = data.draw(st.integers(1, 8))
    positions = orders.positions(np.array(data.draw(st.permutations(range(num_sites)))))
    degrees = st.lists(st.integers(0, max(0, num_sites - 1)), min_size=1, max_size=9).map(np.array)
    hidden = data.draw(st.lists(degrees, max_size=3))
    reach = masks.influences(positions + 1, hidden, direct_connections=data.draw(st.booleans()))
    assert not np.any(reach & (positions[None, :] >= positions[:, None]))


@LIGHT
@given(st.data())
def test_units_by_degree_covers_every_unit_once(data):
    num_sites = data.draw(st.integers(1, 12))
    degrees = np.array(data.draw(st.lists(st.integers(0, num_sites - 1), min_size=1, max_size=30)))
    table = masks.units_by_degree(degrees, num_sites)
    listed = [sorted(set(row.tolist()) - {-1}) for row in table]
    assert sorted(itertools.chain(*listed)) == list(range(len(degrees)))
    assert all(degrees[unit] == degree for degree, units in enumerate(listed) for unit in units)


@LIGHT
@given(st.integers(0, 2**40), st.integers(1, 200))
def test_orders_invert(seed, num_sites):
    order = orders.random(num_sites, seed)
    assert (order[orders.positions(order)] == np.arange(num_sites)).all()
    assert (orders.check(order.tolist(), num_sites) == order).all()


@LIGHT
@given(st.integers(1, 60), st.integers(0, 3), st.integers(3, 20))
def test_even_degrees_are_even(num_units, lowest, highest):
    degrees = masks.even_degrees(num_units, lowest, highest)
    steps = np.diff(degrees)
    assert len(degrees) == num_units and (steps >= 0).all() and degrees[-1] == highest
    assert steps.size == 0 or steps.max() - steps.min() <= 1
