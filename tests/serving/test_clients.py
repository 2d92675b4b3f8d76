"""The clients of `export/` get from a server what the distribution gives."""

import contextlib
import json
import math
import socket
import subprocess
import sys
import threading
import types
import urllib.request

import numpy as np
import pytest
import servers
import tensorflow as tf

import tfar
from tfar.serving.signatures import signatures

pytest.importorskip("tensorflow_serving", reason="the clients need tensorflow-serving-api")
import command_line
import grpc
import rest_client

# They share servers and exported models, which take long to make.
pytestmark = pytest.mark.slow(ci=True)
NUM_ROWS = 5
MODELS = ("binary", "table")


def inputs_of(model):
    """A batch for all signatures."""
    law, seeds = model.dist.law, tfar.random.row_seeds(3, NUM_ROWS)
    batch = model.condition(NUM_ROWS)
    batch["seed"] = seeds.numpy()
    batch["noise"], batch["member_noise"] = law.uniform_noise(seeds).numpy(), law.member_noise(seeds).numpy()
    part = signatures(model.dist)["sample"]
    batch["value"] = part.function(**{name: tf.constant(batch[name]) for name in part.inputs})["value"].numpy()
    batch["observed"] = np.zeros_like(batch["value"])
    batch["observed"][1:3] = 1.0
    return batch


@pytest.mark.parametrize("name", MODELS)
def test_every_signature_gives_what_the_distribution_gives(server, exported, transport, name):
    model, client = exported[name], server.client(transport, name)
    batch = inputs_of(model)
    for signature, part in signatures(model.dist).items():
        inputs = {key: batch[key] for key in part.inputs}
        (expected,) = part.function(**{key: tf.constant(value) for key, value in inputs.items()}).values()
        got = client.predict(inputs, signature)
        assert got.dtype == np.float32
        tolerance = {"atol": 1e-4} if "value" in part.outputs else {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(got, expected, **tolerance, err_msg=signature)


def test_draws_are_those_of_the_distribution(server, exported, transport):
    dist = exported["binary"].dist
    seeds = tfar.random.row_seeds(11, 100)
    drawn = server.client(transport, "binary").predict({"seed": seeds.numpy()}, "sample")
    assert tfar.testing.equal_samples(dist, dist.sample(100, seed=11), drawn, dist.law.uniform_noise(seeds))
    assert set(np.unique(drawn)) == {0.0, 1.0}


@pytest.mark.parametrize("name", MODELS)
def test_status_and_signatures(server, exported, transport, name):
    client = server.client(transport, name)
    assert client.status() == {1: "AVAILABLE"}
    expected = {
        signature: {key: (spec.dtype.as_numpy_dtype, (-1, *spec.shape[1:])) for key, spec in part.inputs.items()}
        for signature, part in signatures(exported[name].dist).items()
    }
    assert client.signatures() == expected


def test_a_version_can_be_asked_for(server, transport):
    value = {"value": np.zeros([1, 2, 3], np.float32)}
    latest = server.client(transport, "binary").predict(value)
    np.testing.assert_array_equal(server.client(transport, "binary", version=1).predict(value), latest)
    assert server.client(transport, "binary", version=1).status() == {1: "AVAILABLE"}


@pytest.mark.parametrize("name", MODELS)
def test_rows_and_columns_are_two_forms_of_one_request(server, exported, name):
    client, batch = server.client("rest", name), inputs_of(exported[name])
    for signature, inputs in client.signatures().items():
        given = {key: batch[key] for key in inputs}
        by_row = client.predict(given, signature, by_row=True)
        np.testing.assert_array_equal(by_row, client.predict(given, signature))


def post(server, model, body):
    """The JSON of an answer to a body as it stands."""
    return server.client("rest", model).request("POST", f"/v1/models/{model}:predict", body.encode())


def test_a_single_input_needs_no_name_and_a_single_output_loses_it(server):
    event = "[[0, 1, 0], [1.0, 1, 0]]"
    forms = [f'{{"instances": [{event}]}}', f'{{"instances": [{{"value": {event}}}]}}']
    forms += [f'{{"inputs": [{event}]}}', f'{{"inputs": {{"value": [{event}]}}}}']
    answers = [post(server, "binary", form) for form in forms]
    assert [list(answer) for answer in answers] == [["predictions"]] * 2 + [["outputs"]] * 2
    (expected,) = answers[0]["predictions"]
    assert expected < 0.0 and all(next(iter(answer.values())) == [expected] for answer in answers)


def test_numbers_that_json_lacks_are_bare(server):
    body = '{"inputs": [[[0, 1, 0], [NaN, 0, 0]], [[0, 1, 0], [0, -Infinity, 0]], [[0, 1, 0], [0, 0, 0]]]}'
    url = f"http://{server.rest}/v1/models/binary:predict"
    with urllib.request.urlopen(urllib.request.Request(url, body.encode()), timeout=30) as response:
        text = response.read().decode()
    assert text.count("NaN") == 2 and '"NaN"' not in text
    assert [math.isnan(value) for value in json.loads(text)["outputs"]] == [True, True, False]


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_value_is_nan_and_leaves_its_neighbours_alone(server, exported, transport, name):
    client, batch = server.client(transport, name), inputs_of(exported[name])
    for signature, key, impossible in (
        ("log_prob", "value", np.inf if name == "table" else 7.0),
        ("site_log_probs", "value", np.nan),
        ("sample_from_noise", "noise", 1.5),
        ("sample_from_noise", "noise", np.nan),
    ):
        inputs = {name: batch[name] for name in client.signatures()[signature]}
        good = client.predict(inputs, signature)
        rows = inputs[key].copy()
        rows[1].flat[0] = rows[4].flat[-1] = impossible
        bad = client.predict({**inputs, key: rows}, signature)
        assert np.isnan(bad).reshape(NUM_ROWS, -1).all(axis=1).tolist() == [False, True, False, False, True], signature
        np.testing.assert_array_equal(bad[[0, 2, 3]], good[[0, 2, 3]])


def run_command_line(monkeypatch, capsys, client, address, *arguments):
    monkeypatch.setattr(sys, "argv", ["client", "--address", address, *map(str, arguments)])
    command_line.main(client, "localhost:1", "doc")
    return capsys.readouterr().out


def test_the_command_lines(server, exported, transport, monkeypatch, capsys, tmp_path):
    client = type(server.client(transport, "binary"))

    def ask(*arguments):
        return run_command_line(monkeypatch, capsys, client, getattr(server, transport), *arguments)

    assert json.loads(ask("--model", "binary", "status")) == {"1": "AVAILABLE"}
    assert "value: float32 [-1, 2, 3]" in ask("--model", "binary", "signatures")
    ask("--model", "binary", "sample", 4, "--seed", 5, "--out", tmp_path / "samples.npy")
    samples = np.load(tmp_path / "samples.npy")
    assert samples.shape == (4, 2, 3)
    assert json.loads(ask("--model", "binary", "sample", 4, "--seed", 5)) == samples.tolist()
    scores = json.loads(ask("--model", "binary", "log_prob", tmp_path / "samples.npy"))
    np.testing.assert_allclose(scores, exported["binary"].dist.log_prob(samples), rtol=1e-5)
    np.save(tmp_path / "condition.npy", np.zeros([4, 2]))
    drawn = json.loads(ask("--model", "table", "sample", 4, "--condition", tmp_path / "condition.npy"))
    assert np.shape(drawn) == (4, 4)
    with pytest.raises(SystemExit, match="absent"):
        ask("--model", "absent", "status")


def test_the_rest_client_needs_neither_tfar_nor_tensorflow(server):
    code = (
        "import sys, rest_client, numpy as np\n"
        f"client = rest_client.RestClient({server.rest!r}, 'binary')\n"
        "print(client.predict({'value': np.zeros([2, 2, 3])}).shape)\n"
        "print({'tensorflow', 'tfar', 'keras', 'grpc'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=servers.ROOT / "export", capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["(2,)", "set()"], done.stderr


def test_errors_say_what_the_server_says(server):
    with pytest.raises(rest_client.RequestError, match=r"404: .*absent") as caught:
        server.client("rest", "absent").status()
    assert caught.value.status == 404
    with pytest.raises(grpc.RpcError, match="absent") as caught:
        server.client("grpc", "absent").status()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(ValueError, match="float32 or int32; received float64"):
        server.client("grpc", "binary").predict({"value": np.zeros([1, 2, 3])})


def test_a_connection_that_the_server_closed_is_made_anew():
    content = b'{"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)

    def serve(listener):
        for _ in range(3):
            connection, _ = listener.accept()
            connection.recv(1 << 16)
            connection.sendall(answer)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        client = rest_client.RestClient(f"127.0.0.1:{listener.getsockname()[1]}", "made")
        with contextlib.closing(client):
            assert [client.status() for _ in range(3)] == [{1: "AVAILABLE"}] * 3


@pytest.mark.parametrize("by_row", [False, True])
def test_several_outputs_come_by_name_over_rest(by_row, monkeypatch):
    client = rest_client.RestClient()
    answer = {"outputs": {"a": [1.0, 2.0], "b": [[3.0], [4.0]]}}
    if by_row:
        answer = {"predictions": [{"a": 1.0, "b": [3.0]}, {"a": 2.0, "b": [4.0]}]}
    monkeypatch.setattr(client, "request", lambda *args: answer)
    found = client.predict({"value": [0, 1]}, by_row=by_row)
    assert {name: output.tolist() for name, output in found.items()} == {"a": [1.0, 2.0], "b": [[3.0], [4.0]]}


def test_several_outputs_come_by_name_over_grpc():
    import grpc_client
    from tensorflow_serving.apis import predict_pb2

    client, answer = grpc_client.GrpcClient(), predict_pb2.PredictResponse()
    for name, value in (("a", [1.0, 2.0]), ("b", [[3.0], [4.0]])):
        answer.outputs[name].CopyFrom(grpc_client.to_proto(np.array(value, np.float32)))
    client._prediction = types.SimpleNamespace(Predict=lambda request, timeout: answer)
    found = client.predict({"value": np.zeros([2, 1], np.float32)})
    assert {name: output.tolist() for name, output in found.items()} == {"a": [1.0, 2.0], "b": [[3.0], [4.0]]}
