"""NADE: the neural autoregressive distribution estimator."""

from typing import Any

import keras

from tfar import orders
from tfar.distributions.arguments import check_head, checked_conditional_shape, shape_tuple, site_inputs
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import NADENetwork


@keras.saving.register_keras_serializable("tfar")
class NADE(Autoregressive):
    """Neural autoregressive distribution estimator.

    The conditionals share one hidden layer. Its activations are a running sum to which each site adds one term:

        a_0 = c,    h_t = sigmoid(a_t),    params_t = b_t + V_t h_t,    a_{t+1} = a_t + W_t x_t
        log p(x) = sum_t log p(x_t | x_<t)

    With D sites of one input and one parameter each and H hidden units there are 2 D H + D + H weights: W and V, b, and c.
    `learned_first_state` adds H weights: the activations of the first site instead of c. A Categorical site with
    one-hot inputs has a column of W for each class. A head with P parameters has P rows of V and P entries of b for
    each site.

    `log_prob` takes O(B D H) time, as MADE with one hidden layer does. `log_prob` and its gradient take O(B H) memory in addition
    to the weights, the events and their parameters, because the gradient recomputes the activations from the last site back.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        hidden_units: int, H. Default: 500.
        head: the conditional distribution of a site. Default: Bernoulli.
        order: autoregressive order: "natural", "reverse", "random" (one order, from the seed) or a permutation of the sites in
            raster order.
        activation: activation function of the hidden units: "sigmoid", "tanh" or "relu". Default: "sigmoid".
        learned_first_state: bool. Learn the activations of the first site separately from c. Default: False.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. A dense layer adds it to the
            activations of all sites.
        one_hot_inputs: bool. Encode the classes of a Categorical site as one-hot inputs. Otherwise its value is scaled to
            -1 .. 1. Default: True up to 32 classes. With a head for each site (`PerSite`), classes up to 128 and atoms have
            inputs of their own, unless it is False.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Seed of the initial weights and of a random order.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size, the order, the activation or another argument is out of range.

    Example:
        >>> dist = tfar.NADE(event_shape=[28, 28], hidden_units=16)
        >>> dist.log_prob(dist.sample(2, seed=1)).shape
        TensorShape([2])

    References:
        Larochelle and Murray. The neural autoregressive distribution estimator. AISTATS 2011, section 3.
        https://proceedings.mlr.press/v15/larochelle11a.html
        Uria, Côté, Gregor, Murray and Larochelle. Neural autoregressive distribution estimation. JMLR 17, 2016, section 2.
        https://arxiv.org/abs/1605.02226

    Notes:
        The papers model bits with sigmoid units. Other heads, activations and conditional inputs are extensions. W also has a
        column for the last site, which is not used, because the papers count it. Gradients are first-order: differentiating
        one again raises NotImplementedError.
    """

    def __init__(
        self,
        event_shape: Any,
        hidden_units: int = 500,
        *,
        head: Head | None = None,
        order: orders.Order = "natural",
        activation: str = "sigmoid",
        learned_first_state: bool = False,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "NADE",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        network = NADENetwork(
            event_shape=shape_tuple("event_shape", event_shape),
            hidden_units=check_positive_int("hidden_units", hidden_units),
            params_size=head.params_size,
            site_shape=head.site_shape,
            order=order,
            activation=activation,
            learned_first_state=learned_first_state,
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **site_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)
