"""PixelCNN++."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.distributions.arguments import check_rate, checked_conditional_shape, shape_tuple
from tfar.distributions.images import ImageAutoregressive, kernel_size_pair
from tfar.heads import DiscretizedLogisticMixture
from tfar.heads.base import check_positive_int
from tfar.layers.gated_residual import ACTIVATIONS
from tfar.networks import PixelCNNPlusPlusNetwork


@keras.saving.register_keras_serializable("tfar")
class PixelCNNPlusPlus(ImageAutoregressive):
    """PixelCNN++ over images of integers, in which all channels of a pixel are decided together.

        log p(x) = sum_{i, j} log p(x[i, j] | x[i', j'] for all pixels above and to the left)

    Two stacks of gated residual blocks of shifted convolutions first reduce and then restore the resolution, with
    shortcuts from the first half to the second. The vertical stack covers the rows above, and the horizontal stack adds
    the pixels to the left. The channels of a pixel follow a discretised mixture of logistics, see
    `tfar.heads.DiscretizedLogisticMixture`. The kernels have no masked entries, so a model is causal and normalised
    before, during and after training. Sampling computes every feature once: those of the vertical stack when a row
    starts, those of the horizontal stack pixel by pixel.

    Args:
        event_shape: `[H, W, C]`; any height and width.
        filters: int. Number of channels of the features.
        num_blocks: int. Number of blocks of each level of the first half. The second half has one more per level,
            except at the last level.
        num_levels: int. Number of levels. Each level has half the rows and columns of the one before, rounded up.
        num_components: int. Number of components of the mixture.
        kernel_size: int or (height, width) that a convolution covers, including the row of the pixel. The width is odd
            and at least 3, the height at least 2, or 3 if there are several levels.
        activation: "concat_elu", "elu" or "relu".
        dropout_rate: float in [0, 1). Rate at which training drops features inside a block; `log_prob` drops none.
        conditional_shape: shape of the conditional input of one row, `()` for a scalar, a dict of shapes, or None. A
            dense layer of each block adds it before the gate.
        use_weight_norm: bool. Normalise the kernels of all convolutions.
        use_data_init: bool. Let `DensityModel.fit` call `initialize` with its first batch. Ignored unless `use_weight_norm`.
        low: int. The lowest value.
        high: int. The highest value.
        kernel_initializer: initializer of all convolutions, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> dist = tfar.PixelCNNPlusPlus([4, 5, 3], filters=4, num_blocks=1, num_levels=2, jit_compile=False)
        >>> dist.log_prob(dist.sample(2, seed=1)).shape
        TensorShape([2])

    References:
        Salimans, Karpathy, Chen and Kingma. PixelCNN++: Improving the PixelCNN with discretized logistic mixture likelihood and
        other modifications. ICLR 2017. https://arxiv.org/abs/1701.05517
        Ramachandran et al. Fast generation for convolutional autoregressive models. 2017. https://arxiv.org/abs/1704.06001
        Salimans and Kingma. Weight normalization. NIPS 2016. https://arxiv.org/abs/1602.07868

    Notes:
        As in TensorFlow Probability, and unlike the authors' code, the image has no additional channel of ones, the
        shortcuts to the second half come from both stacks, and the scale of a component is a softplus. For odd sizes
        the output of a transposed convolution is cropped. The paper averages the weights exponentially, which the Keras
        optimiser does: `keras.optimizers.Adam(use_ema=True, ema_momentum=0.9995)` with
        `keras.callbacks.SwapEMAWeights`.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 160,
        *,
        num_blocks: int = 5,
        num_levels: int = 3,
        num_components: int = 10,
        kernel_size: int | Sequence[int] = 3,
        activation: str = "concat_elu",
        dropout_rate: float = 0.5,
        conditional_shape: Any = None,
        use_weight_norm: bool = True,
        use_data_init: bool = True,
        low: int = 0,
        high: int = 255,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "PixelCNNPlusPlus",
    ) -> None:
        shape = shape_tuple("event_shape", event_shape)
        if len(shape) != 3:
            raise ValueError(f"Expected `event_shape` to be [H, W, C]; received {event_shape!r}.")
        if activation not in ACTIVATIONS:
            raise ValueError(f"Expected `activation` to be one of {tuple(ACTIVATIONS)}; received {activation!r}.")
        num_levels = check_positive_int("num_levels", num_levels)
        head = DiscretizedLogisticMixture(num_components, low, high, num_channels=shape[-1])
        network = PixelCNNPlusPlusNetwork(
            shape,
            head.params_size,
            filters=check_positive_int("filters", filters),
            num_blocks=check_positive_int("num_blocks", num_blocks),
            num_levels=num_levels,
            kernel_size=_kernel_size(kernel_size, num_levels),
            activation=activation,
            dropout_rate=check_rate("dropout_rate", dropout_rate),
            conditional_shape=checked_conditional_shape(conditional_shape),
            use_weight_norm=use_weight_norm,
            use_data_init=use_data_init,
            low=head.low,
            high=head.high,
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)

    @classmethod
    def from_tfp(
        cls,
        image_shape: Any,
        conditional_shape: Any = None,
        num_resnet: int = 5,
        num_hierarchies: int = 3,
        num_filters: int = 160,
        num_logistic_mix: int = 10,
        receptive_field_dims: Sequence[int] = (3, 3),
        dropout_p: float = 0.5,
        resnet_activation: str = "concat_elu",
        use_weight_norm: bool = True,
        use_data_init: bool = True,
        high: int = 255,
        low: int = 0,
        dtype: Any = tf.float32,
        name: str = "PixelCNNPlusPlus",
        **kwargs: Any,
    ) -> "PixelCNNPlusPlus":
        """Creates the model from the arguments of `tfp.distributions.PixelCNN`.

        Args:
            image_shape: `event_shape`.
            conditional_shape, use_weight_norm, use_data_init, high, low, name: as here.
            num_resnet: `num_blocks`.
            num_hierarchies: `num_levels`.
            num_filters: `filters`.
            num_logistic_mix: `num_components`.
            receptive_field_dims: `kernel_size`.
            dropout_p: `dropout_rate`.
            resnet_activation: `activation`.
            dtype: tf.float32.
            **kwargs: the other arguments of this class: `kernel_initializer`, `seed`, `jit_compile`.

        Raises:
            ValueError: If an argument is out of range, or `dtype` is not float32.

        Example:
            >>> dist = tfar.PixelCNNPlusPlus.from_tfp((4, 4, 1), num_resnet=1, num_hierarchies=1, num_filters=4)
            >>> dist.event_shape
            TensorShape([4, 4, 1])
        """
        if tf.as_dtype(dtype) != tf.float32:
            raise ValueError(
                f"Expected `dtype` to be tf.float32; received {dtype!r}. For half precision inside the network set a Keras dtype "
                "policy: keras.config.set_dtype_policy('mixed_bfloat16')."
            )
        return cls(
            image_shape,
            num_filters,
            num_blocks=num_resnet,
            num_levels=num_hierarchies,
            num_components=num_logistic_mix,
            kernel_size=receptive_field_dims,
            activation=resnet_activation,
            dropout_rate=dropout_p,
            conditional_shape=conditional_shape,
            use_weight_norm=use_weight_norm,
            use_data_init=use_data_init,
            low=low,
            high=high,
            name=name,
            **kwargs,
        )


def _kernel_size(kernel_size: Any, num_levels: int) -> tuple[int, int]:
    """Returns the rows and columns that a convolution covers, or raises ValueError."""
    size = kernel_size_pair("kernel_size", kernel_size)
    lowest = 3 if num_levels > 1 else 2
    if size[0] < lowest or size[1] < 3 or size[1] % 2 == 0:
        raise ValueError(
            f"Expected `kernel_size` of a height of at least {lowest} and an odd width of at least 3; received {kernel_size!r}."
        )
    return size
