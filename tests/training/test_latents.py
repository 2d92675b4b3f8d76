"""What `fit` and `evaluate` report of a model with a latent variable, and the warning of a collapsed posterior."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests import latent_models
from tests.latent_models import EVENTS
from tfar.training.latents import ActiveUnits, PosteriorCheck

ROWS = EVENTS[[0, 7, 3, 5] * 16]
NAMES = ["active_units", "kl", "loss", "neg_elbo", "reconstruction"]


def model_of(dist, rate=0.02):
    model = tfar.training.DensityModel(dist)
    model.compile(keras.optimizers.SGD(rate), jit_compile=False)
    return model


def collapsed():
    """An encoder that ignores the event."""
    dist = latent_models.gaussian()
    for variable in dist.encoder.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    return dist


def test_evaluate_reports_the_terms_of_the_bound_whatever_the_weight_of_the_kl_term():
    dist = latent_models.gaussian(kl_weight=tfar.laws.LinearAnnealing(1000, start=0.01))
    weight = np.random.default_rng(0).integers(0, 3, len(ROWS)).astype(np.float32)
    found = model_of(dist).evaluate(ROWS, sample_weight=weight, batch_size=len(ROWS), verbose=0, return_dict=True)
    assert sorted(found) == NAMES
    expected = dist.evaluate(ROWS)
    for name, values in {"neg_elbo": -expected["elbo"], "kl": expected["kl"], "loss": -expected["elbo"]}.items():
        np.testing.assert_allclose(found[name], np.average(values, weights=weight), rtol=1e-4)
    np.testing.assert_allclose(found["neg_elbo"], found["reconstruction"] + found["kl"], rtol=1e-5)
    variances = np.average(np.square(expected["latent_mean"]), weights=weight, axis=0)
    variances -= np.square(np.average(expected["latent_mean"], weights=weight, axis=0))
    assert found["active_units"] == np.sum(variances > 0.01) == 1
    annealed = np.average(dist.training_loss(ROWS, seed=0, step=0), weights=weight)
    assert abs(annealed - found["neg_elbo"]) > 0.05, "the training loss is no bound"


@pytest.mark.slow(ci=True)
def test_fit_reports_them_on_training_rows_without_validation_data():
    history = model_of(latent_models.gaussian()).fit(ROWS, epochs=2, verbose=0).history
    assert sorted(history) == NAMES
    stop = keras.callbacks.EarlyStopping("val_neg_elbo")
    validated = model_of(latent_models.gaussian())
    validated = validated.fit(
        ROWS, validation_data=ROWS, validation_batch_size=100, epochs=2, callbacks=[stop], verbose=0
    )
    assert sorted(validated.history) == sorted(["loss", *(f"val_{name}" for name in NAMES)])
    for name in NAMES:
        if name != "loss":
            np.testing.assert_allclose(history[name], validated.history[f"val_{name}"], rtol=1e-3)


@pytest.mark.slow(ci=True)
def test_equal_rows_of_different_batches_have_different_latents():
    model = model_of(latent_models.gaussian())
    found = model.evaluate(ROWS[:1].repeat(2, axis=0), batch_size=1, verbose=0, return_dict=True)
    first, second = (float(model.dist.elbo(ROWS[:1], seed=tf.constant([0, k]))[0]) for k in (0, 1))
    assert abs(first - second) > 1e-3
    assert found["neg_elbo"] == pytest.approx(-(first + second) / 2, rel=1e-4)


def test_predictions_of_equal_rows_have_latents_of_their_own_whatever_was_called_before():
    model, rows = model_of(latent_models.gaussian()), ROWS[:1].repeat(4, axis=0)
    model.run_eagerly = True
    found, called = model.predict(rows, batch_size=2, verbose=0), np.asarray(model(rows[:2]))
    assert len(np.unique(found)) == 4, "a batch has the latents of another one"
    model._metric("active_units").update_state(tf.zeros([3, 2]), tf.ones([3]))  # as an evaluation does
    np.testing.assert_array_equal(model.predict(rows, batch_size=2, verbose=0), found)
    np.testing.assert_array_equal(model(rows[:2]), called)
    np.testing.assert_array_equal(called, found[:2])


def test_active_units_are_those_whose_mean_varies():
    metric, generator = ActiveUnits(3), np.random.default_rng(0)
    means = 5.0 + generator.normal(size=[400, 3]) * [0.05, 0.2, 0.0]
    means[:7, 2] = np.nan
    weight = np.r_[np.zeros(7), np.ones(393)].astype(np.float32)
    for part in (slice(0, 100), slice(100, 400)):
        metric.update_state(means[part].astype(np.float32), weight[part])
    assert float(metric.result()) == (np.var(means[7:], axis=0) > 0.01).sum() == 1.0
    metric.reset_state()
    assert float(metric.result()) == 0.0


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("epochs", [1, 3])
def test_fit_warns_once_if_the_posterior_collapses(epochs):
    with pytest.warns(UserWarning, match=r"posterior has collapsed.*LinearAnnealing") as caught:
        history = model_of(collapsed(), rate=0.0).fit(ROWS, epochs=epochs, validation_data=ROWS, verbose=0).history
    assert len(caught) == 1
    assert history["val_active_units"] == [0.0] * epochs


def test_an_active_posterior_raises_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check = PosteriorCheck()
        check.on_train_begin()
        for active in (0.0, 1.0, 0.0, 2.0):  # an encoder that starts late is no collapse
            check.on_epoch_end(0, {"val_active_units": active, "val_kl": 0.1})
        check.on_epoch_end(0, {"loss": 1.0})
        check.on_train_end()
    with pytest.warns(UserWarning, match="posterior has collapsed"):
        check.on_epoch_end(0, {"active_units": 0.0, "kl": 0.0})
        check.on_epoch_end(1, {"active_units": 0.0, "kl": 0.0})


def test_draws_of_the_training_objective_are_no_validation_of_a_bound():
    with pytest.raises(ValueError, match=r"`validation_draws=0`.*received 3"):
        tfar.training.DensityModel(latent_models.gaussian(), validation_draws=3)
