"""New versions come into service while requests are answered, and a kill of an export changes nothing."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import servers

pytest.importorskip("tensorflow_serving", reason="the clients need tensorflow-serving-api")
import rest_client

PROBE = np.array([[[0, 1, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]]], np.float32)
WAIT_SECONDS = 60.0
NUM_KILLS = 3
# A kill comes at any moment of this time, in which a version or two are exported.
KILL_SECONDS = 4.0

# Exports version after version, each of other weights, and writes what each will answer before it begins.
EXPORTER = """
import sys
from pathlib import Path
import numpy as np
import tfar

base_path, answers, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
dist = tfar.MADE([2, 3], [8], jit_compile=False)
while True:
    rng = np.random.default_rng(number)
    for variable in dist.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    np.save(answers / f"{number}.npy", dist.log_prob(np.load(answers / "probe.npy")))
    print("begin", flush=True)
    tfar.serving.export_saved_model(dist, base_path, number)
    number += 1
"""


class Exporter:
    """A process that exports versions until it is killed."""

    def __init__(self, base_path, answers, number):
        self.log = answers / "log"
        environment = {**os.environ, "PYTHONPATH": str(servers.ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", EXPORTER, str(base_path), str(answers), str(number)]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)

    def wait(self):
        """Waits for an export to begin."""
        if not self.process.stdout.readline():
            raise RuntimeError(f"The export failed: {self.log.read_text()[-2000:]}")

    def kill(self):
        self.process.kill()
        self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL


@pytest.fixture
def folders(exported, tmp_path):
    """The folder of the versions, with the first, and a folder of what each answers to the probe."""
    base_path, answers = tmp_path / "made", tmp_path / "answers"
    base_path.mkdir()
    answers.mkdir()
    (base_path / "1").symlink_to(exported["binary"].base_path / "1")
    np.save(answers / "probe.npy", PROBE)
    np.save(answers / "1.npy", exported["binary"].dist.log_prob(PROBE))
    return base_path, answers


class Asker(threading.Thread):
    """Asks all the time and keeps each answer, or the error."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.answers, self.stopped = client, queue.SimpleQueue(), threading.Event()

    def run(self):
        while not self.stopped.wait(0.05):
            try:
                self.answers.put(self.client.predict({"value": PROBE}))
            except Exception as error:
                self.answers.put(error)

    def stop(self):
        self.stopped.set()
        self.join()
        return [self.answers.get() for _ in range(self.answers.qsize())]


def finished(base_path):
    return sorted(int(name) for name in os.listdir(base_path) if name.isdecimal())


def states(server):
    """State and error of each version that the server has seen."""
    found = server.client("rest", "made").request("GET", "/v1/models/made")["model_version_status"]
    return {int(v["version"]): (v["state"], v["status"]["error_code"]) for v in found}


def wait_until_served(server, number):
    until = time.monotonic() + WAIT_SECONDS
    while states(server).get(number) != ("AVAILABLE", "OK"):
        assert time.monotonic() < until, f"version {number} is not served: {states(server)}"
        time.sleep(0.05)


def answer_of(answers, number):
    return np.load(answers / f"{number}.npy")


@pytest.mark.slow
@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_kill_at_any_moment_leaves_the_earlier_version_served(kind, folders, tmp_path):
    base_path, answers = folders
    rng = np.random.default_rng()
    exporter = Exporter(base_path, answers, 2)
    flags = ["--model_name=made", f"--model_base_path={base_path}"]
    with servers.running(kind, flags, tmp_path) as server:
        asker = Asker(server.client("grpc", "made"))
        asker.start()
        for left in reversed(range(NUM_KILLS)):
            exporter.wait()
            time.sleep(rng.uniform(0.0, KILL_SECONDS))
            exporter.kill()
            newest = finished(base_path)[-1]
            # The next process starts while this one's remains are looked at.
            exporter = Exporter(base_path, answers, newest + 1) if left else exporter
            check_after_kill(server, base_path, answers, newest)
        given = asker.stop()
    assert len(given) > 10
    right = [answer_of(answers, number) for number in finished(base_path)]
    for answer in given:
        assert not isinstance(answer, Exception), answer
        assert any(np.allclose(answer, expected, rtol=1e-5) for expected in right)


def check_after_kill(server, base_path, answers, newest):
    """Checks that the newest finished version is served and right, and that no version has ever failed to load."""
    wait_until_served(server, newest)
    np.testing.assert_allclose(
        server.client("rest", "made").predict({"value": PROBE}), answer_of(answers, newest), rtol=1e-5
    )
    assert {error for _, error in states(server).values()} == {"OK"}
    hidden = [name for name in os.listdir(base_path) if not name.isdecimal()]
    assert all(name.startswith(".") for name in hidden)
    for number in finished(base_path):
        assert json.loads((base_path / str(number) / "assets.extra" / "tfar.json").read_text())


@pytest.mark.parametrize("kind", servers.KINDS)
@pytest.mark.slow(ci=True)
def test_a_new_version_is_served_and_taking_it_away_brings_the_earlier_back(kind, folders, exported, tmp_path):
    base_path, answers = folders
    with servers.running(kind, ["--model_name=made", f"--model_base_path={base_path}"], tmp_path) as server:
        asker = Asker(server.client("rest", "made"))
        asker.start()
        (base_path / "10").symlink_to(exported["binary"].base_path / "1")
        wait_until_served(server, 10)
        with pytest.raises(rest_client.RequestError, match="404"):
            server.client("rest", "made", version=1).predict({"value": PROBE})
        (base_path / "10").unlink()
        wait_until_served(server, 1)
        given = asker.stop()
    assert given
    for answer in given:
        np.testing.assert_allclose(answer, answer_of(answers, 1), rtol=1e-5)


@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_half_version_would_be_seen(kind, folders, exported, tmp_path):
    base_path, whole = folders[0], exported["binary"].base_path / "1"
    with servers.running(kind, ["--model_name=made", f"--model_base_path={base_path}"], tmp_path) as server:
        (base_path / "2").mkdir()
        (base_path / "2" / "saved_model.pb").write_bytes((whole / "saved_model.pb").read_bytes()[:100])
        until = time.monotonic() + WAIT_SECONDS
        while states(server).get(2, (None, "OK"))[1] == "OK":
            assert time.monotonic() < until
            time.sleep(0.05)
        assert states(server)[1] == ("AVAILABLE", "OK")


@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_server_without_a_version_does_not_start(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "START_SECONDS", 10.0)
    (tmp_path / "made").mkdir()
    flags = ["--model_name=made", f"--model_base_path={tmp_path / 'made'}"]
    with pytest.raises(RuntimeError, match="did not start"), servers.running(kind, flags, tmp_path):
        pass
