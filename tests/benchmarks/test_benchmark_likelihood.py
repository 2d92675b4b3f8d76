"""The likelihood command: its data, its evaluation, and a run that is killed and goes on."""

import dataclasses
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import data, likelihood, render, results, training
from benchmarks.cases import LikelihoodCase, Settings, load_cases, model_names
from tfar.training.run_folder import Run

EVENT_SIZE = 5
SETTINGS = Settings(max_epochs=4, batch_size=10, learning_rate=0.1)


class IndependentBits(keras.Model):
    """A density of independent bits that trains as a DensityModel does: the least that a case can build."""

    score_name, num_latents = "nll", 0  # as a DensityModel and its distribution have them

    def __init__(self, event_size):
        super().__init__()
        self.logits = self.add_weight(shape=(event_size,), initializer="zeros", name="logits")
        self.built = True

    def log_prob(self, x):
        return -tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, self.logits + tf.zeros_like(x)), -1)

    def fit(self, x, callbacks, **kwargs):
        with Run(self, callbacks) as run:
            return super().fit(x, shuffle=False, callbacks=run.callbacks, **kwargs)

    def train_step(self, batch):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(self.log_prob(batch))
        self.optimizer.apply(tape.gradient(loss, [self.logits.value]), [self.logits])
        return {"objective": loss}

    def test_step(self, batch):
        return {"nll": -tf.reduce_mean(self.log_prob(batch))}


def build(settings, event_size):
    model = IndependentBits(event_size)
    return model, model


@pytest.fixture
def toy(monkeypatch):
    stop = keras.callbacks.EarlyStopping(monitor="val_nll", mode="min", patience=50)
    monkeypatch.setattr(training, "make_stopper", lambda folder, settings, monitor: stop)
    return LikelihoodCase("bits", "independent bits", "dna", SETTINGS, build, 3.0, "the paper's: none", 3.6)


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    parts = [(rng.random((rows, EVENT_SIZE)) < 0.1).astype(np.float32) for rows in (100, 30, 43)]
    return data.Splits("bits", *parts, "drawn here")


def test_evaluate_counts_every_row_once():
    x = np.arange(23, dtype=np.float32)[:, None]
    mean, error = training.evaluate(lambda rows: -rows[:, 0], x, batch_size=10)
    assert mean == pytest.approx(11.0)
    assert error == pytest.approx(np.arange(23).std(ddof=1) / np.sqrt(23))


def test_run_gives_a_whole_result(toy, splits, tmp_path):
    result = likelihood.run_case(toy, splits, tmp_path, "python -m benchmarks.likelihood bits")
    results.write(result, tmp_path)
    assert result.figures["epochs"] == 4
    assert 1.5 < result.figures["test_nll"] < 5 * np.log(2)
    assert result.targets[0]["met"]
    assert result.data["sizes"] == {"train": 100, "valid": 30, "test": 43}
    assert result.settings["learning_rate"] == 0.1
    assert str(tmp_path) not in str(result)


def test_second_run_reads_what_the_first_finished(toy, splits, tmp_path, monkeypatch):
    first = likelihood.run_case(toy, splits, tmp_path, "command")
    monkeypatch.setattr(IndependentBits, "fit", lambda *args, **kwargs: pytest.fail("trained again"))
    assert likelihood.run_case(toy, splits, tmp_path, "command").figures == first.figures


@pytest.mark.parametrize("momentum", [None, 0.9], ids=["plain", "averaged"])
@pytest.mark.slow(ci=True)
def test_killed_run_goes_on_where_it_stopped(toy, splits, tmp_path, monkeypatch, momentum):
    toy = dataclasses.replace(toy, settings=dataclasses.replace(SETTINGS, ema_momentum=momentum))
    whole = likelihood.run_case(toy, splits, tmp_path / "whole", "command")
    with monkeypatch.context() as patch:
        patch.setattr(training, "make_progress", killer(training.make_progress, epoch=2))
        with pytest.raises(KeyboardInterrupt):
            likelihood.run_case(toy, splits, tmp_path / "parts", "command")
    resumed = likelihood.run_case(toy, splits, tmp_path / "parts", "command")
    assert resumed.figures["epochs"] == 4
    assert resumed.figures["test_nll"] == pytest.approx(whole.figures["test_nll"], rel=1e-5)


def killer(make_progress, epoch):
    """Makes the usual record of epochs, and dies at the start of one of them."""

    def make(folder, settings):
        progress = make_progress(folder, settings)
        start = progress.on_epoch_begin

        def on_epoch_begin(index, logs=None):
            if index == epoch:
                raise KeyboardInterrupt
            start(index, logs)

        progress.on_epoch_begin = on_epoch_begin
        return progress

    return make


def test_other_settings_have_another_folder(toy, splits, tmp_path):
    other = dataclasses.replace(toy, settings=dataclasses.replace(SETTINGS, seed=1))
    assert training.case_folder(tmp_path, toy, splits) != training.case_folder(tmp_path, other, splits)
    assert training.case_folder(tmp_path, toy, splits) != training.case_folder(tmp_path, toy, splits.head(10))


def test_a_fresh_run_begins_in_an_empty_folder(toy, splits, tmp_path):
    folder = training.case_folder(tmp_path, toy, splits)
    folder.mkdir()
    (folder / "checkpoint").write_text("of an earlier run")
    assert (training.case_folder(tmp_path, toy, splits) / "checkpoint").exists()
    assert not training.case_folder(tmp_path, toy, splits, fresh=True).exists()


def test_the_learning_rate_falls_in_the_last_epochs(toy, splits, tmp_path, capsys):
    settings = dataclasses.replace(SETTINGS, learning_rate=0.1, max_epochs=5, decay_epochs=2)
    rates = [training.learning_rate(settings, epoch) for epoch in range(5)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.1, 0.03, 0.009])
    _, epochs = training.train(dataclasses.replace(toy, settings=settings), splits, tmp_path)
    np.testing.assert_allclose([epoch["learning_rate"] for epoch in epochs], rates[: len(epochs)], rtol=1e-6)
    constant = dataclasses.replace(settings, decay_epochs=0)
    assert {training.learning_rate(constant, epoch) for epoch in range(5)} == {0.1}
    slower = dataclasses.replace(settings, decay_factor=0.5)
    np.testing.assert_allclose([training.learning_rate(slower, epoch) for epoch in (2, 3, 4)], [0.1, 0.05, 0.025])
    names = {"decay_epochs", "decay_factor"}
    assert names <= set(settings.as_dict()) and not names & set(constant.as_dict())


def test_the_curve_has_powers_of_two_and_the_last_epoch():
    epochs = [{"seconds": 2.0, "val_nll": 10.0 - n} for n in range(1, 7)]
    found = training.curve(epochs)
    assert [point["epochs"] for point in found] == [1, 2, 4, 6]
    assert [point["valid_nll"] for point in found] == [9.0, 8.0, 6.0, 4.0]
    assert [point["seconds"] for point in found] == [2.0, 4.0, 8.0, 12.0]
    assert [point["epochs"] for point in training.curve(epochs[:4])] == [1, 2, 4]
    assert [point["epochs"] for point in training.curve(epochs[:1])] == [1]


def test_a_case_without_a_target_has_no_verdict(toy, splits, tmp_path):
    case = dataclasses.replace(toy, target=None)
    result = likelihood.run_case(case, splits, tmp_path, "command")
    assert result.targets == []
    assert render.likelihood_table([case], [result]).splitlines()[2].endswith("| 3.00 (the paper's) |  |  |")
    assert render.likelihood_table([case], [None]).splitlines()[2].endswith("| not run | 3.00 (the paper's) |  |  |")


def test_what_more_epochs_gave(toy, splits, tmp_path):
    result = likelihood.run_case(toy, splits, tmp_path, "command")
    nll = [point["valid_nll"] for point in result.figures["curve"]]
    row = render.epochs_table([toy], [result]).splitlines()[2]
    points = ", ".join(f"{count}: {value:.2f}" for count, value in zip((1, 2, 4), nll, strict=True))
    assert row == f"| independent bits | {points} | {result.figures['test_nll']:.2f} | 0 | 10 |"
    assert "not run" in render.epochs_table([toy], [None])


def test_what_more_orders_gave(toy):
    case = dataclasses.replace(
        toy, settings=dataclasses.replace(SETTINGS, test_orders=(1, 2)), paper_by_orders={1: 9.5, 4: 8.5}
    )
    by_orders = {"test_nll_by_orders": {"1": 9.0, "2": 8.0}, "test_nll_by_orders_all_rows": {"1": 9.2}}
    result = results.make(
        kind="likelihood",
        case=case.name,
        command="command",
        seed=0,
        data={},
        settings={},
        figures=by_orders,
        paper={},
        targets=[],
    )
    table = render.orders_table([case, case], [result, None]).splitlines()
    assert table[0] == "| orders | 1 | 2 | 4 |"
    assert table[2:] == [
        "| dna, independent bits | 9.00 | 8.00 |  |",
        "| dna, independent bits, all test rows | 9.20 |  |  |",
        "| dna, published | 9.50 |  | 8.50 |",
        "| dna, independent bits | not run |  |  |",
        "| dna, published | 9.50 |  | 8.50 |",
    ]


def test_few_orders_score_all_rows_beside_many_that_score_some(toy, splits, monkeypatch):
    monkeypatch.setattr(training, "evaluate_orders", lambda dist, x, numbers: {n: (len(x) + n, 0.5) for n in numbers})
    settings = dataclasses.replace(SETTINGS, test_orders=(1, 2, 8))
    case = dataclasses.replace(toy, settings=settings, eval_rows=10, all_rows_orders=(1, 2))
    figures = likelihood.evaluate(case, None, splits)
    assert figures["test_nll_by_orders"] == {"1": 11, "2": 12, "8": 18} and figures["test_nll"] == 18
    assert figures["test_nll_by_orders_all_rows"] == {"1": 44, "2": 45} and figures["test_rows"] == 10


def test_bits_beside_codecs(toy, splits, tmp_path):
    case = dataclasses.replace(toy, beside=lambda found: {"PNG, sheets": float(len(found.test))})
    result = likelihood.run_case(case, splits, tmp_path, "command")
    assert result.figures["bits_per_dim"] == pytest.approx(result.figures["test_nll"] / (5 * np.log(2)), abs=1e-4)
    table = render.codecs_table([case, case], [result, None])
    assert f"| independent bits | {result.figures['bits_per_dim']:.3f} |" in table
    assert "| PNG, sheets | 43.000 |" in table and "| independent bits | not run |" in table


def test_refit_trains_on_all_rows_for_the_best_number_of_epochs(toy, splits, tmp_path, monkeypatch):
    seen = []
    fit = IndependentBits.fit

    def watched(self, rows, **arguments):
        seen.append((len(rows), arguments["validation_data"]))
        return fit(self, rows, **arguments)

    monkeypatch.setattr(IndependentBits, "fit", watched)
    _, epochs = training.refit(toy, splits, tmp_path, [{"val_nll": value} for value in (3.0, 2.0, 1.0, 1.5)])
    assert seen == [(130, None)] and len(epochs) == 3
    _, recorded = training.refit(toy, splits, tmp_path, [{"val_nll": value} for value in (3.0, 2.0, 1.0, 1.5)])
    assert len(seen) == 1 and recorded == epochs


def test_refit_keeps_the_learning_rates(toy, splits, tmp_path):
    falling = dataclasses.replace(SETTINGS, decay_epochs=2)
    case = dataclasses.replace(toy, settings=falling)
    _, epochs = training.refit(case, splits, tmp_path, [{"val_nll": value} for value in (3.0, 2.0, 1.0, 1.5)])
    rates = [training.learning_rate(falling, epoch) for epoch in range(3)]
    np.testing.assert_allclose([epoch["learning_rate"] for epoch in epochs], rates, rtol=1e-6)


@pytest.mark.parametrize("model", model_names())
def test_optimizers_of_all_cases_exist(model):
    for case in load_cases(model).likelihood:
        assert type(training.make_optimizer(case.settings)).__name__.lower() == case.settings.optimizer


def test_gradients_are_clipped_together_where_the_settings_say_so():
    found = [
        training.make_optimizer(dataclasses.replace(SETTINGS, clip_norm=norm)).global_clipnorm for norm in (None, 3.0)
    ]
    assert found == [None, 3.0]
    assert dataclasses.replace(SETTINGS, clip_norm=3.0).as_dict()["clip_norm"] == 3.0
    assert "clip_norm" not in SETTINGS.as_dict()  # so that folders of cases without it keep their names


def test_select_keeps_the_paper_widths_apart():
    cases = load_cases("made").likelihood
    usual = likelihood.select(cases, likelihood._parse(["made"]))
    wide = likelihood.select(cases, likelihood._parse(["made", "--paper-width"]))
    assert {max(case.settings.hidden_units) for case in wide} == {8000}
    assert {case.data for case in usual} == {"adult", "connect4", "dna", "mushrooms", "mnist"}
    assert len(usual) + len(wide) == len(cases)
    quick = likelihood.select(cases, likelihood._parse(["made", "--quick", "--data", "dna"]))
    assert [case.settings.max_epochs for case in quick] == [2, 2]


def test_missing_data_says_where_it_is_looked_for(monkeypatch):
    monkeypatch.delenv("TFAR_DATA_DIR", raising=False)
    with pytest.raises(ValueError, match=r"TFAR_DATA_DIR to name a folder with dna\.npz"):
        data.load("dna")


def test_mnist_is_binarised_once(tmp_path, monkeypatch):
    pixels = np.zeros((data.NUM_VALID + 20, 2, 2), np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = 255, 51
    np.savez(tmp_path / "mnist.npz", x_train=pixels, x_test=pixels[:10])
    monkeypatch.setenv("TFAR_DATA_DIR", str(tmp_path))
    splits = data.load("mnist")
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (20, data.NUM_VALID, 10)
    assert splits.valid.mean(0) == pytest.approx([1, 0.2, 0, 0], abs=0.02)
    assert data.load("mnist").describe() == splits.describe()


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(data.NOTES))
def test_real_data_are_bits_or_levels(name):
    try:
        splits = data.load(name)
    except ValueError as reason:
        pytest.skip(str(reason))
    for part in (splits.train, splits.valid, splits.test):
        values = set(np.unique(np.floor(part) if name == "grey_patches_32" else part))
        assert values <= set(range(256)) if "patches" in name else values == {0.0, 1.0}


def test_classes_and_shapes_go_with_the_rows():
    if not (pathlib.Path(os.environ.get("TFAR_DATA_DIR", ".")) / "mnist.npz").exists():
        pytest.skip("TFAR_DATA_DIR has no mnist.npz")
    splits = data.load("mnist", with_classes=True).head(7).shaped((28, 28))
    assert splits.train.shape == (7, 28, 28) and splits.describe()["event_size"] == 784
    for split in ("train", "valid", "test"):
        examples = splits.examples(split)
        assert examples["value"].shape == (7, 28, 28) and examples["conditional_input"] is splits.condition(split)
        assert splits.condition(split).shape == (7, 10) and (splits.condition(split).sum(1) == 1).all()
    assert data.load("mnist").condition("train") is None
    with pytest.raises(ValueError, match="which has classes"):
        data.load("dna", with_classes=True)


def test_evaluate_gives_each_row_its_condition():
    x, condition = np.arange(7.0), np.arange(7.0) * 10
    log_prob = lambda value, conditional_input: -(value + conditional_input)  # noqa: E731
    assert training.evaluate(log_prob, x, batch_size=3, condition=condition)[0] == pytest.approx(33.0)


def test_the_bounds_of_a_model_with_a_latent_variable(splits):
    """The bounds of a DARN whose latent does nothing are its log-likelihood: independent bits of probability one half."""
    import tfar
    from benchmarks import latent

    dist = tfar.DARN([EVENT_SIZE], [2], jit_compile=False)
    for variable in dist.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    settings = dataclasses.replace(SETTINGS, latent_units=(2,), importance_samples=3)
    case = LikelihoodCase("darn-bits", "DARN 2", "dna", settings, build, None, "", None)
    figures = latent.evaluate(case, dist, splits)
    expected = EVENT_SIZE * np.log(2.0)
    assert figures["test_nll"] == figures["test_bound"] == figures["valid_bound"] == pytest.approx(expected, abs=1e-3)
    assert figures["kl_per_bit"] == 0.0 and figures["active_bits"] == 0
