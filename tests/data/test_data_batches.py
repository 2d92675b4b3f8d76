"""The order of batches is a function of (seed, epoch) alone, through Keras's own fit as well."""

import keras
import numpy as np
import pytest

from tfar.data import Batches

ROWS = np.arange(10, dtype=np.float32)


def one_pass(batches: Batches) -> np.ndarray:
    return np.concatenate([batches[i] for i in range(len(batches))])


class Recorder(keras.Model):
    """Keeps the rows it is trained on, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="zeros")
        self.seen: list[np.ndarray] = []

    def call(self, x):
        return x * self.weight

    def train_step(self, data):
        x = data["value"] if isinstance(data, dict) else data[0]
        self.seen.append(x.numpy())
        return {"loss": keras.ops.sum(x)}

    def test_step(self, data):
        return {"loss": keras.ops.sum(data[0])}


def fit(batches: Batches, epochs: int, **kwargs) -> list[np.ndarray]:
    model = Recorder()
    model.compile(optimizer="sgd", run_eagerly=True)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, **kwargs)
    seen = np.concatenate(model.seen)
    return list(seen.reshape(epochs, -1))


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_the_order_of_an_epoch_is_the_documented_permutation(epoch):
    batches = Batches(ROWS, 4, seed=3)
    batches.epoch = epoch
    expected = np.random.default_rng([3, epoch]).permutation(10)
    np.testing.assert_array_equal(one_pass(batches), ROWS[expected])


def test_every_row_comes_once_and_other_seeds_and_epochs_differ():
    passes = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        batches = Batches(ROWS, 3, seed=seed)
        batches.epoch = epoch
        passes.append(one_pass(batches))
        np.testing.assert_array_equal(np.sort(passes[-1]), ROWS)
    assert not np.array_equal(passes[0], passes[1])
    assert not np.array_equal(passes[0], passes[2])


def test_random_access_does_not_depend_on_what_was_read_before():
    batches = Batches(ROWS, 4, seed=3)
    last_first = [batches[i] for i in (2, 0, 1)]
    np.testing.assert_array_equal(np.concatenate([last_first[1], last_first[2], last_first[0]]), one_pass(batches))


def test_no_shuffle_keeps_the_order():
    np.testing.assert_array_equal(one_pass(Batches(ROWS, 4, shuffle=False)), ROWS)


@pytest.mark.parametrize(("drop", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_the_remainder(drop, sizes):
    batches = Batches(ROWS, 4, drop_remainder=drop)
    assert [len(batch) for batch in batches] == sizes
    assert len(batches) == len(sizes)


def test_a_dict_keeps_rows_together_and_casts_the_value_alone():
    arrays = {
        "value": np.arange(6, dtype=np.uint8),
        "observed": np.arange(6) % 2 == 0,
        "conditional_input": {"speaker": np.arange(6, dtype=np.int32), "frames": np.arange(12.0).reshape(6, 2)},
    }
    batch = Batches(arrays, 6, seed=1)[0]
    assert batch["value"].dtype == np.float32
    assert batch["observed"].dtype == bool
    assert batch["conditional_input"]["speaker"].dtype == np.int32
    np.testing.assert_array_equal(batch["conditional_input"]["speaker"], batch["value"])
    np.testing.assert_array_equal(batch["conditional_input"]["frames"][:, 0], 2 * batch["value"])
    assert batch["value"].tolist() != list(range(6))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_and_booleans_become_float32_in_the_batch_only(dtype):
    batches = Batches(np.ones([4, 2], dtype), 2)
    assert batches[0].dtype == np.float32
    assert batches.arrays.dtype == dtype


def test_float64_rows_keep_their_type():
    assert Batches(np.ones([4], np.float64), 2)[0].dtype == np.float64


@pytest.mark.parametrize("workers", [1, 3])
def test_fit_sees_epoch_after_epoch_in_the_documented_orders(workers):
    batches = Batches(ROWS, 4, seed=5, workers=workers)
    seen = fit(batches, epochs=3)
    for epoch, rows in enumerate(seen):
        np.testing.assert_array_equal(rows, ROWS[np.random.default_rng([5, epoch]).permutation(10)])
    assert batches.epoch == 3


def test_a_resumed_run_shuffles_as_an_unbroken_one():
    unbroken = fit(Batches(ROWS, 4, seed=5), epochs=4)
    fit(Batches(ROWS, 4, seed=5), epochs=2)
    resumed = Batches(ROWS, 4, seed=5)
    resumed.epoch = 2
    np.testing.assert_array_equal(fit(resumed, epochs=2), unbroken[2:])


def test_a_second_fit_goes_on_and_validation_does_not_count():
    batches = Batches(ROWS, 4, seed=5)
    valid = Batches(ROWS, 4, shuffle=False)
    first, second = fit(batches, 1, validation_data=valid)[0], fit(batches, 1, validation_data=valid)[0]
    assert batches.epoch == 2
    np.testing.assert_array_equal(first, ROWS[batches.order(0)])
    np.testing.assert_array_equal(second, ROWS[batches.order(1)])


def test_fit_takes_a_dict():
    assert sorted(fit(Batches({"value": ROWS}, 5), epochs=1)[0]) == ROWS.tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"value": ROWS, "observed": ROWS[:4]}, r"one length N.*observed \[4\], value \[10\]"),
        (np.float32(1.0), r"one length N of at least 1; received x \[\]"),
        (ROWS[:0], r"at least 1; received x \[0\]"),
        ({}, "received none"),
    ],
)
def test_bad_lengths_say_what_came(arrays, message):
    with pytest.raises(ValueError, match=message):
        Batches(arrays, 2)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "8"])
def test_bad_batch_sizes(size):
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1; received"):
        Batches(ROWS, size)


def test_bad_seed_epoch_index_and_a_batch_that_is_never_whole():
    with pytest.raises(ValueError, match="seed must be an integer of at least 0; received -1"):
        Batches(ROWS, 2, seed=-1)
    with pytest.raises(ValueError, match="epoch must be an integer of at least 0; received -2"):
        Batches(ROWS, 2).epoch = -2
    with pytest.raises(IndexError, match=r"\[0, 5\); received 5"):
        Batches(ROWS, 2)[5]
    with pytest.raises(ValueError, match=r"whole batch of 11 rows.*received 10 rows"):
        Batches(ROWS, 11, drop_remainder=True)
