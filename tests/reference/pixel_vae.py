"""PixelVAE (Gulrajani et al., ICLR 2017, sections 3.1 and 3.2) with loops: encoder, decoder and terms of the bound."""

import math
from collections.abc import Sequence

import numpy as np

from tests.reference import gated_pixel_cnn
from tests.reference.pixel_cnn import relu

Array = np.ndarray
Weights = Sequence[tuple[Array, Array]]  # kernels and biases of the layers, in their order


def convolved(x: Array, kernel: Array, bias: Array, stride: int = 1) -> Array:
    """3x3 convolution of an image padded with zeros; stride 2 rounds sizes up and pads less above and to the left."""
    sizes = [-(-n // stride) for n in x.shape[:2]]
    before = [max(0, (m - 1) * stride + 3 - n) // 2 for m, n in zip(sizes, x.shape[:2], strict=True)]
    result = np.zeros((*sizes, kernel.shape[-1]))
    for r, c in np.ndindex(*sizes):
        result[r, c] = bias
        for i, j in np.ndindex(3, 3):
            row, column = r * stride + i - before[0], c * stride + j - before[1]
            if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
                result[r, c] += x[row, column] @ kernel[i, j]
    return result


def encoded(image: Array, weights: Weights) -> tuple[Array, Array]:
    """Location and scale of q(z | x) of an image `[H, W, C]`: pairs of convolutions, then a dense layer."""
    *convolutions, dense = weights
    for number, layer in enumerate(convolutions):
        image = relu(convolved(image, *layer, stride=1 + number % 2))
    return moments(image.ravel() @ dense[0] + dense[1])


def moments(params: Array) -> tuple[Array, Array]:
    """Pairs of a location and an unconstrained log scale, which is bounded by 7."""
    pairs = params.reshape(-1, 2)
    return pairs[:, 0], np.exp(7.0 * np.tanh(pairs[:, 1] / 7.0))


def enlarged(z: Array, weights: Weights, sizes: Sequence[tuple[int, int]]) -> Array:
    """The map of a latent: a dense layer to the smallest size, then doublings that are cut to the next size and convolved.

    The features of each place are normalised before each ReLU; `weights` has their scales and shifts after each layer.
    """
    dense, of_dense, *others = weights
    image = relu(normalised((z @ dense[0] + dense[1]).reshape(*sizes[0], -1), *of_dense))
    for layer, of_layer, size in zip(others[::2], others[1::2], sizes[1:], strict=True):
        image = convolved(image.repeat(2, axis=0).repeat(2, axis=1)[: size[0], : size[1]], *layer)
        image = relu(normalised(image, *of_layer))
    return image


def normalised(image: Array, scale: Array, shift: Array) -> Array:
    """Layer normalisation of the features of each place (Ba et al. 2016, equation 4), with 0.001 added to the variance."""
    result = np.zeros_like(image)
    for place in np.ndindex(*image.shape[:-1]):
        features = image[place]
        deviation = math.sqrt(np.mean((features - features.mean()) ** 2) + 1e-3)
        result[place] = scale * (features - features.mean()) / deviation + shift
    return result


def log_likelihood(weights: dict[str, Array], image: Array, latent: Array) -> float:
    """log p(x | z) of a binary image `[H, W, C]`, given the latent or its map."""
    logits = gated_pixel_cnn.parameters(weights, image, image.shape[-1], {"condition": latent})
    return float(
        sum(-math.log1p(math.exp((1.0 - 2.0 * x) * a)) for a, x in zip(logits.ravel(), image.ravel(), strict=True))
    )


def divergence(z: Array, loc: Array, scale: Array) -> float:
    """log q(z | x) - log p(z), whose constants cancel."""
    return float(np.sum(0.5 * z**2 - 0.5 * ((z - loc) / scale) ** 2 - np.log(scale)))
