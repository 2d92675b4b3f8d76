"""Tables, TensorBoard records and pictures of a run."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tfar.training import logs, run_folder


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def started(callback: Any, first_epoch: int, dist: Any = None) -> Any:
    """A callback in a run that begins at an epoch."""
    callback.set_model(SimpleNamespace(dist=dist))
    callback.on_train_begin()
    if isinstance(callback, run_folder.Resumable):
        callback.restore(None, first_epoch)
    return callback


def test_metrics_have_a_row_for_each_epoch(tmp_path: Path) -> None:
    log = started(logs.MetricsLog(tmp_path / "metrics.csv"), 0)
    log.on_epoch_end(0, {"loss": 0.1, "val_nll": np.float32(2.5)})
    log.on_epoch_end(1, {"loss": 1 / 3, "val_nll": np.float32(2.0)})
    rows = read(tmp_path / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert list(rows[0]) == ["epoch", "loss", "val_nll"]
    assert float(rows[1]["loss"]) == 1 / 3


def test_a_resumed_run_drops_the_rows_it_writes_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = started(logs.MetricsLog(path), 0)
    for epoch in range(4):
        log.on_epoch_end(epoch, {"loss": float(epoch)})
    log = started(logs.MetricsLog(path), 2)
    log.on_epoch_end(2, {"loss": 20.0})
    assert [(row["epoch"], row["loss"]) for row in read(path)] == [("0", "0.0"), ("1", "1.0"), ("2", "20.0")]


def test_a_new_run_replaces_the_table(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,loss\n0,1.0\n1,1.0\n")
    started(logs.MetricsLog(path), 0).on_epoch_end(0, {"loss": 7.0})
    assert [row["loss"] for row in read(path)] == ["7.0"]


def events(folder: Path) -> list[Any]:
    records = [r for path in folder.glob("events*") for r in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    return [v for record in records for v in tf.compat.v1.Event.FromString(record).summary.value]


def test_the_board_gets_metrics_by_run(tmp_path: Path) -> None:
    log = started(logs.BoardLog(tmp_path), 0)
    log.on_epoch_end(0, {"loss": 3.0, "val_nll": 2.0})
    log.on_train_end()
    (train,), (valid,) = events(tmp_path / "train"), events(tmp_path / "validation")
    assert (train.tag, float(tf.make_ndarray(train.tensor))) == ("loss", 3.0)
    assert (valid.tag, valid.metadata.plugin_data.plugin_name) == ("nll", "scalars")


@pytest.mark.parametrize("shape", few_by_default([((8, 6),), ((8, 6, 1),), ((8, 6, 3),)]))
def test_sample_grids_are_pictures_of_samples(tmp_path: Path, shape: tuple[int, ...]) -> None:
    dist = tfar.MADE(event_shape=shape, hidden_units=[4])
    callback = started(logs.SampleGrid(tmp_path, num_samples=5, every=2, pictures=tmp_path / "pictures"), 0, dist)
    callback.on_epoch_end(0)
    callback.on_epoch_end(1)
    callback.on_train_end()
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["epoch-0002.png"]
    png = (tmp_path / "pictures" / "epoch-0002.png").read_bytes()
    top = dist.head.support().num_values - 1
    np.testing.assert_array_equal(tf.io.decode_png(png), logs.grid(np.asarray(dist.sample(5, seed=0)), top))
    (value,) = events(tmp_path / "samples")
    assert (value.tag, value.metadata.plugin_data.plugin_name) == ("samples", "images")
    assert tf.make_ndarray(value.tensor)[2] == png


def test_sample_grids_refuse_what_is_no_image(tmp_path: Path) -> None:
    dist = tfar.MADE(event_shape=[6], hidden_units=[4])
    with pytest.raises(ValueError, match=r"Expected events of shape \(H, W\).*received \(6,\)"):
        started(logs.SampleGrid(tmp_path), 0, dist)
    with pytest.raises(ValueError, match="`num_samples` to be an int of at least 1; received 0"):
        logs.SampleGrid(tmp_path, num_samples=0)


@pytest.mark.slow(ci=True)
def test_samples_are_kept_after_the_chosen_epochs() -> None:
    dist = tfar.MADE(event_shape=[2, 3], hidden_units=[8])
    history = logs.SampleHistory(epochs=[0, 1, 3], num_samples=4, seed=5)
    drawn, model = [np.asarray(dist.sample(4, seed=5))], tfar.training.DensityModel(dist)
    model.compile(optimizer=keras.optimizers.Adam(0.5))
    after_each = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: drawn.append(np.asarray(dist.sample(4, seed=5)))
    )
    rows = np.ones([40, 2, 3], np.float32)
    model.fit(rows, epochs=4, verbose=0, callbacks=[history, after_each])
    assert list(history.samples) == [0, 1, 3]
    for epoch, samples in history.samples.items():
        np.testing.assert_array_equal(samples, drawn[epoch])
    assert not np.array_equal(drawn[0], drawn[3])
    model.fit(rows, initial_epoch=4, epochs=5, verbose=0, callbacks=[history])
    assert list(history.samples) == [0, 1, 3]
    model.fit(rows, epochs=1, verbose=0, callbacks=[history])
    assert list(history.samples) == [0, 1]


def test_samples_of_a_batch_of_conditions_are_one_list() -> None:
    dist = tfar.MADE(event_shape=[4], hidden_units=[4], conditional_shape=[2])
    history = started(logs.SampleHistory([0], 3, conditional_input=np.eye(2, dtype=np.float32)), 0, dist)
    history.on_epoch_begin(0)
    assert history.samples[0].shape == (6, 4)
    expected = np.asarray(dist.sample(3, seed=0, conditional_input=np.eye(2, dtype=np.float32)))
    np.testing.assert_array_equal(history.samples[0][2:4], expected[1])


@pytest.mark.parametrize("arguments", [{"epochs": []}, {"epochs": [3, -1]}, {"epochs": [1], "num_samples": 0}])
def test_sample_histories_refuse_what_they_cannot_draw(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Expected `(epochs|num_samples)`"):
        logs.SampleHistory(**arguments)


def test_a_grid_shows_every_image_once() -> None:
    images = np.arange(1, 6)[:, None, None] * np.ones([5, 40, 40])
    picture = logs.grid(images, top=5.0)
    assert picture.shape == (2 * 42 + 2, 3 * 42 + 2, 1)
    shades, counts = np.unique(picture, return_counts=True)
    assert (
        dict(zip(shades.tolist(), counts.tolist(), strict=True)).items() >= {51 * k: 1600 for k in range(1, 6)}.items()
    )
