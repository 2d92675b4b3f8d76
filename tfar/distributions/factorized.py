"""Sites that are independent given the condition: a baseline, and the prior and encoder of latent-variable models."""

from collections.abc import Sequence
from typing import Any

import keras

from tfar.distributions.arguments import check_head, check_network, checked_conditional_shape, shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Bernoulli, Head
from tfar.networks.factorized import FactorizedNetwork


@keras.saving.register_keras_serializable("tfar")
class Factorized(Autoregressive):
    """Distribution whose sites are independent given the condition, drawn together in one step.

        log p(x | c) = sum_i log p(x_i | params_i(c))

    Without a condition, the parameters of each site are a trainable table. With a condition, a Keras network computes
    them. The distribution is a baseline that measures the benefit of modelling dependence between sites, and the usual
    prior and encoder of a `tfar.LatentVariable`.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        head: the head of a site. Default: Bernoulli.
        network: None, or a Keras layer or model from the condition to `[B, num_sites, params_size]` or flat.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        initial_params: None, or `params_size` numbers: the parameters of every site before training, without a network.
            Default: those of the head if it defines any, else 0.
        trainable: bool. Whether training changes the parameters.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a shape does not fit, or there is a network without a condition, or a condition without a
            network.

    Example:
        >>> prior = tfar.Factorized([2], tfar.heads.NormalMixture(1), trainable=False)  # standard normals
        >>> round(float(prior.log_prob([0.0, 0.0])), 3)
        -1.838
    """

    def __init__(
        self,
        event_shape: Any,
        head: Head | None = None,
        *,
        network: keras.layers.Layer | None = None,
        conditional_shape: Any = None,
        initial_params: Sequence[float] | None = None,
        trainable: bool = True,
        jit_compile: bool = True,
        name: str = "Factorized",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        if initial_params is None and network is None:
            initial_params = head.initial_params()
        if initial_params is not None and len(initial_params) != head.params_size:
            raise ValueError(f"Expected {head.params_size} `initial_params`; received {len(initial_params)}.")
        factorized = FactorizedNetwork(
            shape_tuple("event_shape", event_shape),
            head.params_size,
            head.site_shape,
            network=None if network is None else check_network(network),
            conditional_shape=checked_conditional_shape(conditional_shape),
            initial_params=initial_params,
            trainable=trainable,
        )
        super().__init__(factorized, head, jit_compile=jit_compile, name=name)
