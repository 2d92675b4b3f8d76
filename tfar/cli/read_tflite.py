"""Script for a separate process: scores rows with an exported TFLite file, using only the LiteRT runtime and not tfar."""

import sys

import numpy as np


def main(path: str, rows: str, out: str) -> None:
    """Reads rows from the file `rows` and writes their log_prob to the file `out` (both .npy)."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path).get_signature_runner("log_prob")
    np.save(out, runner(value=np.load(rows).astype(np.float32))["log_prob"])
    if "tfar" in sys.modules or "tensorflow" in sys.modules:
        raise RuntimeError("Expected a process without tfar and TensorFlow.")


if __name__ == "__main__":
    main(*sys.argv[1:])
