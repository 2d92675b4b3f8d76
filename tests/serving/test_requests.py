"""Requests that a server refuses, each with its status; a server that has refused answers right."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="the clients need tensorflow-serving-api")
import grpc
import grpc_client
import rest_client
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

# They share servers and exported models, which take long to make.
pytestmark = pytest.mark.slow(ci=True)
INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
VALUE = np.zeros([2, 4], np.float32)
CONDITION = np.zeros([2, 2], np.float32)
SEED = np.zeros([2, 2], np.int32)


def request_of(signature="log_prob", model="table", version=None, **inputs):
    """A PredictRequest; by default a good one of `table`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].dtype = {"f": 1, "d": 2, "i": 3, "l": 9, "?": 10}[value.dtype.char]
        request.inputs[name].tensor_content = value.tobytes()
        for size in value.shape:
            request.inputs[name].tensor_shape.dim.add(size=size)
    return request


def good():
    return request_of(value=VALUE, conditional_input=CONDITION)


def changed(change):
    request = good()
    change(request)
    return request


REQUESTS = {
    "no model": (changed(lambda r: r.ClearField("model_spec")), INVALID),
    "empty name": (changed(lambda r: r.model_spec.ClearField("name")), INVALID),
    "unknown model": (request_of(model="absent"), NOT_FOUND),
    "unknown version": (request_of(version=2), NOT_FOUND),
    "unknown label": (changed(lambda r: setattr(r.model_spec, "version_label", "canary")), INVALID),
    "unknown signature": (request_of("draw", value=VALUE), grpc.StatusCode.FAILED_PRECONDITION),
    "missing input": (request_of(value=VALUE), INVALID),
    "no input": (request_of(), INVALID),
    "extra input": (request_of(value=VALUE, conditional_input=CONDITION, seed=SEED), INVALID),
    "other name": (request_of(value=VALUE, condition=CONDITION), INVALID),
    "double": (request_of(value=VALUE.astype(np.float64), conditional_input=CONDITION), INVALID),
    "int for float": (request_of(value=VALUE.astype(np.int32), conditional_input=CONDITION), INVALID),
    "int64 seed": (request_of("sample", seed=SEED.astype(np.int64), conditional_input=CONDITION), INVALID),
    "bool observed": (
        request_of("complete", value=VALUE, observed=VALUE > 0, seed=SEED, conditional_input=CONDITION),
        INVALID,
    ),
    "string": (changed(lambda r: setattr(r.inputs["value"], "dtype", 7)), INVALID),
    "unknown type": (changed(lambda r: setattr(r.inputs["value"], "dtype", 0)), INVALID),
    "bare event": (request_of(value=VALUE[0], conditional_input=CONDITION), INVALID),
    "long event": (request_of(value=np.zeros([2, 5], np.float32), conditional_input=CONDITION), INVALID),
    "two events in a row": (request_of(value=np.zeros([1, 8], np.float32), conditional_input=CONDITION), INVALID),
    "transposed": (request_of(value=VALUE.T.copy(), conditional_input=CONDITION), INVALID),
    "another axis": (request_of(value=VALUE[..., None], conditional_input=CONDITION), INVALID),
    "one condition for two rows": (request_of(value=VALUE, conditional_input=CONDITION[:1]), INVALID),
    "one row for two conditions": (request_of(value=VALUE[:1], conditional_input=CONDITION), INVALID),
    "one seed for two rows": (request_of("sample", seed=SEED[:1], conditional_input=CONDITION), INVALID),
    "scalar seed": (request_of("sample", seed=SEED[0, 0], conditional_input=CONDITION), INVALID),
    "bytes are missing": (changed(lambda r: setattr(r.inputs["value"], "tensor_content", b"1234")), INVALID),
    "negative size": (changed(lambda r: setattr(r.inputs["value"].tensor_shape.dim[0], "size", -2)), INVALID),
    "unknown output": (changed(lambda r: r.output_filter.append("value")), INVALID),
    "output twice": (changed(lambda r: r.output_filter.extend(["log_prob"] * 2)), INVALID),
}

TWO = '"value": [[0, 0, 0, 0]], "conditional_input": [[0, 0]]'
ROW = '{"value": [0, 0, 0, 0], "conditional_input": [0, 0]}'
BODIES = {
    "nothing": "",
    "no JSON": "{]",
    "not closed": f'{{"instances": [{ROW}]',
    "no object": f"[{ROW}]",
    "neither form": "{}",
    "both forms": f'{{"instances": [{ROW}], "inputs": {{{TWO}}}}}',
    "no rows": '{"instances": []}',
    "rows of nothing": '{"instances": 5}',
    "signature is no string": f'{{"signature_name": 5, "instances": [{ROW}]}}',
    "unknown signature": f'{{"signature_name": "draw", "instances": [{ROW}]}}',
    "missing input in a row": '{"instances": [{"value": [0, 0, 0, 0]}]}',
    "missing input in columns": '{"inputs": {"value": [[0, 0, 0, 0]]}}',
    "extra input in a row": f'{{"instances": [{ROW[:-1]}, "seed": [0, 0]}}]}}',
    "plain rows of two inputs": '{"instances": [[0, 0, 0, 0]]}',
    "plain columns of two inputs": '{"inputs": [[0, 0, 0, 0]]}',
    "a list among objects": f'{{"instances": [{ROW}, [0, 0, 0, 0]]}}',
    "rows of two lengths": f'{{"instances": [{ROW}, {ROW.replace("[0, 0, 0, 0]", "[0, 0, 0]")}]}}',
    "ragged columns": '{"inputs": {"value": [[0, 0, 0, 0], [0]], "conditional_input": [[0, 0], [0, 0]]}}',
    "deeper than it began": '{"inputs": {"value": [[0, 0, 0, [0]]], "conditional_input": [[0, 0]]}}',
    "null": f'{{"inputs": {{{TWO.replace("0, 0]]", "0, null]]")}}}}}',
    "text": f'{{"inputs": {{{TWO.replace("0, 0]]", "0, ~]]").replace("~", chr(34) + "0" + chr(34))}}}}}',
    "true": f'{{"inputs": {{{TWO.replace("0, 0]]", "0, true]]")}}}}}',
    "float seed": '{"signature_name": "sample", "inputs": {"seed": [[1.0, 2]], "conditional_input": [[0, 0]]}}',
    "seed beyond 32 bits": (
        '{"signature_name": "sample", "inputs": {"seed": [[1, 2147483648]], "conditional_input": [[0, 0]]}}'
    ),
    "long event": '{"inputs": {"value": [[0, 0, 0, 0, 0]], "conditional_input": [[0, 0]]}}',
    "two events in a row": '{"inputs": {"value": [[0, 0, 0, 0, 0, 0, 0, 0]], "conditional_input": [[0, 0]]}}',
    "rows differ": '{"inputs": {"value": [[0, 0, 0, 0], [0, 0, 0, 0]], "conditional_input": [[0, 0]]}}',
    "number too big": f'{{"inputs": {{{TWO.replace("0, 0]]", "0, 1e999]]")}}}}}',
}
PATHS = {
    "/v1/models/absent": ("GET", 404),
    "/v1/models/table/versions/2": ("GET", 404),
    "/v1/models/absent/metadata": ("GET", 404),
    "/v1/models/table/nothing": ("GET", 400),
    "/v1/models/absent:predict": ("POST", 404),
    "/v1/models/table/versions/2:predict": ("POST", 404),
    "/v1/models/table/versions/99999999999999999999:predict": ("POST", 400),
    "/v1/models/table:draw": ("POST", 400),
    "/v1/models/table:predict": ("PUT", 400),
    "/v1/models/table": ("POST", 400),
    "/v2/models/table": ("GET", 404),
    "/": ("GET", 404),
}


@pytest.fixture(scope="module")
def predict(server):
    """Sends a PredictRequest as it stands."""
    channel = grpc.insecure_channel(server.grpc)
    yield prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
    channel.close()


@pytest.fixture
def answers_right(server, exported):
    """Checks after the test that the server answers."""
    yield
    expected = exported["table"].dist.log_prob(VALUE, conditional_input=CONDITION)
    for transport in ("grpc", "rest"):
        answer = server.client(transport, "table").predict({"value": VALUE, "conditional_input": CONDITION})
        np.testing.assert_allclose(answer, expected, rtol=1e-5)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in REQUESTS.items()])
def test_a_refused_request_has_its_status(predict, answers_right, case):
    request, code = case
    with pytest.raises(grpc.RpcError) as caught:
        predict(request)
    assert caught.value.code() is code, caught.value.details()
    assert caught.value.details()


def test_a_good_request_is_answered_and_outputs_can_be_chosen(predict):
    response = predict(good())
    assert list(response.outputs) == ["log_prob"]
    assert (response.model_spec.name, response.model_spec.version.value) == ("table", 1)
    chosen = predict(changed(lambda r: r.output_filter.append("log_prob")))
    assert chosen.outputs["log_prob"] == response.outputs["log_prob"]
    unnamed = predict(changed(lambda r: r.model_spec.ClearField("signature_name")))
    assert unnamed.model_spec.signature_name == "serving_default"


def test_values_may_be_listed_and_the_last_one_repeats(predict):
    def listed(request):
        request.inputs["value"].tensor_content = b""
        request.inputs["value"].float_val.extend([1.0, 2.0])

    full = np.array([[1, 2, 2, 2], [2, 2, 2, 2]], np.float32)
    expected = predict(request_of(value=full, conditional_input=CONDITION)).outputs["log_prob"]
    np.testing.assert_allclose(
        grpc_client.from_proto(predict(changed(listed)).outputs["log_prob"]),
        grpc_client.from_proto(expected),
        rtol=1e-6,
    )


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in BODIES.items()])
def test_a_refused_body_is_a_bad_request(server, answers_right, body):
    with pytest.raises(rest_client.RequestError) as caught:
        server.client("rest", "table").request("POST", "/v1/models/table:predict", body.encode())
    assert caught.value.status == 400, caught.value


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_nowhere(server, path):
    method, status = PATHS[path]
    body = json.dumps({"inputs": {"value": VALUE.tolist(), "conditional_input": CONDITION.tolist()}})
    with pytest.raises(rest_client.RequestError) as caught:
        server.client("rest", "table").request(method, path, None if method == "GET" else body.encode())
    assert caught.value.status == status, caught.value


def test_what_the_columns_add_is_ignored_and_what_follows_the_object_too(server):
    body = f'{{"inputs": {{{TWO}, "seed": 5}}}} and more'
    answer = server.client("rest", "table").request("POST", "/v1/models/table:predict", body.encode())
    assert len(answer["outputs"]) == 1
