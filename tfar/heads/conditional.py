"""The conditionals of sites as a distribution of TensorFlow Probability."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfar import random

tfd = tfp.distributions


class Conditional(tfd.Distribution):  # type: ignore[name-defined]
    """Distribution of sites with given parameters, as returned by `Head.distribution`.

    `log_prob` is NaN outside the support, as for the head. `quantile(p)` is the smallest float32 x with `cdf(x) >= p`.
    Statistics of discrete sites have closed forms, and so do the mean and the variance of a mixture. For the entropy of
    a mixture see `LocationScaleMixture`.

    Args:
        head: the `tfar.heads.Head`.
        params: float32 tensor `[..., params_size]`.
        site: None, or an int tensor that broadcasts to `params.shape[:-1]`.

    Example:
        >>> dist = tfar.heads.Bernoulli().distribution([[0.0], [200.0]])
        >>> dist.mean().numpy()
        array([0.5, 1. ], dtype=float32)
    """

    def __init__(self, head: Any, params: tf.Tensor, site: Any = None, name: str = "Conditional") -> None:
        parameters = dict(locals())
        self._head, self._params, self._site = head, params, site
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @property
    def head(self) -> Any:
        """The head."""
        return self._head

    @property
    def params(self) -> tf.Tensor:
        """The parameters of the head, `[..., params_size]`."""
        return self._params

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        properties = tfp.util.ParameterProperties
        return {"params": properties(event_ndims=1), "site": properties(event_ndims=0)}

    def _batch_shape(self) -> tf.TensorShape:
        return self._params.shape[:-1]

    def _batch_shape_tensor(self, **kwargs: Any) -> tf.Tensor:
        return tf.shape(self._params)[:-1]

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape(self._head.site_shape)

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant(self._head.site_shape, tf.int32)

    def _log_prob(self, value: tf.Tensor) -> tf.Tensor:
        return self._head.log_prob(self._params, value, self._site)

    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        batch = tf.shape(self._params)[:-1]
        seeds = random.row_seeds(random.as_seed(seed), n * tf.reduce_prod(batch))
        noise = random.uniform(seeds, self._head.noise_size, random.Stream.NOISE)
        noise = tf.reshape(noise, tf.concat([[n], batch, [self._head.noise_size]], 0))
        return self._head.sample(self._params, noise, self._site)

    def _cdf(self, value: tf.Tensor) -> tf.Tensor:
        return self._head.cdf(self._params, value, self._site)

    def _quantile(self, value: tf.Tensor) -> tf.Tensor:
        self._head._check_scalar("quantile")
        return self._head._quantile(self._params, value, self._site)

    def _mean(self) -> tf.Tensor:
        return self._head._mean_variance(self._params, self._site)[0]

    def _variance(self) -> tf.Tensor:
        return self._head._mean_variance(self._params, self._site)[1]

    def _mode(self) -> tf.Tensor:
        return self._head._mode(self._params, self._site)

    def _entropy(self) -> tf.Tensor:
        return self._head._entropy(self._params, self._site)
