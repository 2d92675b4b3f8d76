"""The forms in which fit, evaluate and predict take data, and what they refuse."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.parameters import few_by_default
from tests.training.models import FIT, assert_weights, make, weights
from tfar.training import Batches, DensityModel


def forms(rows, w):
    """The same batches of 16 in every form of the data."""
    dataset = tf.data.Dataset.from_tensor_slices
    return {
        "array": (rows, {"sample_weight": w}),
        "list": (rows.tolist(), {"sample_weight": w.tolist()}),
        "dict": ({"value": rows, "sample_weight": w}, {}),
        "dict-and-weight": ({"value": rows, "conditional_input": None}, {"sample_weight": w}),
        "tuples": (dataset((rows, w)).map(lambda x, w: (x, None, w)).batch(16), {}),
        "dataset-of-dicts": (dataset({"value": rows, "sample_weight": w}).batch(16), {}),
        "batches": (Batches({"value": rows, "sample_weight": w}, 16, shuffle=False), {}),
    }


@pytest.mark.parametrize("form", few_by_default(forms(np.zeros((1, 1)), np.zeros(1)), count=2))
def test_every_form_of_the_data_gives_the_same_update(form, rows):
    w = (np.arange(64) % 3).astype(np.float32)
    reference = make()
    data = tf.data.Dataset.from_tensor_slices((rows[:64], w)).map(lambda x, w: (x, None, w)).batch(16)
    before = weights(reference)
    reference.fit(data, epochs=1, verbose=0)
    assert np.abs(weights(reference)[0] - before[0]).max() > 1e-4
    model, (x, kwargs) = make(), forms(rows[:64], w)[form]
    if not isinstance(x, tf.data.Dataset | Batches):
        kwargs["batch_size"] = 16
    model.fit(x, epochs=1, verbose=0, shuffle=False, **kwargs)
    assert_weights(model, reference)


def test_a_stream_needs_no_word_on_shuffling(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().fit(tf.data.Dataset.from_tensor_slices(rows).batch(16), epochs=1, verbose=0)


def test_validation_split_takes_the_last_rows(rows):
    model = make(optimizer=keras.optimizers.SGD(0.0))
    history = model.fit(rows, validation_split=0.3, epochs=1, verbose=0).history
    np.testing.assert_allclose(history["val_nll"][0], -np.mean(model.dist.log_prob(rows[49:])), rtol=1e-5)
    np.testing.assert_allclose(history["loss"][0], -np.mean(model.dist.log_prob(rows[:49])), rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_forms_of_keras(rows):
    """`[x]` and `(x,)` are one input to Keras; a list of rows is an array."""
    expected = make()
    expected.fit(rows, **FIT)
    for x in (
        [rows],
        (rows,),
        list(rows),
        rows.tolist(),
        [tf.constant(rows)],
        {"value": rows.tolist()},
        [{"value": rows}],
    ):
        model = make()
        model.fit(x, **FIT)
        assert_weights(model, expected)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected.dist.log_prob(rows), rtol=1e-4)
        loss = model.evaluate(x, verbose=0, return_dict=True)["nll"]
        np.testing.assert_allclose(loss, -np.mean(expected.dist.log_prob(rows)), rtol=1e-4)
    np.testing.assert_allclose(model.predict([rows[0]], verbose=0), expected.dist.log_prob(rows[:1]), rtol=1e-4)
    history = make().fit(rows, validation_data=(rows,), **FIT).history
    assert "val_nll" in history


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, x: m.fit(x, x), "no targets"),
        (lambda m, x: m.evaluate(x, x), "no targets"),
        (lambda m, x: m.fit(tf.data.Dataset.from_tensors((x, x)), verbose=0), "no targets"),
        (lambda m, x: m.fit({"value": x, "label": x}), "none but"),
        (lambda m, x: m.fit({"x": x}), "key 'value'"),
        (lambda m, x: m.fit(x, class_weight={0: 1.0}), "class_weight"),
        (lambda m, x: m.fit(x, validation_split=1.5), "validation_split"),
        (lambda m, x: m.fit(tf.data.Dataset.from_tensors(x), validation_split=0.5), "validation_split"),
        (lambda m, x: m.fit(tf.data.Dataset.from_tensors(x), sample_weight=x[:, 0]), "sample_weight"),
        (lambda m, x: m.fit({"value": x, "sample_weight": x[:3, 0]}), "one length"),
        (lambda m, x: m.fit(x[:0]), "at least 1"),
        (lambda m, x: m.fit(x[:, :4], verbose=0), "6"),
        (lambda m, x: m.compile("adam", loss="mse"), "no `loss`"),
        (lambda m, x: m.compile("adam", metrics=["mae"]), "no `metrics`"),
        (lambda m, x: m.fit((x, None, x[:, 0])), "received a tuple of 3"),
        (lambda m, x: m.predict((x, x)), "received a tuple of 2"),
        (lambda m, x: m.fit([x, x]), r"shape \[N, 6\]; received an array of shape \[2, 70, 6\]"),
        (lambda m, x: m.fit([[0.0] * 6, [0.0] * 5]), "`x` to be an array"),
        (lambda m, x: m.fit([["a"] * 6]), "contain numbers"),
        (lambda m, x: m.fit(np.ma.array(x, mask=x > 0.0)), "`x` without masked entries.*`observed`"),
        (lambda m, x: m.fit(x, callbacks=keras.callbacks.CallbackList()), "a list of callbacks"),
        (lambda m, x: DensityModel("dist"), "distribution of tfar"),
        (lambda m, x: DensityModel(tfp.distributions.Normal(0.0, 1.0)), "distribution of tfar; received a Normal"),
        *[
            (lambda m, x, seed=seed: DensityModel(m.dist, seed=seed), "`seed` to be an int")
            for seed in (2**31, -1, None, "1", 1.5, True, np.zeros(2))
        ],
        *[
            (lambda m, x, draws=draws: DensityModel(m.dist, validation_draws=draws), "`validation_draws` to be an int")
            for draws in (None, "2", 0.5)
        ],
        (lambda m, x: Batches(x, None), "`batch_size` to be an int"),
        (lambda m, x: Batches(x, 2, seed=-1), "`seed` to be an int"),
        (lambda m, x: DensityModel(m.dist, validation_draws=-1), "validation_draws"),
    ],
)
def test_what_does_not_fit_is_refused(call, message, rows):
    with pytest.raises(ValueError, match=message):
        call(make(), rows)
