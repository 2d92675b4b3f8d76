"""Head over standardised values."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.heads.base import Head, check_head
from tfar.heads.mixtures import LocationScaleMixture
from tfar.heads.support import Support
from tfar.layers import Standardization


@keras.saving.register_keras_serializable("tfar")
class Standardized(Head):
    """Applies another head to standardised values; densities and draws are in the units of the data.

        log p(x) = log f((x - loc) / scale) - log(scale),    f the density of the head

    `loc` and `scale` are non-trainable weights, one of each for every entry of an event, or one for all entries. They
    are given, or `adapt` sets them to the mean and the standard deviation of data; training calls `adapt` first if
    neither is given. The inputs of a network are the standardised values (`encode_inputs`). Discrete sites of a
    `PerSite` head keep location 0 and scale 1.

    Args:
        head: head of the standardised values, with a continuous site; its `min_scale` is in units of `scale`.
        event_shape: shape of one event, an int or ints, to use a location and a scale for each entry. None means that
            all values share one location and one scale.
        loc: None, or float or floats that broadcast to `event_shape`.
        scale: None, or the same, positive.
        scale_gradients: bool. For mixtures: in training, multiply the gradient of each component's location by its scale.

    Raises:
        ValueError: If the head is discrete, if `loc` or `scale` does not fit, or if float32 is too coarse for the scale
            (see `tfar.layers.Standardization`).

    Example:
        >>> head = Standardized(tfar.heads.NormalMixture(1), event_shape=[2], loc=[1000.0, 0.0])
        >>> standard_normal = [0.0, 0.0, 0.5413]
        >>> head.log_prob([[standard_normal] * 2], [[1000.0, 0.0]], site=[0, 1]).numpy().round(3)
        array([[-0.919, -0.919]], dtype=float32)
    """

    def __init__(
        self,
        head: Head,
        event_shape: Any = None,
        loc: Any = None,
        scale: Any = None,
        scale_gradients: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.head = check_head(head)
        if head.discrete:
            raise ValueError(
                f"Expected a head of continuous values; {type(head).__name__} is discrete and has no units."
            )
        if head.mixed:
            raise ValueError(
                f"Expected a head whose values all have a density; some values of {type(head).__name__} have a mass, which does "
                "not depend on units. Standardise the head inside instead: Atoms(values, Standardized(head))."
            )
        if scale_gradients and not isinstance(head, LocationScaleMixture):
            raise ValueError(
                f"Expected a NormalMixture or a LaplaceMixture with `scale_gradients`; received {type(head).__name__}."
            )
        self.event_shape = None if event_shape is None else tuple(int(n) for n in np.atleast_1d(event_shape))
        self.scale_gradients = bool(scale_gradients)
        self.site_shape, self.noise_size, self.num_sites = head.site_shape, head.noise_size, head.num_sites
        if self.event_shape is not None:
            self.num_sites = self._sites_of_event(self.event_shape)
        elif head.num_sites is not None:
            raise ValueError(f"Expected `event_shape`, as the sites of {type(head).__name__} differ; received None.")
        self.units = Standardization(self.event_shape or (), loc, scale, dtype="float32", name="units")
        given_loc, given_scale = self.units.initial
        if np.any(self._discrete_entries() & ((given_loc != 0.0) | (given_scale != 1.0))):
            raise ValueError(f"Expected location 0 and scale 1 at discrete sites; received {loc!r} and {scale!r}.")

    def _sites_of_event(self, event_shape: tuple[int, ...]) -> int:
        lead = len(event_shape) - len(self.site_shape)
        count = int(np.prod(event_shape[:lead], dtype=int)) if event_shape[max(lead, 0) :] == self.site_shape else None
        if count is None or self.head.num_sites not in (None, count):
            raise ValueError(
                f"Expected an `event_shape` of sites of shape {self.site_shape}"
                f"{'' if self.head.num_sites is None else f', {self.head.num_sites} of them'}; received {event_shape}."
            )
        return count

    @property
    def reparameterized(self) -> bool:
        return self.head.reparameterized

    @property
    def params_size(self) -> int:
        return self.head.params_size

    def build(self, input_shape: Any = None) -> None:
        """Creates the location, the scale and the weights of the inner head."""
        for layer in (self.units, self.head):
            if not layer.built:
                layer.build()
        self.built = True

    def initial_params(self) -> list[float] | None:
        return self.head.initial_params()

    def initial_site_params(self) -> list[list[float]] | None:
        return self.head.initial_site_params()

    def input_levels(self, site: int) -> tuple[float, ...]:
        return self.head.input_levels(site)

    @property
    def awaits_data(self) -> bool:
        return self.units.awaits_data

    def adapt(self, data: Any) -> None:
        """Sets `loc` and `scale` to the mean and the standard deviation of each entry of data, computed in float64.

        Args:
            data: array `[..., *event_shape]`, or an iterable of such arrays, such as a `tf.data.Dataset`. The masked
                entries of masked arrays of NumPy are left out.

        Raises:
            ValueError: See `tfar.layers.Standardization.adapt`.
        """
        self.units.adapt(data, fixed=self._discrete_entries())

    def _discrete_entries(self) -> NDArray[np.bool_]:
        """Returns which entries of an event are discrete, bool `[*event_shape]`."""
        if self.event_shape is None:
            return np.asarray(False)
        discrete = [self.head.support(site).discrete for site in range(self.num_sites or 1)]
        size = int(np.prod(self.site_shape, dtype=int))
        return np.repeat(np.array(discrete), size).reshape(self.event_shape)

    def support(self, site: int | None = None) -> Support:
        return self.head.support(site)

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        return self.head.encode_inputs(self._inside(x, site), site)

    # Units -----------------------------------------------------------------------------------------------------------

    def _of_site(self, table: tf.Variable, site: Any) -> tf.Tensor:
        """Returns the locations or scales of the sites, `[*site.shape, *site_shape]`, or a scalar that all share."""
        table = tf.convert_to_tensor(table)
        if self.event_shape is None:
            return table
        table = tf.reshape(table, [self.num_sites, *self.site_shape])
        if self.num_sites == 1:
            return table[0]
        static = self._static_site(site, "units")
        if static is not None and np.array_equal(static, np.arange(table.shape[0])):
            return table
        return tf.gather(table, site)

    def _units(self, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        self._ensure_built()
        return self._of_site(self.units.loc, site), self._of_site(self.units.scale, site)

    def _inside(self, x: Any, site: Any) -> tf.Tensor:
        """Returns standardised values, clipped to the range of float32."""
        loc, scale = self._units(site)
        z = (tf.cast(x, tf.float32) - loc) / scale
        return tf.where(tf.abs(x) <= tf.float32.max, tf.minimum(tf.maximum(z, tf.float32.min), tf.float32.max), z)

    def _outside(self, z: tf.Tensor, site: Any) -> tf.Tensor:
        loc, scale = self._units(site)
        return loc + scale * z

    def _log_scale(self, site: Any) -> tf.Tensor:
        log_scale = tf.math.log(self._units(site)[1])
        if not self.site_shape:
            return log_scale
        rank = len(self.site_shape)
        channels = tf.broadcast_to(log_scale, tf.concat([tf.shape(log_scale)[:-rank], self.site_shape], 0))
        return tf.reduce_sum(channels, axis=list(range(-rank, 0)))

    # The inner head --------------------------------------------------------------------------------------------------

    def _in_support(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._in_support(self._inside(x, site), site)

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._log_prob(params, self._inside(x, site), site) - self._log_scale(site)

    def _training_log_prob(self, params: tf.Tensor, x: tf.Tensor, seed: Any, site: Any) -> tf.Tensor:
        if self.scale_gradients and isinstance(self.head, LocationScaleMixture):
            params = self.head.scale_location_gradients(params)
        return self.head._training_log_prob(params, self._inside(x, site), seed, site) - self._log_scale(site)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        return self._outside(self.head._sample(params, noise, site), site)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._noise(params, self._inside(x, site), uniform, site)

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        return self.head._tempered(params, temperature, site)

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._cdf(params, self._inside(x, site), site)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._interval_prob(params, self._inside(lower, site), self._inside(upper, site), site)

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        mean, variance = self.head._mean_variance(params, site)
        return self._outside(mean, site), variance * tf.square(self._units(site)[1])

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return self.head._entropy(params, site) + self._log_scale(site)

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return self._outside(self.head._mode(params, site), site)

    def _quantile(self, params: tf.Tensor, p: tf.Tensor, site: Any) -> tf.Tensor:
        return self._outside(self.head._quantile(params, p, site), site)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "head": keras.saving.serialize_keras_object(self.head),
            "event_shape": None if self.event_shape is None else list(self.event_shape),
            **{name: self.units.get_config()[name] for name in ("loc", "scale")},
            "scale_gradients": self.scale_gradients,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Standardized":
        return cls(**{**config, "head": keras.saving.deserialize_keras_object(config["head"])})
