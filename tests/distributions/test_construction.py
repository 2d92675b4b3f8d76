"""Arguments, configurations, copies and variables of a distribution."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import all_events, binary, spread

import tfar

# Construction ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kwargs",
    [
        {"event_shape": [0]},
        {"event_shape": []},
        {"hidden_units": []},
        {"hidden_units": [0]},
        {"order": "zigzag"},
        {"order": [0, 1]},
        {"num_masks": 0},
        {"num_masks": 1.5},
        {"num_eval_masks": 0},
        {"degrees": "odd"},
        {"head": "Bernoulli"},
        {"conditional_shape": [0]},
        {"seed": -1},
        {"seed": 1.5},
    ],
    ids=repr,
)
def test_bad_arguments_are_refused(kwargs):
    with pytest.raises(ValueError, match="Expected"):
        tfar.MADE(**{"event_shape": [4], "hidden_units": [8], **kwargs})


def test_a_part_of_a_condition_may_be_a_scalar():
    dist = tfar.MADE([3], [8], conditional_shape={"age": [], "place": [2]}, seed=1, jit_compile=False)
    vector = tfar.MADE([3], [8], conditional_shape=[3], seed=1, jit_compile=False)  # in the order of the names
    x, ages, places = np.ones([5, 3], np.float32), np.arange(5.0), np.ones([5, 2])
    together = np.concatenate([ages[:, None], places], axis=1)
    found = dist.given({"age": ages, "place": places})
    assert found.batch_shape == (5,) and found[2].batch_shape == ()
    np.testing.assert_allclose(found.log_prob(x), vector.log_prob(x, conditional_input=together), rtol=1e-6)


def test_the_same_seed_makes_the_same_model():
    first, second, other = binary(seed=2), binary(seed=2), binary(seed=3)
    events = all_events(4)
    np.testing.assert_array_equal(first.log_prob(events), second.log_prob(events))
    assert np.any(first.log_prob(events) != other.log_prob(events))


def test_config_round_trip():
    arguments = {
        "head": tfar.heads.Categorical(3),
        "order": "random",
        "num_masks": 2,
        "degrees": "random",
        "conditional_shape": {"a": [2]},
        "seed": 5,
        "activation": "tanh",
        "kernel_initializer": "he_normal",
        "connectivity_weights": True,
        "direct_connections": False,
        "jit_compile": False,
        "name": "mine",
    }
    dist = tfar.MADE([4], [8, 6], **arguments)
    again = tfar.MADE.from_config(
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(dist)).get_config()
    )
    assert again.get_config() == dist.get_config()
    assert set(dist.get_config()) == set(inspect.signature(tfar.MADE).parameters)
    x, c = np.zeros((2, 4)), {"a": np.ones((2, 2))}
    np.testing.assert_array_equal(again.log_prob(x, conditional_input=c), dist.log_prob(x, conditional_input=c))


def test_a_keras_network_of_ones_own(tmp_path):
    degrees = [1, 2, 3, 4]
    network = keras.Sequential(
        [
            keras.Input((4,)),
            tfar.layers.MaskedDense(12, degrees, [1, 2, 3] * 4, activation="tanh"),
            tfar.layers.MaskedDense(4, [1, 2, 3] * 4, degrees, strict=True),
        ]
    )
    dist = tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[4], jit_compile=False)
    spread(dist)
    events = all_events(4)
    assert abs(np.exp(dist.log_prob(events)).sum() - 1.0) < 1e-5
    draws = [dist.sample(50, seed=1, method=m).numpy() for m in ("ancestral", "naive", "fixed_point")]
    assert all((d == draws[0]).all(-1).mean() > 0.95 for d in draws)
    assert len(dist.trainable_variables) == 4
    with pytest.raises(ValueError, match="12 numbers"):
        tfar.Autoregressive(network, tfar.heads.NormalMixture(1), event_shape=[4])
    with pytest.raises(ValueError, match="event_shape"):
        tfar.Autoregressive(network, tfar.heads.Bernoulli())
    with pytest.raises(ValueError, match="head"):
        tfar.Autoregressive(network, "head", event_shape=[4])
    with pytest.raises(ValueError, match="num_masks=None"):
        dist.with_order("reverse")
    model = tfar.training.DensityModel(dist)
    model.compile("adam")
    model.save(tmp_path / "own.keras")
    np.testing.assert_allclose(tfar.load(tmp_path / "own.keras").log_prob(events), dist.log_prob(events), rtol=1e-5)


# Copies and variables -------------------------------------------------------------------------------------------------


def test_copies_share_the_variables(dist):
    copy = dist.copy(name="other")
    assert copy.name == "other" and dist.name == "MADE" and copy.network is dist.network
    assert all(a is b for a, b in zip(copy.variables, dist.variables, strict=True))
    np.testing.assert_array_equal(copy.log_prob(all_events(4)), dist.log_prob(all_events(4)))
    with pytest.raises(ValueError, match="hidden_units"):
        dist.copy(hidden_units=[3])


def test_variables_are_tf_variables(dist, real):
    for d in (dist, real):
        assert len(d.trainable_variables) == 5 and len(d.variables) >= 5
        assert all(isinstance(v, tf.Variable) for v in d.variables)
    assert {id(v) for v in dist.trainable_variables} <= {id(v) for v in dist.variables}


def test_events_after_a_weight_changes():
    """Compiled calls must not have frozen the weights."""
    dist = binary(jit_compile=True)
    before, draws = dist.log_prob(np.ones(4)), dist.sample(64, seed=0)
    spread(dist, 3.0)
    assert abs(float(dist.log_prob(np.ones(4)) - before)) > 1e-2
    assert np.any(dist.sample(64, seed=0) != draws)


@pytest.mark.parametrize(
    "make",
    [
        lambda head: tfar.MADE([3], [8], head=head),
        lambda head: tfar.MADE([3], [8], head=head, order="random", num_masks=None),
        lambda head: tfar.NADE([3], 8, head=head),
        lambda head: tfar.OrderlessNADE([3], [8], head=head),
        lambda head: tfar.Factorized([3], head),
    ],
    ids=["MADE", "MADE of any order", "NADE", "OrderlessNADE", "Factorized"],
)
def test_components_of_a_mixture_differ_at_the_first_site(make):
    """Equal components would get equal gradients and stay equal."""
    dist = make(tfar.heads.NormalMixture(4))
    _, loc, _ = dist.head.components(dist.network(tf.zeros([1, 3]))[0, dist.network.orders[0][0]])
    assert np.all(np.diff(np.asarray(loc)) > 0.2)
