"""Head of a real-valued site with one normal, whose log scale is bounded: the latents of variational autoencoders."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfar.heads import numerics
from tfar.heads.base import Head
from tfar.heads.mixtures import LIMIT, standardized
from tfar.heads.support import Support

LOG_2_PI = math.log(2.0 * math.pi)


@keras.saving.register_keras_serializable("tfar")
class Normal(Head):
    """Normal distribution with a bounded logarithm of its scale, reparameterised with one uniform number a draw.

    The parameter vector holds the location and an unconstrained log scale:

        p(x) = N(x; loc, scale^2),    log(scale) = b tanh(raw / b)

    for the bound b. Near 0 the logarithm is `raw`, so that zeros are the parameters of a standard normal. The bound
    keeps the KL divergence of a latent and its gradient finite.

    Args:
        max_log_scale: float, b. Bound of |log(scale)|.

    Raises:
        ValueError: If `max_log_scale` is not positive and finite.

    Example:
        >>> round(float(Normal().log_prob([[0.0, 0.0]], 0.0)[0]), 3)
        -0.919

    References:
        Kingma and Welling. Auto-encoding variational Bayes. ICLR 2014, appendix C.2. https://arxiv.org/abs/1312.6114
    """

    def __init__(self, max_log_scale: float = 7.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0.0 < max_log_scale < math.inf:
            raise ValueError(f"Expected `max_log_scale` to be positive and finite; received {max_log_scale!r}.")
        self.max_log_scale = float(max_log_scale)

    @property
    def params_size(self) -> int:
        return 2

    @property
    def reparameterized(self) -> bool:
        return True

    def support(self, site: int | None = None) -> Support:
        return Support()

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        return tf.minimum(tf.maximum(tf.cast(x, tf.float32), -LIMIT), LIMIT)

    def initial_params(self) -> list[float]:
        """Returns the parameters of a standard normal."""
        return [0.0, 0.0]

    def loc_and_log_scale(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Splits parameters `[..., 2]` into the location and the logarithm of the scale, each `[...]`."""
        loc, raw = tf.unstack(tf.cast(params, tf.float32), axis=-1)
        return loc, self.max_log_scale * tf.tanh(raw / self.max_log_scale)

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        loc, log_scale = self.loc_and_log_scale(params)
        z = standardized(x, loc, tf.exp(log_scale))
        return -0.5 * (z * z + LOG_2_PI) - log_scale

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        loc, log_scale = self.loc_and_log_scale(params)
        return loc + tf.exp(log_scale) * numerics.normal_quantile(noise[..., 0])

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        return numerics.open_unit(self._cdf(params, x, site))[..., None]

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        loc, log_scale = self.loc_and_log_scale(params)
        return numerics.normal_cdf((x - loc) / tf.exp(log_scale))

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        loc, log_scale = self.loc_and_log_scale(params)
        low, high = ((edge - loc) / tf.exp(log_scale) for edge in (lower, tf.maximum(lower, upper)))
        return tf.minimum(numerics.normal_interval(low, high), 1.0)

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        loc, log_scale = self.loc_and_log_scale(params)
        return loc, tf.exp(2.0 * log_scale)

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return self.loc_and_log_scale(params)[1] + 0.5 * (1.0 + LOG_2_PI)

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return self.loc_and_log_scale(params)[0]

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        loc, log_scale = self.loc_and_log_scale(params)
        share = (log_scale + 0.5 * tf.math.log(tf.cast(temperature, tf.float32))) / self.max_log_scale
        share = tf.minimum(tf.maximum(share, -1.0 + 2.0**-20), 1.0 - 2.0**-20)
        raw = 0.5 * self.max_log_scale * (tf.math.log(1.0 + share) - tf.math.log(1.0 - share))
        return tf.stack([loc, raw], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_log_scale": self.max_log_scale}
