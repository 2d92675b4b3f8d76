"""fit, evaluate and predict against NumPy and against loops by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.training.models import FIT, assert_weights, make, weights
from tfar.training import DensityModel


def test_fit_lowers_the_loss_and_reports(rows):
    model = make(optimizer=keras.optimizers.Adam(0.03))
    history = model.fit(rows, validation_data=rows[:20], **{**FIT, "epochs": 6}).history
    assert sorted(history) == ["loss", "val_bits_per_dim", "val_loss", "val_nll"]
    assert history["loss"][-1] < history["loss"][0] - 0.3 and history["val_nll"][-1] < history["val_nll"][0] - 0.3


def test_an_update_is_that_of_the_mean_loss(rows):
    """SGD by hand on the batches that the shuffle promises, the short last one included."""
    model = make(optimizer=keras.optimizers.SGD(0.1), seed=3)
    by_hand = make(seed=3).dist
    losses = []
    for epoch in range(2):
        order, total = np.random.default_rng([102, epoch, 3]).permutation(70), 0.0
        for start in range(0, 70, 16):
            x = rows[order[start : start + 16]]
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(by_hand.log_prob(x))
            for v, g in zip(by_hand.trainable_variables, tape.gradient(loss, by_hand.trainable_variables), strict=True):
                v.assign_sub(0.1 * g)
            total += float(loss) * len(x)
        losses.append(total / 70)
    history = model.fit(rows, **FIT).history
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)
    for a, b in zip(model.dist.variables, by_hand.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_evaluate_and_predict_equal_numpy(rows):
    model = make(num_masks=3)
    log_prob = model.dist.log_prob(rows).numpy().astype(np.float64)
    w = np.arange(70) % 3
    for weight in (None, w):
        result = model.evaluate(rows, batch_size=32, verbose=0, return_dict=True, sample_weight=weight)
        nll = -np.average(log_prob, weights=weight)
        np.testing.assert_allclose(result["nll"], nll, rtol=1e-5)
        np.testing.assert_allclose(result["loss"], nll, rtol=1e-5)
        np.testing.assert_allclose(result["bits_per_dim"], nll / (6 * np.log(2)), rtol=1e-5)
    np.testing.assert_allclose(model.predict(rows, batch_size=32, verbose=0), log_prob, rtol=1e-5)
    np.testing.assert_allclose(model(rows), log_prob, rtol=1e-5)


@pytest.mark.slow(ci=True)
def test_evaluation_by_the_objective(rows, monkeypatch):
    dist = tfar.OrderlessNADE([6], [8], jit_compile=False)
    model = DensityModel(dist, validation_draws=3)
    model.compile(jit_compile=False)
    losses = np.mean([dist.training_loss(rows, seed=tf.constant([-1, draw])) for draw in range(3)], axis=0)
    w = np.arange(70) % 3
    with monkeypatch.context() as patch:
        patch.setattr(tfar.OrderlessNADE, "log_prob", lambda *args, **kwargs: pytest.fail("took a pass for each site"))
        for weight in (None, w):
            result = model.evaluate(rows, batch_size=70, verbose=0, return_dict=True, sample_weight=weight)
            np.testing.assert_allclose(result["nll"], np.average(losses, weights=weight), rtol=1e-5)
    np.testing.assert_allclose(model.predict(rows, batch_size=70, verbose=0), dist.log_prob(rows), rtol=1e-4)
    assert DensityModel.from_config(model.get_config()).validation_draws == 3
    exact = -np.mean(dist.with_orders(20).log_prob(rows))
    many = DensityModel(dist, validation_draws=6)
    many.compile(jit_compile=False)
    assert many.evaluate(rows, batch_size=70, verbose=0, return_dict=True)["nll"] == pytest.approx(exact, rel=0.05)


def test_weights_equal_repetitions(rows):
    """Weights 2 and 0 are a row twice and not at all; the mean is over rows, 16 in both batches."""
    x, w = rows[:16], np.repeat([2.0, 0.0], 8)
    weighted, repeated = make(), make()
    weighted.fit(x, sample_weight=w, epochs=1, verbose=0, batch_size=16)
    repeated.fit(np.concatenate([x[:8], x[:8]]), epochs=1, verbose=0, batch_size=16)
    assert_weights(weighted, repeated)


def test_rows_of_weight_zero_may_be_anything(rows):
    x = rows[:16].copy()
    x[8:] = np.nan
    w = np.repeat([1.0, 0.0], 8)
    model, clean = make(), make()
    for m, data in ((model, x), (clean, rows[:16])):
        m.fit(data, sample_weight=w, epochs=1, verbose=0, batch_size=16, shuffle=False)
        assert all(np.isfinite(v).all() for v in weights(m))
    assert_weights(model, clean)
    result = model.evaluate(x, sample_weight=w, verbose=0, return_dict=True)
    np.testing.assert_allclose(result["nll"], -np.mean(model.dist.log_prob(rows[:8])), rtol=1e-5)


def test_what_a_network_sees_of_rows_of_weight_zero_may_be_anything(rows):
    """A condition, and the event that an encoder reads: NaN there would reach the gradient of the weights."""
    weight, rest = np.repeat([1.0, 0.0], 8), np.concatenate([rows[:8], np.full([8, rows.shape[1]], np.nan)])
    for dist, key in (
        (lambda: tfar.MADE([4], [8], conditional_shape=[2], jit_compile=False), "conditional_input"),
        (lambda: tfar.DARN([4], 2, jit_compile=False), "value"),
    ):
        trained = []
        for x in (rows[:16], rest):
            parts = {"value": rows[:16, 2:], "sample_weight": weight}
            parts[key] = x[:, :2] if key == "conditional_input" else x[:, 2:]
            model = make(dist=dist())
            model.fit(parts, epochs=1, verbose=0, batch_size=16, shuffle=False)
            trained.append(model)
        assert_weights(*trained)


def test_conditional_input(rows):
    def conditional():
        return tfar.MADE([3], [8], conditional_shape={"a": [2], "b": [1]}, jit_compile=False)

    parts = {"value": rows[:, 3:], "conditional_input": {"a": rows[:, :2], "b": rows[:, 2:3]}}
    model = make(dist=conditional(), optimizer=keras.optimizers.Adam(0.05))
    history = model.fit(parts, validation_split=0.25, **{**FIT, "epochs": 15}).history
    assert history["val_nll"][-1] < 1.6 < history["val_nll"][0], "the condition all but decides the value"
    expected = model.dist.log_prob(parts["value"], conditional_input=parts["conditional_input"])
    np.testing.assert_allclose(model.predict(parts, verbose=0), expected, rtol=1e-4)


def test_observed_in_evaluate(rows):
    model = DensityModel(tfar.MADE([6], [8], jit_compile=False))
    model.compile(jit_compile=False)
    observed = np.tile(np.arange(6) < 3, (70, 1))
    result = model.evaluate({"value": rows, "observed": observed}, verbose=0, return_dict=True)
    np.testing.assert_allclose(result["nll"], -np.mean(model.dist.log_prob(rows, observed=observed)), rtol=1e-5)
    np.testing.assert_allclose(result["bits_per_dim"], result["nll"] / (3 * np.log(2)), rtol=1e-5)


def test_bits_per_dim_divides_by_the_observed_values_of_the_row(rows):
    """Pixels of two values: a pixel with one observed value does not count, as in `log_prob`; nor a row without pixels."""
    dist = tfar.PixelCNNPlusPlus(
        [2, 2, 2], 2, num_blocks=1, num_levels=1, num_components=1, use_weight_norm=False, high=1, jit_compile=False
    )
    assert dist.num_sites == 4
    model = make(dist=dist)
    x = np.concatenate([rows, rows[:, :2]], axis=1)[:6].reshape([6, 2, 2, 2])
    observed = np.zeros([6, 4, 2], bool)
    for row, pixels in enumerate([4, 3, 1, 0, 2, 4]):
        observed[row, :pixels] = True
    observed[2, 1, 0] = True
    values = np.array([8, 6, 2, 0, 4, 8])
    observed = observed.reshape(x.shape)
    nll = -dist.log_prob(x, observed=observed).numpy()
    w = np.array([1.0, 2.0, 1.0, 5.0, 0.0, 1.0])
    counts = values > 0
    for weight in (np.ones(6), w):
        result = model.evaluate(
            {"value": x, "observed": observed, "sample_weight": weight}, verbose=0, return_dict=True
        )
        bits = np.average(nll[counts] / values[counts] / np.log(2), weights=weight[counts])
        np.testing.assert_allclose(result["bits_per_dim"], bits, rtol=1e-5)
        np.testing.assert_allclose(result["nll"], np.average(nll, weights=weight), rtol=1e-5)
    result = model.evaluate(x, verbose=0, return_dict=True)
    np.testing.assert_allclose(result["bits_per_dim"], -np.mean(dist.log_prob(x)) / (8 * np.log(2)), rtol=1e-5)


def test_bits_per_dim_of_texts_do_not_count_padding():
    """A word and an end are a dimension each, whatever the longest text of the batch is."""
    texts = np.array([[3, 2, 0, 0, 0], [1, 0, 0, 0, 0], [2, 3, 1, 4, 0]])
    for dist in (
        tfar.RecurrentLanguageModel(5, None, units=4, embedding_dim=3, length="eos", jit_compile=False),
        tfar.RecurrentLanguageModel(5, 5, units=4, embedding_dim=3, jit_compile=False),
    ):
        bits = -dist.log_prob(texts).numpy() / np.array([3, 2, 5]) / np.log(2)
        for size in (1, 3):
            result = make(dist=dist).evaluate(texts, batch_size=size, verbose=0, return_dict=True)
            np.testing.assert_allclose(result["bits_per_dim"], bits.mean(), rtol=1e-5)


def test_prefix_masks_are_lengths_in_training(rows):
    """Rows cut off by a mask train as the same rows do whose loss is summed by hand."""
    lengths = np.arange(70) % 6 + 1
    observed = np.arange(6)[None] < lengths[:, None]
    model = make(dist=tfar.MADE([6], [8], jit_compile=False))
    expected = -(model.dist.site_log_probs(rows).numpy() * observed).sum(axis=1).mean()
    x = np.where(observed, rows, np.nan)
    history = model.fit({"value": x, "observed": observed}, batch_size=70, epochs=1, verbose=0).history
    np.testing.assert_allclose(history["loss"][0], expected, rtol=1e-5)


def test_site_weights_are_factors_of_the_sites(rows):
    weight = np.random.default_rng(0).uniform(0.0, 2.0, [70, 6]).astype(np.float32)
    model = make(dist=tfar.MADE([6], [8], jit_compile=False), optimizer=keras.optimizers.SGD(0.0))
    expected = -(model.dist.site_log_probs(rows).numpy() * weight).sum(axis=1)
    data = {"value": rows, "site_weight": weight}
    np.testing.assert_allclose(model.fit(data, verbose=0).history["loss"][0], expected.mean(), rtol=1e-5)
    result = model.evaluate(data, verbose=0, return_dict=True)
    np.testing.assert_allclose(result["nll"], expected.mean(), rtol=1e-5)
    bits = (expected / weight.sum(axis=1)).mean() / np.log(2)
    np.testing.assert_allclose(result["bits_per_dim"], bits, rtol=1e-5)


def test_a_site_of_weight_zero_may_be_impossible(rows):
    """In training and in evaluation: its log-probability is minus infinity."""
    dist = tfar.MADE([4], [4], head=tfar.heads.Categorical(3), jit_compile=False).with_top_k(1)
    x, site_weight = dist.sample(3, seed=1).numpy(), np.ones([3, 4], np.float32)
    x[0, 3], site_weight[:, 3] = (x[0, 3] + 1) % 3, 0.0
    assert np.isinf(dist.log_prob(x)[0])
    np.testing.assert_allclose(dist.evaluate(x, site_weight=site_weight)["nll"], 0.0, atol=1e-6)
    np.testing.assert_allclose(dist.training_loss(x, site_weight=site_weight, seed=0), 0.0, atol=1e-6)


def test_fit_and_evaluate_report_the_same_weighted_mean(rows):
    w = np.random.default_rng(0).integers(0, 4, 70).astype(np.float32)
    model = make(dist=tfar.MADE([6], [8], jit_compile=False), optimizer=keras.optimizers.SGD(0.0))
    history = model.fit(rows, sample_weight=w, validation_data=(rows, None, w), batch_size=16, verbose=0).history
    expected = -np.average(model.dist.log_prob(rows), weights=w)
    for name in ("loss", "val_loss", "val_nll"):
        np.testing.assert_allclose(history[name][0], expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", few_by_default(["val_nll", "val_bits_per_dim", "val_loss", "loss"]))
def test_callbacks_of_keras_know_that_lower_is_better(name, rows, tmp_path):
    """The learning rate grows until every epoch is worse than the first ones."""
    model = make(optimizer=keras.optimizers.SGD(0.3))
    path = tmp_path / "best.weights.h5"
    callbacks = [
        keras.callbacks.EarlyStopping(name, patience=2, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(path, monitor=name, save_best_only=True, save_weights_only=True),
        keras.callbacks.ReduceLROnPlateau(name, patience=100),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.3 if epoch < 3 else 300.0),
    ]
    history = model.fit(rows, validation_data=rows, callbacks=callbacks, **{**FIT, "epochs": 20}).history[name]
    best = int(np.argmin(history))
    assert best + 3 == len(history) < 20 and max(history) > history[best] + 0.01
    restored = weights(model)
    model.load_weights(path)
    for a, b in zip(weights(model), restored, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("placeholder", [0.0, 1e4, np.nan])
def test_units_of_the_data_are_those_of_what_is_observed(placeholder):
    """Rows of weight 0 and sites of weight 0 do not count either."""
    rng = np.random.default_rng(0)
    x, observed = rng.normal(5.0, 2.0, [64, 3]), rng.random([64, 3]) < 0.7
    weights, site_weight = np.ones(64), np.ones([64, 3])
    weights[:8], site_weight[8:20, 1] = 0.0, 0.0
    counts = observed & (weights[:, None] > 0.0)
    heads = [tfar.heads.Standardized(tfar.heads.NormalMixture(2), event_shape=[3]), of_columns()]
    for head in heads:
        model = DensityModel(tfar.OrderlessNADE([3], [4], head=head, jit_compile=False))
        model.compile()
        data = {"value": np.where(counts, x, placeholder), "observed": observed, "sample_weight": weights}
        for use, more in ((counts, {}), (counts & (site_weight > 0.0), {"site_weight": site_weight})):
            model.initialize(tfar.training.Batches({**data, **more}, 64, shuffle=False))
            units = [head.units] if head is heads[0] else [part.head.units for part in head.heads]
            loc = np.concatenate([np.ravel(part.loc) for part in units])
            scale = np.concatenate([np.ravel(part.scale) for part in units])
            expected = np.ma.array(x, mask=~use)
            np.testing.assert_allclose(loc, expected.mean(axis=0), rtol=1e-5)
            np.testing.assert_allclose(scale, expected.std(axis=0), rtol=1e-5)
            for part in units:
                part.loc.assign(tf.zeros_like(part.loc))
                part.scale.assign(tf.ones_like(part.scale))


def of_columns():
    """Heads with units of their own behind an atom that no row has."""
    return tfar.heads.PerSite(
        [tfar.heads.Atoms([-1.0], tfar.heads.Standardized(tfar.heads.NormalMixture(1))) for _ in range(3)]
    )


@pytest.mark.slow(ci=True)
def test_fit_with_missing_values():
    """Two sites are always equal: the model learns it from rows that show both, and fills one in from the other."""
    generator = np.random.default_rng(0)
    bits = generator.integers(2, size=[400, 2])
    x = np.stack([bits[:, 0], bits[:, 0], bits[:, 1]], 1).astype(np.float32)
    observed = generator.random(size=x.shape) > 0.3
    dist = tfar.MADE([3], [64], order="random", num_masks=None, num_eval_masks=2)
    model = DensityModel(dist)
    model.compile(keras.optimizers.Adam(0.02))
    data = {"value": np.where(observed, x, np.nan), "observed": observed}
    history = model.fit(data, validation_data=data, batch_size=50, epochs=60, verbose=0).history
    least = (observed.mean() * 3 - observed[:, :2].all(1).mean()) * np.log(2.0)  # what no model can do without
    assert np.isfinite(history["loss"]).all() and history["val_nll"][-1] < least + 0.1
    pattern = np.array([True, False, True])
    filled = dist.complete(np.where(pattern, x, np.nan), pattern, seed=1).numpy()
    assert np.mean(filled[:, 1] == x[:, 1]) > 0.85


@pytest.mark.parametrize(
    ("make", "compiled"),
    [
        (lambda **k: tfar.MADE([4], [8], **k), True),
        (lambda **k: tfar.PixelCNN([2, 2], filters=2, num_blocks=1, first_kernel_size=3, **k), False),
    ],
    ids=["MADE", "PixelCNN"],
)
def test_a_training_step_is_compiled_where_that_pays(make, compiled):
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("on a GPU all models are compiled")
    for jit_compile, expected in ((True, compiled), (False, False)):
        model = DensityModel(make(jit_compile=jit_compile))
        model.compile()
        assert model.jit_compile is expected
    model.compile(jit_compile=True)
    assert model.jit_compile
