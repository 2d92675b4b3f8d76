"""Row LSTM and Diagonal BiLSTM, the PixelRNNs: LSTMs over an image."""

from collections.abc import Sequence
from typing import Any

import keras

from tfar.distributions import images
from tfar.distributions.arguments import check_head, class_inputs
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import DiagonalBiLSTMNetwork, RowLSTMNetwork


@keras.saving.register_keras_serializable("tfar")
class RowLSTM(images.ImageAutoregressive):
    """Row LSTM over images of any height, width and number of channels, with or without a condition.

    An LSTM passes its states from each row of the image to the next, and computes all pixels of a row at once:

        log p(x | y) = sum_i log p(x_i | x_<i, y)
        [o, f, i, g][r] = K_ss * h[r-1] + K_is * x_{l-1}[r] + V_l y        K * : convolution along the row
        c[r] = sigmoid(f) c[r-1] + sigmoid(i) tanh(g),    h[r] = sigmoid(o) tanh(c[r])
        x_0 = conv_A(x),    x_l = x_{l-1} + conv_1x1(h),    params = conv_1x1(relu(... conv_1x1(relu(x_L))))

    with the condition y and the cell state c. A pixel depends on a triangle of pixels above it, and on
    `first_kernel_size // 2 + num_layers (kernel_size // 2)` pixels to its left; `DiagonalBiLSTM` depends on all earlier
    pixels. Sampling computes the convolution with the states of the row above once for each row, so that every state is
    computed once.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int, a multiple of C. Number of features h of an LSTM. There are twice as many between the layers.
        num_layers: int. Number of LSTMs.
        kernel_size: int. Width of the convolutions of an LSTM along a row.
        head: the head of a value: Bernoulli for binary images, Categorical for any number of levels. Default: Bernoulli.
        first_kernel_size: int or (height, width) of the first convolution, which excludes the value itself.
        output_filters: sequence of int, multiples of C. Features of the 1x1 convolutions before the parameters. Default: one
            of `2 * filters`.
        conditional_shape: `[k]` of a vector, `[H, W, k]` of a map, a dict of such shapes, or None.
        one_hot_inputs: bool or None. Whether to encode the levels of a Categorical value as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 levels.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, if features cannot be split evenly among the channels, if a value other
            than the first depends on no other value, or if a condition is neither a vector nor a map of the image.

    Example:
        >>> dist = tfar.RowLSTM(event_shape=[8, 8], filters=8)
        >>> dist.log_prob(dist.sample(4, seed=1)).shape
        TensorShape([4])

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, sections 3.1 and 3.3 to 3.6,
        equation 3, figure 5 and table 1.
        https://arxiv.org/abs/1601.06759

    Notes:
        The initial states h and c are learned, one number for each feature; they also stand for the states outside the image.
        The bias of the forget gates is initially 1, of which the paper says nothing. There are residual connections and no
        skip connections from the layers to the output (3.07 and, with both, 3.06 bits per dimension in the paper). Section 3.6
        adds a map to the input-to-state component of every layer; here a vector is added in the same way.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 32,
        num_layers: int = 1,
        *,
        kernel_size: int = 3,
        head: Head | None = None,
        first_kernel_size: int | Sequence[int] = 7,
        output_filters: Sequence[int] | None = None,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "RowLSTM",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        network = RowLSTMNetwork(
            **_sizes(event_shape, filters, num_layers, first_kernel_size, output_filters, conditional_shape),
            kernel_size=(1, check_positive_int("kernel_size", kernel_size)),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **_values(head, one_hot_inputs),
        )
        images.refuse_blind_sites(network)
        super().__init__(network, head, jit_compile=jit_compile, name=name)


@keras.saving.register_keras_serializable("tfar")
class DiagonalBiLSTM(images.ImageAutoregressive):
    """Diagonal BiLSTM over images of any height, width and number of channels, with or without a condition.

    Two LSTMs pass their states from pixel to pixel, one from the upper left corner and one from the upper right, so that a
    value depends on all earlier values:

        log p(x | y) = sum_i log p(x_i | x_<i, y)
        left[r, c]  = LSTM(K_l x_{l-1}[r, c] + V_l y, left[r, c-1], left[r-1, c])
        right[r, c] = LSTM(K_r x_{l-1}[r, c] + V_r y, right[r, c+1], right[r-1, c])
        x_0 = conv_A(x),    x_l[r, c] = x_{l-1}[r, c] + conv_1x1(left[r, c] + right[r-1, c])
        params = conv_1x1(relu(... conv_1x1(relu(x_L))))

    with the condition y. The gates of an LSTM see the hidden states of both neighbours; the cell state is that of the
    neighbour in the same row. A pass computes the diagonals of the image one after the other, both directions at once.
    Sampling takes the left states pixel by pixel, and the right states of all layers when a row is finished, so that every
    state is computed once.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int, a multiple of C. Number of features h of an LSTM. There are twice as many between the layers.
        num_layers: int. Number of pairs of LSTMs.
        close_blind_spot: bool. Whether the right LSTM of the first layer sees the pixel itself; see the notes.
        head: the head of a value: Bernoulli for binary images, Categorical for any number of levels. Default: Bernoulli.
        first_kernel_size: int or (height, width) of the first convolution, which excludes the value itself.
        output_filters: sequence of int, multiples of C. Features of the 1x1 convolutions before the parameters. Default: one
            of `2 * filters`.
        conditional_shape: `[k]` of a vector, `[H, W, k]` of a map, a dict of such shapes, or None.
        one_hot_inputs: bool or None. Whether to encode the levels of a Categorical value as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 levels.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, if features cannot be split evenly among the channels, if a value other
            than the first depends on no other value, or if a condition is neither a vector nor a map of the image.

    Example:
        >>> dist = tfar.DiagonalBiLSTM(event_shape=[8, 8], filters=8)
        >>> dist.log_prob(dist.sample(4, seed=1)).shape
        TensorShape([4])

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, sections 3.2 to 3.6, figures
        3 and 5, and table 1.
        https://arxiv.org/abs/1601.06759

    Notes:
        In the paper's network, x_0 at a pixel excludes the pixel itself, so no state of the right LSTM in the row above depends
        on the last pixel of that row: a value does not see it unless the first convolution reaches it. `close_blind_spot` adds
        a 1x1 convolution of the image to the inputs of the first right LSTM, which is allowed because its states are moved down
        by a row. The initial states h and c are learned, one number for each feature; they also stand for the states outside
        the image. The bias of the forget gates is initially 1, of which the paper says nothing. There are residual
        connections and no skip connections from the layers to the output. Section 3.6 adds a map to the input-to-state
        component of every layer; here a vector is added in the same way. The paper's networks for binary MNIST have one
        layer of h = 32, or 7 layers of h = 16, with `output_filters=[32]`.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 32,
        num_layers: int = 1,
        *,
        close_blind_spot: bool = True,
        head: Head | None = None,
        first_kernel_size: int | Sequence[int] = 7,
        output_filters: Sequence[int] | None = None,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "DiagonalBiLSTM",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        network = DiagonalBiLSTMNetwork(
            **_sizes(event_shape, filters, num_layers, first_kernel_size, output_filters, conditional_shape),
            close_blind_spot=close_blind_spot,
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **_values(head, one_hot_inputs),
        )
        images.refuse_blind_sites(network)
        super().__init__(network, head, jit_compile=jit_compile, name=name)


def _sizes(
    event_shape: Any, filters: Any, num_layers: Any, first_kernel_size: Any, output_filters: Any, conditional_shape: Any
) -> dict[str, Any]:
    """Returns the shapes and sizes of a network after checking them."""
    shape = images.image_shape(event_shape)
    channels, why = shape[2] if len(shape) == 3 else 1, "as it is split among the channels"
    filters = images.check_features("filters", filters, channels, why)
    outputs = (2 * filters,) if output_filters is None else output_filters
    return {
        "event_shape": shape,
        "filters": filters,
        "num_blocks": check_positive_int("num_layers", num_layers),
        "first_kernel_size": images.kernel_size_pair("first_kernel_size", first_kernel_size),
        "output_filters": tuple(images.check_features("output_filters", n, channels, why) for n in outputs),
        "conditional_shape": images.vectors_and_maps(conditional_shape, shape[:2]),
    }


def _values(head: Head, one_hot_inputs: bool | None) -> dict[str, Any]:
    """Returns how a network encodes the values of a head, and how many parameters it has."""
    images.check_scalar_head(head)
    return {"params_size": head.params_size, **class_inputs(head, one_hot_inputs)}
