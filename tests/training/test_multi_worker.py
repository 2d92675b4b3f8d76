"""Several workers against one process, and the loop of its own against `fit`."""

import json
import socket

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar.training import DensityModel, fit_multi_worker


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def run_workers(start_script, finish, tmp_path):
    def run(name, backup="", epochs=3):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        processes, results = [], []
        for index in range(2):
            config = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
            results.append(tmp_path / f"{name}-{index}.npz")
            processes.append(
                start_script(
                    "multi_worker_script.py", results[-1], backup, epochs, TF_CONFIG=config, GRPC_VERBOSITY="ERROR"
                )
            )
        try:
            for process in processes:
                finish(process)
        finally:
            for process in processes:
                process.kill()
        return [dict(np.load(result)) for result in results]

    return run


def weights(result):
    return [result[str(i)] for i in range(sum(name.isdigit() for name in result))]


def assert_same(left, right, atol):
    assert len(weights(left)) == len(weights(right)) >= 3
    for a, b in zip(weights(left), weights(right), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)
    np.testing.assert_allclose(left["log_prob"], right["log_prob"], rtol=1e-4)


@pytest.mark.slow(ci=True)
@pytest.mark.timeout(600)
def test_two_workers_equal_one_process(run_workers, start_script, finish, tmp_path):
    """26 rows in global batches of 8: the second worker has no share of the last batch."""
    alone = start_script("multi_worker_script.py", tmp_path / "alone.npz")
    first, second = run_workers("two")
    finish(alone)
    alone = np.load(tmp_path / "alone.npz")
    assert first["replicas"] == second["replicas"] == 2 and alone["replicas"] == 1
    assert_same(first, second, 0.0)
    assert_same(first, dict(alone), 1e-5)
    losses = [json.loads(str(r["history"]))["loss"] for r in (first, second, alone)]
    assert losses[0] == losses[1] and len(losses[0]) == 3
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_go_on_from_the_backup_of_the_first(run_workers, tmp_path):
    unbroken, _ = run_workers("unbroken")
    backup = tmp_path / "backup"
    run_workers("first-epochs", backup, 2)
    assert json.loads((backup / "journal.json").read_text())["epoch"] == 2
    first, second = run_workers("resumed", backup, 3)
    assert sorted(p.name for p in backup.iterdir()) == ["epoch-3.weights.h5", "journal.json"]
    assert len(json.loads(str(first["history"]))["loss"]) == 1
    assert_same(first, second, 0.0)
    assert_same(first, unbroken, 1e-6)


# In one process -------------------------------------------------------------------------------------------------------


def make_dist():
    return tfar.MADE([6], [8], num_masks=None, num_eval_masks=2, order="random", jit_compile=False)


@pytest.fixture
def make_dataset(rows):
    def make(context, epoch):
        order = tfar.random.numpy_generator(4, tfar.random.Stream.SHUFFLING, epoch).permutation(len(rows))
        return tf.data.Dataset.from_tensor_slices(rows[order]).batch(context.get_per_replica_batch_size(16))

    return make


@pytest.fixture
def run(make_dataset):
    def run(epochs, **kwargs):
        return fit_multi_worker(
            make_dist, make_dataset, strategy=tf.distribute.get_strategy(), epochs=epochs, seed=4, **kwargs
        )

    return run


@pytest.mark.slow(ci=True)
def test_equals_fit(run, rows):
    """Batches shuffles by (seed, epoch) in the same way as the dataset here."""
    history = run(3, optimizer=keras.optimizers.Adam(0.01))
    model = DensityModel(make_dist(), seed=4)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    fitted = model.fit(rows, batch_size=16, epochs=3, verbose=0)
    np.testing.assert_allclose(history.history["loss"], fitted.history["loss"], rtol=1e-5)
    for a, b in zip(history.model.dist.variables, model.dist.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow(ci=True)
def test_a_resumed_run_equals_an_unbroken_one(run, tmp_path):
    unbroken = run(4)
    assert len(run(2, backup_dir=tmp_path).history["loss"]) == 2
    resumed = run(4, backup_dir=tmp_path)
    assert resumed.history["loss"] == unbroken.history["loss"][2:]
    assert "loss" not in run(4, backup_dir=tmp_path).history
    for a, b in zip(resumed.model.dist.variables, unbroken.model.dist.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_callbacks_are_told_and_may_stop(run):
    seen = []

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, sorted(logs)))
            self.model.stop_training = epoch == 1

    assert len(run(5, callbacks=[Stop()]).history["loss"]) == 2
    assert seen == [(0, ["loss"]), (1, ["loss"])]


def test_bad_arguments_are_refused(run, make_dataset):
    with pytest.raises(ValueError, match="strategy"):
        fit_multi_worker(make_dist, make_dataset, strategy=None, epochs=1)
    with pytest.raises(ValueError, match="epochs"):
        run(0)
    with pytest.raises(ValueError, match="at least one batch"):
        empty = lambda context, epoch: tf.data.Dataset.from_tensor_slices(np.zeros([0, 6], np.float32)).batch(2)  # noqa: E731
        fit_multi_worker(make_dist, empty, strategy=tf.distribute.get_strategy(), epochs=1)


def test_a_distribution_that_awaits_data_is_initialised_as_by_fit():
    """Units of the data, without which a model of values near 1000 begins far from them."""
    rows = (1000.0 + 0.01 * np.random.default_rng(0).normal(size=[20, 2])).astype(np.float32)
    dataset = lambda context, epoch: tf.data.Dataset.from_tensor_slices(rows).batch(10)  # noqa: E731
    make = lambda: tfar.RNADE([2], 4, jit_compile=False)  # noqa: E731
    strategy, expected = tf.distribute.get_strategy(), make()
    found = fit_multi_worker(make, dataset, strategy=strategy, epochs=1, optimizer=keras.optimizers.SGD(0.0)).model.dist
    expected.initialize(rows)
    assert not found.awaits_data
    for a, b in zip(found.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(a, b)
