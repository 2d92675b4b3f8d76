"""GatedPixelCNN: gated convolutions over an image, without a blind spot in the receptive field."""

from collections.abc import Sequence
from typing import Any

import keras

from tfar.distributions import images
from tfar.distributions.arguments import check_head, check_rate, class_inputs
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import GatedPixelCNNNetwork


@keras.saving.register_keras_serializable("tfar")
class GatedPixelCNN(images.ImageAutoregressive):
    """Gated PixelCNN over images of any height, width and number of channels, with or without a condition.

    A vertical stack covers all rows above and a horizontal stack adds the row itself, so that there is no blind spot:

        log p(x | c) = sum_i log p(x_i | x_<i, c)
        a^v_l = conv(v_{l-1}) + V^v_l c,                        v_l = gate(a^v_l)
        a^h_l = conv_1xn(h_{l-1}) + U_l a^v_l + V^h_l c,        h_l = h_{l-1} + conv_1x1(gate(a^h_l))
        gate(a, b) = tanh(a) * sigmoid(b),                      params = out(relu(sum_l conv_1x1(gate(a^h_l))))

    The condition c is a vector, such as a one-hot class or an embedding, or a map of the image's height and width,
    whose value at a pixel is the condition of that pixel, or a dict of these. Sampling computes the vertical stack row
    by row and every feature once, so that it costs only a few times as much as `log_prob` of the same batch.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int, a multiple of C. Number of features of each stack; convolutions before the gates have twice as
            many.
        num_blocks: int. Number of blocks after the first.
        head: the head of a value: Bernoulli for binary images, Categorical for any number of levels. Default: Bernoulli.
        first_kernel_size: int or (height, width) of the first block, which excludes the value itself. The height is at
            least 2.
        kernel_size: int or (height, width) of the other blocks.
        output_filters: sequence of int, multiples of C. Features of the 1x1 convolutions before the parameters. Default: one of
            `filters`.
        dropout_rate: float in [0, 1). Rate at which training drops gated features of both stacks; `log_prob` drops
            none.
        conditional_shape: `[k]` of a vector, `[H, W, k]` of a map, a dict of such shapes, or None.
        condition_dropout: float in [0, 1). Probability with which training replaces the condition of an image by zeros.
        one_hot_inputs: bool or None. Whether to encode the levels of a Categorical value as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 levels.
        activation: activation function before the 1x1 convolutions. Default: "relu".
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, if features cannot be split evenly among the channels, or if a condition
            is neither a vector nor a map of the image.

    Example:
        >>> dist = tfar.GatedPixelCNN(event_shape=[8, 8], filters=8, num_blocks=2, conditional_shape=[10])
        >>> digits = tf.one_hot([3, 5], 10)
        >>> dist.log_prob(dist.sample(4, seed=1, conditional_input=digits), conditional_input=digits).shape
        TensorShape([4, 2])

    References:
        van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS 2016, section 2, equations 2, 4 and 5,
        and figure 2.
        https://arxiv.org/abs/1606.05328

    Notes:
        The first vertical convolution covers `first_kernel_size // 2` rows above and excludes the row itself, which
        corresponds to the paper's shift of the vertical stack by one row. Every block adds to the output by a skip
        connection, and the condition enters both stacks. With `condition_dropout`, a condition of zeros represents no
        condition, and `log_prob` of zeros is the density without a condition. Guided samples, from the parameters (1 +
        w) params(c) - w params(0), do not follow `log_prob`; `sample` always draws from the density and does not
        implement guidance.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 96,
        *,
        num_blocks: int = 10,
        head: Head | None = None,
        first_kernel_size: int | Sequence[int] = 7,
        kernel_size: int | Sequence[int] = 3,
        output_filters: Sequence[int] | None = None,
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        condition_dropout: float = 0.0,
        one_hot_inputs: bool | None = None,
        activation: Any = "relu",
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "GatedPixelCNN",
    ) -> None:
        head, shape = Bernoulli() if head is None else check_head(head), images.image_shape(event_shape)
        network = make_network(
            shape,
            filters,
            head,
            num_blocks=num_blocks,
            first_kernel_size=first_kernel_size,
            kernel_size=kernel_size,
            output_filters=(filters,) if output_filters is None else output_filters,
            seed=seed,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            conditional_shape=images.vectors_and_maps(conditional_shape, shape[:2]),
            condition_dropout=check_rate("condition_dropout", condition_dropout),
            activation=activation,
            kernel_initializer=kernel_initializer,
            **class_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)


def make_network(
    shape: tuple[int, ...],
    filters: int,
    head: Head,
    *,
    num_blocks: int,
    first_kernel_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    output_filters: Sequence[int],
    seed: int,
    **others: Any,
) -> GatedPixelCNNNetwork:
    """Returns the network of a Gated PixelCNN.

    Args:
        shape: `(H, W)` or `(H, W, C)`.
        filters, head, num_blocks, first_kernel_size, kernel_size, output_filters, seed: see `GatedPixelCNN`.
        **others: further arguments of the network, which are checked.

    Raises:
        ValueError: If a size is out of range, or features cannot be split evenly among the channels.
    """
    images.check_scalar_head(head)
    channels, why = shape[2] if len(shape) == 3 else 1, "as it is split among the channels"
    network = GatedPixelCNNNetwork(
        event_shape=shape,
        filters=images.check_features("filters", filters, channels, why),
        params_size=head.params_size,
        num_blocks=check_positive_int("num_blocks", num_blocks, lowest=0),
        first_kernel_size=images.kernel_size_pair("first_kernel_size", first_kernel_size),
        kernel_size=images.kernel_size_pair("kernel_size", kernel_size),
        output_filters=tuple(images.check_features("output_filters", n, channels, why) for n in output_filters),
        seed=check_positive_int("seed", seed, lowest=0),
        **others,
    )
    images.refuse_blind_sites(network)
    return network
