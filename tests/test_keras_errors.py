"""An error inside a call of Keras begins with its own message, and Keras adds what it knows about the call once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar

WRAPPINGS = ("Exception encountered when calling", "in user code", "\x1b")


class Failing(keras.layers.Layer):
    """A layer of a user, with an error of the user."""

    def call(self, x):
        raise ValueError("the user's sentence")


class Nested(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = Failing()

    def call(self, x):
        return self.inner(x)


def model(**arguments):
    made = tfar.training.DensityModel(tfar.MADE([4], [8], **arguments))
    made.compile("adam")
    return made


def stream(rows):
    return tf.data.Dataset.from_tensor_slices(rows).batch(4)


def own(network, **arguments):
    return tfar.Autoregressive(network, tfar.heads.Bernoulli(), event_shape=[4], **arguments)


FIVE, HALVES = np.ones([8, 5], np.float32), np.full([8, 4], 0.5, np.float32)
CASES = {
    "log_prob": (
        lambda: tfar.MADE([4], [8]).log_prob(FIVE),
        "Expected `value` to have shape [..., 4]; received [8, 5]",
    ),
    "network": (lambda: tfar.MADE([4], [8]).network(FIVE), "Expected `x` of shape [B, 4]; received [8, 5]."),
    "network without its condition": (
        lambda: tfar.MADE([4], [8], conditional_shape=[2]).network(tf.zeros([3, 4])),
        "Expected a `conditional_input` of shape (2,) a row; received None.",
    ),
    "call of a model": (lambda: model()(FIVE), "Expected `value` to have shape [..., 4]; received [8, 5]."),
    "fit, arrays": (lambda: model().fit(FIVE, verbose=0), "Expected rows of shape [N, 4]; received"),
    "fit, stream": (lambda: model().fit(stream(FIVE), verbose=0), "Expected `value` to have shape [..., 4]; received"),
    "fit, values": (lambda: model().fit(HALVES, verbose=0), "Expected values in the support of Bernoulli"),
    "fit, values of a stream": (
        lambda: model().fit(stream(HALVES), verbose=0),
        "Expected values in the support of Bernoulli",
    ),
    "fit without the condition": (
        lambda: model(conditional_shape=[2]).fit(FIVE[:, :4], verbose=0),
        "Expected a `conditional_input` of shape",
    ),
    "train_on_batch": (lambda: model().train_on_batch(FIVE), "Expected `value` to have shape [..., 4]; received"),
    "evaluate": (
        lambda: model().evaluate(stream(FIVE), verbose=0),
        "Expected `value` to have shape [..., 4]; received",
    ),
    "predict": (lambda: model().predict(stream(FIVE), verbose=0), "Expected `value` to have shape [..., 4]; received"),
    "own network, output": (lambda: own(keras.layers.Dense(7)), "Expected the network to give 4 sites x 1 parameters"),
    "own network, input": (
        lambda: own(keras.Sequential([keras.Input([5]), keras.layers.Dense(4)])),
        "Input 0 with name",
    ),
    "own network, condition": (
        lambda: own(keras.layers.Dense(4), conditional_shape=[2]),
        "Expected a network `f(x, conditional_input)`",
    ),
    "own network, its own error": (lambda: own(Nested()), "the user's sentence"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_message_comes_first_and_once(name):
    call, beginning = CASES[name]
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(beginning)
    assert not [part for part in WRAPPINGS if part in message]
    assert message.count("with the arguments") <= 1


def test_the_innermost_call_is_named_with_its_arguments():
    with pytest.raises(
        ValueError, match=r"\n\nRaised in Failing\.call\(\) with the arguments:\n  • x=tf\.Tensor\(shape=\(1, 4\)"
    ):
        own(Nested())


def test_an_error_of_tensorflow_keeps_its_type_and_code():
    reshape = keras.layers.Lambda(lambda x: tf.reshape(x, [3, 3]))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        own(reshape)
    assert "Input to reshape is a tensor with 4 values" in caught.value.message.splitlines()[0]
    assert caught.value.error_code == tf.errors.INVALID_ARGUMENT
    assert not [part for part in WRAPPINGS if part in caught.value.message]


def test_a_network_works_in_a_graph_with_autograph():
    made = tfar.MADE([4], [8])
    x = tf.constant([[0.0, 1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(tf.function(lambda x: made.network(x))(x), made.network(x))
