"""Head of a real-valued site in units of its own: a mixture of what is left when they are taken out."""

from typing import Any

import keras
import tensorflow as tf

from tfar.heads.base import Head
from tfar.heads.mixtures import LocationScaleMixture


@keras.saving.register_keras_serializable("tfar")
class StandardizedMixture(Head):
    """Mixture of a site's standardised value; densities and draws are in the site's own units.

    The parameter vector holds that of the mixture, and then the site's location and scale:

        log p(x) = log f((x - loc) / scale) - log(scale),    f the density of the mixture

    Args:
        mixture: a `NormalMixture` or a `LaplaceMixture`; its `min_scale` is in units of the site's scale.
        scale_gradients: bool. In training multiply the gradient of each component's location by its scale.

    Raises:
        ValueError: If `mixture` is no mixture of location-scale components.

    Example:
        >>> head = StandardizedMixture(tfar.heads.NormalMixture(1))
        >>> standard_normal = [0.0, 0.0, 0.5413]
        >>> round(float(head.log_prob([[*standard_normal, 1000.0, 1.0]], 1000.0)[0]), 3)
        -0.919

    References:
        Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013, section 3.
    """

    def __init__(self, mixture: LocationScaleMixture, scale_gradients: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(mixture, LocationScaleMixture):
            raise ValueError(f"Expected a mixture, as NormalMixture or LaplaceMixture; received {mixture!r}.")
        self.mixture = mixture
        self.scale_gradients = bool(scale_gradients)
        self.noise_size = mixture.noise_size

    @property
    def params_size(self) -> int:
        return self.mixture.params_size + 2

    def components(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Splits parameters `[..., 3 K + 2]` into logits, loc and scale in the site's own units, each `[..., K]`."""
        inner, site_loc, site_scale = _split(tf.cast(params, tf.float32))
        logits, loc, scale = self.mixture.components(inner)
        return logits, site_loc[..., None] + site_scale[..., None] * loc, site_scale[..., None] * scale

    def training_params(self, params: Any) -> tf.Tensor:
        params = self._checked(params)
        if not self.scale_gradients:
            return params
        return tf.concat([self.mixture.scale_location_gradients(params[..., :-2]), params[..., -2:]], axis=-1)

    def tempered(self, params: tf.Tensor, temperature: float) -> tf.Tensor:
        return tf.concat([self.mixture.tempered(params[..., :-2], temperature), params[..., -2:]], axis=-1)

    def _in_support(self, x: tf.Tensor) -> tf.Tensor:
        return self.mixture.in_support(x)

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        inner, loc, scale = _split(params)
        return self.mixture.log_prob(inner, (x - loc) / scale) - tf.math.log(scale)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        inner, loc, scale = _split(params)
        return loc + scale * self.mixture.sample(inner, noise)

    def get_config(self) -> dict[str, Any]:
        mixture = keras.saving.serialize_keras_object(self.mixture)
        return {**super().get_config(), "mixture": mixture, "scale_gradients": self.scale_gradients}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "StandardizedMixture":
        return cls(**{**config, "mixture": keras.saving.deserialize_keras_object(config["mixture"])})


def _split(params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Parameters of the mixture, the site's location and its scale."""
    return params[..., :-2], params[..., -2], params[..., -1]
