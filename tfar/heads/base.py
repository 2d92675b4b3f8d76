"""Base class of heads, which turn the parameter vector of a site into its conditional distribution."""

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfar.heads.conditional import Conditional
from tfar.heads.formulas import Formulas

# float32 represents all whole numbers up to this one exactly.
MAX_WHOLE = 2**24
# Largest number of classes of a site that have inputs of their own in a network whose sites differ.
MAX_LEVELS = 128


class Head(Formulas, keras.layers.Layer):
    """Turns the parameter vector of a site into the conditional distribution of that site.

    A head receives parameters and the number of the site, and has no access to the network or to other sites. Public
    methods check and cast their arguments; subclasses implement `params_size`, `support`, `_log_prob`, `_sample`,
    `_noise` and, where they exist, `_cdf`, `_probs`, `_mean_variance`, `_entropy` and `_mode`, on float32 tensors. A
    head with weights creates them in `build`.

    In every method `site` is None or an int tensor that broadcasts to `params.shape[:-1]`: the raster index of the site
    of each parameter vector. In a pass over `[B, N, params_size]` its shape is `[N]`. Heads that treat all sites alike
    ignore it.

    Attributes:
        site_shape: tuple. Shape of the value of one site: `()` for a scalar, `(C,)` for channels decided together.
        params_size: int. Length of a parameter vector.
        noise_size: int. Number of uniform numbers that one draw uses.
        discrete: bool. Whether `log_prob` is the logarithm of a probability mass rather than of a density.
        num_sites: int, or None if the head treats all sites alike.
    """

    noise_size: int = 1
    num_sites: int | None = None

    @property
    def reparameterized(self) -> bool:
        """Whether `sample` is differentiable in the parameters and gives unbiased gradients of expectations."""
        return False

    @property
    def mixed(self) -> bool:
        """Whether some values of a site have a mass and others a density, as with `Atoms` over a continuous head."""
        return False

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """Length of a parameter vector."""

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights of the head, whose shapes depend only on the configuration."""
        self.built = True

    # Densities -------------------------------------------------------------------------------------------------------

    def log_prob(self, params: Any, x: Any, site: Any = None) -> tf.Tensor:
        """Returns the log-probability (mass or density, in nats) of a site's value.

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
        """Returns the quantity that training maximises, by default `log_prob`.

        A head may change the gradient, or return a random estimate.

        Args:
            params, x, site: as in `log_prob`.
            seed: None, or int32 `[2]` that decides all random numbers.
        """
        train = lambda params, x, site: self._training_log_prob(params, x, seed, site)  # noqa: E731
        return self._supported_log_prob(train, params, x, site)

    def in_support(self, x: Any, site: Any = None) -> tf.Tensor:
        """Returns whether a site's value is in the support, bool `[...]` for x `[..., *site_shape]`."""
        inside = self._in_support(tf.cast(x, tf.float32), site)
        return tf.reduce_all(inside, axis=list(range(-len(self.site_shape), 0))) if self.site_shape else inside

    def in_event_support(self, x: Any, site: Any = None) -> tf.Tensor:
        """Returns whether each value of events `[B, N, *site_shape]` is in the support, given the earlier ones: bool `[B, N]`.

        It differs from `in_support` for heads of sequences that end, whose later values are fixed.
        """
        return self.in_support(x, site)

    def cdf(self, params: Any, x: Any, site: Any = None) -> tf.Tensor:
        """Returns P(X <= x) of a scalar site, float32 `[...]`; x may be outside the support.

        Raises:
            ValueError: If a site has several channels or a shape does not fit.
        """
        self._check_scalar("cdf")
        return self._cdf(self._checked(params), tf.cast(x, tf.float32), site)

    def interval_prob(self, params: Any, lower: Any, upper: Any, site: Any = None) -> tf.Tensor:
        """Returns P(lower <= X <= upper) of a scalar site, float32 `[...]`; 0 if lower > upper.

        Raises:
            ValueError: If a site has several channels or a shape does not fit.
        """
        self._check_scalar("interval_prob")
        lower, upper = tf.cast(lower, tf.float32), tf.cast(upper, tf.float32)
        return self._interval_prob(self._checked(params), lower, upper, site)

    def probs(self, params: Any, site: Any = None) -> tf.Tensor:
        """Returns the probabilities `[..., num_values]` of the (joint) values of a discrete site.

        Raises:
            ValueError: If the support is not finite, if there are too many joint values, or if a shape does not fit.
        """
        self._all_values()
        return self._probs(self._checked(params), site)

    def class_logits(self, params: Any, site: Any = None) -> tf.Tensor:
        """Returns the logits `[..., num_values]` of the values of a discrete site, whose softmax are their probabilities.

        They are parameters or 0, without any computation: if the parameters are exact, so are the logits.

        Raises:
            NotImplementedError: If the head computes its probabilities in another way.
            ValueError: If a shape does not fit.
        """
        return self._class_logits(self._checked(params), site)

    # Draws -----------------------------------------------------------------------------------------------------------

    def sample(self, params: Any, noise: Any, site: Any = None) -> tf.Tensor:
        """Draws a site's value as a deterministic function of uniform noise.

        Args:
            params: float tensor `[..., params_size]`.
            noise: float tensor `[..., noise_size]` in the open interval (0, 1).
            site: see the class.

        Returns:
            float32 tensor `[..., *site_shape]`, in the support.

        Raises:
            ValueError: If a shape does not fit.
        """
        return self._sample(self._checked(params), self._checked_noise("noise", noise), site)

    def noise(self, params: Any, x: Any, uniform: Any, site: Any = None) -> tf.Tensor:
        """Returns noise from which `sample` draws x; it is uniform if x follows the distribution.

        For discrete values and for mixtures, a set of noise values gives the same x; `uniform` selects one of them. For
        a value whose probability is below the resolution of float32 noise, about 6e-8, this set may be empty: `sample`
        then returns a neighbouring value.

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
        """Returns the parameters of the conditional at a temperature: sharper below 1, flatter above.

        A Bernoulli or categorical site then follows `p(x)^(1 / T)`, normalised. In a mixture, the weights and each
        component are raised to the power 1 / T and normalised separately. A power of a logistic density is not
        logistic, so the scale of a logistic is multiplied by T instead. Scales are bounded below by the smallest scale
        of the head.

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
        """Returns values of sites as inputs of a network: standardised if the head has units, else unchanged.

        Args:
            x: float tensor `[..., *site_shape]`.
            site: as in the other methods, for `x.shape` without `site_shape`.
        """
        return tf.cast(x, tf.float32)

    def initial_params(self) -> list[float] | None:
        """Returns parameters for the initial bias of an output layer, or None to start from zeros."""
        return None

    def initial_site_params(self) -> list[list[float]] | None:
        """Returns `initial_params` of each site if the sites differ, or None if `initial_params` serves all sites."""
        return None

    def input_levels(self, site: int) -> tuple[float, ...]:
        """Returns the values of `encode_inputs` for which a network has inputs of their own, if its sites may differ."""
        return ()

    @property
    def awaits_data(self) -> bool:
        """Whether `adapt` should be called with the training data before training and has not been called yet."""
        return False

    def adapt(self, data: Any) -> None:
        """Sets weights that summarise data, such as the units (location and scale).

        Args:
            data: array, or an iterable of arrays. The masked entries of masked arrays of NumPy are left out.

        Raises:
            ValueError: If the head has no such weights.
        """
        raise ValueError(f"Expected a head with units, such as Standardized; received {type(self).__name__}.")

    def distribution(self, params: Any, site: Any = None) -> tfp.distributions.Distribution:
        """Returns the conditionals as a `tfd.Distribution` with batch shape `params.shape[:-1]`.

        It implements `log_prob`, `sample`, `mean`, `variance`, `stddev` and `entropy`; for scalar sites also `cdf`,
        `quantile` and `survival_function`; and `mode` if it has a closed form.
        """
        return Conditional(self, self._checked(params), site)

    def call(self, params: Any, x: Any, site: Any = None) -> tf.Tensor:
        """Returns `log_prob(params, x, site)`."""
        return self.log_prob(params, x, site)

    # Checks ----------------------------------------------------------------------------------------------------------

    def _ensure_built(self) -> None:
        if not self.built:
            with tf.init_scope():
                self.build()

    def _checked(self, params: Any) -> tf.Tensor:
        self._ensure_built()
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

    def _static_site(self, site: Any, what: str) -> Any:
        """Returns the sites as an array, or None if they are not known before the call; raises ValueError without sites."""
        if site is None:
            raise ValueError(
                f"Expected `site`, because the {what} of the {self.num_sites} sites differ; received None."
            )
        return tf.get_static_value(site)

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
        """Replaces values outside the support by 0, because they could make the gradients of other values NaN."""
        mask = tf.reshape(supported, tf.concat([tf.shape(supported), [1] * len(self.site_shape)], 0))
        return tf.where(mask, x, tf.zeros_like(x))


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


def is_number(value: Any) -> bool:
    """Returns whether a value is a real number of Python or NumPy; a bool is none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def check_positive_int(name: str, value: Any, lowest: int = 1) -> int:
    """Returns `value` if it is an int of at least `lowest`, else raises ValueError."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < lowest:
        raise ValueError(f"Expected `{name}` to be an int of at least {lowest}; received {value!r}.")
    return int(value)
