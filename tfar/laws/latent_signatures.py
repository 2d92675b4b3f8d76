"""Signatures of a distribution with a latent variable, with examples computed by its public methods."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.laws.bad_rows import nan_unless
from tfar.laws.signature import Example, Inputs, Output, Signature, Signatures, make_signature, spec

ROWS, NUM_SAMPLES = 3, 100


def latent_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures of a distribution with a latent variable.

    Args:
        dist: the distribution.

    Returns:
        `elbo`, `importance_log_prob` with 100 samples, `encode`, which draws a latent and returns its moments,
        `decode_log_prob` given a latent, and `sample`.
    """
    law, live = dist.law, dist.copy(jit_compile=False)
    event, latent = tuple(dist.event_shape.as_list()), tuple(dist.latent_shape.as_list())

    @functools.cache
    def rows(seed: int) -> dict[str, NDArray]:
        value, seeds = live.sample(ROWS, seed=seed + 2**16), random.row_seeds(seed, ROWS)
        return {"value": value.numpy(), "seed": seeds.numpy(), "latent": law.encode(seeds, value).numpy()}

    specs = {"value": spec("value", event), "seed": spec("seed", (2,), tf.int32), "latent": spec("latent", latent)}
    make = Signatures(specs, None, rows)
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
        "encode": _encode(law, specs, latent, rows),
        "decode_log_prob": make(
            ["value", "latent"],
            ("log_prob", (), "the log-probability of the event given the latent, in nats"),
            lambda given, _: law.decoder.log_prob(given["value"], given["latent"]),
            lambda given, *_: live.decode(given["latent"]).log_prob(given["value"]),
            _scale,
        ),
        "sample": make(
            ["seed"],
            ("value", event, "a draw for each row, a function of its seed"),
            lambda given, _: law.sample(given["seed"]),
            lambda given, _, seed: live.sample(ROWS, seed=seed),
        ),
    }


def _encode(law: Any, specs: dict[str, tf.TensorSpec], latent: tuple[int, ...], rows: Any) -> Signature:
    """Creates the signature that draws a latent, with the mean and the standard deviation of what it was drawn from."""

    def compute(given: Inputs, condition: Any) -> dict[str, tf.Tensor]:
        z = law.encode(given["seed"], given["value"])
        mean, scale = law.latent_moments(given["seed"], z, given["value"])
        valid = tf.logical_not(tf.math.is_nan(law.bad_row_marks(given["value"])))
        return {name: nan_unless(valid, t) for name, t in (("latent", z), ("mean", mean), ("scale", scale))}

    def example(seed: int) -> Example:
        given = {name: rows(seed)[name] for name in ("value", "seed")}
        found = compute({name: tf.constant(part) for name, part in given.items()}, None)
        return Example(given, {name: part.numpy() for name, part in found.items()})

    outputs = {
        "latent": Output(latent, "a draw of the latent of the row, a function of the row and its seed"),
        "mean": Output(latent, "the mean of each entry of the latent, given the row and the entries drawn before it"),
        "scale": Output(latent, "the standard deviation of each entry, given the same"),
    }
    return make_signature(compute, {name: specs[name] for name in ("value", "seed")}, outputs, None, example)


def _scale(seed: int, bound: NDArray) -> NDArray:
    # The terms of the bound may cancel, so rounding errors are relative to a larger scale than the bound itself.
    return 10.0 * np.maximum(1.0, np.abs(bound))
