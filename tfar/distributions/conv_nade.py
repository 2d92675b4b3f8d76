"""ConvNADE: neural autoregressive distribution estimation by convolutions, for all orders of the pixels."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfar.distributions.arguments import check_head, checked_conditional_shape, class_inputs, shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.images import kernel_size_pair
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import ConvNADENetwork

# The paper's best network for images of 28 x 28: 28 -> 21 -> 18 -> 13 -> 7 pixels and back, in parallel with two dense
# layers.
PAPER_FILTERS, PAPER_KERNEL_SIZES = (64, 64, 64, 64), (8, 4, 6, 7)
PAPER_HIDDEN_UNITS = (500, 500)


@keras.saving.register_keras_serializable("tfar")
class ConvNADE(Autoregressive):
    """Convolutional neural autoregressive distribution estimator, for all orders of the sites of an image.

    The inputs of the network are the known pixels and their mask m. Its outputs are the parameters of all other pixels:

        h_0     = [x * m, m]
        h_l     = relu(valid_l(h_{l-1})),             l = 1 .. L           shrink the image
        h_{L+l} = relu(full_{L-l+1}(h_{L+l-1})),      l = 1 .. L           and grow it back; no relu for l = L
        params  = h_{2L} + dense(h_0)
        log p(x | order) = sum_d log p(x[order[d]] | params with the mask of order[:d])

    Training covers all orders: each row of a batch gets a random order and a random step d, and the sites that are not
    yet known have the weight D / (D - d + 1). `log_prob` averages the probabilities of `num_orders` orders; each takes
    D passes. `complete` and `observed` accept any pattern.

    Args:
        event_shape: shape of one event, `[H, W]` or `[H, W, C]`.
        filters: filters of each valid convolution; the full ones mirror them. Default: the paper's, for 28 x 28 pixels.
        kernel_sizes: an int, or height and width, for each of `filters`.
        hidden_units: units of the hidden layers of the fully connected branch, or None for no branch.
        head: the head of a site. Default: Bernoulli.
        num_orders: int. Random orders that `log_prob` averages and `sample` draws from.
        orders: None, or those orders themselves, ints `[num_orders, num_sites]`.
        activation: activation function of the hidden layers.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. A dense layer adds it to each
            hidden layer.
        one_hot_inputs: bool or None. Whether to encode the classes of a Categorical site as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 classes.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights and the random orders.
        jit_compile: bool. Compile eager calls, and by default `fit`, with XLA. On CPUs False is faster: the convolutions of XLA
            and their gradients take several times as long.
        name: str.

    Raises:
        ValueError: If a size, the orders or another argument is out of range, or the image too small for the kernels.

    Example:
        >>> dist = tfar.ConvNADE(event_shape=[4, 4], filters=[8, 8], kernel_sizes=[2, 3], hidden_units=[16])
        >>> dist.log_prob(dist.sample(2, seed=1)).shape
        TensorShape([2])

    References:
        Uria, Côté, Gregor, Murray and Larochelle. Neural autoregressive distribution estimation. JMLR 17, 2016, sections 4
        (orderless training) and 5 (convolutions). https://arxiv.org/abs/1605.02226
        Their program: https://github.com/MarcCote/NADE

    Notes:
        The papers model binary images; other heads, channels and conditions are extensions. Steps d are counted from 1, as in
        the paper. Without the fully connected branch, pixels that no unit of the smallest layer connects do not depend on each
        other.
    """

    def __init__(
        self,
        event_shape: Any = (28, 28),
        filters: Sequence[int] = PAPER_FILTERS,
        kernel_sizes: Sequence[Any] = PAPER_KERNEL_SIZES,
        hidden_units: Sequence[int] | None = PAPER_HIDDEN_UNITS,
        *,
        head: Head | None = None,
        num_orders: int = 1,
        orders: Any = None,
        activation: Any = "relu",
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "ConvNADE",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        sizes = [kernel_sizes] if isinstance(kernel_sizes, int | np.integer) else kernel_sizes
        network = ConvNADENetwork(
            event_shape=shape_tuple("event_shape", event_shape),
            filters=shape_tuple("filters", filters),
            kernel_sizes=tuple(kernel_size_pair("kernel_sizes", size) for size in sizes),
            hidden_units=None if hidden_units is None else shape_tuple("hidden_units", hidden_units),
            params_size=head.params_size,
            site_shape=head.site_shape,
            activation=activation,
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **class_inputs(head, one_hot_inputs),
        )
        members = check_positive_int("num_orders", num_orders) if orders is None else orders
        super().__init__(network, head, orders=members, jit_compile=jit_compile, name=name)
