"""Replays an export before it is declared good: every signature, against the distribution that it was made from."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.distributions import Autoregressive
from tfar.serving.errors import ExportError
from tfar.serving.signatures import Signature

ROWS = 3
Batch = dict[str, NDArray]
Run = Callable[[str, Batch], NDArray]


def example_batch(dist: Autoregressive, specs: Mapping[str, tf.TensorSpec], seed: int = 0) -> Batch:
    """Rows that every signature accepts: draws of the distribution, and a pattern that its order allows.

    Args:
        dist: the distribution.
        specs: the inputs of all signatures together.
        seed: int.

    Returns:
        An array of `ROWS` rows for each input.
    """
    seeds = random.row_seeds(seed, ROWS)
    rng = np.random.default_rng(seed)
    batch = {name: rng.normal(size=(ROWS, *s.shape[1:])).astype(np.float32) for name, s in specs.items()}
    batch["seed"] = seeds.numpy()
    batch["noise"] = dist.law.uniform_noise(seeds).numpy()
    batch["member_noise"] = dist.law.member_noise(seeds).numpy()
    batch["observed"] = _first_half(dist)
    return batch


def _first_half(dist: Autoregressive) -> NDArray[np.float32]:
    """Marks the first half of the sites in an order that all members share, or nothing if they share none."""
    network, law = dist.network, dist.law
    marks = np.zeros([ROWS, network.num_sites], np.float32)
    orders = network.orders if law.orders is None else np.asarray(law.orders)
    if len(orders) == 1 or law.allows_any_pattern:
        marks[:, orders[0][: network.num_sites // 2]] = 1.0
    size = int(np.prod(dist.head.site_shape, dtype=int))
    return np.repeat(marks, size, axis=1).reshape(ROWS, *network.event_shape)


def replay(
    dist: Autoregressive, signatures: Mapping[str, Signature], live: Run, written: Run, relative: float | None = 1e-5
) -> None:
    """Runs every signature twice and compares.

    A draw that lies on the edge between two values may fall on either side by rounding, so a second batch decides where
    the first differs.

    Args:
        dist: the distribution that was exported.
        signatures: its signatures.
        live: runs a signature on the distribution itself.
        written: runs a signature of what was written.
        relative: float, the difference allowed; None if the weights were rounded, which only asks for finite numbers.

    Raises:
        ExportError: If a signature fails or gives something else.
        ValueError: If the distribution itself gives NaN.
    """
    specs = {name: spec for s in signatures.values() for name, spec in s.inputs.items()}
    differing = set(signatures)
    for seed in (0, 1):
        batch = example_batch(dist, specs, seed)
        batch["value"] = _live(dist, live, signatures["sample"], "sample", batch)
        shares = _live(dist, live, signatures["site_log_probs"], "site_log_probs", batch)
        scale = np.maximum(1.0, np.abs(shares).sum(axis=1))
        for name in sorted(differing):
            expected = _live(dist, live, signatures[name], name, batch)
            got = _written(written, signatures[name], name, batch)
            if _agree(got, expected, relative, scale if signatures[name].output != "value" else None):
                differing.discard(name)
        if not differing:
            return
    raise ExportError(f"The export differs from the distribution in {sorted(differing)}; it was removed.")


def _live(dist: Autoregressive, live: Run, signature: Signature, name: str, batch: Batch) -> NDArray:
    result = live(name, {key: batch[key] for key in signature.inputs})
    if np.isnan(result).any():
        raise ValueError(
            f"Expected a distribution that gives numbers; {name} of {dist.name} gives NaN. Are its weights finite?"
        )
    return result


def _written(written: Run, signature: Signature, name: str, batch: Batch) -> NDArray:
    try:
        return written(name, {key: batch[key] for key in signature.inputs})
    except Exception as error:
        raise ExportError(f"Signature {name!r} of the export fails: {error}") from error


def _agree(got: NDArray, expected: NDArray, relative: float | None, scale: NDArray | None) -> bool:
    """Whether results are equal to rounding: scores relative to the `scale` of their row, draws to a thousandth."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return False
    if relative is None:
        return bool(np.isfinite(got).all())
    if scale is None:
        return bool(np.allclose(got, expected, rtol=1e-3, atol=1e-3))
    return bool((np.abs(got - expected) <= relative * scale.reshape([-1] + [1] * (got.ndim - 1))).all())


def numpy_runner(functions: Mapping[str, Any], signatures: Mapping[str, Signature]) -> Run:
    """A runner of TensorFlow functions that take and give named tensors."""

    def run(name: str, inputs: Batch) -> NDArray:
        outputs = functions[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return outputs[signatures[name].output].numpy()

    return run
