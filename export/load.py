"""Sends requests from several clients at once, checks every answer and prints the latencies.

    python export/load.py --requests 10000 --clients 8
    python export/load.py --rest --signatures log_prob

First, each row is requested alone. Under load, requests of random rows must give the same answers: log-probabilities up to a
relative difference of 1e-5, and equal draws, except for at most one in a thousand that rounding may move between two values.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from command_line import positive, reason
from numpy.typing import NDArray

Client = Any  # A RestClient or a GrpcClient.
DRAWS = ("sample", "sample_from_noise", "complete", "encode")
SCORE_RTOL = 1e-5
DRAW_TOLERANCE = 1e-4
MAX_DIFFERING_DRAWS = 1e-3


@dataclass(frozen=True)
class Case:
    """A signature, rows to request, and the answer to each row alone.

    Attributes:
        signature: name of the signature.
        inputs: an array for each input, `[num_rows, ...]`.
        answers: `[num_rows, ...]`.
    """

    signature: str
    inputs: dict[str, NDArray]
    answers: NDArray


class Difference(NamedTuple):
    """A row whose answer under load differs from its answer alone."""

    case: Case
    row: int
    answer: NDArray


@dataclass
class Report:
    """The results of a load test.

    Attributes:
        latencies: seconds that each answered request took.
        num_rows: number of answered rows.
        differing: the rows whose answers differ.
        errors: the errors of the failed requests.
        seconds: time from the first request to the last answer.
    """

    latencies: list[float] = field(default_factory=list)
    num_rows: int = 0
    differing: list[Difference] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def good(self) -> bool:
        """Returns whether all requests were answered correctly."""
        draws = [d for d in self.differing if d.case.signature in DRAWS]
        few = len(draws) <= max(1.0, MAX_DIFFERING_DRAWS * self.num_rows)
        return not self.errors and few and len(draws) == len(self.differing)

    def lines(self) -> list[str]:
        """Returns the lines of the printed report."""
        said = [f"{len(self.latencies)} requests answered, {len(self.errors)} failed, in {self.seconds:.1f} s"]
        if self.latencies:
            points = zip(("p50", "p90", "p99", "max"), np.quantile(self.latencies, (0.5, 0.9, 0.99, 1.0)), strict=True)
            said.append("latency  " + "  ".join(f"{name} {1e3 * value:.1f} ms" for name, value in points))
            rates = len(self.latencies) / self.seconds, self.num_rows / self.seconds
            said.append(f"{rates[0]:.0f} requests/s, {rates[1]:.0f} rows/s")
        said.append(f"{len(self.differing)} of {self.num_rows} rows differ from their answers alone")
        return said + [f"error: {error}" for error in sorted(set(self.errors))[:5]]


def prepare(client: Client, signatures: Sequence[str], num_rows: int = 64, seed: int = 0) -> list[Case]:
    """Makes rows for each signature and requests their answers one by one.

    Args:
        client: client of a model that tfar exported.
        signatures: names of signatures.
        num_rows: int. Number of rows of each.
        seed: int. Equal seeds give equal rows.

    Raises:
        ValueError: If the model lacks a signature, or one has several outputs.
    """
    known, rng, shared = client.signatures(), np.random.default_rng(seed), {}
    missing = sorted(set(signatures) - set(known))
    if missing:
        raise ValueError(f"Expected signatures among {sorted(known)}; received {missing}.")
    for name in ("sample", *signatures):
        for key, (dtype, shape) in known[name].items():
            if key not in shared and key != "value":
                shared[key] = _values(key, dtype, (num_rows, *shape[1:]), rng)
    # Draws of the model are in its support, whatever its head.
    shared["value"] = client.predict({key: shared[key] for key in known["sample"]}, "sample")
    cases = []
    for name in signatures:
        inputs = {key: shared[key] for key in known[name]}
        alone = [client.predict({k: v[row : row + 1] for k, v in inputs.items()}, name) for row in range(num_rows)]
        if isinstance(alone[0], dict):
            raise ValueError(f"Expected signatures of one output; {name} has {sorted(alone[0])}.")
        cases.append(Case(name, inputs, np.concatenate(alone)))
    return cases


def _values(name: str, dtype: np.dtype, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    if name == "seed":
        bounds = np.iinfo(dtype)
        return rng.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)
    if name in ("noise", "member_noise"):
        return rng.random(shape, dtype)
    if name == "observed":  # Every order allows patterns of all sites and of none.
        return np.broadcast_to(rng.integers(2, size=(shape[0],) + (1,) * (len(shape) - 1)), shape).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def run(
    connect: Callable[[], Client],
    cases: Sequence[Case],
    num_requests: int,
    num_clients: int,
    max_rows: int = 4,
    seed: int = 0,
) -> Report:
    """Sends requests of 1 to `max_rows` rows, with a thread for each client.

    Args:
        connect: makes a client, for each thread.
        cases: the cases, of which each request takes one at random.
        num_requests: int. Total number of requests.
        num_clients: int.
        max_rows: int.
        seed: int.

    Raises:
        ValueError: If a number is not positive.
    """
    if min(num_requests, num_clients, max_rows) < 1:
        raise ValueError(f"Expected positive numbers; received {num_requests=}, {num_clients=}, {max_rows=}.")
    clients, parts = [connect() for _ in range(num_clients)], [Report() for _ in range(num_clients)]

    def work(index: int) -> None:
        rng = np.random.default_rng([seed, index])
        for _ in range(index, num_requests, num_clients):
            ask(clients[index], cases[rng.integers(len(cases))], rng.integers(1, max_rows + 1), rng, parts[index])
        clients[index].close()

    start = time.perf_counter()
    with ThreadPoolExecutor(num_clients) as pool:
        list(pool.map(work, range(num_clients)))
    return join(parts, time.perf_counter() - start)


def join(parts: Sequence[Report], seconds: float) -> Report:
    """Combines the reports of all clients."""
    whole = Report(num_rows=sum(part.num_rows for part in parts), seconds=seconds)
    for part in parts:
        whole.latencies += part.latencies
        whole.differing += part.differing
        whole.errors += part.errors
    return whole


def ask(client: Client, case: Case, num_rows: int, rng: np.random.Generator, report: Report) -> None:
    """Sends one request and adds the result to the report."""
    rows = rng.integers(len(case.answers), size=num_rows)
    start = time.perf_counter()
    try:
        answer = client.predict({name: value[rows] for name, value in case.inputs.items()}, case.signature)
    except Exception as error:
        report.errors.append(f"{type(error).__name__}: {reason(error)}")
        return
    report.latencies.append(time.perf_counter() - start)
    report.num_rows += num_rows
    if answer.shape != case.answers[rows].shape:
        report.errors.append(f"Expected an answer of shape {case.answers[rows].shape}; received {answer.shape}.")
        return
    unequal = differs(case.signature, case.answers[rows], answer)
    report.differing += [Difference(case, int(rows[i]), answer[i]) for i in np.flatnonzero(unequal)]


def differs(signature: str, expected: NDArray, answer: NDArray) -> NDArray[np.bool_]:
    """Returns which rows `[B]` differ: scores relative to the row, draws by more than rounding."""
    scale, tolerance = np.maximum(1.0, np.abs(expected)), DRAW_TOLERANCE
    if signature not in DRAWS:
        # Sites of a row are compared relative to its log-probability, to which they sum.
        total = np.abs(expected).reshape(len(expected), -1).sum(axis=1)
        scale, tolerance = np.maximum(1.0, total).reshape(-1, *[1] * (expected.ndim - 1)), SCORE_RTOL
    same = (
        (np.abs(answer - expected) <= tolerance * scale)
        | (answer == expected)
        | (np.isnan(answer) & np.isnan(expected))
    )
    return ~same.reshape(len(expected), -1).all(axis=1)


def main() -> None:
    """Runs the load test of the command line. The exit status is 1 if an answer is missing or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rest", action="store_true", help="use REST instead of gRPC")
    parser.add_argument("--address", help="host:port (default: localhost:8500, or localhost:8501 with --rest)")
    parser.add_argument("--model", default="made", help="name of the model (default: made)")
    parser.add_argument("--signatures", nargs="+", default=["log_prob", "sample"], metavar="NAME")
    parser.add_argument("--requests", type=positive, default=1000)
    parser.add_argument("--clients", type=positive, default=8)
    parser.add_argument("--max-rows", type=positive, default=4, help="largest number of rows of a request (default: 4)")
    arguments = parser.parse_args()
    if arguments.rest:
        from rest_client import RestClient as Chosen
    else:
        from grpc_client import GrpcClient as Chosen
    address = arguments.address or ("localhost:8501" if arguments.rest else "localhost:8500")

    def connect() -> Client:
        return Chosen(address, arguments.model)

    try:
        with contextlib.closing(connect()) as client:
            cases = prepare(client, arguments.signatures)
    except Exception as error:
        sys.exit(f"{address}: {reason(error)}")
    report = run(connect, cases, arguments.requests, arguments.clients, arguments.max_rows)
    print("\n".join(report.lines()))
    sys.exit(0 if report.good() else 1)


if __name__ == "__main__":
    main()
