"""NADE: the neural autoregressive distribution estimator."""

from typing import Any

import keras

from tfar import orders
from tfar.distributions.arguments import check_head, checked_conditional_shape, class_inputs, shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import NADENetwork


@keras.saving.register_keras_serializable("tfar")
class NADE(Autoregressive):
    """Neural autoregressive distribution estimator.

    All conditionals share one hidden layer, to whose activations each site adds a column when its value is known:

        a_0 = c,    h_t = sigmoid(a_t),    params_t = b_t + V_t h_t,    a_{t+1} = a_t + W_t x_t
        log p(x) = sum_t log p(x_t | x_<t)

    With D sites of one input and one parameter each and H hidden units it has 2 D H + D + H weights: W and V, b, and c. With
    `learned_first_state` the first site has activations of its own in place of c: H weights more. A Categorical site that is
    fed one-hot has a column of W for each class, and a head of P parameters P rows of V and entries of b for each site.

    `log_prob` takes time O(B D H), as MADE with one hidden layer does, and `log_prob` and its gradient take memory O(B H)
    beside the weights, the events and their parameters: the gradient walks the sites backwards and computes the activations
    again.

    Args:
        event_shape: shape of one event, a sequence of ints or an int.
        hidden_units: int, H.
        head: the head of a site. Default: Bernoulli.
        order: "natural", "reverse", "random" (one order, from the seed) or a permutation of the sites in raster order.
        activation: "sigmoid", "tanh" or "relu". Of the hidden units.
        learned_first_state: bool. Learn the first site's activations apart from c.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. A dense layer adds it to the
            first activations, and so to all.
        one_hot_inputs: bool or None. Feed each class of a Categorical site as an input of its own; None: up to 32 classes.
            Otherwise the value is scaled to -1 .. 1.
        kernel_initializer: of all kernels; each gets a seed of its own.
        seed: int. Decides the initial weights and a random order.
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
        The papers model bits with sigmoid units; other heads, activations and conditions are extensions. W has a column for
        the last site too, which nothing reads: the papers count it, and so it is kept. Gradients are first-order: to
        differentiate one again is a NotImplementedError.
    """

    def __init__(
        self,
        event_shape: Any,
        hidden_units: int = 500,
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
            **class_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)
