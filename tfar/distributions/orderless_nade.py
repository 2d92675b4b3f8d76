"""OrderlessNADE: one deep network for all orders."""

from collections.abc import Sequence
from typing import Any

import keras

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
from tfar.networks import OrderlessNADENetwork


@keras.saving.register_keras_serializable("tfar")
class OrderlessNADE(Autoregressive):
    """Orderless and deep NADE, in which one multilayer perceptron computes the conditionals of every order.

    The inputs of the network are the values of the known sites and their mask m, so that it can be used with any order
    o. At step d the mask is 1 on the sites o_1 .. o_{d-1}:

        h_1 = g(c + W (x * m) + A m),   h_l = g(b_l + W_l h_{l-1}),   params = b + V h_L
        log p(x | o) = sum_d log p(x_{o_d} | x_{o_<d}, m),            log p(x) = log mean_k p(x | o_k)

    Training draws an order and a step d for each row and minimises

        -D / (D - d + 1) sum_{i not in o_<d} log p(x_i | x_{o_<d}, m),

    whose expectation is the mean of -log p(x | o) over all orders. For a partly observed row, training draws both among
    the observed sites. `log_prob` averages the probabilities of `num_orders` orders (EoNADE) and takes D passes of the
    deep layers for each. `with_orders` returns a copy with another number of orders and the same weights, and
    `with_order` one with a fixed order.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        hidden_units: units of each hidden layer.
        head: the head of a site. Default: Bernoulli.
        num_orders: int, K. Number of random orders that `log_prob` averages. They are determined by the seed, and a
            larger K only appends orders.
        orders: None, or int `[K, num_sites]`: the orders themselves, instead of `num_orders`.
        activation: activation function of the hidden units.
        dropout_rate: float in [0, 1). Rate at which training drops hidden units; `log_prob` drops none.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. A dense layer adds it to the
            activations of the first hidden layer.
        one_hot_inputs: bool or None. Whether to encode the classes of a Categorical site as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 classes. With a head for each site (`PerSite`), classes
            up to 128 and atoms have inputs of their own, unless it is False.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights and the orders.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size, the orders or another argument is out of range.

    Example:
        >>> dist = tfar.OrderlessNADE(event_shape=[4, 4], hidden_units=[16, 16], num_orders=2)
        >>> dist.log_prob(dist.sample(2, seed=1)).shape
        TensorShape([2])
        >>> dist.with_orders(8).num_members
        8

    References:
        Uria, Murray and Larochelle. A deep and tractable density estimator. ICML 2014, sections 2 to 4.
        https://proceedings.mlr.press/v32/uria14.html
        Uria, Côté, Gregor, Murray and Larochelle. Neural autoregressive distribution estimation. JMLR 17, 2016, sections 4
        and 5. https://arxiv.org/abs/1605.02226

    Notes:
        In training, each row of a batch has a different order and step. Heads other than Bernoulli and mixtures,
        conditions and dropout are extensions. The gradient of `log_prob` stores the hidden units of all D steps; training does
        not.
    """

    def __init__(
        self,
        event_shape: Any,
        hidden_units: Sequence[int],
        *,
        head: Head | None = None,
        num_orders: int = 1,
        orders: Any = None,
        activation: Any = "relu",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "OrderlessNADE",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        network = OrderlessNADENetwork(
            event_shape=shape_tuple("event_shape", event_shape),
            hidden_units=shape_tuple("hidden_units", hidden_units),
            params_size=head.params_size,
            site_shape=head.site_shape,
            activation=activation,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **site_inputs(head, one_hot_inputs),
        )
        members = check_positive_int("num_orders", num_orders) if orders is None else orders
        super().__init__(network, head, orders=members, jit_compile=jit_compile, name=name)
