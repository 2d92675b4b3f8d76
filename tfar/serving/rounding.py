"""Compares the log_prob of a TFLite file with that of its distribution on data, to measure what rounded weights cost."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfar.laws.signature import named_condition
from tfar.serving.tflite import make_runner

BATCH_SIZE = 100


@dataclass(frozen=True)
class LogProbError:
    """Differences between the `log_prob` of a file and that of its distribution on the same rows.

    Attributes:
        num_rows: int.
        nll: float. Mean negative log-probability of the distribution, in nats per row.
        mean: float. Mean of file minus distribution, in nats per row: the change of the mean log-likelihood.
        mean_absolute: float. Mean of the absolute differences, in nats per row.
        largest: float. Largest absolute difference, in nats.
    """

    num_rows: int
    nll: float
    mean: float
    mean_absolute: float
    largest: float

    def __str__(self) -> str:
        return (
            f"log_prob differs by {self.mean_absolute:.2g} nats per row on average and by at most {self.largest:.2g} "
            f"({self.num_rows} rows of {self.nll:.4g} nats)"
        )


def log_prob_error(dist: Any, path: str | os.PathLike[str], value: Any, conditional_input: Any = None) -> LogProbError:
    """Measures the error of a TFLite file on data, which is what `quantize` of `export_tflite` costs.

    Args:
        dist: the distribution that was exported.
        path: a file that `export_tflite` wrote.
        value: `[N, *event_shape]`, N >= 1.
        conditional_input: `[N, *conditional_shape]` or a dict of arrays, if the model has one.

    Returns:
        The differences of `log_prob` over the N rows.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If there are no rows, or they do not match the distribution.

    Example:
        >>> dist = tfar.MADE([4], [8])
        >>> path = tfar.serving.export_tflite(dist, "made.tflite", quantize="float16")
        >>> tfar.serving.log_prob_error(dist, path, np.eye(4)).largest < 0.01
        True
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected a TFLite file; there is none at {path}.")
    value = np.asarray(value, np.float32)
    if not len(value):
        raise ValueError(f"Expected rows to measure on; received shape {value.shape}.")
    run = make_runner(path.read_bytes())
    expected, got = [], []
    for first in range(0, len(value), BATCH_SIZE):
        rows, condition = value[first : first + BATCH_SIZE], conditional_input
        if condition is not None:
            condition = keras.tree.map_structure(lambda t, i=first: np.asarray(t)[i : i + BATCH_SIZE], condition)
        expected.append(np.asarray(dist.log_prob(rows, conditional_input=condition)))
        named = {name: np.asarray(part, np.float32) for name, part in named_condition(condition).items()}
        got.append(run("log_prob", {"value": rows, **named})["log_prob"])
    live = np.concatenate(expected).astype(np.float64)
    difference = np.concatenate(got).astype(np.float64) - live
    absolute = np.abs(difference)
    return LogProbError(
        len(live), *(float(x) for x in (-live.mean(), difference.mean(), absolute.mean(), absolute.max()))
    )
