"""Statistics without a closed form; their errors explain how to estimate them from samples."""

from typing import Any, NoReturn

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def _refused(statistic: str, way: str) -> Any:
    """Returns a method that raises an error, which names the statistic and the way to estimate it from samples."""

    def method(self: Any, *args: Any) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} has no closed form of its {statistic}. Estimate it by samples: "
            f"{way.format(score=self._score_name)}."
        )

    return method


class NoClosedForm(tfd.Distribution):  # type: ignore[name-defined]
    """Distribution with samples and log-probabilities, but without closed forms of its statistics."""

    _score_name = "log_prob"

    _entropy = _refused("entropy", "`-tf.reduce_mean(dist.{score}(dist.sample(n)))`")
    _mean = _refused("mean", "`tf.reduce_mean(dist.sample(n), axis=0)`")
    _variance = _refused("variance", "`tf.math.reduce_variance(dist.sample(n), axis=0)`")
    _stddev = _refused("standard deviation", "`tf.math.reduce_std(dist.sample(n), axis=0)`")
    _covariance = _refused("covariance", "`tfp.stats.covariance(dist.sample(n))`")
    _mode = _refused("mode", "take the sample with the highest `{score}`")
    _quantile = _refused("quantiles", "`tfp.stats.percentile(dist.sample(n), q, axis=0)`")
    _cdf = _refused("distribution function", "count the samples that are below the value")


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
