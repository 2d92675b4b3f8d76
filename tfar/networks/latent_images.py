"""Keras networks between images and latents: the convolutions of the encoder of PixelVAE, and their mirror image."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from tfar.networks.inputs import seeded_initializer


def halved(size: Sequence[int], times: int) -> tuple[int, int]:
    """Returns height and width after a number of convolutions of stride 2, which round up."""
    return -(-size[0] // 2**times), -(-size[1] // 2**times)


class Convolutions:
    """Makes networks whose initial weights are a function of a seed.

    Args:
        seed: int.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self._num_layers = seed, 0

    def _initializer(self, name: str) -> Any:
        self._num_layers += 1
        return seeded_initializer(keras.initializers.get(name), self.seed, 1000 + self._num_layers)

    def _conv(
        self, filters: int, strides: int = 1, activation: Any = "relu", kernel_initializer: str = "he_normal"
    ) -> keras.layers.Layer:
        initializer = self._initializer(kernel_initializer)
        return keras.layers.Conv2D(
            filters, 3, strides, padding="same", activation=activation, kernel_initializer=initializer
        )

    def encoder(
        self, image_shape: Sequence[int], filters: Sequence[int], outputs: int, *, num_classes: int | None, to_map: bool
    ) -> keras.Sequential:
        """Returns a network from images to parameters: two 3x3 convolutions a stage, the second one of stride 2.

        Args:
            image_shape: `[H, W]` or `[H, W, C]`.
            filters: ints, one for each stage.
            outputs: int. Number of parameters, of an image or of a place of the map.
            num_classes: None, or the number of classes of a value, which are then scaled to -1 .. 1.
            to_map: bool. Whether the output is a map `[h, w, outputs]` rather than a vector `[outputs]`.
        """
        height, width, channels = (*image_shape, 1)[:3]
        layers = [keras.Input(tuple(image_shape)), keras.layers.Reshape((height, width, channels))]
        if num_classes is not None and num_classes > 2:
            layers.append(keras.layers.Rescaling(2.0 / (num_classes - 1), -1.0))
        for width in filters:
            layers += [self._conv(width), self._conv(width, strides=2)]
        if to_map:
            outwards = self._conv(outputs, activation=None, kernel_initializer="glorot_uniform")
            return keras.Sequential([*layers, outwards])
        dense = keras.layers.Dense(outputs, kernel_initializer=self._initializer("glorot_uniform"))
        return keras.Sequential([*layers, keras.layers.Flatten(), dense])

    def upsampling(self, latent_shape: Sequence[int], size: Sequence[int], filters: Sequence[int]) -> keras.Sequential:
        """Returns a network from latents to a map of an image's size: doublings, each before a 3x3 convolution.

        The features of each place are normalised before each ReLU. Otherwise the first training steps, which lower the
        probability of all pixels alike, would let the map grow until it saturates every gate of the decoder.

        Args:
            latent_shape: `[k]`, which a dense layer maps to the first map, or the map `[h, w, k]`.
            size: (height, width) of the image.
            filters: ints, one for each doubling, from the smallest map on.
        """
        layers: list[Any] = [keras.Input(tuple(latent_shape))]
        small = halved(size, len(filters))
        if len(latent_shape) == 1:
            shape = (*small, filters[0])
            initializer = self._initializer("he_normal")
            layers.append(keras.layers.Dense(math.prod(shape), kernel_initializer=initializer))
            layers += [keras.layers.Reshape(shape), keras.layers.LayerNormalization(), keras.layers.ReLU()]
        for times, width in zip(reversed(range(len(filters))), filters, strict=True):
            large = halved(size, times)
            crop = [(0, 2 * before - after) for before, after in zip(small, large, strict=True)]
            convolution = self._conv(width, activation=None, kernel_initializer="he_normal")
            layers += [keras.layers.UpSampling2D(2), keras.layers.Cropping2D(crop), convolution]
            layers += [keras.layers.LayerNormalization(), keras.layers.ReLU()]
            small = large
        return keras.Sequential(layers)
