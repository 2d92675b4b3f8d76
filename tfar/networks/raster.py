"""What convolutional networks over images share: passes, influences and steps of one description."""

import abc
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfar import masks
from tfar.layers import MaskedConv2D
from tfar.networks.inputs import SiteEncoding, seeded_initializer
from tfar.networks.raster_steps import RasterSteps, nonlinear

Drop = Callable[[tf.Tensor], tf.Tensor]


class RasterNetwork(RasterSteps, abc.ABC):
    """A network of causal convolutions over an image `[H, W]` or `[H, W, C]`, whose sites are its scalars in raster order.

    A subclass makes the causal `convolutions`, the first of which sees the image, says how they follow each other (`_follow`)
    and what a row gets from those above it (`_from_above`).

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        params_size: int. Parameters of a site.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        num_classes: None, or the number of classes of a site: its values are then scaled to -1 .. 1.
        one_hot: bool. Feed each class of a site as an input of its own.
        kernel_initializer: of all kernels; each gets a seed of its own.
        seed: int. Decides the initial weights.
    """

    any_order_hint = (
        "Flip or turn the images, in training too, so that what is observed comes first in raster order; a MADE with "
        "order='random' and num_masks=None allows any pattern."
    )

    def __init__(
        self,
        event_shape: tuple[int, ...],
        params_size: int = 1,
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, (), conditional_shape, **kwargs)
        height, width, channels = (*self.event_shape, 1)[:3]
        self.image_shape = (height, width, channels)
        self._params_size = int(params_size)
        self._encode = SiteEncoding((), num_classes, one_hot)
        self.num_classes, self.one_hot = num_classes, self._encode.one_hot
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), seed
        self.convolutions = []
        self._channels = []

    def _add(
        self, name: str, inputs: int, filters: int, kernel_size: tuple[int, int] = (1, 1), mask_type: str = "B"
    ) -> None:
        """Makes the next convolution, for so many channels of inputs."""
        initializer = seeded_initializer(self.kernel_initializer, self.seed, len(self.convolutions))
        layer = MaskedConv2D(
            filters,
            kernel_size,
            mask_type,
            num_groups=self.image_shape[2],
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )
        self.convolutions.append(layer)
        self._channels.append(inputs)

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; their shapes follow from the configuration."""
        for layer, channels in zip(self.convolutions, self._channels, strict=True):
            layer.build((None, *self.image_shape[:2], channels))
        self.built = True

    @property
    def params_size(self) -> int:
        return self._params_size

    # In parallel -----------------------------------------------------------------------------------------------------

    def _image(self, x: Any) -> tf.Tensor:
        """Inputs of the first convolution, `[B, H, W, C * inputs_per_site]`."""
        return tf.reshape(
            self._encode(tf.reshape(x, [-1, *self.image_shape])), [-1, *self.image_shape[:2], self._depth]
        )

    @property
    def _depth(self) -> int:
        return self.image_shape[2] * self._encode.inputs_per_site

    def _as_params(self, features: tf.Tensor) -> tf.Tensor:
        """Parameters of the sites, float32, from the outputs of the last convolution."""
        return tf.cast(tf.reshape(features, [-1, self.num_sites, self.params_size]), tf.float32)

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        return self._params(x, conditional_input, drop=lambda gated: gated)

    def _params(self, x: Any, conditional_input: Any, drop: Drop) -> tf.Tensor:
        """A pass over whole images; `drop` is applied to what is behind each gate."""
        image = self._image(x)
        above = self._above(image, conditional_input, drop)

        def convolve(i: int, features: tf.Tensor) -> tf.Tensor:
            outputs = self.convolutions[i](features)
            return outputs + above[i] if i in above else outputs

        def function(name: str, features: tf.Tensor) -> tf.Tensor:
            features = nonlinear(name, features, self.image_shape[2])
            return drop(features) if name == "gate" else features

        return self._as_params(self._follow(convolve, function, image))

    def _above(self, image: tf.Tensor, conditional_input: Any, drop: Drop) -> dict[int, tf.Tensor]:
        """What is added to the outputs of convolutions from elsewhere, `[B, H, W, filters]` each."""
        return {}

    # Influences ------------------------------------------------------------------------------------------------------

    def influences(
        self, sites: ArrayLike | None = None, member: int = 0, order: ArrayLike | None = None
    ) -> NDArray[np.bool_]:
        """See the base: follows every site through the masks of all layers."""
        sources = np.eye(self.num_sites, dtype=bool).reshape(self.num_sites, *self.image_shape)
        reached = self._influences(sources).reshape(self.num_sites, self.num_sites).T
        return reached if sites is None else reached[np.asarray(sites, int)]

    def _influences(self, sources: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which sites each of the sets of sites `[N, H, W, C]` influences, of the same shape."""
        above = self._influences_from_above(sources)

        def convolve(i: int, paths: NDArray[np.bool_]) -> NDArray[np.bool_]:
            reached = masks.convolved(paths, self.convolutions[i].group_mask)
            return reached | above[i] if i in above else reached

        return self._follow(convolve, lambda name, paths: paths, sources)

    def _influences_from_above(self, sources: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
        """As `_above`: which pixels the sources reach that way."""
        return {}

    def blind_sites(self) -> NDArray[np.int64]:
        """The sites but the first that see nothing of the image, which no parameter can make depend on it."""
        seen = self._influences(np.ones((1, *self.image_shape), bool)).reshape(-1)
        return 1 + np.flatnonzero(~seen[1:])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["site_shape"]
        names = ("params_size", "num_classes", "one_hot", "seed")
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**config, **{name: getattr(self, name) for name in names}, "kernel_initializer": initializer}
