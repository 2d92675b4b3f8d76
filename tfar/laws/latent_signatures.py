"""Signatures of a distribution with a latent variable, with examples computed by its public methods."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.laws.signature import Example, Output, Signature, make_signature, spec

ROWS, NUM_SAMPLES = 3, 100


def latent_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures of a distribution with a latent variable.

    Args:
        dist: the distribution.

    Returns:
        `elbo`, `importance_log_prob` with 100 samples, `encode`, which draws a latent, and `sample`.
    """
    law, live = dist.law, dist.copy(jit_compile=False)
    event, latent = tuple(dist.event_shape.as_list()), tuple(dist.latent_shape.as_list())
    value, seed = {"value": spec("value", event)}, {"seed": spec("seed", (2,), tf.int32)}

    @functools.cache
    def values(key: int) -> NDArray:
        return np.asarray(live.sample(ROWS, seed=key + 2**16))

    def seeds(key: int) -> NDArray:
        return random.row_seeds(key, ROWS).numpy()

    def scale(bound: NDArray) -> NDArray:
        # The terms of the bound may cancel, so rounding errors are relative to a larger scale than the bound itself.
        return 10.0 * np.maximum(1.0, np.abs(bound))

    def bound(name: str, key: int, **arguments: Any) -> Example:
        result = np.asarray(getattr(live, name)(values(key), seed=key, **arguments))
        return Example({"value": values(key), "seed": seeds(key)}, {name: result}, scale(result))

    def encoded(key: int) -> Example:
        drawn = law.encode(tf.constant(seeds(key)), tf.constant(values(key))).numpy()
        return Example({"value": values(key), "seed": seeds(key)}, {"latent": drawn})

    def sampled(key: int) -> Example:
        return Example({"seed": seeds(key)}, {"value": np.asarray(live.sample(ROWS, seed=key))})

    elbo = Output((), "an estimate of the evidence lower bound of the row, in nats, with one latent")
    importance = Output((), f"the importance-weighted bound of the row with {NUM_SAMPLES} latents, in nats")
    return {
        "elbo": make_signature(
            lambda given, _: {"elbo": law.elbo(given["seed"], given["value"])},
            {**value, **seed},
            {"elbo": elbo},
            None,
            functools.partial(bound, "elbo"),
        ),
        "importance_log_prob": make_signature(
            lambda given, _: {
                "importance_log_prob": law.importance_log_prob(given["seed"], given["value"], NUM_SAMPLES)
            },
            {**value, **seed},
            {"importance_log_prob": importance},
            None,
            functools.partial(bound, "importance_log_prob", num_samples=NUM_SAMPLES),
        ),
        "encode": make_signature(
            lambda given, _: {"latent": law.encode(given["seed"], given["value"])},
            {**value, **seed},
            {"latent": Output(latent, "a draw of the latent of the row, a function of the row and its seed")},
            None,
            encoded,
        ),
        "sample": make_signature(
            lambda given, _: {"value": law.sample(given["seed"])},
            seed,
            {"value": Output(event, "a draw for each row, a function of its seed")},
            None,
            sampled,
        ),
    }
