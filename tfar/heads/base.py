"""The contract of a head: from a site's parameter vector to its conditional distribution."""

import abc
from typing import Any

import keras
import tensorflow as tf

from tfar.heads.support import Support


class Head(keras.layers.Layer, abc.ABC):
    """Turns the parameter vector of a site into the conditional distribution of that site.

    A head sees parameters only, never the network or the other sites. The public methods check and cast once; subclasses
    write `_in_support`, `_log_prob`, `_sample` and, if discrete, `_probs`, on float32 tensors.

    Attributes:
        site_shape: tuple. Shape of the value of one site: `()` for a scalar, `(C,)` for channels decided together.
        params_size: int. Length of a parameter vector.
        noise_size: int. Uniform numbers that one draw uses.
        discrete: bool. Whether `log_prob` is of a probability mass.
        num_classes: int or None. Number of values of a discrete site, or of a channel of it: whole numbers from `lowest` on.
        lowest: float. The lowest value of a discrete site.
    """

    site_shape: tuple[int, ...] = ()
    noise_size: int = 1
    discrete: bool = False
    num_classes: Any = None
    lowest: float = 0.0

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """Length of a parameter vector."""

    def log_prob(self, params: Any, x: Any, site: Any = None) -> tf.Tensor:
        """Log-probability (mass or density, in nats) of a site's value.

        Args:
            params: float tensor `[..., params_size]`.
            x: float tensor `[..., *site_shape]`.

        Returns:
            float32 tensor `[...]`; NaN where x is outside the support.

        Raises:
            ValueError: If a shape does not fit.
        """
        params, x = self._checked(params), tf.cast(x, tf.float32)
        supported = self.in_support(x)
        value_mask = tf.reshape(supported, tf.concat([tf.shape(supported), [1] * len(self.site_shape)], 0))
        log_prob = self._log_prob(params, tf.where(value_mask, x, tf.zeros_like(x)))
        return tf.where(supported, log_prob, tf.constant(float("nan"), tf.float32))

    def training_log_prob(self, params: Any, x: Any, seed: Any = None, site: Any = None) -> tf.Tensor:
        """The log-probability whose gradient training follows."""
        return self.log_prob(self.training_params(params), x, site)

    def training_params(self, params: Any) -> tf.Tensor:
        """The parameters as training differentiates them: equal values, whose gradients a head may scale.

        Args:
            params: float tensor `[..., params_size]`.

        Returns:
            float32 tensor of the same values; here the parameters as they are.
        """
        return self._checked(params)

    def sample(self, params: Any, noise: Any, site: Any = None) -> tf.Tensor:
        """Draws a site's value: a deterministic function of uniform noise.

        Args:
            params: float tensor `[..., params_size]`.
            noise: float tensor `[..., noise_size]` in the open interval (0, 1).

        Returns:
            float32 tensor `[..., *site_shape]`: exactly a value that `log_prob` accepts.

        Raises:
            ValueError: If a shape does not fit.
        """
        noise = tf.cast(noise, tf.float32)
        if noise.shape[-1] != self.noise_size:
            raise ValueError(f"Expected `noise` to end with {self.noise_size}; received shape {noise.shape}.")
        return self._sample(self._checked(params), noise)

    def probs(self, params: Any) -> tf.Tensor:
        """Probabilities of the classes of a discrete site, `[..., num_classes]`, or of the joint values of its channels.

        Raises:
            ValueError: If the head is continuous or a shape does not fit.
        """
        if not self.discrete:
            raise ValueError(f"Expected a discrete head; {type(self).__name__} is continuous and has no `probs`.")
        return self._probs(self._checked(params))

    def in_support(self, x: Any, site: Any = None) -> tf.Tensor:
        """Whether a site's value can occur: bool tensor `[...]` for x `[..., *site_shape]`."""
        inside = self._in_support(tf.cast(x, tf.float32))
        return tf.reduce_all(inside, axis=list(range(-len(self.site_shape), 0))) if self.site_shape else inside

    def support(self, site: Any = None) -> Support:
        """Returns the values that a site can take."""
        if self.num_classes is None:
            return Support()
        return Support(self.lowest, self.lowest + self.num_classes - 1, discrete=True)

    def tempered(self, params: tf.Tensor, temperature: float) -> tf.Tensor:
        """Parameters of the same law at another temperature, sharper below 1: what `with_temperature` of a model draws from.

        Of a Bernoulli or a categorical site it is `p(x)^(1 / T)`, normalised. Of a mixture, the weights and each component are
        taken to that power and normalised by themselves; a power of a logistic is none, so its scale is multiplied by T. No
        scale falls below the smallest that the head allows.

        Args:
            params: float32 `[..., params_size]`.
            temperature: float, T > 0.

        Returns:
            float32 of the same shape.

        Raises:
            NotImplementedError: If the head does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `tempered`.")

    def call(self, params: Any, x: Any) -> tf.Tensor:
        """The same as `log_prob(params, x)`."""
        return self.log_prob(params, x)

    def _checked(self, params: Any) -> tf.Tensor:
        params = tf.cast(params, tf.float32)
        if params.shape[-1] != self.params_size:
            raise ValueError(
                f"Expected the parameters of {type(self).__name__} to end with {self.params_size}; "
                f"received shape {params.shape}."
            )
        return params

    @abc.abstractmethod
    def _in_support(self, x: tf.Tensor) -> tf.Tensor:
        """Elementwise: whether a value can occur."""

    @abc.abstractmethod
    def _log_prob(self, params: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Log-probability of values that are in the support."""

    @abc.abstractmethod
    def _sample(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Inverts the distribution function."""

    def _probs(self, params: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not give probabilities.")


def check_positive_int(name: str, value: Any, lowest: int = 1) -> int:
    """Returns `value` if it is an int of at least `lowest`, else raises ValueError."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < lowest:
        raise ValueError(f"Expected `{name}` to be an int of at least {lowest}; received {value!r}.")
    return int(value)
