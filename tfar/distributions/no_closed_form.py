"""Statistics without a closed form; their errors explain how to estimate them from samples."""

from typing import Any, NoReturn

import tensorflow as tf
import tensorflow_probability as tfp

from tfar.distributions.described import Described

tfd = tfp.distributions


class NoClosedForm(Described):
    """Distribution with samples and log-probabilities, but without closed forms of its statistics."""

    _score_name = "log_prob"

    def _refuse(self, statistic: str, way: str) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} has no closed form of its {statistic}. Estimate it by samples: {way}."
        )

    # Moments ---------------------------------------------------------------------------------------------------------

    def mean(self, name: str = "mean", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it by samples: `tf.reduce_mean(dist.sample(n), axis=0)`, `[*batch, *event_shape]`.

        The mean of each site given the sites before it has one: `dist.conditionals(x).mean()`. For `tfar.Factorized`, whose
        sites are independent, it is the mean for any x.

        Args:
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("mean", "`tf.reduce_mean(dist.sample(n), axis=0)`")

    def variance(self, name: str = "variance", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it by samples: `tf.math.reduce_variance(dist.sample(n), axis=0)`.

        The variance of each site given the sites before it has one: `dist.conditionals(x).variance()`.

        Args:
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("variance", "`tf.math.reduce_variance(dist.sample(n), axis=0)`")

    def stddev(self, name: str = "stddev", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it by samples: `tf.math.reduce_std(dist.sample(n), axis=0)`.

        The standard deviation of each site given the sites before it has one: `dist.conditionals(x).stddev()`.

        Args:
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("standard deviation", "`tf.math.reduce_std(dist.sample(n), axis=0)`")

    def covariance(self, name: str = "covariance", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it by samples: `tfp.stats.covariance(dist.sample(n))`, for events of rank 1.

        Args:
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("covariance", "`tfp.stats.covariance(dist.sample(n))`")

    def mode(self, name: str = "mode", **kwargs: Any) -> NoReturn:
        """Has no closed form. Approximate it by the sample with the highest `log_prob`.

        `dist.with_temperature(0.1).sample(n)` draws samples near the modes of the conditionals.

        Args:
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("mode", f"take the sample with the highest `{self._score_name}`")

    # Information -----------------------------------------------------------------------------------------------------

    def entropy(self, name: str = "entropy", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it in nats by samples: `-tf.reduce_mean(dist.log_prob(dist.sample(n)))`.

        With a latent variable, `importance_log_prob` takes the place of `log_prob`.

        Args:
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("entropy", f"`-tf.reduce_mean(dist.{self._score_name}(dist.sample(n)))`")

    def cross_entropy(self, other: Any, name: str = "cross_entropy") -> NoReturn:
        """Has no closed form. Estimate it in nats by samples: `-tf.reduce_mean(other.log_prob(dist.sample(n)))`.

        Args:
            other: a distribution over the same events.
            name: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("cross-entropy", "`-tf.reduce_mean(other.log_prob(dist.sample(n)))`")

    def kl_divergence(self, other: Any, name: str = "kl_divergence") -> tf.Tensor:
        """Has no closed form, unless one is registered with `tfd.RegisterKL` for the two classes.

        Estimate it in nats by samples: `x = dist.sample(n)`, then `tf.reduce_mean(dist.log_prob(x) - other.log_prob(x))`.

        Args:
            other: a distribution over the same events.
            name: name of the operation.

        Returns:
            float32 `[*batch]`, what the registered function returns.

        Raises:
            NotImplementedError: If no function is registered for the classes of the two distributions.
        """
        return tfd.kl_divergence(self, other, name=name)

    # Distribution functions ------------------------------------------------------------------------------------------

    def quantile(self, value: Any, name: str = "quantile", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate those of each site by samples: `tfp.stats.percentile(dist.sample(n), q, axis=0)`.

        The quantiles of each site given the sites before it have one: `dist.conditionals(x).quantile(value)`.

        Args:
            value: numbers between 0 and 1.
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("quantiles", "`tfp.stats.percentile(dist.sample(n), q, axis=0)`")

    def cdf(self, value: Any, name: str = "cdf", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it by the fraction of samples of which every entry is at most the value's.

        The distribution function of each site given the sites before it is part of `dist.noise(x)`.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("distribution function", "count the samples that are below the value")

    def log_cdf(self, value: Any, name: str = "log_cdf", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it by the logarithm of the fraction that estimates `cdf`.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("distribution function", "count the samples that are below the value")

    def survival_function(self, value: Any, name: str = "survival_function", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it as 1 minus the fraction that estimates `cdf`.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("survival function", "count the samples that are not below the value")

    def log_survival_function(self, value: Any, name: str = "log_survival_function", **kwargs: Any) -> NoReturn:
        """Has no closed form. Estimate it by the logarithm of 1 minus the fraction that estimates `cdf`.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        self._refuse("survival function", "count the samples that are not below the value")


def _kl_divergence(a: Any, b: Any, name: str | None = None) -> tf.Tensor:
    """Raises an error that explains how to estimate a KL divergence, which has no closed form."""
    first, second = (getattr(dist, "_score_name", "log_prob") for dist in (a, b))
    raise NotImplementedError(
        f"KL({type(a).__name__} || {type(b).__name__}) has no closed form. Estimate it by samples: x = a.sample(n), then "
        f"tf.reduce_mean(a.{first}(x) - b.{second}(x))."
    )


for _pair in (
    (NoClosedForm, NoClosedForm),
    (NoClosedForm, tfd.Distribution),
    (tfd.Distribution, NoClosedForm),
):
    tfd.RegisterKL(*_pair)(_kl_divergence)
