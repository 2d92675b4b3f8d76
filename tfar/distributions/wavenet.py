"""WaveNet: dilated causal convolutions over a signal of any length."""

from collections.abc import Mapping
from typing import Any

import keras

from tfar.distributions.arguments import check_head, checked_conditional_shape, shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Categorical, DiscretizedLogisticMixture, Head
from tfar.heads.base import check_positive_int
from tfar.networks import WaveNetNetwork

UPSAMPLINGS = ("repeat", "learned")


@keras.saving.register_keras_serializable("tfar")
class WaveNet(Autoregressive):
    """WaveNet over audio and other series, of fixed or any length, with or without conditions.

    Gated convolutions whose dilations double from layer to layer see thousands of earlier values:

        log p(x | c) = sum_t log p(x_t | x_<t, c_t)
        z_l = tanh(W_f,l * h_{l-1} + V_f,l c) * sigmoid(W_g,l * h_{l-1} + V_g,l c),    dilation 2^(l mod num_layers)
        h_l = h_{l-1} + R_l z_l,    params = O_2 relu(O_1 relu(sum_l S_l z_l))

    where h_0 is a causal convolution of x, shifted by one. Every value is scored from the first one on, and what lies
    before the beginning is zero features, in training and in generation alike. A step of generation computes one time of
    each layer and keeps the earlier ones in ring buffers.

    The condition is a vector of the whole series (global), such as an embedding of a speaker; features of frames (local),
    such as a spectrogram; or a dict of both kinds. The parameters of time t depend on the values before t and on the
    frame of time t itself: frame n covers the times `n * hop_length` to `(n + 1) * hop_length - 1`. There may be more
    frames than the series needs.

    Args:
        event_shape: `[T]`, or `[T, C]` for C channels; T may be None for series of any length.
        filters: int. Features between the layers; the convolutions before the gates have twice as many.
        skip_filters: int. Features of the sum of the skip connections and of the layer after it.
        num_layers: int. Layers of a stack, with the dilations 1, 2, 4, ..., 2^(num_layers - 1).
        num_stacks: int. Number of stacks.
        kernel_size: int of at least 2. Taps of the causal convolutions.
        head: the head of a value. Default: Categorical over 256 levels, see `tfar.data.mu_law`. A head of C channels, such
            as DiscretizedLogisticMixture, decides the channels of a time jointly (`[T, 1]` for one channel); with a
            scalar head they are independent given the earlier times.
        conditional_shape: `[S]` of a global condition, `[frames, F]` of a local one, whose number of frames may be None, a
            dict of such shapes, or None.
        hop_length: int. Number of times that a frame of a local condition covers.
        upsampling: "repeat" repeats each frame; "learned" is a transposed convolution of each feature over three frames, which
            starts as repetition.
        one_hot_inputs: bool or None. Whether a Categorical value enters as a one-hot vector; otherwise all values of a finite
            range are scaled to -1 .. 1, and companded if the head compands them. None means True for Categorical.
        activation: activation function before the last two convolutions. Default: "relu".
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, a condition has another shape, or its frames do not cover the series.

    Example:
        >>> dist = tfar.WaveNet([None], 8, skip_filters=8, num_layers=3, num_stacks=1, head=tfar.heads.Categorical(16))
        >>> dist.receptive_field
        9
        >>> dist.log_prob(dist.sample(2, seed=1, length=12)).shape
        TensorShape([2])

    References:
        van den Oord et al. WaveNet: a generative model for raw audio. 2016, sections 2.1 to 2.5, equations 1 to 3 and figures
        3 and 4. https://arxiv.org/abs/1609.03499

    Notes:
        The paper does not give the sizes. The context stacks of its section 2.6 are not implemented. A learned upsampling
        filters each feature separately, and the 1x1 convolutions V of the layers mix the features. Audio of 16 bits is
        `WaveNet([None, 1], head=DiscretizedLogisticMixture(low=-32768, high=32767, num_channels=1, companding=255))`.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 32,
        *,
        skip_filters: int = 256,
        num_layers: int = 10,
        num_stacks: int = 3,
        kernel_size: int = 2,
        head: Head | None = None,
        conditional_shape: Any = None,
        hop_length: int = 1,
        upsampling: str = "repeat",
        one_hot_inputs: bool | None = None,
        activation: Any = "relu",
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "WaveNet",
    ) -> None:
        head = Categorical(256) if head is None else check_head(head)
        shape = shape_tuple("event_shape", event_shape, any_length=True)
        if len(shape) > 2:
            raise ValueError(f"Expected `event_shape` to be [T] or [T, C]; received {event_shape!r}.")
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"Expected `upsampling` to be one of {UPSAMPLINGS}; received {upsampling!r}.")
        network = WaveNetNetwork(
            event_shape=shape,
            site_shape=head.site_shape,
            filters=check_positive_int("filters", filters),
            params_size=head.params_size,
            skip_filters=check_positive_int("skip_filters", skip_filters),
            num_layers=check_positive_int("num_layers", num_layers),
            num_stacks=check_positive_int("num_stacks", num_stacks),
            kernel_size=check_positive_int("kernel_size", kernel_size, lowest=2),
            conditional_shape=_global_and_local(conditional_shape),
            hop_length=check_positive_int("hop_length", hop_length),
            upsampling=upsampling,
            initial_params=head.initial_params(),
            activation=activation,
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)

    @property
    def receptive_field(self) -> int:
        """Number of earlier times that the parameters of a time depend on."""
        return self.network.receptive_field


def _inputs(head: Head, one_hot_inputs: bool | None) -> dict[str, Any]:
    """Returns the arguments of the network that determine how values enter it."""
    is_categorical = isinstance(head, Categorical)
    if one_hot_inputs and not is_categorical:
        raise ValueError(f"Expected a Categorical head for `one_hot_inputs`; received {type(head).__name__}.")
    if is_categorical and one_hot_inputs is not False:
        return {"num_classes": head.num_classes}
    support = head.support()
    if support.num_values is None:
        return {}
    companding = head.companding if isinstance(head, DiscretizedLogisticMixture) else None
    return {"low": support.low, "high": support.high, "companding": companding}


def _global_and_local(shape: Any) -> Any:
    """Returns a conditional shape of vectors and of features of frames, or raises ValueError."""
    checked = checked_conditional_shape(shape, any_length=True)
    for part in checked.values() if isinstance(checked, Mapping) else [] if checked is None else [checked]:
        if len(part) not in (1, 2) or part == (None,):
            raise ValueError(
                "Expected `conditional_shape` to be [S] of a global condition, [frames, F] of a local one, or a dict of such "
                f"shapes; received {shape!r}."
            )
    return checked
