"""Script for a separate process: scores rows with an exported model, using only its runtime and not tfar."""

import sys

import numpy as np


def saved_model(path: str, rows: np.ndarray) -> np.ndarray:
    """Returns the log_prob of the rows with TensorFlow."""
    import tensorflow as tf

    return tf.saved_model.load(path).signatures["log_prob"](value=tf.constant(rows))["log_prob"].numpy()


def tflite(path: str, rows: np.ndarray) -> np.ndarray:
    """Returns the log_prob of the rows with LiteRT, without TensorFlow."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=path).get_signature_runner("log_prob")(value=rows)["log_prob"]


def main(what: str, path: str, rows: str, out: str) -> None:
    """Reads rows from the file `rows` and writes their log_prob to the file `out` (both .npy)."""
    score, unwanted = {"SavedModel": (saved_model, {"tfar"}), "TFLite": (tflite, {"tfar", "tensorflow"})}[what]
    np.save(out, score(path, np.load(rows)))
    if unwanted & sys.modules.keys():
        raise RuntimeError(f"Expected a process without {', '.join(sorted(unwanted))}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
