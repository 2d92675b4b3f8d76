"""AnyOrderTransformer: one causal transformer for all orders."""

from typing import Any

import keras

from tfar import orders as site_orders
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
from tfar.networks import AnyOrderTransformerNetwork
from tfar.networks.training_orders import TRAINING_ORDERS


@keras.saving.register_keras_serializable("tfar")
class AnyOrderTransformer(Autoregressive):
    """Causal transformer over shuffled sites, which scores an event exactly in any order in one pass.

    The token of step t of an order o holds the value of the previous site o_{t-1}, an embedding of that site, and an embedding
    of the site o_t to predict. Attention sees the tokens of steps 0 .. t, so that a pass computes

        log p(x | o) = sum_t log p(x_{o_t} | x_{o_<t})

    for an order per row. A sampler keeps the keys and values of earlier steps, and a step costs one token. What is observed is
    put first in the order: `log_prob(x, observed=...)` is exact in one pass, and `complete` processes the sites that are
    observed in all rows in one pass before it takes the other steps.

    Training draws an order for each row. With `training_orders="completion"` these are the orders that `complete` and
    `log_prob` use: a subset of the sites first, of a size that is uniform in 0 .. D, then the others; the sites of each part
    keep the order of the model. With "random" they are all orders with equal probability, which `with_order` and `with_orders`
    need for orders other than that of the model. The loss is the mean of -log p(x | o) over these orders. For a partly observed
    row, training draws the order among the observed sites.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        units: int. Width of a token.
        num_layers: int. Number of blocks of attention and perceptron.
        num_heads: int. Number of heads of the attention.
        key_dim: int or None. Width of a head. None means `units / num_heads`.
        mlp_units: int or None. Hidden units of the perceptron of a block. None means `4 * units`.
        head: the head of a site. Default: Bernoulli. `tfar.heads.PerSite` gives each column of a table its own.
        order: the order of the model: "natural", "reverse", "random" or a permutation of the sites.
        training_orders: "completion" or "random". The orders that training draws.
        activation: activation function of the perceptrons.
        dropout_rate: float in [0, 1). Rate at which training drops the results of attention and perceptrons; `log_prob` drops
            none.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. A dense layer adds it to each
            token.
        one_hot_inputs: bool or None. Whether to encode the classes of a Categorical site as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 classes. With a head for each site (`PerSite`), classes
            up to 128 and atoms have inputs of their own, unless it is False.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights and a random order.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size, the order or another argument is out of range, or if `units` is not a multiple of `num_heads`
            and `key_dim` is None.

    Example:
        >>> dist = tfar.AnyOrderTransformer(event_shape=[6], units=8, num_layers=1, num_heads=2)
        >>> x = dist.sample(2, seed=1)
        >>> dist.log_prob(x, observed=[True, False, True, False, False, True]).shape
        TensorShape([2])
        >>> dist.with_order("reverse").log_prob(x).shape
        TensorShape([2])

    References:
        Pannatier, Courdier and Fleuret. sigma-GPTs: a new approach to autoregressive models. 2024, "Shuffled autoregression"
        and "Double positional encodings". https://arxiv.org/abs/2404.09562
        Shih, Sadigh and Ermon. Training and inference on any-order autoregressive models the right way. NeurIPS 2022.
        https://arxiv.org/abs/2205.13554

    Notes:
        Attention takes memory and time that grow with the square of the number of sites; the model is meant for tables and
        events of up to some hundred sites. The embeddings of the sites are learned, where sigma-GPT adds sinusoids. Each site
        also has its own input and output weights, so that sites may differ in kind. Conditions and real values are
        extensions. As Shih et al. propose, "completion" trains one order for each set of known sites, and each conditional as
        often as completions use it if the number of observed sites is uniform.
    """

    def __init__(
        self,
        event_shape: Any,
        units: int = 64,
        *,
        num_layers: int = 4,
        num_heads: int = 4,
        key_dim: int | None = None,
        mlp_units: int | None = None,
        head: Head | None = None,
        order: site_orders.Order = "natural",
        training_orders: str = "completion",
        activation: Any = "relu",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "AnyOrderTransformer",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        network = AnyOrderTransformerNetwork(
            event_shape=shape_tuple("event_shape", event_shape),
            params_size=head.params_size,
            site_shape=head.site_shape,
            order=order,
            training_orders=_checked_training_orders(training_orders),
            activation=activation,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **_checked_sizes(units, num_layers, num_heads, key_dim, mlp_units),
            **site_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)


def _checked_training_orders(training_orders: Any) -> str:
    if training_orders not in TRAINING_ORDERS:
        raise ValueError(f"Expected `training_orders` to be one of {TRAINING_ORDERS}; received {training_orders!r}.")
    return training_orders


def _checked_sizes(units: Any, num_layers: Any, num_heads: Any, key_dim: Any, mlp_units: Any) -> dict[str, Any]:
    """Returns the sizes of the network; those that are None follow from `units`."""
    sizes = {"units": units, "num_layers": num_layers, "num_heads": num_heads}
    sizes = {name: check_positive_int(name, size) for name, size in sizes.items()}
    units, num_heads = sizes["units"], sizes["num_heads"]
    if key_dim is None and units % num_heads:
        raise ValueError(
            f"Expected `units` to be a multiple of `num_heads`, or the width of a head as `key_dim`; received {units} units "
            f"and {num_heads} heads."
        )
    sizes["key_dim"] = units // num_heads if key_dim is None else check_positive_int("key_dim", key_dim)
    sizes["mlp_units"] = 4 * units if mlp_units is None else check_positive_int("mlp_units", mlp_units)
    return sizes
