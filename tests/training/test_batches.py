"""The order of batches is a function of (seed, epoch) alone, through `fit` as well."""

import keras
import numpy as np
import pytest

import tfar
from tfar.training import Batches

ROWS = np.arange(10, dtype=np.float32)


def one_pass(batches: Batches) -> np.ndarray:
    return np.concatenate([batches[i] for i in range(len(batches))])


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_order_is_the_permutation_of_seed_and_epoch(epoch):
    batches = Batches(ROWS, 4, seed=3)
    batches.epoch = epoch
    np.testing.assert_array_equal(one_pass(batches), ROWS[np.random.default_rng([102, epoch, 3]).permutation(10)])


def test_without_shuffle_the_rows_keep_their_order():
    np.testing.assert_array_equal(one_pass(Batches(ROWS, 4, shuffle=False)), ROWS)


def test_dicts_keep_rows_together():
    batches = Batches({"value": ROWS, "conditional_input": {"a": ROWS * 2}}, 3)
    batch = batches[1]
    np.testing.assert_array_equal(batch["conditional_input"]["a"], batch["value"] * 2)


@pytest.mark.parametrize(
    ("arrays", "batch_size", "message"),
    [
        ({"value": ROWS, "sample_weight": ROWS[:3]}, 2, r"one length .* \[3, 10\]"),
        (ROWS[:0], 2, r"\[0\]"),
        (np.float32(1.0), 2, r"\[0\]"),
        (ROWS, 0, "`batch_size` to be an int of at least 1; received 0"),
    ],
)
def test_bad_arrays_are_refused(arrays, batch_size, message):
    with pytest.raises(ValueError, match=message):
        Batches(arrays, batch_size)


def test_fit_draws_the_order_of_each_epoch():
    """Rows are told apart by their condition; a first run of two epochs equals the second epoch of a run begun at 1."""

    class Recorder(tfar.training.DensityModel):
        def train_step(self, data):
            seen.append(data["sample_weight"])
            return super().train_step(data)

    def fit(**kwargs):
        model = Recorder(tfar.MADE(event_shape=[2], hidden_units=[2]))
        model.compile(optimizer="sgd", run_eagerly=True, jit_compile=False)
        model.fit(np.zeros([10, 2]), sample_weight=ROWS, batch_size=4, verbose=0, **kwargs)
        return [float(w) for batch in seen for w in batch]

    seen: list = []
    both = fit(epochs=2)
    assert both[:10] == ROWS[np.random.default_rng([102, 0, 0]).permutation(10)].tolist()
    assert both[10:] == ROWS[np.random.default_rng([102, 1, 0]).permutation(10)].tolist()
    seen.clear()
    assert fit(epochs=2, initial_epoch=1) == both[10:]


def test_epochs_of_a_number_of_steps_go_on_where_the_last_one_ended():
    """Three batches make a pass."""
    whole, batches = Batches(ROWS, 4, seed=3), Batches(ROWS, 4, seed=3).with_steps(2)
    passes = []
    for whole.epoch in range(2):
        passes += [whole[i] for i in range(3)]
    found = []
    for batches.epoch in range(3):
        assert len(batches) == 2
        found += [batches[i] for i in range(2)]
    for batch, expected in zip(found, passes, strict=True):
        np.testing.assert_array_equal(batch, expected)
    assert len(whole) == 3, "the data set itself stays as it was"


def test_fit_in_epochs_of_a_number_of_steps_is_a_function_of_the_epoch(rows):
    dist = tfar.MADE([6], [8], jit_compile=False)
    fit = {"batch_size": 32, "steps_per_epoch": 2, "epochs": 2, "verbose": 0}
    losses = []
    for first in (0, 1):
        model = tfar.training.DensityModel(dist, seed=3)
        model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
        losses.append(model.fit(rows, initial_epoch=first, **fit).history["loss"][-1])
    batches = Batches(rows, 32, seed=3).with_steps(2)
    batches.epoch = 1
    expected = -np.mean(dist.log_prob(np.concatenate([batches[0], batches[1]])))
    np.testing.assert_allclose(losses, [expected, expected], rtol=1e-5)
