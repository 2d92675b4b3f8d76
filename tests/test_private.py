"""The private interfaces of TensorFlow and Keras that tfar uses do what it relies on."""

import keras
import numpy as np
import tensorflow as tf

from tfar import private


def test_call_concrete_returns_the_structure_of_the_function():
    weight = tf.Variable(2.0)
    function = tf.function(lambda x: {"a": x * weight, "b": (x, x + 1.0)}).get_concrete_function(tf.TensorSpec([2]))
    found = private.call_concrete(function, [tf.constant([1.0, 2.0])])
    np.testing.assert_array_equal(found["a"], [2.0, 4.0])
    np.testing.assert_array_equal(found["b"][1], [2.0, 3.0])
    weight.assign(3.0)
    np.testing.assert_array_equal(private.call_concrete(function, [tf.constant([1.0, 2.0])])["a"], [3.0, 6.0])


def test_is_recorded_sees_tapes_and_accumulators():
    x = tf.constant(1.0)
    assert not private.is_recorded()
    with tf.GradientTape():
        assert private.is_recorded()
    with tf.autodiff.ForwardAccumulator(x, x):
        assert private.is_recorded()
    assert not private.is_recorded()


def test_without_recording_hides_operations_from_a_tape():
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        with private.without_recording():
            hidden = x * x
        seen = x * 3.0 + hidden
    assert float(tape.gradient(seen, x)) == 3.0


def test_layers_of_finds_layers_in_lists_and_inside_layers():
    inner = keras.layers.Dense(2)

    class Outer(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [keras.Sequential([inner])]

    outer = Outer()
    assert private.layers_of(outer, recursive=False) == outer.parts
    assert inner in private.layers_of(outer)


def test_keras_writes_to_a_named_buffer(tmp_path):
    """What `private.saved_bytes` relies on: the bytes are those of a file that Keras writes itself."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for ending, save in ((".weights.h5", model.save_weights), (".keras", model.save)):
        content = private.saved_bytes(save, ending)
        path = tmp_path / f"a{ending}"
        path.write_bytes(content)
        kernel = np.asarray(model.layers[0].kernel)
        model.layers[0].kernel.assign(kernel + 1.0)
        model.load_weights(path)
        np.testing.assert_array_equal(model.layers[0].kernel, kernel)


def test_keras_begins_where_a_callback_says():
    """What `private.set_initial_epoch` relies on, with a model that is Keras's alone."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    begin = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: private.set_initial_epoch(model, 2))
    assert private.initial_epoch(model) == 0
    assert model.fit(np.zeros([2, 2]), np.zeros([2, 1]), epochs=4, verbose=0, callbacks=[begin]).epoch == [2, 3]
    assert private.initial_epoch(model) == 2
    private.set_initial_epoch(model, 0)
    assert model.fit(np.zeros([2, 2]), np.zeros([2, 1]), epochs=1, verbose=0).epoch == [0]


def test_a_built_model_needs_no_mean_of_bools_over_replicas():
    class Model(private.Built):
        def __init__(self):
            super().__init__()
            self.scale, self.built = self.add_weight(shape=(), initializer="ones"), True

        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self.scale * tf.cast(data[0], tf.float32))
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights, strict=True)
            )
            return {"loss": loss}

    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        model = Model()
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    model.fit(tf.data.Dataset.from_tensor_slices([True, True, False, False]).batch(4), shuffle=False, verbose=0)
    assert model.optimizer.built and float(np.asarray(model.scale.value)) != 1.0


def test_num_batches_counts_those_whose_gradients_are_accumulated():
    variable, gradient = keras.Variable([1.0]), tf.constant([1.0])
    inner = keras.optimizers.SGD(gradient_accumulation_steps=2)
    for optimizer in (inner, keras.optimizers.LossScaleOptimizer(inner)):
        assert int(private.num_batches(optimizer)) == 0
    for _ in range(3):
        inner.apply([gradient], [variable])
    for optimizer in (inner, keras.optimizers.LossScaleOptimizer(inner)):
        assert int(private.num_batches(optimizer)) == 3
    assert int(inner.iterations) == 1
