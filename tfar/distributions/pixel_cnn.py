"""PixelCNN: masked convolutions over an image."""

from collections.abc import Sequence
from typing import Any

import keras

from tfar.distributions import images
from tfar.distributions.arguments import check_head, class_inputs
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import PixelCNNNetwork


@keras.saving.register_keras_serializable("tfar")
class PixelCNN(images.ImageAutoregressive):
    """PixelCNN over images of any height, width and number of channels.

    The values of an image are decided in raster order, the channels of a pixel one after the other: green depends on
    red, and blue on both. Masked convolutions compute the parameters of all of them in one pass:

        log p(x) = sum_i log p(x_i | x_<i)
        h_0 = conv_A(x),    h_l = h_{l-1} + conv_1x1(relu(conv_B(relu(conv_1x1(relu(h_{l-1}))))))
        params = conv_1x1(relu(... conv_1x1(relu(h_L))))

    Sampling caches features by rows and computes each feature once, so that it costs only a few times as much as
    `log_prob` of the same batch.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features between the blocks, a multiple of C, or of 2 C with residual blocks, which have
            half as many features inside (the paper's 2h and h).
        num_blocks: int. Number of blocks.
        head: the head of a value: Bernoulli for binary images, Categorical for any number of levels. Default:
            Bernoulli.
        first_kernel_size: int or (height, width) of the first convolution, which excludes the value itself.
        kernel_size: int or (height, width) of the blocks.
        use_residual: bool. Use residual blocks; otherwise a block is a ReLU and a convolution.
        output_filters: sequence of int, multiples of C. Features of the 1x1 convolutions before the parameters. Default: two of
            `filters`.
        one_hot_inputs: bool or None. Whether to encode the levels of a Categorical value as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 levels.
        activation: activation function before the convolutions of the blocks and outputs. Default: "relu".
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, if features cannot be split evenly among the channels, or if a value
            other than the first depends on no other value.

    Example:
        >>> dist = tfar.PixelCNN(event_shape=[8, 8, 3], filters=12, num_blocks=2, head=tfar.heads.Categorical(4))
        >>> dist.log_prob(dist.sample(2, seed=1)).shape
        TensorShape([2])

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, sections 2.2, 3.3 and 3.4,
        table 1 and figure 2.
        https://arxiv.org/abs/1601.06759

    Notes:
        The paper's settings are 15 layers with h = 128 for CIFAR-10, and 1x1 convolutions of 1024 features before a softmax
        over 256 levels, or of 32 before a sigmoid for MNIST. The receptive field has a blind spot: stacked masks never reach
        some of the pixels above and to the right, as `receptive_field` shows; `GatedPixelCNN` has none. The features of a pixel
        are split into contiguous groups, one for each colour, red first. As in the paper, values outside the image are zeros.
        `complete` accepts any initial part of an image in raster order, such as its upper half.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 96,
        *,
        num_blocks: int = 7,
        head: Head | None = None,
        first_kernel_size: int | Sequence[int] = 7,
        kernel_size: int | Sequence[int] = 3,
        use_residual: bool = True,
        output_filters: Sequence[int] | None = None,
        one_hot_inputs: bool | None = None,
        activation: Any = "relu",
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "PixelCNN",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        images.check_scalar_head(head)
        shape = images.image_shape(event_shape)
        channels = shape[2] if len(shape) == 3 else 1
        unit, why = channels * (2 if use_residual else 1), "as it is split among the channels and halved in the blocks"
        filters = images.check_features("filters", filters, unit, why)
        outputs = (filters, filters) if output_filters is None else output_filters
        network = PixelCNNNetwork(
            event_shape=shape,
            filters=filters,
            params_size=head.params_size,
            num_blocks=check_positive_int("num_blocks", num_blocks, lowest=0),
            first_kernel_size=images.kernel_size_pair("first_kernel_size", first_kernel_size),
            kernel_size=images.kernel_size_pair("kernel_size", kernel_size),
            use_residual=use_residual,
            output_filters=tuple(images.check_features("output_filters", n, channels, why) for n in outputs),
            activation=activation,
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **class_inputs(head, one_hot_inputs),
        )
        images.refuse_blind_sites(network)
        super().__init__(network, head, jit_compile=jit_compile, name=name)
