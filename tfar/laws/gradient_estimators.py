"""Estimators of the gradient of the evidence lower bound, which differ in how a gradient reaches the encoder."""

import abc
import copy
import itertools
import math
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfar import random
from tfar.heads import Bernoulli
from tfar.heads.base import check_positive_int
from tfar.laws.free_bits import floored_divergence
from tfar.networks.inputs import row_seeds

# Largest number of bits of a latent whose values are enumerated: 4096 passes of the decoder for each row.
MAX_ENUMERATED_BITS = 12


class GradientEstimator(abc.ABC):
    """Computes a training loss whose gradient estimates that of a negative bound, for a law with a latent variable."""

    @abc.abstractmethod
    def check(self, law: Any) -> None:
        """Raises ValueError if the estimator does not apply to the parts of a `LatentVariableLaw`."""

    @abc.abstractmethod
    def __call__(
        self, law: Any, x: tf.Tensor, seed: tf.Tensor, step: Any = 0, site_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the training loss `[B]` of a `LatentVariableLaw`; the arguments are those of its `training_loss`."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates the estimator from a configuration."""
        return cls(**config)


@keras.saving.register_keras_serializable("tfar")
class Reparameterized(GradientEstimator):
    """The gradient passes through the draw of the latent, which is a differentiable function of noise.

    References:
        Kingma and Welling. Auto-encoding variational Bayes. ICLR 2014, section 2.4. https://arxiv.org/abs/1312.6114
    """

    def check(self, law: Any) -> None:
        if not law.encoder.head.reparameterized:
            raise ValueError(
                "Expected an encoder whose head is reparameterised for gradient_estimator='reparameterized'; received "
                f"{type(law.encoder.head).__name__}. 'score_function' and 'vimco' need no reparameterisation."
            )

    def __call__(
        self, law: Any, x: tf.Tensor, seed: tf.Tensor, step: Any = 0, site_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        z = law.encode(row_seeds(seed, tf.shape(x)[0]), x)
        return _loss_and_log_q(law, x, z, seed, step, site_weight)[0]


@keras.saving.register_keras_serializable("tfar")
class ScoreFunction(GradientEstimator):
    """Adds the loss times the gradient of log q(z | x): unbiased for any encoder, with a large variance.

    References:
        Williams. Simple statistical gradient-following algorithms for connectionist reinforcement learning. Machine Learning
        8, 1992. https://doi.org/10.1007/BF00992696
    """

    def check(self, law: Any) -> None:
        """Applies to every law."""

    def __call__(
        self, law: Any, x: tf.Tensor, seed: tf.Tensor, step: Any = 0, site_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        z = tf.stop_gradient(law.encode(row_seeds(seed, tf.shape(x)[0]), x))
        loss, log_q = _loss_and_log_q(law, x, z, seed, step, site_weight)
        return loss + tf.stop_gradient(loss) * _zero_with_gradient(log_q)


@keras.saving.register_keras_serializable("tfar")
class Half(GradientEstimator):
    """The estimator of DARN for bits, exact if the loss is quadratic in each bit.

        d/dq E f(h) = f(1) - f(0) ~ E f'(h) / (2 q(h))

    In terms of the logit a of a bit, q = sigmoid(a), the factor is dq/da / (2 q(h)) = (1 - q(h)) / 2. It needs no division, so
    bits with q near 0 or 1 need no clipping. The entropy of each bit given the bits before it is computed in closed form, and
    the log-probability of a bit under the prior is linear in the bit.

    It is biased for other losses, and the bias does not shrink with the number of samples. In particular it is biased if bits of
    the encoder depend on earlier bits, as in layers of latents or an autoregressive encoder: the loss is then a function of an
    earlier bit through the probabilities of later ones, which are not quadratic, and the surrogate gradients of several bits
    multiply. `VIMCO` and `ScoreFunction` are unbiased for such encoders.

    References:
        Gregor, Danihelka, Mnih, Blundell and Wierstra. Deep autoregressive networks. ICML 2014, section 3.
        https://arxiv.org/abs/1310.8499
        Gu, Levine, Sutskever and Mnih. MuProp. ICLR 2016, section 3, which names it. https://arxiv.org/abs/1511.05176
    """

    def check(self, law: Any) -> None:
        _check_bits(law, "half")
        for name in ("encoder", "prior"):
            if getattr(law, name).num_members > 1:
                raise ValueError(
                    f"Expected the {name} to have one member for gradient_estimator='half', which needs its conditionals; "
                    f"received {getattr(law, name).num_members}."
                )

    def __call__(
        self, law: Any, x: tf.Tensor, seed: tf.Tensor, step: Any = 0, site_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        surrogate = copy.copy(law)
        surrogate.encoder = copy.copy(law.encoder)
        surrogate.encoder.head = HalfBernoulli()
        z = surrogate.encode(row_seeds(seed, tf.shape(x)[0]), x)
        logits = law.encoder.conditional_params(z, x)[..., 0]
        entropy = tf.reduce_sum(tf.nn.softplus(logits) - logits * tf.sigmoid(logits), axis=-1)
        logits = law.prior.conditional_params(z)[..., 0]
        log_prior = tf.reduce_sum(law.prior.member(0).values(z) * logits - tf.nn.softplus(logits), axis=-1)
        loss = law.decoder.training_loss(x, z, seed, step, site_weight=site_weight)
        return loss - law.kl_weight_at(step) * (entropy + log_prior)


class HalfBernoulli(Bernoulli):
    """Bits whose draws have the surrogate gradient of `Half`."""

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        logits = params[..., 0]
        bits = tf.stop_gradient(super()._sample(params, noise, site))
        factor = 0.5 * tf.sigmoid((1.0 - 2.0 * bits) * logits)
        return bits + tf.stop_gradient(factor) * _zero_with_gradient(logits)


@keras.saving.register_keras_serializable("tfar")
class VIMCO(GradientEstimator):
    """Gradient of the importance-weighted bound of K latents; the other latents give the baseline of each one.

        L = log (1 / K) sum_k w_k,    w_k = p(x, z_k) / q(z_k | x)
        gradient of L ~ sum_k (L - L_k) (gradient of log q(z_k | x)) + sum_k (w_k / sum_j w_j) (gradient of log w_k)

    L_k is L with w_k replaced by the geometric mean of the other weights. The estimator is unbiased for any encoder.

    Args:
        num_samples: int, K, at least 2.

    Raises:
        ValueError: If `num_samples` is less than 2.

    References:
        Mnih and Rezende. Variational inference for Monte Carlo objectives. ICML 2016, section 2.4.
        https://arxiv.org/abs/1602.06725
    """

    def __init__(self, num_samples: int = 10) -> None:
        self.num_samples = check_positive_int("num_samples", num_samples, lowest=2)

    def get_config(self) -> dict[str, Any]:
        return {"num_samples": self.num_samples}

    def check(self, law: Any) -> None:
        """Applies to every law."""

    def __call__(
        self, law: Any, x: tf.Tensor, seed: tf.Tensor, step: Any = 0, site_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        count, seeds = self.num_samples, row_seeds(seed, tf.shape(x)[0])
        seeds = tf.concat([random.derived_seeds(seeds, k, random.Stream.IMPORTANCE) for k in range(count)], 0)
        x = tf.concat([x] * count, 0)
        weight = None if site_weight is None else tf.concat([site_weight] * count, 0)
        z = tf.stop_gradient(law.encode(seeds, x))
        loss, log_q = (tf.reshape(t, [count, -1]) for t in _loss_and_log_q(law, x, z, seed, step, weight))
        bound, baselines = _bounds(-loss)
        signal = tf.stop_gradient(bound - baselines)
        return -bound - tf.reduce_sum(signal * _zero_with_gradient(log_q), axis=0)


def _bounds(log_weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the bound `[B]` of log weights `[K, B]`, and the bounds `[K, B]` without each of them."""
    count = log_weights.shape[0]
    means = (tf.reduce_sum(log_weights, axis=0) - log_weights) / (count - 1)
    replaced = tf.where(np.eye(count, dtype=bool)[..., None], means[:, None], log_weights[None])
    bound, baselines = (tf.reduce_logsumexp(t, axis=-2) - math.log(count) for t in (log_weights, replaced))
    return bound, baselines


@keras.saving.register_keras_serializable("tfar")
class Enumerated(GradientEstimator):
    """The exact gradient, by a sum over all values of a latent of at most 12 bits; a reference for other estimators."""

    def check(self, law: Any) -> None:
        _check_bits(law, "enumerate")
        if law.encoder.network.num_sites > MAX_ENUMERATED_BITS:
            raise ValueError(
                f"Expected a latent of at most {MAX_ENUMERATED_BITS} bits for gradient_estimator='enumerate', which sums over "
                f"all values; received {law.encoder.network.num_sites}. 'half' and 'vimco' draw latents instead."
            )

    def __call__(
        self, law: Any, x: tf.Tensor, seed: tf.Tensor, step: Any = 0, site_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        codes = np.array(list(itertools.product([0.0, 1.0], repeat=law.encoder.network.num_sites)), np.float32)
        num_rows, shape = tf.shape(x)[0], law.encoder.network.event_shape
        z = tf.reshape(tf.tile(codes, [num_rows, 1]), [-1, *shape])
        weight = None if site_weight is None else tf.repeat(site_weight, len(codes), axis=0)
        loss, log_q = _loss_and_log_q(law, tf.repeat(x, len(codes), axis=0), z, seed, step, weight)
        return tf.reduce_sum(tf.reshape(tf.exp(log_q) * loss, [num_rows, len(codes)]), axis=1)


ESTIMATORS: dict[str, type[GradientEstimator]] = {
    "reparameterized": Reparameterized,
    "score_function": ScoreFunction,
    "half": Half,
    "vimco": VIMCO,
    "enumerate": Enumerated,
}


def as_estimator(estimator: Any, law: Any) -> GradientEstimator:
    """Returns a checked estimator for a law, given an estimator, the name of one, or None for the default of the law.

    The default is "reparameterized" if the head of the encoder is, else "score_function".

    Raises:
        ValueError: If the name is unknown, or the estimator does not apply to the law.
    """
    if estimator is None:
        estimator = "reparameterized" if law.encoder.head.reparameterized else "score_function"
    if isinstance(estimator, str) and estimator in ESTIMATORS:
        estimator = ESTIMATORS[estimator]()
    if not isinstance(estimator, GradientEstimator):
        raise ValueError(
            f"Expected `gradient_estimator` to be one of {tuple(ESTIMATORS)}, an object such as tfar.laws.VIMCO(5), or None; "
            f"received {estimator!r}."
        )
    estimator.check(law)
    return estimator


def _loss_and_log_q(
    law: Any, x: tf.Tensor, z: tf.Tensor, seed: tf.Tensor, step: Any, site_weight: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the negative bound of each row with the weighted KL term, and log q(z | x), both `[B]`."""
    log_q = law.encoder.log_prob(z, x)
    loss = law.decoder.training_loss(x, z, seed, step, site_weight=site_weight)
    divergence = floored_divergence(law, z, x) if law.free_bits else log_q + law.prior_loss(z, seed, step)
    return loss + law.kl_weight_at(step) * divergence, log_q


def _zero_with_gradient(value: tf.Tensor) -> tf.Tensor:
    """Returns 0, with the gradient of `value`."""
    return value - tf.stop_gradient(value)


def _check_bits(law: Any, name: str) -> None:
    """Raises ValueError unless the encoder and the prior are autoregressive over bits."""
    for part in ("encoder", "prior"):
        own = getattr(law, part)
        kind = type(getattr(own, "head", own))  # A prior with a latent variable itself has no head.
        if kind is not Bernoulli:
            raise ValueError(
                f"Expected the {part} to have bits, with the head Bernoulli, for gradient_estimator={name!r}; received "
                f"{kind.__name__}. 'score_function' and 'vimco' take any latent."
            )
