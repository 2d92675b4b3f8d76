"""RNADE: the real-valued neural autoregressive density estimator."""

from typing import Any

import keras
import tensorflow as tf

from tfar import orders
from tfar.distributions.arguments import checked_conditional_shape, shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Head, NormalMixture, Standardized
from tfar.heads.base import check_head, check_positive_int
from tfar.heads.mixtures import LocationScaleMixture
from tfar.layers.standardization import arrays_of, masked
from tfar.networks import NADENetwork


@keras.saving.register_keras_serializable("tfar")
class RNADE(Autoregressive):
    """Real-valued neural autoregressive density estimator.

    NADE whose conditionals are mixtures of normals or of Laplaces. With z the standardised values and one hidden layer that
    all conditionals share:

        z_t = (x_t - loc_t) / scale_t,    a_0 = c,    a_{t+1} = a_t + W_t z_t,    h_t = relu(rho_t a_t)
        alpha_t = softmax(V^alpha_t h_t + b^alpha_t),    mu_t = V^mu_t h_t + b^mu_t
        sigma_t = min_scale + softplus(V^sigma_t h_t + b^sigma_t)
        log p(x) = sum_t log(sum_k alpha_tk f((z_t - mu_tk) / sigma_tk) / sigma_tk) - log(scale_t)

    `loc` and `scale` are the mean and the standard deviation of the training data, unless given: `DensityModel.fit` sets them
    first, from all rows of arrays or from the first batch of a data set, and `adapt` sets them from any data. `log_prob` is the
    density of x in the units of x, and samples are in those units. Time and memory are the same as for `tfar.NADE`.

    Training multiplies the gradient of each component's mean by its deviation (section 3), so that narrow components do not
    dominate; `log_prob` keeps its true gradient.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        hidden_units: int, H.
        head: `NormalMixture` or `LaplaceMixture`. Its `min_scale` is in standardised units. Default: `NormalMixture(10)`.
        order: "natural", "reverse", "random" (one order, from the seed) or a permutation of the sites in raster order.
        activation: activation function of the hidden units: "relu", "sigmoid" or "tanh".
        loc: None, or float or floats that broadcast to the event.
        scale: None, or the same, positive. If only one of the two is given, the other is 0 or 1.
        scale_gradients: bool. Scale the gradients of the means in training.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. A dense layer adds it
            to the first activations, and thereby to all; it is not standardised.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights and a random order.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    `dist.head` is a `tfar.heads.Standardized` of the given head.

    Raises:
        ValueError: If a size, the order, the head or another argument is out of range, or if float32 is too coarse for
            the given `loc` and `scale` (see `tfar.layers.Standardization`).

    Example:
        >>> x = np.random.default_rng(0).normal(1000.0, 0.1, [50, 3])
        >>> dist = tfar.RNADE([3], 16, head=tfar.heads.NormalMixture(5))
        >>> dist.adapt(x)
        >>> bool(abs(dist.sample(20, seed=1) - 1000.0).numpy().max() < 1.0)
        True

    References:
        Uria, Murray and Larochelle. RNADE: the real-valued neural autoregressive density-estimator. NIPS 2013, section 3.
        https://arxiv.org/abs/1306.0186
        Uria, Côté, Gregor, Murray and Larochelle. Neural autoregressive distribution estimation. JMLR 17, 2016, section 3.
        https://arxiv.org/abs/1605.02226

    Notes:
        The paper uses sigma = exp(...); the softplus grows slowly and is bounded from below, so that a repeated value
        does not get an unbounded density. The initial means are spread evenly over the standardised data, with scale 1.
        Inputs of the network are clipped to 1e9 scales from `loc`. Conditions are an extension.
        Gradients are first-order, as for NADE.
    """

    def __init__(
        self,
        event_shape: Any,
        hidden_units: int = 50,
        *,
        head: Head | None = None,
        order: orders.Order = "natural",
        activation: str = "relu",
        loc: Any = None,
        scale: Any = None,
        scale_gradients: bool = True,
        conditional_shape: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "RNADE",
    ) -> None:
        mixture = NormalMixture(10) if head is None else check_head(head)
        if not isinstance(mixture, LocationScaleMixture):
            raise ValueError(
                "Expected `head` to be a NormalMixture or a LaplaceMixture, which RNADE itself standardises; received "
                f"{head!r}."
            )
        shape = shape_tuple("event_shape", event_shape)
        network = NADENetwork(
            event_shape=shape,
            hidden_units=check_positive_int("hidden_units", hidden_units),
            params_size=mixture.params_size,
            initial_params=mixture.initial_params(),
            order=order,
            activation=activation,
            scaled_activations=True,
            compensated=True,
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
        )
        units = Standardized(mixture, shape, loc, scale, scale_gradients)
        super().__init__(network, units, jit_compile=jit_compile, name=name)

    def adapt(self, data: Any) -> None:
        """Sets `loc` and `scale` to the mean and the standard deviation of each entry of data, computed in float64.

        Args:
            data: array `[..., *event_shape]`, or a `tf.data.Dataset` that ends, in any form that `DensityModel` trains
                on; from dicts and tuples it uses the values that are observed, and ignores weights.

        Raises:
            ValueError: If the data are empty, if a shape does not fit, if a value is not finite, or if float32 is too
                coarse for the values; then subtract an offset from the data in float64 first.
        """
        self.head.adapt(_values(data))


def _values(data: Any) -> Any:
    """Returns the values of data or of the elements of a data set: the entry `value`, or the first in a tuple."""
    if isinstance(data, tf.data.Dataset):
        arrays_of(data)  # refuses one that repeats forever
        return (_value(element[0] if isinstance(element, tuple) else element) for element in data)
    return _value(data)


def _value(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return data["value"] if data.get("observed") is None else masked(data["value"], data["observed"])
