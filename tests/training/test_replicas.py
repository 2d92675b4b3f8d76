"""Two replicas of which one has no rows in the last batch: the same training and the same reports as on one device."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.registry import MAIN, Case
from tfar.training import DensityModel, fit_multi_worker

ROWS, BATCH = 21, 20


def two_devices():
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def arrays(case: Case):
    parts = {"value": case.values(ROWS), "conditional_input": case.condition(ROWS)}
    return {name: part for name, part in parts.items() if part is not None}


def fitted(case: Case, strategy):
    with strategy.scope():
        model = DensityModel(case.make(), seed=4)
        model.compile(keras.optimizers.SGD(0.01))
    data = arrays(case)
    history = model.fit(data, validation_data=data, batch_size=BATCH, epochs=2, verbose=0).history
    predicted = model.predict(data, batch_size=BATCH, verbose=0)
    return history, [v.numpy() for v in model.dist.trainable_variables], predicted


@pytest.mark.by_default()
@pytest.mark.in_ci(*MAIN)
def test_a_replica_without_rows(case: Case) -> None:
    one, two = fitted(case, tf.distribute.get_strategy()), fitted(case, two_devices())
    for name in one[0]:
        np.testing.assert_allclose(one[0][name], two[0][name], rtol=1e-4, atol=1e-5, err_msg=name)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=5e-5)
    np.testing.assert_allclose(one[2], two[2], rtol=1e-3, atol=1e-4)


@pytest.mark.by_default()
@pytest.mark.in_ci(*MAIN)
def test_fit_multi_worker_with_a_replica_without_rows(case: Case) -> None:
    def make_dataset(context, epoch):
        return tf.data.Dataset.from_tensor_slices(arrays(case)).batch(context.get_per_replica_batch_size(BATCH))

    def losses(strategy):
        history = fit_multi_worker(
            case.make, make_dataset, strategy=strategy, epochs=2, optimizer=keras.optimizers.SGD(0.01)
        )
        return history.history["loss"]

    # Of three batches of 10, 10 and 1 rows, two replicas take two at a time: the last leaves the second replica none.
    np.testing.assert_allclose(losses(two_devices()), losses(tf.distribute.get_strategy()), rtol=1e-4, atol=1e-5)


def test_bools_and_replicas() -> None:
    """Keras takes the mean of a batch over the replicas to make variables, but there is none of bools."""
    rows = np.random.default_rng(0).integers(0, 2, (ROWS, 4)) > 0
    data = {"value": rows, "observed": np.tile([True, True, False, False], [ROWS, 1])}
    losses = []
    for strategy in (tf.distribute.get_strategy(), two_devices()):
        with strategy.scope():
            model = DensityModel(tfar.MADE([4], [8], jit_compile=False), seed=4)
            model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
        history = model.fit(data, validation_data=data, batch_size=BATCH, epochs=2, verbose=0).history
        losses.append([history["loss"], history["val_nll"], [model.evaluate(data, verbose=0, return_dict=True)["nll"]]])
    for one, two in zip(*losses, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
