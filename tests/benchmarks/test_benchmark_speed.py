"""The speed command: turns, ratios, and a quick run of the peers."""

import json
import os
import threading
import time

import pytest

from benchmarks import machine, memory, ratios, results, speed
from benchmarks.cases import Contestant, SpeedCase, Target, Unavailable
from benchmarks.timing import alternate, fastest

HAS_BATCH_CLASS = hasattr(os, "SCHED_BATCH")
MEDIANS = {
    "tfar": {"log_prob": 2.0, "sample": 8.0},
    "TFP": {"log_prob": 4.0, "sample": 800.0},
    "slow": {"log_prob": 9.0},
}


def test_ratios():
    assert ratios.ratio_to_fastest(MEDIANS, ours="tfar", peers=["TFP", "slow", "absent"], operation="log_prob") == 0.5
    assert ratios.ratio_within(MEDIANS, ours="tfar", operation="sample", unit="log_prob") == 4.0
    assert ratios.faster_than(MEDIANS, ours="tfar", peer="TFP", operation="sample") == 100.0
    assert ratios.faster_than(MEDIANS, ours="tfar", peer="absent", operation="sample") is None
    assert ratios.ratio_to_fastest(MEDIANS, ours="tfar", peers=["absent"], operation="log_prob") is None


def test_alternate_takes_turns_and_ranks():
    seen = []

    def sleeper(name, seconds):
        def call():
            seen.append(name)
            time.sleep(seconds)

        return call

    timings = alternate({"slow": sleeper("slow", 0.03), "fast": sleeper("fast", 0.002)}, rounds=3)
    assert fastest(timings) == "fast"
    assert timings["slow"].median_ms == pytest.approx(30, rel=0.5)
    assert timings["slow"].count % 3 == 0  # the counted half of a burst in each of three rounds
    rounds = seen[8:]  # after the first call of each, and three that find the length of a burst
    changes = [name for index, name in enumerate(rounds) if index == 0 or name != rounds[index - 1]]
    assert changes == ["slow", "fast", "slow", "fast"]


def test_budget_ends_the_rounds():
    assert alternate({"a": lambda: time.sleep(0.03)}, rounds=1000, budget_s=0.1)["a"].count < 20


def test_run_case_reports_the_fastest_mode_and_who_was_skipped():
    def missing():
        raise Unavailable("not installed")

    ours = Contestant({"log_prob": {"slow": lambda: time.sleep(0.02), "quick": lambda: None}}, parameters=3)
    target = Target("log_prob", "<=", 10.0, lambda medians: medians["tfar"]["log_prob"])
    case = SpeedCase("case", {"batch_size": 1}, {"tfar": lambda: ours, "peer": missing}, [target])
    result = speed.run_case("made", case, speed.QUICK, "command")
    figures = result.figures["contestants"]["tfar"]["operations"]["log_prob"]
    assert figures["mode"] == "quick"
    assert figures["first_s"] >= 0.02  # of the first mode, which a user meets first
    assert set(figures["modes_ms"]) == {"slow", "quick"}
    assert result.figures["skipped"] == {"peer": "not installed"}
    assert result.targets[0]["met"] is True


@pytest.fixture
def own_scheduling():
    """Gives this thread its scheduling class back."""
    before = os.sched_getscheduler(0) if HAS_BATCH_CLASS else None
    yield
    if before is not None:
        os.sched_setscheduler(0, before, os.sched_param(0))


@pytest.mark.skipif(not HAS_BATCH_CLASS, reason="this system has no batch class")
def test_threads_started_after_it_are_of_the_batch_class(own_scheduling):
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert machine.scheduling() == "default"
    machine.use_batch_scheduling()
    found = []
    thread = threading.Thread(target=lambda: found.append(machine.scheduling()))
    thread.start()
    thread.join()
    assert found == [machine.scheduling()] == ["batch"]


@pytest.mark.slow(ci=True)
def test_quick_command_over_the_peers(tmp_path, capsys, monkeypatch, own_scheduling):
    monkeypatch.setattr(speed.machine, "set_threads", lambda: None)  # TensorFlow may have started already
    assert speed.main(["made", "--quick", "--peers-only", "--json", str(tmp_path)]) == 0
    assert "| TFP |" in capsys.readouterr().out
    (path,) = tmp_path.glob("*.json")
    result = results.read(path)
    assert set(result.figures["contestants"]["TFP"]["operations"]) == {"log_prob", "sample", "train_step"}
    assert set(result.figures["skipped"]) >= {"tfar"}
    assert result.settings["scheduling"] == ("batch" if HAS_BATCH_CLASS else "default")
    assert str(tmp_path) not in json.dumps(result.command)


@pytest.mark.slow(ci=True)
def test_memory_is_measured_in_a_fresh_process():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    found = memory.measure("made", "made-quick", "PyTorch")
    assert found["peak_mib"] >= found["imports_mib"] > 50


def test_unknown_case_is_an_error():
    with pytest.raises(ValueError, match="Expected a speed case out of"):
        memory.find_case("made", "made-2")


def test_other_load_leaves_out_this_process():
    with machine.OtherLoad() as others:
        stop = time.perf_counter() + 0.3
        while time.perf_counter() < stop:
            pass
    assert others.share is None or 0 <= others.share <= 1
