"""Statistics without a closed form; their errors explain how to estimate them from samples."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class NoClosedForm(tfd.Distribution):  # type: ignore[name-defined]
    """Distribution with samples and log-probabilities, but without closed forms of its statistics."""

    _score_name = "log_prob"

    def _no_closed_form(self, what: str, way: str) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} has no closed form of its {what}. Estimate it by samples: {way}."
        )

    def _entropy(self) -> tf.Tensor:
        raise self._no_closed_form("entropy", f"`-tf.reduce_mean(dist.{self._score_name}(dist.sample(n)))`")

    def _mean(self) -> tf.Tensor:
        raise self._no_closed_form("mean", "`tf.reduce_mean(dist.sample(n), axis=0)`")

    def _variance(self) -> tf.Tensor:
        raise self._no_closed_form("variance", "`tf.math.reduce_variance(dist.sample(n), axis=0)`")

    def _stddev(self) -> tf.Tensor:
        raise self._no_closed_form("standard deviation", "`tf.math.reduce_std(dist.sample(n), axis=0)`")

    def _covariance(self) -> tf.Tensor:
        raise self._no_closed_form("covariance", "`tfp.stats.covariance(dist.sample(n))`")

    def _mode(self) -> tf.Tensor:
        raise self._no_closed_form("mode", "take the sample with the highest `log_prob`")

    def _quantile(self, value: Any) -> tf.Tensor:
        raise self._no_closed_form("quantiles", "`tfp.stats.percentile(dist.sample(n), q, axis=0)`")

    def _cdf(self, value: Any) -> tf.Tensor:
        raise self._no_closed_form("distribution function", "count the samples that are below the value")


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
