"""Data that cannot be trained on: the error names the row and the site, or the step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tfar.training import Backup, Batches, DensityModel, fit_multi_worker
from tfar.training.run_folder import read_journal


def make(dist=None, optimizer="sgd"):
    model = DensityModel(tfar.MADE([6], [8], jit_compile=False) if dist is None else dist)
    model.compile(optimizer, jit_compile=False)
    return model


def weights(model):
    return [np.asarray(v) for v in model.dist.variables]


class Rows(keras.utils.PyDataset):
    """A data set of a user's own."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def __len__(self):
        return len(self.rows) // 10

    def __getitem__(self, index):
        return self.rows[10 * index : 10 * index + 10]


def generator(rows):
    for first in range(0, len(rows), 10):
        yield (rows[first : first + 10],)


FORMS = {
    "array": lambda x: x,
    "dict": lambda x: {"value": x},
    "batches": lambda x: Batches(x, 10, shuffle=False),
    "stream": lambda x: tf.data.Dataset.from_tensor_slices(x).batch(10),
    "stream of dicts": lambda x: tf.data.Dataset.from_tensor_slices({"value": x}).batch(10),
    "data set": Rows,
    "generator": generator,
}


@pytest.mark.parametrize("bad", [float("nan"), 2.0])
@pytest.mark.parametrize("form", list(FORMS))
def test_fit_names_row_and_site(form, bad, rows):
    x, model = rows.copy(), make()
    x[37, 4] = bad
    before = weights(model)
    place = (
        f"received {bad} at row 7, site 4.*within batch 3" if form in list(FORMS)[3:] else f"{bad} at row 37, site 4"
    )
    with pytest.raises(ValueError, match=place):
        model.fit(FORMS[form](x), verbose=0, epochs=1, shuffle=False)
    changed = any((a != b).any() for a, b in zip(before, weights(model), strict=True))
    assert changed == (form in list(FORMS)[3:]), "arrays are checked before the first step, streams as they are read"


def test_good_streams_pass_the_check(rows):
    reference = make()
    reference.fit(Batches(rows, 10, shuffle=False), verbose=0, epochs=1)
    for form in list(FORMS)[3:]:
        model = make()
        model.fit(FORMS[form](rows), verbose=0, epochs=1, shuffle=False)
        for a, b in zip(weights(model), weights(reference), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6, err_msg=form)


def test_validation_data_and_evaluate_are_checked(rows):
    x, model = rows.copy(), make()
    x[3, 0] = -1.0
    for call in (
        lambda: model.fit(rows, validation_data=x, verbose=0),
        lambda: model.fit(rows, validation_data=FORMS["stream"](x), verbose=0),
        lambda: model.evaluate(x, verbose=0),
        lambda: model.evaluate(FORMS["stream"](x), verbose=0),
    ):
        with pytest.raises(ValueError, match=r"-1.0 at row 3, site 0"):
            call()
    assert np.isnan(model.predict(x, verbose=0)).nonzero()[0].tolist() == [3]


@pytest.mark.slow(ci=True)
def test_rows_that_do_not_count_may_be_anything(rows):
    x, w = rows.copy(), np.ones(70, np.float32)
    x[[0, 12]], w[[0, 12]] = np.nan, 0.0
    make().fit(x, sample_weight=w, verbose=0)
    make().fit(tf.data.Dataset.from_tensor_slices({"value": x, "sample_weight": w}).batch(10), verbose=0)
    make().fit(x, sample_weight=0.0 * w, verbose=0)


def test_values_that_are_not_observed_may_be_anything(rows):
    x = rows.copy()
    x[:, 3:] = np.nan
    observed = np.tile(np.arange(6) < 3, (70, 1))
    make().fit({"value": x, "observed": observed}, verbose=0)
    x[5, 2] = np.nan
    with pytest.raises(ValueError, match="at row 5, site 2"):
        make().fit({"value": x, "observed": observed}, verbose=0)
    observed = np.where(np.arange(70)[:, None] == 9, np.arange(6) > 2, True)
    with pytest.raises(ValueError, match="row 9 observes others"):
        make().fit({"value": rows, "observed": observed}, verbose=0)


def test_conditions_are_checked(rows):
    dist = tfar.MADE([3], [4], conditional_shape=[3], jit_compile=False)
    c = rows[:, 3:].copy()
    c[11, 0] = np.inf
    with pytest.raises(ValueError, match="finite numbers in `conditional_input`; received another in row 11"):
        make(dist).fit({"value": rows[:, :3], "conditional_input": c}, verbose=0)


def test_rows_are_numbered_through_the_chunks(rows, monkeypatch):
    monkeypatch.setattr(tfar.training.checks, "CHUNK_VALUES", 60)
    x = rows.copy()
    x[69, 5] = np.nan
    with pytest.raises(ValueError, match="at row 69, site 5"):
        make().fit(x, verbose=0)


class Overflows(tfar.MADE):
    """A distribution whose training loss and its gradient are not finite for a far value."""

    def training_loss(self, value, conditional_input=None, **kwargs):
        far = tf.reduce_any(tf.abs(tf.cast(value, tf.float32)) > 1e20, axis=-1)
        return super().training_loss(value, conditional_input, **kwargs) * tf.where(far, float("inf"), 1.0)


@pytest.mark.parametrize("form", ["array", "stream"])
def test_a_value_that_makes_the_loss_infinite(form):
    """The update of its step is skipped, so that the weights stay finite, and the error names what can be named."""
    x = np.random.default_rng(0).normal(size=[40, 3]).astype(np.float32)
    x[27, 1] = 1e30
    dist = Overflows([3], [8], head=tfar.heads.NormalMixture(2), jit_compile=False)
    model = make(dist, keras.optimizers.Adam(0.01))
    named = r", at row 27, whose largest value is 1.*e\+30 at site 1" if form == "array" else ""
    with pytest.raises(ValueError, match=rf"finite training loss; received (inf|nan) in step \d of epoch 0{named}"):
        model.fit(FORMS[form](x), batch_size=10 if form == "array" else None, epochs=2, verbose=0)
    assert all(np.isfinite(w).all() for w in weights(model))


@pytest.mark.parametrize(
    "make_dist", [lambda: tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2)), lambda: tfar.RNADE([3], 8)]
)
def test_one_far_cell_leaves_the_weights_finite(make_dist):
    x = np.random.default_rng(0).normal(size=[40, 3]).astype(np.float32)
    x[27, 1] = 1e20
    model = make(make_dist(), keras.optimizers.Adam(0.01))
    model.fit(x, epochs=2, verbose=0)
    assert all(np.isfinite(w).all() for w in weights(model))


class HasNoGradient(tfar.MADE):
    """A distribution whose training loss is finite and whose gradient is NaN in the last of its steps."""

    num_steps = 4

    def training_loss(self, value, conditional_input=None, step=0, **kwargs):
        @tf.custom_gradient
        def spoilt(loss):
            return tf.identity(
                loss
            ), lambda upstream: upstream * tf.where(step == self.num_steps - 1, float("nan"), 1.0)

        return spoilt(super().training_loss(value, conditional_input, step=step, **kwargs))


@pytest.mark.parametrize("num_steps", [4, 3])
def test_a_gradient_that_is_not_finite_spoils_no_backup(num_steps, rows, tmp_path):
    """In the last step of the second epoch, or in the one before: the backup of the first epoch stays."""
    dist = HasNoGradient([6], [8], jit_compile=False)
    dist.num_steps = num_steps
    message = (
        "finite weights after epoch 1" if num_steps == 4 else "finite training loss; received nan in step 1 of epoch 1"
    )
    with pytest.raises(ValueError, match=message):
        make(dist, keras.optimizers.Adam(0.01)).fit(
            rows[:20], batch_size=10, epochs=2, verbose=0, callbacks=[Backup(tmp_path)]
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-1.weights.h5",
        "epoch-2.weights.h5",
        "journal.json",
    ]
    assert read_journal(tmp_path)["epoch"] == 1
    model = make(optimizer=keras.optimizers.Adam(0.01))
    model.fit(rows[:20], batch_size=10, epochs=2, verbose=0, callbacks=[Backup(tmp_path)])
    assert all(np.isfinite(w).all() for w in weights(model))


def test_several_workers_end_with_a_loss_that_is_not_finite(rows):
    x = np.where(np.arange(20)[:, None] == 7, np.float32(1e30), rows[:20])
    with pytest.raises(ValueError, match=r"finite training loss; received (inf|nan) in epoch 0"):
        fit_multi_worker(
            lambda: Overflows([6], [8], head=tfar.heads.NormalMixture(2), jit_compile=False),
            lambda context, epoch: tf.data.Dataset.from_tensor_slices(x).batch(10),
            strategy=tf.distribute.get_strategy(),
            epochs=1,
        )


def test_a_run_that_diverges_is_ended(rows):
    model = make(tfar.MADE([6], [8], head=tfar.heads.NormalMixture(2), jit_compile=False), keras.optimizers.SGD(1e30))
    with pytest.raises(ValueError, match="lower the learning rate"):
        model.fit(rows, epochs=5, verbose=0)


class Awaits(tfar.MADE):
    """A distribution that is initialised with data."""

    rows, all_rows = None, False

    @property
    def awaits_data(self):
        return self.rows is None

    @property
    def initializes_with_all_rows(self):
        return self.all_rows

    def initialize(self, value, conditional_input=None):
        self.rows = np.asarray(value)


@pytest.mark.parametrize("form", few_by_default(["array", "stream", "dict", "batches", "data set"], count=2))
@pytest.mark.parametrize("all_rows", [False, True])
def test_distributions_that_await_data_are_initialised(form, all_rows, rows):
    dist = Awaits([6], [8], jit_compile=False)
    dist.all_rows = all_rows
    model = make(dist)
    model.fit(FORMS[form](rows), batch_size=10 if form in ("array", "dict") else None, shuffle=False, verbose=0)
    np.testing.assert_array_equal(dist.rows, rows if all_rows else rows[:10])
    dist.rows = first = rows[:1]
    model.fit(FORMS[form](rows), shuffle=False, verbose=0)
    assert dist.rows is first, "it awaits data no longer"


def test_data_that_can_be_read_once_cannot_initialise(rows):
    with pytest.raises(ValueError, match="can be read twice"):
        make(Awaits([6], [8], jit_compile=False)).fit(generator(rows), verbose=0)


@pytest.mark.slow(ci=True)
def test_rnade_standardises_by_itself():
    x = np.random.default_rng(0).normal([1e5, -3.0], [2e4, 1e-3], [200, 2])
    model = make(tfar.RNADE([2], 8), keras.optimizers.Adam(0.01))
    history = model.fit(x, epochs=20, verbose=0).history
    truth = 0.5 * np.log(2 * np.pi * np.e) * 2 + np.log(2e4 * 1e-3)
    assert abs(history["loss"][-1] - truth) < 0.3


def test_values_that_float32_cannot_tell_apart_are_refused():
    """Unix times with a deviation of 50 s, where float32 numbers are 128 s apart."""
    noise = np.random.default_rng(0).normal(size=[300, 2])
    model, x = make(tfar.MADE([2], [4], head=tfar.heads.NormalMixture(2))), noise * [1.0, 50.0] + [0.0, 1.7e9]
    before = weights(model)
    for times in (x, {"value": x}, np.round(x).astype(np.int64)):
        with pytest.raises(
            ValueError, match=r"entry \[1\] .* at mean 1[67]\d{8}\.?\d*, where float32 numbers are 128 apart"
        ):
            model.fit(times, verbose=0)
    np.testing.assert_array_equal(before[0], weights(model)[0])


@pytest.mark.parametrize("column", [1.7e9 + 0.3 * np.ones(64), np.arange(64) + 2.0**24 - 64, 0.1 * np.arange(64) + 1e3])
def test_constant_and_representable_values_are_trained_on(column):
    model = make(tfar.MADE([1], [4], head=tfar.heads.NormalMixture(2)), optimizer=keras.optimizers.SGD(0.0))
    model.fit(column[:, None], verbose=0)
