"""The command line of both clients."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def parser(address: str, doc: str | None) -> argparse.ArgumentParser:
    """Makes the parser of the arguments."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--address", default=address, help=f"host:port of the server (default: {address})")
    made.add_argument("--model", default="made", help="name of the model (default: made)")
    made.add_argument("--version", type=int, help="version of the model (default: the server chooses)")
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="the state of each version")
    commands.add_parser("signatures", help="the inputs of each signature")
    sample = commands.add_parser("sample", help="draw samples")
    sample.add_argument("num", type=positive, help="number of draws")
    sample.add_argument("--seed", type=int, default=0, help="equal seeds give equal samples")
    sample.add_argument("--condition", type=Path, help=".npy of `conditional_input`, one row per draw")
    sample.add_argument("--out", type=Path, help=".npy file to write instead of printing")
    score = commands.add_parser("log_prob", help="score rows: log-probabilities in nats")
    score.add_argument("rows", type=Path, help=".npy file of the rows")
    score.add_argument("--condition", type=Path, help=".npy of `conditional_input`, one row per row")
    return made


def row_seeds(seed: int, num: int) -> np.ndarray:
    """Draws a seed for each row, int32 `[num, 2]`. Any two numbers are a seed; rows with equal seeds get equal draws."""
    bounds = np.iinfo(np.int32)
    return np.random.default_rng(seed).integers(bounds.min, bounds.max, (num, 2), np.int32, endpoint=True)


def run(client: Any, arguments: argparse.Namespace) -> None:
    """Runs a command and prints or writes the answer."""
    if arguments.command == "status":
        print(json.dumps(client.status()))
        return
    if arguments.command == "signatures":
        for name, inputs in client.signatures().items():
            print(name, *(f"{key}: {dtype} {list(shape)}" for key, (dtype, shape) in inputs.items()), sep="\n    ")
        return
    condition = getattr(arguments, "condition", None)
    inputs = {} if condition is None else {"conditional_input": np.load(condition).astype(np.float32)}
    if arguments.command == "log_prob":
        inputs["value"] = np.load(arguments.rows).astype(np.float32)
    else:
        inputs["seed"] = row_seeds(arguments.seed, arguments.num)
    answer = client.predict(inputs, arguments.command)
    if getattr(arguments, "out", None) is None:
        print(json.dumps(answer.tolist()))
    else:
        np.save(arguments.out, answer)


def main(client_class: Any, address: str, doc: str | None) -> None:
    """Runs the command line of a client. An error is one line and exit status 1."""
    arguments = parser(address, doc).parse_args()
    try:
        run(client_class(arguments.address, arguments.model, arguments.version), arguments)
    except Exception as error:
        sys.exit(f"{arguments.address}: {reason(error)}")


def reason(error: Exception) -> str:
    """Returns the message of an error, which errors of gRPC keep in their details."""
    details = getattr(error, "details", None)
    return str(details()) if callable(details) else str(error)


def positive(text: str) -> int:
    """Parses a positive integer.

    Raises:
        argparse.ArgumentTypeError: If the argument is not one.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer; received {text!r}")
    return int(text)
