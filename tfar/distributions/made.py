"""MADE: the masked autoencoder for distribution estimation."""

from collections.abc import Sequence
from typing import Any

import keras

from tfar import orders
from tfar.distributions.arguments import (
    check_head,
    check_rate,
    checked_conditional_shape,
    shape_tuple,
    site_inputs,
)
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import MADENetwork


@keras.saving.register_keras_serializable("tfar")
class MADE(Autoregressive):
    """Masked autoencoder for distribution estimation.

    A multilayer perceptron whose weights are masked so that the parameters of a site depend only on earlier sites:

        h_l = g(b_l + (W_l * M_l) h_{l-1}),    params = c + (V * M_V) h_L + (A * M_A) x,    log p(x) = sum_d log p(x_d | x_<d)

    With K masks the model is an ensemble that shares the weights, and `log_prob` is the logarithm of the mean probability,
    `log((1 / K) sum_k p_k(x))`. Each training step uses one of the masks, and each sample comes from one of them.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        hidden_units: units of each hidden layer, a sequence of ints or an int.
        head: the conditional distribution of a site. Default: Bernoulli.
        order: autoregressive order: "natural", "reverse", "random" or a permutation of the sites in raster order. With several
            masks, "random" draws an order for each mask.
        num_masks: int, the number K of masks; or None to draw a mask at every training step (connectivity-agnostic training, and
            with order "random" order-agnostic training). Default: 1.
        num_eval_masks: int. Number of masks that `log_prob` averages if `num_masks` is None. Default: 16.
        degrees: "even" spreads the degrees of a hidden layer evenly over the sites, which makes sampling fastest. "random" draws
            them independently, such that every unit is connected to both neighbouring layers.
        direct_connections: bool. Connect the inputs to the outputs directly. Default: True.
        connectivity_weights: bool. Feed the masks to the units through separate weights (section 4.3). Default: False.
        activation: activation function of the hidden units. Default: "relu".
        dropout_rate: float in [0, 1). Rate at which training drops hidden units. Default: 0.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        one_hot_inputs: bool. Encode the classes of a Categorical site as one-hot inputs. Otherwise its value is scaled to
            -1 .. 1. Default: True up to 32 classes. With a head for each site (`PerSite`), classes up to 128 and atoms have
            inputs of their own, unless it is False.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Seed of the initial weights, the orders and the masks.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size, the order or another argument is out of range.

    Example:
        >>> dist = tfar.MADE(event_shape=[28, 28], hidden_units=[64])
        >>> dist.log_prob(dist.sample(2, seed=1)).shape
        TensorShape([2])

    References:
        Germain, Gregor, Murray and Larochelle. MADE: Masked Autoencoder for Distribution Estimation. ICML 2015.
        https://arxiv.org/abs/1502.03509

    Notes:
        Conditional models also have hidden units of degree 0, which receive only the conditional input, so that the
        first site depends on it. The paper cycles through its masks; here each training step draws one at random.
    """

    def __init__(
        self,
        event_shape: Any,
        hidden_units: Sequence[int],
        *,
        head: Head | None = None,
        order: orders.Order = "natural",
        num_masks: int | None = 1,
        num_eval_masks: int = 16,
        degrees: str = "even",
        direct_connections: bool = True,
        connectivity_weights: bool = False,
        activation: Any = "relu",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "MADE",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        if degrees not in ("even", "random"):
            raise ValueError(f"Expected `degrees` to be 'even' or 'random'; received {degrees!r}.")
        network = MADENetwork(
            event_shape=shape_tuple("event_shape", event_shape),
            hidden_units=shape_tuple("hidden_units", hidden_units),
            params_size=head.params_size,
            site_shape=head.site_shape,
            order=order,
            num_masks=None if num_masks is None else check_positive_int("num_masks", num_masks),
            num_eval_masks=check_positive_int("num_eval_masks", num_eval_masks),
            degrees=degrees,
            direct_connections=direct_connections,
            connectivity_weights=connectivity_weights,
            activation=activation,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **site_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)
