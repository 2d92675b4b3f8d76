"""VideoPixelNetwork: a convolutional LSTM over the frames of a video, and a PixelCNN for the pixels of each frame."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfar.distributions import images
from tfar.distributions.arguments import check_head, checked_conditional_shape, class_inputs, shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import VideoNetwork


@keras.saving.register_keras_serializable("tfar")
class VideoPixelNetwork(Autoregressive):
    """Video Pixel Network over videos of any size and number of channels, with or without a condition.

    Each value depends on all past frames, on the pixels above and to the left in its own frame, and on earlier channels:

        log p(x | y) = sum_t sum_i log p(x_ti | x_t,<i, x_<t, y)
        MU(a) = g1 * tanh(g2 * a + g3 * tanh(u)),    g1, g2, g3 = sigmoid of convolutions of a,    u = convolution of a
        block(a) = a + conv_1x1(MU(MU(conv_1x1(a))))                           residual multiplicative block
        e_t = blocks(conv(x_t) + V y_t),    h_t = ConvLSTM(e_t, h_{t-1})       encoder, without masks, and LSTM over frames
        params_t = decoder(x_t | h_{t-1}, y_t)                                 PixelCNN: masked convolution, masked blocks

    The state h_{t-1} and the condition y_t of the frame are added before every block of the decoder. Sampling encodes each frame
    once and computes every feature of the decoder once, so that it costs only a few times as much as `log_prob` of the
    same batch.

    Frames that are given, and not predicted: `complete` continues a video from its first frames, and a `site_weight` of 0
    leaves frames out of the training loss and of the metrics; see the example.

    Args:
        event_shape: `[T, H, W]` or `[T, H, W, C]`, with T at least 2.
        filters: int, a multiple of C. Number of features c of a multiplicative unit. There are 2 c features between the blocks.
        num_encoder_blocks: int. Number of blocks of the encoder; may be 0.
        num_decoder_blocks: int, at least 1. Number of blocks of the decoder.
        lstm_filters: int. Number of features of the LSTM. Default: `2 * filters`.
        dilation_rates: ints. Distances between the taps of the convolutions in the blocks of the encoder; the rates repeat if
            there are more blocks.
        decoder: str. "multiplicative": masked convolutions in residual multiplicative blocks, as in the paper. "gated": the
            vertical and the horizontal stack of `GatedPixelCNN`, with 2 c features each, which have no blind spot.
        head: the head of a value: Bernoulli for binary videos, Categorical for any number of levels. Default: Bernoulli.
        kernel_size: int or (height, width) of the convolutions in the blocks, of the LSTM, and of the first one of the encoder.
        first_kernel_size: int or (height, width) of the first convolution of the decoder, which excludes the value itself.
        output_filters: sequence of int, multiples of C. Features of the 1x1 convolutions before the parameters. Default: one
            of `2 * filters`.
        conditional_shape: `[k]` of a vector for the video, `[T, k]` of a vector for each frame, such as the action that led to
            the frame, a dict of such shapes, or None.
        one_hot_inputs: bool or None. Whether to encode the levels of a Categorical value as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 levels.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, if features cannot be split evenly among the channels, if `decoder` is unknown, or
            if a condition is neither a vector of the video nor one of each frame.

    Example:
        >>> dist = tfar.VideoPixelNetwork([4, 6, 6], filters=4, num_encoder_blocks=1, num_decoder_blocks=1)
        >>> videos = np.zeros([2, 4, 6, 6])
        >>> dist.log_prob(videos).shape
        TensorShape([2])
        >>> is_given = np.arange(4)[:, None, None] < 2  # two frames of context
        >>> data = tf.data.Dataset.from_tensors({"value": videos, "site_weight": np.float32(~is_given)})
        >>> model = tfar.training.DensityModel(dist)
        >>> model.compile(optimizer="adam")
        >>> sorted(model.evaluate(data, return_dict=True, verbose=0))
        ['bits_per_dim', 'loss', 'nll']

    References:
        Kalchbrenner et al. Video pixel networks. ICML 2017, sections 2 to 4, figures 1 and 2.
        https://arxiv.org/abs/1610.00527
        Shi et al. Convolutional LSTM network. NIPS 2015. https://arxiv.org/abs/1506.04214

    Notes:
        The paper has c = 128, an LSTM of 256 features, 8 and 12 blocks. Before the first frame, the state is zeros. The first
        layer of the decoder is a convolution with mask "A", and the blocks have mask "B": the identity path of a
        multiplicative unit with mask "A" would show a pixel its own value. The LSTM has no peepholes. Its bias of the forget
        gates is initially 1, of which the paper says nothing. The decoder of the paper has the blind spot of PixelCNN: pixels
        to the upper right, which the state does not hold either; `decoder="gated"` sees them. The gradient is that of
        `log_prob` through all frames, without truncation.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 16,
        *,
        num_encoder_blocks: int = 8,
        num_decoder_blocks: int = 12,
        lstm_filters: int | None = None,
        dilation_rates: Sequence[int] = (1, 2, 4, 8),
        decoder: str = "multiplicative",
        head: Head | None = None,
        kernel_size: int | Sequence[int] = 3,
        first_kernel_size: int | Sequence[int] = 7,
        output_filters: Sequence[int] | None = None,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "VideoPixelNetwork",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        images.check_scalar_head(head)
        shape = shape_tuple("event_shape", event_shape)
        channels, why = shape[3] if len(shape) == 4 else 1, "as it is split among the channels"
        filters = images.check_features("filters", filters, channels, why)
        outputs = (2 * filters,) if output_filters is None else output_filters
        lstm_filters = 2 * filters if lstm_filters is None else check_positive_int("lstm_filters", lstm_filters)
        network = VideoNetwork(
            event_shape=shape,
            filters=filters,
            params_size=head.params_size,
            num_encoder_blocks=check_positive_int("num_encoder_blocks", num_encoder_blocks, lowest=0),
            num_decoder_blocks=check_positive_int("num_decoder_blocks", num_decoder_blocks),
            lstm_filters=lstm_filters,
            dilation_rates=shape_tuple("dilation_rates", dilation_rates),
            decoder=decoder,
            kernel_size=images.kernel_size_pair("kernel_size", kernel_size),
            first_kernel_size=images.kernel_size_pair("first_kernel_size", first_kernel_size),
            output_filters=tuple(images.check_features("output_filters", n, channels, why) for n in outputs),
            conditional_shape=_vectors_and_frames(conditional_shape, shape[0]),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **class_inputs(head, one_hot_inputs),
        )
        images.refuse_blind_sites(network.decoder)
        super().__init__(network, head, jit_compile=jit_compile, name=name)


def _vectors_and_frames(shape: Any, num_frames: int) -> Any:
    """Returns a conditional shape of vectors of the video and of its frames, or raises ValueError."""
    checked = checked_conditional_shape(shape)
    for part in checked.values() if isinstance(checked, Mapping) else [] if checked is None else [checked]:
        if len(part) != 1 and (len(part) != 2 or part[0] != num_frames):
            raise ValueError(
                f"Expected `conditional_shape` to be [k] of a vector, [{num_frames}, k] of a vector for each frame, or a dict of "
                f"such shapes; received {shape!r}."
            )
    return checked
