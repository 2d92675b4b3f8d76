"""Benchmark on Bayesian networks: rows, exact probabilities and inference beside enumeration, and the figures."""

import itertools

import numpy as np
import pytest

from benchmarks import known_networks, machine, render, results
from benchmarks.known_networks import Gap, Query
from benchmarks.peers.bayesian_network import Network, from_bif

# b depends on a, and c on both.
NETWORK = Network(
    {"a": ("no", "yes"), "b": ("x", "y", "z"), "c": ("no", "yes")},
    ((), (0,), (0, 1)),
    (
        np.array([0.3, 0.7]),
        np.array([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]]),
        np.array([[[0.1, 0.9], [0.5, 0.5], [0.8, 0.2]], [[0.3, 0.7], [0.6, 0.4], [0.5, 0.5]]]),
    ),
)
ROWS = np.array(list(itertools.product(range(2), range(3), range(2))))


def joint():
    a, b, c = ROWS.T
    return NETWORK.tables[0][a] * NETWORK.tables[1][a, b] * NETWORK.tables[2][a, b, c]


def test_rows_follow_the_probabilities():
    np.testing.assert_allclose(np.exp(NETWORK.log_prob(ROWS)), joint())
    drawn = NETWORK.sample(20_000, np.random.default_rng(0))
    shares = np.array([(drawn == row).all(axis=1).mean() for row in ROWS])
    np.testing.assert_allclose(shares, joint(), atol=4.0 * np.sqrt(0.25 / 20_000))
    assert NETWORK.frame(ROWS)["b"].tolist() == ["xyz"[b] for b in ROWS[:, 1]]


def test_frequencies_given_the_parents_are_counts():
    rows = np.array([[0, 0, 1], [0, 0, 0], [0, 2, 1], [1, 1, 1]])
    fitted = NETWORK.fitted(rows, 1.0)
    np.testing.assert_allclose(fitted.tables[1][0], [(2 + 1 / 3) / 4, (1 / 3) / 4, (1 + 1 / 3) / 4])
    np.testing.assert_allclose(fitted.tables[2][0, 0], [0.5, 0.5])
    independent = NETWORK.without_edges().fitted(rows, 0.0)
    np.testing.assert_allclose(independent.tables[2], [0.25, 0.75])


def test_exact_inference_is_that_of_enumeration():
    p, row = joint(), np.array([1, 0, 1])
    known = np.array([False, False, True])
    expected = [p[(ROWS[:, 2] == 1) & (ROWS[:, 1] == state)].sum() for state in range(3)]
    np.testing.assert_allclose(NETWORK.conditional(1, row, known), np.array(expected) / sum(expected))
    meets = (ROWS[:, 0] == 1) & np.isin(ROWS[:, 1], [0, 2])
    assert NETWORK.prob({0: (1,), 1: (0, 2)}) == pytest.approx(p[meets].sum())
    asked = NETWORK.prob({2: (0,), 0: (1,)})  # the column between them is summed out
    assert asked == pytest.approx(p[(ROWS[:, 2] == 0) & (ROWS[:, 0] == 1)].sum())


BIF = """
network unknown {
}
variable wet { type discrete [ 3 ] { dry, damp, soaked }; }
variable rain {
  type discrete [ 2 ] { yes, no };
}
probability ( wet | rain ) {
  (no) 0.7, 0.2, 0.1;
  (yes) 0.1, 0.3, 0.6;
}
probability ( rain ) {
  table 0.4, 0.6;
}
"""


def test_a_network_is_read_from_the_interchange_format():
    network = from_bif(BIF)
    assert network.states == {"rain": ("yes", "no"), "wet": ("dry", "damp", "soaked")}  # parents come first
    assert network.names == ["rain", "wet"] and network.parents == ((), (0,))
    np.testing.assert_allclose(network.tables[0], [0.4, 0.6])
    np.testing.assert_allclose(network.tables[1], [[0.1, 0.3, 0.6], [0.7, 0.2, 0.1]])


def test_a_variable_without_probabilities_is_refused():
    with pytest.raises(ValueError, match="2 variables, and the probabilities of 1"):
        from_bif(BIF[: BIF.index("probability ( rain )")])


def test_figures_of_conditionals_and_queries():
    gap = Gap(ROWS[0], np.zeros(3, bool), 0, np.array([0.25, 0.75]))
    sure = Gap(ROWS[0], np.zeros(3, bool), 0, np.array([0.0, 1.0]))
    found = known_networks.divergences([np.array([0.5, 0.5])] * 2, [gap, sure])
    nats = [0.25 * np.log(0.5) + 0.75 * np.log(1.5), np.log(2.0)]
    assert found == {
        "nats": pytest.approx(np.mean(nats), rel=1e-3),
        "total_variation": pytest.approx((0.25 + 0.5) / 2, rel=1e-3),
    }
    queries = [Query({0: (1,), 1: (0, 1)}, 0.2), Query({2: (0,)}, 0.2)]
    assert queries[0].frequency(ROWS) == pytest.approx(4 / 12)
    assert known_networks.q_errors([0.1, 0.2], queries)["max"] == 2.0
    assert known_networks.q_errors([0.4, 0.2], queries)["median"] == 1.5


@pytest.mark.slow(ci=True)
def test_a_quick_run_gives_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(known_networks, "open_network", lambda name: NETWORK)  # the files of pgmpy may be missing
    monkeypatch.setattr(machine, "set_threads", lambda count: None)  # TensorFlow runs in this process already
    assert known_networks.main(["--quick", "--json", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.json")
    result = results.read(path)
    models = result.figures["models"]
    assert models["independent columns"]["divergence"] > models["frequencies given the true parents"]["divergence"]
    assert "completions" in models["tfar OrderlessNADE"] and "completions" not in models["tfar MADE"]
    assert render.networks_table([result]) in capsys.readouterr().out
