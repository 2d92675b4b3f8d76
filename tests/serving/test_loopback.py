"""The parts of the small server that no request shows."""

import threading

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="the server needs tensorflow-serving-api")
import grpc
from google.protobuf import text_format

from tests.serving.loopback import batching, config, json_tensors
from tests.serving.loopback.status import Refused


class Doubler:
    """A model of one input, which keeps the sizes of its batches."""

    def __init__(self):
        self.sizes = []

    def __call__(self, feeds, fetch):
        self.sizes.append(len(feeds["x"]))
        return 2.0 * feeds["x"]


def ask_at_once(queues, values):
    answers = [None] * len(values)

    def ask(index):
        try:
            answers[index] = queues.run({"x": values[index]}, "y")
        except Refused as error:
            answers[index] = error

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(values))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_requests_are_merged_and_each_gets_its_rows():
    model = Doubler()
    values = [np.full([1 + index % 3, 2], float(index)) for index in range(20)]
    answers = ask_at_once(batching.Queues(model, batching.Parameters(timeout=0.2)), values)
    for value, answer in zip(values, answers, strict=True):
        np.testing.assert_array_equal(answer, 2.0 * value)
    assert len(model.sizes) < len(values) and sum(model.sizes) == sum(map(len, values))


def test_large_requests_are_split_and_larger_ones_refused():
    model = Doubler()
    queues = batching.Queues(model, batching.Parameters(max_rows=10, max_batch=4))
    np.testing.assert_array_equal(queues.run({"x": np.arange(10.0)}, "y"), 2.0 * np.arange(10.0))
    assert model.sizes == [4, 4, 2]
    with pytest.raises(Refused, match="larger than maximum input batch size"):
        queues.run({"x": np.arange(11.0)}, "y")


def test_one_request_of_another_shape_fails_its_batch():
    values = [np.zeros([1, 2]), np.zeros([1, 3])]
    answers = ask_at_once(batching.Queues(Doubler(), batching.Parameters(timeout=0.5)), values)
    assert [answer.code for answer in answers] == [grpc.StatusCode.FAILED_PRECONDITION] * 2


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"x": np.zeros([])}, "at least one dimension"),
        ({"x": np.zeros([2]), "y": np.zeros([3])}, "equal 0th-dimension size"),
    ],
)
def test_what_cannot_be_batched_is_refused(feeds, message):
    with pytest.raises(Refused, match=message):
        batching.Queues(Doubler(), batching.Parameters()).run(feeds, "y")


def test_numbers_are_written_as_tensorflow_serving_writes_them():
    numbers = [0.2, 1.0, -3.0, 9e6, 3e-5, 1 / 3, np.nan, np.inf, -np.inf]
    texts = ["0.2", "1.0", "-3.0", "9e+06", "3e-05", "0.333333343", "NaN", "Infinity", "-Infinity"]
    assert [json_tensors.decimal(np.float32(number)) for number in numbers] == texts


def test_a_misspelt_parameter_is_an_error(tmp_path):
    path = tmp_path / "batching.txt"
    path.write_text("max_batch_sizes { value: 8 }")
    with pytest.raises(text_format.ParseError, match="max_batch_sizes"):
        config.parameters(path)
    path.write_text("max_batch_size { value: 8 } batch_timeout_micros { value: 500 }")
    assert config.parameters(path) == batching.Parameters(8, 8, 5e-4)
    path.write_text("max_batch_size { value: 8 } enable_large_batch_splitting { value: true }")
    path.write_text(path.read_text() + "max_execution_batch_size { value: 9 }")
    with pytest.raises(ValueError, match="9 > 8"):
        config.parameters(path)
