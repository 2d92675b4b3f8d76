"""Signatures of a distribution with a latent variable, with examples computed by its public methods."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.laws.signature import Signature, Signatures, spec

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

    @functools.cache
    def rows(seed: int) -> dict[str, NDArray]:
        value = np.asarray(live.sample(ROWS, seed=seed + 2**16))
        return {"value": value, "seed": random.row_seeds(seed, ROWS).numpy()}

    make = Signatures({"value": spec("value", event), "seed": spec("seed", (2,), tf.int32)}, None, rows)
    return {
        "elbo": make(
            ["value", "seed"],
            ("elbo", (), "an estimate of the evidence lower bound of the row, in nats, with one latent"),
            lambda given, _: law.elbo(given["seed"], given["value"]),
            lambda given, _, seed: live.elbo(given["value"], seed=seed),
            _scale,
        ),
        "importance_log_prob": make(
            ["value", "seed"],
            (
                "importance_log_prob",
                (),
                f"the importance-weighted bound of the row with {NUM_SAMPLES} latents, in nats",
            ),
            lambda given, _: law.importance_log_prob(given["seed"], given["value"], NUM_SAMPLES),
            lambda given, _, seed: live.importance_log_prob(given["value"], NUM_SAMPLES, seed),
            _scale,
        ),
        "encode": make(
            ["value", "seed"],
            ("latent", latent, "a draw of the latent of the row, a function of the row and its seed"),
            lambda given, _: law.encode(given["seed"], given["value"]),
            lambda given, *_: law.encode(tf.constant(given["seed"]), tf.constant(given["value"])),
        ),
        "sample": make(
            ["seed"],
            ("value", event, "a draw for each row, a function of its seed"),
            lambda given, _: law.sample(given["seed"]),
            lambda given, _, seed: live.sample(ROWS, seed=seed),
        ),
    }


def _scale(seed: int, bound: NDArray) -> NDArray:
    # The terms of the bound may cancel, so rounding errors are relative to a larger scale than the bound itself.
    return 10.0 * np.maximum(1.0, np.abs(bound))
