"""MADE: the masked autoencoder for distribution estimation."""

from collections.abc import Sequence
from typing import Any

import keras

from tfar import orders
from tfar.distributions.arguments import (
    check_head,
    check_rate,
    checked_conditional_shape,
    class_inputs,
    shape_tuple,
)
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import MADENetwork


@keras.saving.register_keras_serializable("tfar")
class MADE(Autoregressive):
    """Masked autoencoder for distribution estimation.

    A multilayer perceptron whose weights are masked so that the parameters of each site depend on the sites before it alone:

        h_l = g(b_l + (W_l * M_l) h_{l-1}),    params = c + (V * M_V) h_L + (A * M_A) x,    log p(x) = sum_d log p(x_d | x_<d)

    With several masks the weights are shared and `log_prob` is that of the ensemble,
    `log((1 / K) sum_k p_k(x))`; each update trains one mask, and each draw uses one.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        hidden_units: units of each hidden layer.
        head: the head of a site. Default: Bernoulli.
        order: "natural", "reverse", "random" or a permutation of the sites in raster order. With several masks, "random" is
            another order for each.
        num_masks: int, the number K of sets of degrees; or None, fresh ones at every update (connectivity-agnostic training,
            and order-agnostic with order "random").
        num_eval_masks: int. Masks that `log_prob` averages if `num_masks` is None.
        degrees: "even" spreads the degrees of a layer evenly over the sites, which samples fastest; "random" draws them
            independently, so that no unit is cut off.
        direct_connections: bool. Connect inputs to outputs.
        connectivity_weights: bool. Let the units know the masks by weights of their own (section 4.3).
        activation: of the hidden units.
        dropout_rate: float in [0, 1). Share of the hidden units that training drops; `log_prob` drops none.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        one_hot_inputs: bool or None. Feed each class of a Categorical site as an input of its own; None: up to 32 classes.
            Otherwise the value is scaled to -1 .. 1.
        kernel_initializer: of all kernels; each gets a seed of its own.
        seed: int. Decides the initial weights, the orders and the masks.
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
        Conditional models have hidden units of degree 0, which see the condition alone, so that the first site depends on it
        too. The paper cycles through its masks; here each update draws one of them.
    """

    def __init__(
        self,
        event_shape: Any,
        hidden_units: Sequence[int],
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
            **class_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)
