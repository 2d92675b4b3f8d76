"""Reads an exported TFLite file with its runtime alone and writes its log_prob: run as a file, in a process of its own."""

import sys

import numpy as np


def main(path: str, rows: str, out: str) -> None:
    """Scores the rows of one .npy file into another."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path).get_signature_runner("log_prob")
    np.save(out, runner(value=np.load(rows).astype(np.float32))["log_prob"])
    if "tfar" in sys.modules or "tensorflow" in sys.modules:
        raise RuntimeError("Expected a process without tfar and TensorFlow.")


if __name__ == "__main__":
    main(*sys.argv[1:])
