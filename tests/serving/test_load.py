"""Many requests at once, merged into batches: every row gets the answer that it gets alone."""

import subprocess
import sys

import numpy as np
import pytest
import servers

import tfar

pytest.importorskip("tensorflow_serving", reason="the clients need tensorflow-serving-api")
import load

from tests.parameters import few_by_default

NUM_CLIENTS = 8
DRAWS = ("sample", "sample_from_noise")
SIGNATURES = ("log_prob", "site_log_probs", *DRAWS, "complete")


def check_draws(dist, report):
    """Checks that draws which differ lie on the edge between two values."""
    for case in {id(d.case): d.case for d in report.differing}.values():
        found = [d for d in report.differing if d.case is case]
        rows, answers = [d.row for d in found], np.stack([d.answer for d in found])
        inputs = {name: value[rows] for name, value in case.inputs.items()}
        if "seed" in inputs:
            inputs["noise"] = dist.law.uniform_noise(inputs["seed"])
            inputs["member_noise"] = dist.law.member_noise(inputs["seed"])
        given = [inputs.get(name) for name in ("noise", "conditional_input", "member_noise")]
        assert tfar.testing.samples.differences(dist, case.answers[rows], answers, *given).explained.all()


@pytest.mark.parametrize("name", ["binary", "table"])
@pytest.mark.parametrize(
    ("transport", "num_requests"),
    [*few_by_default([("grpc", 200), ("rest", 200)], count=0), pytest.param("grpc", 10_000, marks=pytest.mark.slow)],
)
def test_every_answer_under_load_is_that_of_the_row_alone(batching_server, exported, transport, num_requests, name):
    cases, dist = load.prepare(batching_server.client(transport, name), SIGNATURES), exported[name].dist
    report = load.run(lambda: batching_server.client(transport, name), cases, num_requests, NUM_CLIENTS)
    assert len(report.latencies) == num_requests and report.good(), report.lines()
    check_draws(dist, report)
    scores = cases[SIGNATURES.index("log_prob")]
    alone = dist.log_prob(scores.inputs["value"], conditional_input=scores.inputs.get("conditional_input"))
    np.testing.assert_allclose(scores.answers, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["binary", "table"])
@pytest.mark.slow(ci=True)
def test_a_draw_off_the_edge_is_found(batching_server, exported, name):
    for case in load.prepare(batching_server.client("grpc", name), DRAWS, num_rows=2):
        wrong = load.Report(differing=[load.Difference(case, 1, 1.0 - case.answers[1])])
        with pytest.raises(AssertionError):
            check_draws(exported[name].dist, wrong)


@pytest.mark.parametrize("name", ["binary", "table"])
@pytest.mark.slow(ci=True)
def test_bad_rows_in_a_merged_batch_are_nan_and_leave_their_neighbours_alone(batching_server, name):
    client = batching_server.client("grpc", name)
    cases = load.prepare(client, ["log_prob", "sample_from_noise"], num_rows=8)
    bad = np.arange(8) % 2 == 1
    spoilt = []
    for case, key in zip(cases, ("value", "noise"), strict=True):
        rows = case.inputs[key].copy()
        rows[bad] = np.nan
        answers = np.where(bad.reshape(-1, *[1] * (case.answers.ndim - 1)), np.nan, case.answers)
        spoilt.append(load.Case(case.signature, {**case.inputs, key: rows}, answers))
    report = load.run(lambda: batching_server.client("grpc", name), spoilt, 300, NUM_CLIENTS)
    assert len(report.latencies) == 300 and report.good(), report.lines()
    assert not report.differing


@pytest.mark.slow(ci=True)
def test_a_wrong_answer_is_found(batching_server):
    client = batching_server.client("grpc", "binary")
    cases = load.prepare(client, ["log_prob", "sample"], num_rows=4)
    scores, draws = cases
    off = load.Case(scores.signature, scores.inputs, scores.answers * (1.0 + 3e-5))
    assert load.differs("log_prob", off.answers, scores.answers).all()
    assert not load.differs("log_prob", scores.answers * (1.0 + 3e-7), scores.answers).any()
    report = load.run(lambda: batching_server.client("grpc", "binary"), [off], 10, 2)
    assert not report.errors and len(report.differing) == report.num_rows and not report.good()
    flipped = load.Case(draws.signature, draws.inputs, 1.0 - draws.answers)
    assert not load.run(lambda: batching_server.client("grpc", "binary"), [flipped], 10, 2).good()
    absent = load.run(lambda: batching_server.client("grpc", "absent"), [scores], 3, 1)
    assert len(absent.errors) == 3 and not absent.good() and "not found" in absent.lines()[-1]


@pytest.mark.slow(ci=True)
def test_the_load_script(batching_server):
    command = [sys.executable, "load.py", "--rest", "--address", batching_server.rest, "--model", "binary"]
    done = subprocess.run(
        [*command, "--requests", "50", "--clients", "2"], cwd=servers.ROOT / "export", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "50 requests answered, 0 failed" in done.stdout and "p99" in done.stdout and "rows/s" in done.stdout
    done = subprocess.run(
        [*command, "--signatures", "draw"], cwd=servers.ROOT / "export", capture_output=True, text=True
    )
    assert done.returncode == 1 and "received ['draw']" in done.stderr
    done = subprocess.run([*command, "--clients", "0"], cwd=servers.ROOT / "export", capture_output=True, text=True)
    assert done.returncode == 2 and "expected a positive integer; received '0'" in done.stderr


def test_a_load_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="num_clients=0"):
        load.run(lambda: None, [], 10, 0)
