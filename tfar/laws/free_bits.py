"""Free bits: a floor of the KL divergence of each entry of a latent, so that training does not switch entries off."""

import math
from typing import Any

import numpy as np
import tensorflow as tf


def checked_free_bits(free_bits: Any, law: Any) -> float:
    """Returns the free bits of a `LatentVariableLaw` as a float.

    Raises:
        ValueError: If they are not a finite number of at least 0, or if the law has other latents than normals whose gradient
            passes through the draw, or a prior whose entries depend on each other.
    """
    is_number = isinstance(free_bits, int | float | np.number) and not isinstance(free_bits, bool)
    if not is_number or not 0.0 <= free_bits < math.inf:
        raise ValueError(f"Expected `free_bits` to be a finite number of at least 0; received {free_bits!r}.")
    if free_bits > 0.0:
        _check_latents(law)
    return float(free_bits)


def _check_latents(law: Any) -> None:
    prior, encoder = law.prior, law.encoder
    kinds = [type(getattr(part, "head", part)).__name__ for part in (prior, encoder)]
    if kinds != ["Normal", "Normal"]:
        raise ValueError(
            "Expected a prior and an encoder with the head tfar.heads.Normal for `free_bits`, as the KL divergence of each entry "
            f"has no closed form for others; received {kinds[0]} and {kinds[1]}."
        )
    steps = prior.network.step_of_site
    if max(prior.num_members, encoder.num_members) > 1 or steps is None or np.any(steps):
        raise ValueError(
            "Expected a prior with independent entries, such as tfar.Factorized, and an encoder of one member for `free_bits`; "
            f"received {type(prior.network).__name__} and {type(encoder.network).__name__}."
        )
    name = type(law.gradient_estimator).__name__
    if name != "Reparameterized":
        raise ValueError(f"Expected gradient_estimator='reparameterized' for `free_bits`; received {name}.")


def floored_divergence(law: Any, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns the KL term of each row `[B]`, in which an entry of the latent has no less than `law.free_bits` nats.

        sum_j max(free_bits, mean over the rows of KL_j),    KL_j = KL(q(z_j | z_<j, x) || p(z_j))

    The mean of the result over the rows is this sum: an entry whose mean is below the floor contributes the floor to each
    row, and no gradient. Rows that are outside the support do not enter the mean.

    Args:
        law: a `LatentVariableLaw`.
        z: float32 `[B, *latent_shape]`, drawn from the encoder.
        x: float32 `[B, *event_shape]`.

    References:
        Kingma et al. Improved variational inference with inverse autoregressive flow. NIPS 2016, appendix C.8.
        https://arxiv.org/abs/1606.04934
    """
    divergence = _divergences(law, z, x)
    valid = tf.logical_not(tf.math.is_nan(divergence + law.bad_row_marks(x)[:, None]))
    count = tf.maximum(tf.reduce_sum(tf.cast(valid, tf.float32), axis=0), 1.0)
    mean = tf.reduce_sum(tf.where(valid, divergence, tf.zeros_like(divergence)), axis=0) / count
    is_free = tf.logical_and(mean < law.free_bits, valid)
    return tf.reduce_sum(tf.where(is_free, law.free_bits * tf.ones_like(divergence), divergence), axis=1)


def _divergences(law: Any, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns the KL divergence of each entry of the latent between two normals in closed form, `[B, N]`."""
    (loc, log_scale), (prior_loc, prior_log_scale) = (
        head.loc_and_log_scale(params)
        for head, params in (
            (law.encoder.head, law.encoder.conditional_params(z, x)),
            (law.prior.head, law.prior.conditional_params(z)),
        )
    )
    shift, ratio = (loc - prior_loc) * tf.exp(-prior_log_scale), log_scale - prior_log_scale
    return 0.5 * (tf.exp(2.0 * ratio) + shift * shift - 1.0) - ratio
