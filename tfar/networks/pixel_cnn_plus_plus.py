"""The network of PixelCNN++: two stacks of shifted convolutions with short-cuts."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfar import random
from tfar.layers import GatedResidualBlock, ShiftedConv2D, ShiftedConv2DTranspose
from tfar.layers.weight_normalized import WeightNormalized
from tfar.networks.base import TrainingPass
from tfar.networks.conditions import condition_size, flatten_condition
from tfar.networks.inputs import row_seeds, seeded_initializer
from tfar.networks.pixel_cnn_plus_plus_steps import PixelCNNPlusPlusSteps
from tfar.networks.shifted_stack import Settings, ShiftedStack


@keras.saving.register_keras_serializable("tfar")
class PixelCNNPlusPlusNetwork(PixelCNNPlusPlusSteps):
    """Two stacks of gated residual blocks: a vertical one that sees the rows above, and a horizontal one that also sees the row.

    Args:
        event_shape: (H, W, C).
        params_size: int. Parameters of a pixel.
        low, high: the lowest and the highest value, which become -1 and 1.
        num_resnet, num_hierarchies, num_filters, receptive_field_dims, dropout_p, resnet_activation, use_weight_norm,
        use_data_init, conditional_shape, kernel_initializer, seed: see `tfar.PixelCNNPlusPlus`.

    References:
        Salimans et al. PixelCNN++. ICLR 2017, section 2. https://arxiv.org/abs/1701.05517
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        params_size: int,
        low: int = 0,
        high: int = 255,
        *,
        num_resnet: int = 5,
        num_hierarchies: int = 3,
        num_filters: int = 160,
        receptive_field_dims: tuple[int, int] = (3, 3),
        dropout_p: float = 0.5,
        resnet_activation: str = "concat_elu",
        use_weight_norm: bool = True,
        use_data_init: bool = True,
        conditional_shape: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, tuple(event_shape)[-1:], conditional_shape, **kwargs)
        self._params_size, self.low, self.high = int(params_size), int(low), int(high)
        self.num_resnet, self.num_hierarchies, self.num_filters = (
            int(num_resnet),
            int(num_hierarchies),
            int(num_filters),
        )
        self.receptive_field_dims = (int(receptive_field_dims[0]), int(receptive_field_dims[1]))
        self.dropout_p, self.resnet_activation = float(dropout_p), resnet_activation
        self.use_weight_norm, self.use_data_init = bool(use_weight_norm), bool(use_data_init)
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), seed
        self._make_layers()

    @property
    def params_size(self) -> int:
        return self._params_size

    # Layers ----------------------------------------------------------------------------------------------------------

    def _make_layers(self) -> None:
        rows, columns = self.receptive_field_dims
        sizes = [(self.event_shape[0], self.event_shape[1])]
        for _ in range(self.num_hierarchies - 1):
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        settings = Settings(
            tuple(sizes),
            self.num_resnet,
            self.num_filters,
            self.resnet_activation,
            self.use_weight_norm,
            condition_size(self.conditional_shape),
            self.kernel_initializer,
            self.seed,
        )
        policy = {"dtype": self.dtype_policy}
        self.first_vertical = self._conv(0, self.num_filters, (rows - 1, columns), "down", strict=True)
        self.first_up = self._conv(1, self.num_filters, (1, columns), "down", strict=True)
        self.first_left = self._conv(2, self.num_filters, (2, columns // 2), "down_right", strict=True)
        self.vertical = ShiftedStack(settings, (rows - 1, columns), "down", beside=False, salt=1, **policy)
        self.horizontal = ShiftedStack(settings, (2, columns // 2 + 1), "down_right", beside=True, salt=2, **policy)
        self.outputs = self._conv(3, self.params_size, (1, 1), "down")

    def _conv(
        self, salt: int, filters: int, kernel_size: tuple[int, int], shift: str, strict: bool = False
    ) -> ShiftedConv2D:
        return ShiftedConv2D(
            filters,
            kernel_size,
            shift,
            strict=strict,
            use_weight_norm=self.use_weight_norm,
            kernel_initializer=seeded_initializer(self.kernel_initializer, self.seed, salt),
            dtype=self.dtype_policy,
        )

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; their shapes follow from the configuration."""
        for layer in (self.first_vertical, self.first_up, self.first_left):
            layer.build((None, *self.event_shape))
        self.vertical.build()
        self.horizontal.build()
        self.outputs.build((None, None, None, self.num_filters))
        self.data_init_pending = None
        if self.use_weight_norm and self.use_data_init:
            self.data_init_pending = self.add_weight(name="data_init_pending", initializer="ones", trainable=False)
        self.built = True

    # In parallel -----------------------------------------------------------------------------------------------------

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        return TrainingPass(self(x, conditional_input, seed=seed, training=True))

    def call(  # type: ignore[override]
        self,
        x: Any,
        conditional_input: Any = None,
        member: Any = 0,
        order: Any = None,
        seed: Any = None,
        training: Any = None,
    ) -> tf.Tensor:
        """See the base; `seed`, int32 `[2]`, drops features. The result is float32 under mixed precision too."""
        return self._parameters(x, ImagePass(self, self._features(conditional_input), seed, _call))

    def _features(self, conditional_input: Any) -> tf.Tensor | None:
        if self.conditional_shape is None:
            return None
        return flatten_condition(conditional_input, self.conditional_shape)

    def encode(self, values: tf.Tensor) -> tf.Tensor:
        """Scales values from low .. high to -1 .. 1."""
        return (values - float(self.low)) * (2.0 / (self.high - self.low)) - 1.0

    def _parameters(self, x: Any, run: "ImagePass") -> tf.Tensor:
        image = tf.cast(self.encode(tf.cast(x, tf.float32)), self.compute_dtype)
        self.vertical.flow(run, run.apply(self.first_vertical, image))
        beside, run.outputs = iter(run.outputs), []
        first = run.apply(self.first_up, image) + run.apply(self.first_left, image)
        last = self.horizontal.flow(run, first, beside)
        params = run.apply(self.outputs, tf.nn.elu(last))
        return tf.reshape(tf.cast(params, tf.float32), [-1, self.num_sites, self.params_size])

    @property
    def awaits_data(self) -> bool:
        return self.data_init_pending is not None and bool(self.data_init_pending.numpy() > 0.0)

    def initialize(self, x: Any, conditional_input: Any = None) -> None:
        """Chooses the lengths and the biases of all convolutions such that the outputs of each have mean 0 and variance 1.

        Args:
            x: float tensor `[B, *event_shape]`.
            conditional_input: as in `call`.

        Raises:
            ValueError: If the network has no weight normalisation with data-dependent initialisation.
        """
        if self.data_init_pending is None:
            raise ValueError("Expected a network with `use_weight_norm` and `use_data_init`; received one without.")
        self._parameters(x, ImagePass(self, self._features(conditional_input), None, _initialize))
        self.data_init_pending.assign(tf.zeros([]))

    # Connectivity ----------------------------------------------------------------------------------------------------

    def influences(
        self, sites: ArrayLike | None = None, member: int = 0, order: ArrayLike | None = None
    ) -> NDArray[np.bool_]:
        height, width = self.event_shape[:2]
        image = np.eye(self.num_sites, dtype=bool).reshape(height, width, self.num_sites)
        run = SetPass(self.vertical)
        self.vertical.flow(run, run.seen(self.first_vertical, image))
        beside, run.outputs = iter(run.outputs), []
        first = run.seen(self.first_up, image) | run.seen(self.first_left, image)
        last = self.horizontal.flow(run, first, beside)
        reached = last.reshape(self.num_sites, self.num_sites)
        return reached if sites is None else reached[np.asarray(sites, int)]

    def get_config(self) -> dict[str, Any]:
        names = ("params_size", "low", "high", "num_resnet", "num_hierarchies", "num_filters", "dropout_p")
        others = ("resnet_activation", "use_weight_norm", "use_data_init", "seed")
        config = super().get_config()
        del config["site_shape"]
        return {
            **config,
            **{name: getattr(self, name) for name in names + others},
            "receptive_field_dims": list(self.receptive_field_dims),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


class ImagePass:
    """Walks through the stacks with whole images.

    Args:
        network: the network.
        features: None, or the condition `[B, F]`.
        seed: None, or int32 `[2]`: what is dropped.
        apply: `(layer, x, **how)`, a call of a layer or its initialisation.

    Attributes:
        outputs: outputs of the blocks so far.
    """

    def __init__(
        self, network: PixelCNNPlusPlusNetwork, features: tf.Tensor | None, seed: tf.Tensor | None, apply: Callable
    ) -> None:
        self.network, self.features, self.seed, self.apply = network, features, seed, apply
        self.outputs: list[tf.Tensor] = []
        self._blocks = 0

    def block(self, block: GatedResidualBlock, x: tf.Tensor, shortcuts: list[tf.Tensor]) -> tf.Tensor:
        z = None if not shortcuts else shortcuts[0] if len(shortcuts) == 1 else tf.concat(shortcuts, axis=-1)
        self.outputs.append(block(x, z, self.features, kept=self._kept(block, x), apply=self.apply))
        self._blocks += 1
        return self.outputs[-1]

    def _kept(self, block: GatedResidualBlock, x: tf.Tensor) -> tf.Tensor | None:
        """What multiplies the features that are dropped out of, 0 or 1 / (1 - rate); None without dropout."""
        rate = self.network.dropout_p
        if self.seed is None or rate == 0.0:
            return None
        channels = x.shape[-1] * (2 if block.activation == "concat_elu" else 1)
        shape = [x.shape[1], x.shape[2], channels]
        seeds = row_seeds(self.seed, tf.shape(x)[0])
        return tf.reshape(random.kept(seeds, int(np.prod(shape)), rate, self._blocks), [-1, *shape])

    def deeper(self, stack: ShiftedStack, level: int, x: tf.Tensor, beside: Iterator[tf.Tensor] | None) -> tf.Tensor:
        return stack.flow(self, self.apply(stack.contract[level], x), beside, level + 1)

    def expand(self, layer: ShiftedConv2DTranspose, x: tf.Tensor, level: int) -> tf.Tensor:
        return self.apply(layer, x, size=self.network.vertical.settings.sizes[level])


class SetPass:
    """Walks through the stacks with the set of pixels that each feature depends on, bool `[H, W, sites]`.

    Args:
        stack: one of the stacks, for the sizes of the levels.
    """

    def __init__(self, stack: ShiftedStack) -> None:
        self.sizes = stack.settings.sizes
        self.outputs: list[NDArray[np.bool_]] = []

    def seen(self, layer: ShiftedConv2D, x: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """What the outputs of a convolution depend on."""
        shape = layer.compute_output_shape((None, *x.shape))[1:3]
        result = np.zeros((*shape, x.shape[2]), bool)
        for out, source in _pairs(shape, x.shape, layer.offsets, layer.strides):
            result[out] |= x[source]
        return result

    def block(
        self, block: GatedResidualBlock, x: NDArray[np.bool_], shortcuts: list[NDArray[np.bool_]]
    ) -> NDArray[np.bool_]:
        hidden = self.seen(block.conv_1, x)
        for shortcut in shortcuts:
            hidden = hidden | shortcut
        self.outputs.append(x | self.seen(block.conv_2, hidden))
        return self.outputs[-1]

    def deeper(
        self, stack: ShiftedStack, level: int, x: NDArray[np.bool_], beside: Iterator[Any] | None
    ) -> NDArray[np.bool_]:
        return stack.flow(self, self.seen(stack.contract[level], x), beside, level + 1)

    def expand(self, layer: ShiftedConv2DTranspose, x: NDArray[np.bool_], level: int) -> NDArray[np.bool_]:
        result = np.zeros((*self.sizes[level], x.shape[2]), bool)
        for source, out in _pairs(x.shape, result.shape, layer.offsets, 2):
            result[out] |= x[source]
        return result


def _pairs(small: Any, large: Any, offsets: Any, strides: int) -> Iterator[tuple[Any, Any]]:
    """Slices of a small and of a large image that an offset of a kernel connects: large = strides * small + offset."""

    def along(n: int, m: int, offset: int) -> tuple[slice, slice]:
        inside = [i for i in range(n) if 0 <= strides * i + offset < m]
        if not inside:
            return slice(0), slice(0)
        first, last = inside[0], inside[-1]
        return slice(first, last + 1), slice(strides * first + offset, strides * last + offset + 1, strides)

    for row in offsets[0]:
        for column in offsets[1]:
            rows, columns = along(small[0], large[0], row), along(small[1], large[1], column)
            yield (rows[0], columns[0]), (rows[1], columns[1])


def _call(layer: WeightNormalized, x: tf.Tensor, **how: Any) -> tf.Tensor:
    return layer(x, **how)


def _initialize(layer: WeightNormalized, x: tf.Tensor, **how: Any) -> tf.Tensor:
    return layer.initialize(x, **how)
