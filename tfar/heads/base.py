"""The contract of a head: from a site's parameter vector to its conditional distribution."""

import abc
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfar.heads import summaries
from tfar.heads.conditional import Conditional
from tfar.heads.support import Support

# Largest whole number below which float32 holds all whole numbers.
MAX_WHOLE = 2**24


class Head(keras.layers.Layer, abc.ABC):
    """Turns the parameter vector of a site into the conditional distribution of that site.

    A head sees parameters and the number of the site, never the network or other sites. Public methods check and cast their
    arguments; subclasses write `params_size`, `support`, `_log_prob`, `_sample`, `_noise` and, where they exist, `_cdf`,
    `_probs`, `_mean_variance`, `_entropy` and `_mode`, on float32 tensors. A head with weights makes them in `build`.

    In every method `site` is None or an int tensor that broadcasts to `params.shape[:-1]`: the site, in raster order, of each
    parameter vector. It is `[N]` in a pass over `[B, N, params_size]`. Heads that treat all sites alike ignore it.

    Attributes:
        site_shape: tuple. Shape of the value of one site: `()` for a scalar, `(C,)` for channels decided together.
        params_size: int. Length of a parameter vector.
        noise_size: int. Number of uniform numbers that one draw uses.
        discrete: bool. Whether `log_prob` is of a probability mass.
        num_sites: int, or None if the head treats all sites alike.
    """

    site_shape: tuple[int, ...] = ()
    noise_size: int = 1
    discrete: bool = False
    num_sites: int | None = None

    @property
    def reparameterized(self) -> bool:
        """Whether `sample` is differentiable with respect to the parameters, and its gradient that of the expectation."""
        return False

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """Length of a parameter vector."""

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of the head; their shapes follow from the configuration."""
        self.built = True

    # Densities -------------------------------------------------------------------------------------------------------

    def log_prob(self, params: Any, x: Any, site: Any = None) -> tf.Tensor:
        """Log-probability (mass or density, in nats) of a site's value.

        Args:
            params: float tensor `[..., params_size]`.
            x: float tensor `[..., *site_shape]`.
            site: see the class.

        Returns:
            float32 tensor `[...]`; NaN where x is outside the support.

        Raises:
            ValueError: If a shape does not fit.
        """
        return self._supported_log_prob(self._log_prob, params, x, site)

    def training_log_prob(self, params: Any, x: Any, seed: Any = None, site: Any = None) -> tf.Tensor:
        """What training maximises: by default `log_prob`. A head may change its gradient, or estimate it by random numbers.

        Args:
            params, x, site: as in `log_prob`.
            seed: None, or int32 `[2]` that decides all random numbers.
        """
        return self._supported_log_prob(
            lambda params, x, site: self._training_log_prob(params, x, seed, site), params, x, site
        )

    def in_support(self, x: Any, site: Any = None) -> tf.Tensor:
        """Whether a site's value can occur: bool tensor `[...]` for x `[..., *site_shape]`."""
        inside = self._in_support(tf.cast(x, tf.float32), site)
        return tf.reduce_all(inside, axis=list(range(-len(self.site_shape), 0))) if self.site_shape else inside

    @abc.abstractmethod
    def support(self, site: int | None = None) -> Support:
        """The values of a site, or of each of its channels; if `site` is None, the least that holds those of all sites."""

    def cdf(self, params: Any, x: Any, site: Any = None) -> tf.Tensor:
        """P(X <= x) of a scalar site, float32 `[...]`; x may be outside the support.

        Raises:
            ValueError: If a site has several channels or a shape does not fit.
        """
        self._check_scalar("cdf")
        return self._cdf(self._checked(params), tf.cast(x, tf.float32), site)

    def interval_prob(self, params: Any, lower: Any, upper: Any, site: Any = None) -> tf.Tensor:
        """P(lower <= X <= upper) of a scalar site, float32 `[...]`; 0 if lower > upper.

        Raises:
            ValueError: If a site has several channels or a shape does not fit.
        """
        self._check_scalar("interval_prob")
        lower, upper = tf.cast(lower, tf.float32), tf.cast(upper, tf.float32)
        return self._interval_prob(self._checked(params), lower, upper, site)

    def probs(self, params: Any, site: Any = None) -> tf.Tensor:
        """Probabilities `[..., num_values]` of the values of a discrete site, or of the joint values of its channels.

        Raises:
            ValueError: If the support is not finite, if there are too many joint values, or a shape does not fit.
        """
        summaries.values_of(self)
        return self._probs(self._checked(params), site)

    # Draws -----------------------------------------------------------------------------------------------------------

    def sample(self, params: Any, noise: Any, site: Any = None) -> tf.Tensor:
        """Draws a site's value: a deterministic function of uniform noise.

        Args:
            params: float tensor `[..., params_size]`.
            noise: float tensor `[..., noise_size]` in the open interval (0, 1).
            site: see the class.

        Returns:
            float32 tensor `[..., *site_shape]`: a value that `log_prob` accepts.

        Raises:
            ValueError: If a shape does not fit.
        """
        return self._sample(self._checked(params), self._checked_noise("noise", noise), site)

    def noise(self, params: Any, x: Any, uniform: Any, site: Any = None) -> tf.Tensor:
        """The inverse of `sample`: noise that gives x, uniform if x follows the distribution.

        Many noises give the same value where it is discrete or a mixture; `uniform` selects one of them. A value whose
        probability is below the resolution of float32 noise, about 6e-8, may have none: `sample` then gives a neighbour.

        Args:
            params: float tensor `[..., params_size]`.
            x: float tensor `[..., *site_shape]`, in the support.
            uniform: float tensor `[..., noise_size]` in the open interval (0, 1), independent of x.
            site: see the class.

        Returns:
            float32 tensor `[..., noise_size]`; NaN where x is outside the support.

        Raises:
            ValueError: If a shape does not fit.
        """
        x, uniform = tf.cast(x, tf.float32), self._checked_noise("uniform", uniform)
        supported = self.in_support(x, site)
        noise = self._noise(self._checked(params), self._nearby(x, supported), uniform, site)
        return tf.where(tf.expand_dims(supported, -1), noise, tf.constant(float("nan"), tf.float32))

    def tempered(self, params: Any, temperature: Any, site: Any = None) -> tf.Tensor:
        """Parameters of the conditional at another temperature: sharper below 1, flatter above.

        A Bernoulli or categorical site then follows `p(x)^(1 / T)`, normalised. In a mixture the weights and each component
        are raised to that power and normalised separately. A power of a logistic is not a logistic: its scale is multiplied by
        T. Scales do not fall below the smallest that the head allows.

        Args:
            params: float tensor `[..., params_size]`.
            temperature: float or scalar tensor, T > 0.
            site: see the class.

        Returns:
            float32 tensor `[..., params_size]`.

        Raises:
            NotImplementedError: If the head does not define it.
        """
        return self._tempered(self._checked(params), temperature, site)

    # Networks, data and summaries ------------------------------------------------------------------------------------

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        """Values of sites as a network sees them, of the same shape: standardised if the head has units, else as they are.

        Args:
            x: float tensor `[..., *site_shape]`.
            site: as in the other methods, for `x.shape` without `site_shape`.
        """
        return tf.cast(x, tf.float32)

    def initial_params(self) -> list[float] | None:
        """Parameters that are good to start training from, as the initial bias of an output layer; None: zeros are."""
        return None

    @property
    def awaits_data(self) -> bool:
        """Whether `adapt` is to see the training data before training, and has not."""
        return False

    def adapt(self, data: Any) -> None:
        """Sets weights that summarise data, such as units.

        Raises:
            ValueError: If the head has no such weights.
        """
        raise ValueError(f"Expected a head with units, such as Standardized; received {type(self).__name__}.")

    def distribution(self, params: Any, site: Any = None) -> tfp.distributions.Distribution:
        """The conditionals as a `tfd.Distribution` of batch shape `params.shape[:-1]`.

        It has `log_prob`, `sample`, `mean`, `variance`, `stddev` and `entropy`; of scalar sites `cdf`, `quantile` and
        `survival_function`; and `mode` where it has a closed form.
        """
        return Conditional(self, self._checked(params), site)

    def call(self, params: Any, x: Any, site: Any = None) -> tf.Tensor:
        """The same as `log_prob(params, x, site)`."""
        return self.log_prob(params, x, site)

    # Checks ----------------------------------------------------------------------------------------------------------

    def _checked(self, params: Any) -> tf.Tensor:
        if not self.built:
            with tf.init_scope():
                self.build()
        params = tf.cast(params, tf.float32)
        if params.shape[-1] != self.params_size:
            raise ValueError(
                f"Expected the parameters of {type(self).__name__} to end with {self.params_size}; "
                f"received shape {params.shape}."
            )
        return params

    def _checked_noise(self, name: str, noise: Any) -> tf.Tensor:
        noise = tf.cast(noise, tf.float32)
        if noise.shape[-1] != self.noise_size:
            raise ValueError(f"Expected `{name}` to end with {self.noise_size}; received shape {noise.shape}.")
        return noise

    def _check_scalar(self, name: str) -> None:
        if np.prod(self.site_shape, dtype=int) != 1:
            raise ValueError(
                f"Expected a scalar site for `{name}`; {type(self).__name__} decides {self.site_shape[0]} channels together, "
                "which have no common distribution function. Use a head of one channel, with the channels as sites, or "
                "`log_prob`, `sample` and `noise`."
            )

    def _supported_log_prob(self, function: Any, params: Any, x: Any, site: Any) -> tf.Tensor:
        params, x = self._checked(params), tf.cast(x, tf.float32)
        supported = self.in_support(x, site)
        log_prob = function(params, self._nearby(x, supported), site)
        return tf.where(supported, log_prob, tf.constant(float("nan"), tf.float32))

    def _nearby(self, x: tf.Tensor, supported: tf.Tensor) -> tf.Tensor:
        """Values with 0 in place of those outside the support, which could make gradients of others NaN."""
        mask = tf.reshape(supported, tf.concat([tf.shape(supported), [1] * len(self.site_shape)], 0))
        return tf.where(mask, x, tf.zeros_like(x))

    def _lacks(self, what: str) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} does not define {what}.")

    # What subclasses write -------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        """Log-probability of values that are in the support."""

    @abc.abstractmethod
    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        """Inverts the distribution function."""

    def _training_log_prob(self, params: tf.Tensor, x: tf.Tensor, seed: Any, site: Any) -> tf.Tensor:
        return self._log_prob(params, x, site)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        self._lacks("`noise`")

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        self._lacks("`tempered`")

    def _in_support(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        """Elementwise: whether a value can occur."""
        support = self.support()
        within = tf.logical_and(tf.abs(x) <= tf.float32.max, tf.logical_and(x >= support.low, x <= support.high))
        return tf.logical_and(within, tf.equal(x, tf.floor(x))) if support.discrete else within

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        self._lacks("`cdf`")

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        below = tf.math.ceil(lower) - 1.0 if self.discrete else lower
        return tf.maximum(self._cdf(params, upper, site) - self._cdf(params, below, site), 0.0)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        self._lacks("`probs`")

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance, both `[..., *site_shape]`."""
        return summaries.mean_variance(self, params, site)

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return summaries.entropy(self, params, site)

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return summaries.mode(self, params, site)

    def _quantile(self, params: tf.Tensor, p: tf.Tensor, site: Any) -> tf.Tensor:
        return summaries.quantile(self, params, p, site)


def check_head(value: Any) -> Head:
    """Returns `value` if it is a head, else raises ValueError."""
    if isinstance(value, type) and issubclass(value, Head):
        raise ValueError(
            f"Expected `head` to be a tfar.heads.Head; received the class {value.__name__}. Make a head of it: "
            f"`{value.__name__}(...)`."
        )
    if not isinstance(value, Head):
        raise ValueError(f"Expected `head` to be a tfar.heads.Head; received {value!r}.")
    return value


def check_positive_int(name: str, value: Any, lowest: int = 1) -> int:
    """Returns `value` if it is an int of at least `lowest`, else raises ValueError."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < lowest:
        raise ValueError(f"Expected `{name}` to be an int of at least {lowest}; received {value!r}.")
    return int(value)
