"""PixelCNN++."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.distributions.arguments import check_rate, checked_conditional_shape, shape_tuple
from tfar.distributions.images import ImageAutoregressive
from tfar.heads import DiscretizedLogisticMixture
from tfar.heads.base import check_positive_int
from tfar.layers.gated_residual import ACTIVATIONS
from tfar.networks import PixelCNNPlusPlusNetwork

NAMES = (
    "conditional_shape",
    "num_resnet",
    "num_hierarchies",
    "num_filters",
    "receptive_field_dims",
    "dropout_p",
    "resnet_activation",
    "use_weight_norm",
    "use_data_init",
    "high",
    "low",
    "kernel_initializer",
    "seed",
)


@keras.saving.register_keras_serializable("tfar")
class PixelCNNPlusPlus(ImageAutoregressive):
    """PixelCNN++: images of whole numbers, pixel by pixel, all channels of a pixel at once.

        log p(x) = sum_{i, j} log p(x[i, j] | x[i', j'] for all pixels above and to the left)

    Two stacks of gated residual blocks of shifted convolutions go down to smaller images and up again with short-cuts across:
    the vertical one sees the rows above, the horizontal one also the row so far. The channels of a pixel follow a discretised
    mixture of logistics, see `tfar.heads.DiscretizedLogisticMixture`. Nothing is masked: what a pixel must not see has no
    weight, so a model is causal and normalised before, during and after training. A sample computes the features of a row of the
    vertical stack when the row starts, and those of the horizontal stack pixel by pixel, each once, at the small levels where
    they fall due.

    The arguments up to `name` are those of `tfp.distributions.PixelCNN`.

    Args:
        image_shape: (H, W, C); any height and width.
        conditional_shape: shape of the conditional input of one row, `()` for a number, a dict of shapes, or None. A dense layer
            of each block adds it before the gate.
        num_resnet: int. Blocks of each level on the way down; on the way up one more, but for the smallest level.
        num_hierarchies: int. Levels; each has half the rows and columns of the one before, rounded up.
        num_filters: int. Channels of the features.
        num_logistic_mix: int. Components of the mixture.
        receptive_field_dims: (rows, columns) that a convolution sees, the pixel's own row included; columns are odd and at least
            3, rows at least 2, or 3 if there are several levels.
        dropout_p: float in [0, 1). Share of the features of a block that training drops; `log_prob` drops none.
        resnet_activation: "concat_elu", "elu" or "relu".
        use_weight_norm: bool. Normalise the kernels of all convolutions.
        use_data_init: bool. Let `DensityModel.fit` call `initialize` with its first batch. Without weight normalisation it says
            nothing.
        high: int. The highest value.
        low: int. The lowest value.
        dtype: tf.float32, the only one; for half precision set a Keras dtype policy.
        name: str.
        kernel_initializer: of all convolutions; each gets a seed of its own.
        seed: int. Decides the initial weights.
        jit_compile: bool. Compile eager calls with XLA.

    Raises:
        ValueError: If a size or another argument is out of range.

    Example:
        >>> dist = tfar.PixelCNNPlusPlus([4, 5, 3], num_resnet=1, num_hierarchies=2, num_filters=4, jit_compile=False)
        >>> dist.log_prob(dist.sample(2, seed=1)).shape
        TensorShape([2])

    References:
        Salimans, Karpathy, Chen and Kingma. PixelCNN++: Improving the PixelCNN with discretized logistic mixture likelihood and
        other modifications. ICLR 2017. https://arxiv.org/abs/1701.05517
        Ramachandran et al. Fast generation for convolutional autoregressive models. 2017. https://arxiv.org/abs/1704.06001
        Salimans and Kingma. Weight normalization. NIPS 2016. https://arxiv.org/abs/1602.07868

    Notes:
        As in TensorFlow Probability, and unlike the authors' code: the image has no additional channel of ones, short-cuts of the
        way up come from both stacks, and the scale of a component is a softplus. An odd size is cropped from the transposed
        convolution's even one. The paper's exponential moving average of the weights is an argument of the Keras optimiser:
        `keras.optimizers.Adam(use_ema=True, ema_momentum=0.9995)` with `keras.callbacks.SwapEMAWeights`. Without
        weight normalisation the paper's data-dependent initialisation has nothing to scale.
    """

    def __init__(
        self,
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
        *,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
    ) -> None:
        image_shape = shape_tuple("image_shape", image_shape)
        _check(image_shape, resnet_activation, dtype)
        num_hierarchies = check_positive_int("num_hierarchies", num_hierarchies)
        head = DiscretizedLogisticMixture(num_logistic_mix, low, high, num_channels=image_shape[-1])
        network = PixelCNNPlusPlusNetwork(
            image_shape,
            head.params_size,
            head.low,
            head.high,
            num_resnet=check_positive_int("num_resnet", num_resnet),
            num_hierarchies=num_hierarchies,
            num_filters=check_positive_int("num_filters", num_filters),
            receptive_field_dims=_receptive_field(receptive_field_dims, num_hierarchies),
            dropout_p=check_rate("dropout_p", dropout_p),
            resnet_activation=resnet_activation,
            use_weight_norm=use_weight_norm,
            use_data_init=use_data_init,
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)


def _check(image_shape: tuple[int, ...], resnet_activation: str, dtype: Any) -> None:
    if len(image_shape) != 3:
        raise ValueError(f"Expected `image_shape` to be (height, width, channels); received {image_shape}.")
    if resnet_activation not in ACTIVATIONS:
        raise ValueError(
            f"Expected `resnet_activation` to be one of {tuple(ACTIVATIONS)}; received {resnet_activation!r}."
        )
    if tf.as_dtype(dtype) != tf.float32:
        raise ValueError(
            f"Expected `dtype` to be tf.float32, as events are; received {dtype!r}. For half precision inside the network set a "
            "Keras dtype policy: keras.config.set_dtype_policy('mixed_bfloat16')."
        )


def _receptive_field(dims: Any, num_hierarchies: int) -> tuple[int, int]:
    """Rows and columns of the receptive field, checked."""
    dims = shape_tuple("receptive_field_dims", dims)
    fewest = 3 if num_hierarchies > 1 else 2
    if len(dims) != 2 or dims[0] < fewest or dims[1] < 3 or dims[1] % 2 == 0:
        raise ValueError(
            f"Expected `receptive_field_dims` of at least {fewest} rows and an odd number of columns from 3 on; received {dims}."
        )
    return dims[0], dims[1]
