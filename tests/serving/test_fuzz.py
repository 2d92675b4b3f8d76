"""Malformed requests, made by chance: each gets an error status, and the server goes on answering right."""

import copy
import json
from urllib.parse import quote

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

pytest.importorskip("tensorflow_serving", reason="the clients need tensorflow-serving-api")
import grpc
import load
import rest_client
from tensorflow_serving.apis import predict_pb2

NUM_REQUESTS = 1000
MODELS = ("binary", "table")
DTYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9, "bool": 10}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


class Target:
    """A server, good requests of its models and their answers."""

    def __init__(self, server):
        self.rest = server.client("rest", "binary")
        self.channel = grpc.insecure_channel(server.grpc)
        self.raw = self.channel.unary_unary(PREDICT)
        self.clients = {name: server.client("grpc", name) for name in MODELS}
        signatures = sorted(set(self.clients["binary"].signatures()) - {"serving_default"})
        self.cases = {
            name: {case.signature: case for case in load.prepare(client, signatures, num_rows=3)}
            for name, client in self.clients.items()
        }

    def check_answer(self, model, signature):
        """Sends a good request and compares with what its rows got alone."""
        case = self.cases[model][signature]
        answer = self.clients[model].predict(case.inputs, signature)
        assert not load.differs(signature, case.answers, answer).any()


@pytest.fixture(scope="module")
def target(server):
    target = Target(server)
    yield target
    target.channel.close()


def proto_of(model, signature, inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        tensor = request.inputs[name]
        tensor.dtype, tensor.tensor_content = DTYPES[value.dtype.name], value.tobytes()
        for size in value.shape:
            tensor.tensor_shape.dim.add(size=size)
    return request


def wrong_tensor(draw, value):
    """The same input with another type or shape."""
    if draw(st.booleans()):
        others = sorted(set(DTYPES) - {value.dtype.name})
        return value.astype(draw(st.sampled_from(others)))
    shapes = st.lists(st.integers(0, 6), max_size=5).filter(
        lambda shape: tuple(shape[1:]) != value.shape[1:] or not shape
    )
    shape = draw(shapes)
    number = draw(st.floats(width=32)) if value.dtype.kind == "f" else draw(st.integers(-(2**31), 2**31 - 1))
    return np.full(shape, number, value.dtype)


def broken_spec(draw, request):
    """Asks for a model, a version or a signature that is not there, or for none."""
    kind = draw(st.sampled_from(["model", "version", "label", "signature", "none", "empty"]))
    if kind == "model":
        request.model_spec.name = draw(NAMES.filter(lambda name: name not in MODELS))
    elif kind == "version":
        request.model_spec.version.value = draw(st.integers(-(2**63), 2**63 - 1).filter(lambda n: n != 1))
    elif kind == "label":
        request.model_spec.version_label = draw(NAMES)
    elif kind == "signature":
        request.model_spec.signature_name = "x" + draw(NAMES)
    else:
        request.ClearField("model_spec") if kind == "none" else request.model_spec.ClearField("name")


def broken_proto(draw, request):
    """A message that can be read and holds what is no tensor, or asks for what there is not."""
    kind = draw(st.sampled_from(["spec", "content", "type", "negative", "filter"]))
    tensor = request.inputs[draw(st.sampled_from(sorted(request.inputs)))]
    if kind == "spec":
        broken_spec(draw, request)
    elif kind == "content":
        sizes = st.binary(min_size=1, max_size=200).filter(lambda c: len(c) != len(tensor.tensor_content))
        tensor.tensor_content = draw(sizes)
    elif kind == "type":
        tensor.dtype = draw(st.sampled_from([0, 7, 8, 11, 20, 21, 25, 99, 1000]))
    elif kind == "negative":
        tensor.tensor_shape.dim[draw(st.integers(0, len(tensor.tensor_shape.dim) - 1))].size = -draw(st.integers(1, 9))
    else:
        request.output_filter.append("x" + draw(NAMES))


def send_grpc(draw, target, model, signature):
    """Sends a malformed message and expects an error, which is not that of a server that is gone."""
    inputs = dict(target.cases[model][signature].inputs)
    kind = draw(st.sampled_from(["names", "tensor", "rows", "proto", "bytes"]))
    chosen = draw(st.sampled_from(sorted(inputs)))
    if kind == "bytes":
        content = draw(st.binary(max_size=200))
    else:
        if kind == "names":
            removed = inputs.pop(chosen) if draw(st.booleans()) else inputs[chosen]
            if draw(st.booleans()) or len(inputs) == len(target.cases[model][signature].inputs):
                inputs["x" + draw(NAMES)] = removed
        elif kind == "rows" and len(inputs) > 1:
            inputs[chosen] = inputs[chosen][: draw(st.integers(0, 2))]
        elif kind != "proto":
            inputs[chosen] = wrong_tensor(draw, inputs[chosen])
        request = proto_of(model, signature, inputs)
        if kind == "proto":
            broken_proto(draw, request)
        content = request.SerializeToString()
    hypothesis.note(f"gRPC {model} {signature} {kind} {content!r}")
    with pytest.raises(grpc.RpcError) as caught:
        target.raw(content, timeout=30)
    assert caught.value.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def broken_leaf(draw, value, integers):
    """A nested list with one of its numbers made something else."""
    value = copy.deepcopy(value)
    inside = value
    while isinstance(inside[0], list):
        inside = inside[draw(st.integers(0, len(inside) - 1))]
    wrong = [None, "0", True, {}, [], [0], {"b64": "AA=="}, *([1.0, 2**31, -(2**31) - 1] if integers else [])]
    inside[draw(st.integers(0, len(inside) - 1))] = draw(st.sampled_from(wrong))
    return value


def broken_columns(draw, columns, kinds):
    """Takes an input away, or makes it another number, shape or no tensor."""
    kind = draw(st.sampled_from(["missing", "leaf", "tensor", "ragged"]))
    chosen = draw(st.sampled_from(sorted(columns)))
    if kind == "missing":
        del columns[chosen]
    elif kind == "leaf":
        columns[chosen] = broken_leaf(draw, columns[chosen], kinds[chosen].kind == "i")
    elif kind == "ragged":
        columns[chosen].append(0)
    else:
        columns[chosen] = draw(
            st.sampled_from([[], 0, [0], columns[chosen] + columns[chosen][:1] + [[]], [columns[chosen]]])
        )


def broken_body(draw, body, kinds):
    """A body that a server refuses, made from a good one in columns."""
    kind = draw(st.sampled_from(["columns", "rows", "form", "signature", "cut", "text"]))
    if kind == "columns":
        broken_columns(draw, body["inputs"], kinds)
    elif kind == "rows":
        columns = body.pop("inputs")
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        chosen = draw(st.integers(0, len(rows) - 1))
        wrong = [None, [], "0", {**rows[chosen], "x": 0}, {}, dict.fromkeys(columns)]
        rows[chosen] = draw(st.sampled_from(wrong))
        body["instances"] = rows
    elif kind == "form":
        body.update(draw(st.sampled_from([{"instances": [0]}, {"inputs": None}, {"inputs": "0"}, {"inputs": 1.5}])))
    elif kind == "signature":
        wrong = st.sampled_from([None, 1, [], {}, True]) | NAMES.map(lambda name: "x" + name)
        body["signature_name"] = draw(wrong)
    content = json.dumps(body).encode()
    if kind == "cut":
        return content[: draw(st.integers(0, len(content) - 1))]
    return draw(st.binary(max_size=50).filter(lambda c: not c.lstrip().startswith(b"{"))) if kind == "text" else content


def send_rest(draw, target, model, signature):
    """Posts a malformed body, or a good one to a path that leads nowhere, and expects an error."""
    inputs = target.cases[model][signature].inputs
    body = {"signature_name": signature, "inputs": {name: value.tolist() for name, value in inputs.items()}}
    path = f"/v1/models/{model}:predict"
    if draw(st.integers(0, 9)) == 0:
        wrong = [
            f"/v1/models/x{quote(draw(st.text(max_size=5)), safe='')}:predict",
            f"/v1/models/{model}/versions/7:predict",
        ]
        path = draw(
            st.sampled_from([*wrong, f"/v1/models/{model}", f"/v1/models/{model}:x", "/v1/models/:predict", "/v1"])
        )
        content = json.dumps(body).encode()
    else:
        content = broken_body(draw, body, {name: value.dtype for name, value in inputs.items()})
    hypothesis.note(f"REST {path} {content!r}")
    with pytest.raises(rest_client.RequestError) as caught:
        target.rest.request("POST", path, content)
    assert caught.value.status in (400, 404), caught.value


@pytest.mark.slow
def test_malformed_requests_are_refused_and_good_ones_answered(target):
    sent = {send_grpc: 0, send_rest: 0}

    @hypothesis.settings(max_examples=NUM_REQUESTS, deadline=None, derandomize=True, database=None)
    @hypothesis.given(st.data())
    def attack(data):
        model = data.draw(st.sampled_from(MODELS))
        signature = data.draw(st.sampled_from(sorted(target.cases[model])))
        send = data.draw(st.sampled_from([send_grpc, send_rest]))
        send(data.draw, target, model, signature)
        sent[send] += 1
        target.check_answer(model, signature)

    attack()
    assert sum(sent.values()) >= NUM_REQUESTS and min(sent.values()) > NUM_REQUESTS // 4
