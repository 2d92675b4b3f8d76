"""DARN: the deep autoregressive network, with layers of latent bits."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfar import orders
from tfar.distributions.arguments import shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.base import without_autograph
from tfar.distributions.latent_variable import LatentVariable
from tfar.heads import Bernoulli
from tfar.heads.base import check_positive_int
from tfar.networks import DARNNetwork


class DescriptionLength(NamedTuple):
    """The expected lengths of a bits-back code in bits.

    Attributes:
        latent: float32 `[*lead]`, log2 q(h | x) - log2 p(h): the bits of the latent, less those that come back.
        data: float32 `[*lead]`, -log2 p(x | h): the bits of the event given the latent.
    """

    latent: tf.Tensor
    data: tf.Tensor

    @property
    def total(self) -> tf.Tensor:
        """The sum of both parts."""
        return self.latent + self.data


@keras.saving.register_keras_serializable("tfar")
class DARN(LatentVariable):
    """Deep autoregressive network: bits under layers of latent bits, autoregressive within a layer.

        p(x) = sum_h p(h_L) p(h_{L-1} | h_L) ... p(h_1 | h_2) p(x | h_1)
        logits of a layer = b + U d(layer above) + W (its own earlier bits),    W strictly lower triangular
        q(h | x) = q(h_1 | x) q(h_2 | h_1) ... q(h_L | h_{L-1})

    The function d is the identity or, with `hidden_units`, layers of deterministic tanh units. Its log-probability is a sum over
    all latents: `elbo` and `importance_log_prob` are lower bounds of it in expectation.

    Args:
        event_shape: shape of one event of bits, a sequence of ints or an int.
        latent_units: bits of each latent layer from h_1, below which the event lies, to h_L, a sequence of ints or an int.
        hidden_units: units of the deterministic layers between two stochastic layers, a sequence of ints. Default: none.
        encoder_units: the same for the encoder. Default: `hidden_units`.
        visible_autoregression: bool. Whether a bit of the event depends on the earlier ones. Default: True.
        encoder_autoregression: bool. Whether a bit of a layer of q(h | x) depends on the earlier ones of the layer. Encoding then
            takes a step for each bit instead of one for each layer. Default: False.
        order: order of the sites of the event: "natural", "reverse", "random" or a permutation.
        activation: activation function of the hidden units. Default: "tanh".
        gradient_estimator: how gradients reach the encoder, see `tfar.LatentVariable`. Default: "half", that of the paper, if the
            latents have one layer whose bits are independent in the encoder. For other encoders it has a bias that no number of
            samples removes, and the default is "vimco".
        kl_weight: float, or a function of the training step: the weight of the KL term in the training loss.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Seed of the initial weights and of a random order.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size, the order or the estimator is out of range.

    Example:
        >>> dist = tfar.DARN(event_shape=[28, 28], latent_units=[16])
        >>> x = dist.sample(2, seed=1)
        >>> dist.elbo(x, seed=2).shape, dist.encode(x).event_shape
        (TensorShape([2]), TensorShape([16]))

    References:
        Gregor, Danihelka, Mnih, Blundell and Wierstra. Deep autoregressive networks. ICML 2014.
        https://arxiv.org/abs/1310.8499

    Notes:
        The paper's local connections with shared weights for images are not implemented. The paper also trains several layers
        by the "half" estimator, which `gradient_estimator="half"` does. A latent is the bits of all layers,
        h_1 first.
    """

    def __init__(
        self,
        event_shape: Any,
        latent_units: Sequence[int] | int,
        *,
        hidden_units: Sequence[int] | int = (),
        encoder_units: Sequence[int] | int | None = None,
        visible_autoregression: bool = True,
        encoder_autoregression: bool = False,
        order: orders.Order = "natural",
        activation: Any = "tanh",
        gradient_estimator: Any = None,
        kl_weight: Any = 1.0,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "DARN",
    ) -> None:
        event = shape_tuple("event_shape", event_shape)
        units, hidden = shape_tuple("latent_units", latent_units), _hidden_units("hidden_units", hidden_units)
        encoding = hidden if encoder_units is None else _hidden_units("encoder_units", encoder_units)
        if gradient_estimator is None:
            gradient_estimator = "vimco" if len(units) > 1 or encoder_autoregression else "half"
        latent, seed = (sum(units),), check_positive_int("seed", seed, lowest=0)

        def part(number: int, shape: tuple[int, ...], layers: Any, hidden: tuple[int, ...], **kwargs: Any) -> Any:
            shared = {"activation": activation, "kernel_initializer": kernel_initializer, "seed": seed + number}
            return Autoregressive(
                DARNNetwork(shape, layers, hidden, **shared, **kwargs), Bernoulli(), jit_compile=jit_compile
            )

        encoder = {"autoregressive": encoder_autoregression, "conditional_shape": event}
        decoder = {"autoregressive": visible_autoregression, "conditional_shape": latent, "order": order}
        super().__init__(
            prior=part(1, latent, units, hidden, top_down=True),
            encoder=part(2, latent, units, encoding, **encoder),
            decoder=part(0, event, None, hidden, condition_units=units[0], **decoder),
            kl_weight=kl_weight,
            gradient_estimator=gradient_estimator,
            jit_compile=jit_compile,
            name=name,
        )

    @without_autograph
    def description_length(self, value: Any, seed: Any = None) -> DescriptionLength:
        """Returns the number of bits that a bits-back code needs for each event with one latent, in two parts.

            latent = log2 q(h | x) - log2 p(h),    data = -log2 p(x | h),    h ~ q(h | x)

        The sum of the parts is `-elbo(value, seed) / log(2)`.

        Args:
            value: bits `[*lead, *event_shape]`.
            seed: seed as accepted by `tfar.random.as_seed`; determines the latents.

        Returns:
            `DescriptionLength(latent, data)`, float32 `[*lead]` each, whose attribute `total` is the sum.

        Raises:
            ValueError: As `elbo` does.

        References:
            Gregor et al. 2014, section 3: the description length L(x) and the part L(h) of the latent.
        """
        terms = self.evaluate(value, seed=seed)
        return DescriptionLength(terms["kl"] / math.log(2.0), terms["reconstruction"] / math.log(2.0))


def _hidden_units(name: str, units: Any) -> tuple[int, ...]:
    """Returns units of hidden layers as a tuple, which may be empty."""
    return () if isinstance(units, Sequence) and not units else shape_tuple(name, units)
