"""MirroredStrategy over two logical CPUs against one device; exits with an AssertionError if they differ."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import tfar  # noqa: E402
from tfar.training import DensityModel  # noqa: E402

rng = np.random.default_rng(0)


def train(strategy, num_rows, weighted, num_masks):
    rows = rng_rows[:num_rows]
    with strategy.scope() if strategy else contextlib.nullcontext():
        dist = tfar.MADE([6], [8], num_masks=num_masks, num_eval_masks=2, order="random", jit_compile=False)
        model = DensityModel(dist, seed=2)
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False if strategy is None else "auto")
    weight = np.arange(num_rows) % 3 if weighted else None
    history = model.fit(rows, sample_weight=weight, batch_size=8, epochs=2, verbose=0, validation_data=rows)
    losses = {name: np.array(values) for name, values in history.history.items()}
    predicted = model.predict(rows, batch_size=8, verbose=0)
    return losses, [np.asarray(v) for v in dist.variables], predicted, model


rng_rows = rng.integers(0, 2, (27, 6)).astype(np.float32)
for case in [(24, False, 1), (27, True, None), (25, False, 3)]:
    one, two = train(None, *case), train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), *case)
    assert two[3].distribute_strategy.num_replicas_in_sync == 2 and not two[3].jit_compile
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=f"weights of {case}")
    assert sorted(one[0]) == sorted(two[0])
    for name, values in one[0].items():
        np.testing.assert_allclose(values, two[0][name], rtol=1e-4, err_msg=f"{name} of {case}")
    np.testing.assert_allclose(one[2], two[2], rtol=1e-4, err_msg=f"predictions of {case}")
print("equal")
