"""ConvNADE as the paper writes it, in loops: slow, and independent of the package.

Uria et al. Neural autoregressive distribution estimation. JMLR 17, 2016, sections 4 (orderless training) and 5 (convolutions).
A full convolution is written as the paper defines it: a valid one over an image with a border of zeros. A condition adds to the
sums of the hidden layers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": lambda a: np.maximum(a, 0.0), "tanh": np.tanh}


@dataclass
class Layer:
    """Kernel, bias and what the condition adds, of a convolution `[k, l, inputs, filters]` or a matrix `[inputs, units]`.

    The kernel of a full convolution is the one that a valid convolution would slide over the image with its border.
    """

    kernel: Array
    bias: Array
    condition: Array | None = None

    def offset(self, features: Array | None) -> Array:
        """Bias and condition."""
        return self.bias if self.condition is None or features is None else self.bias + features @ self.condition


@dataclass
class Weights:
    """Layers in the order in which they are applied."""

    valid: list[Layer]
    full: list[Layer]
    dense: list[Layer] = field(default_factory=list)


def valid_convolution(image: Array, kernel: Array) -> Array:
    """`out[i, j, f] = sum_{a, b, c} image[i + a, j + b, c] kernel[a, b, c, f]`."""
    height, width = image.shape[0] - kernel.shape[0] + 1, image.shape[1] - kernel.shape[1] + 1
    out = np.zeros((height, width, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            for a in range(kernel.shape[0]):
                for b in range(kernel.shape[1]):
                    out[i, j] += image[i + a, j + b] @ kernel[a, b]
    return out


def full_convolution(image: Array, kernel: Array) -> Array:
    """The valid convolution of the image with a border of zeros, one less wide than the kernel."""
    a, b = kernel.shape[0] - 1, kernel.shape[1] - 1
    bordered = np.zeros((image.shape[0] + 2 * a, image.shape[1] + 2 * b, image.shape[2]))
    bordered[a : a + image.shape[0], b : b + image.shape[1]] = image
    return valid_convolution(bordered, kernel)


def parameters(
    weights: Weights, inputs: Array, known: Array, features: Array | None = None, activation: str = "relu"
) -> Array:
    """Parameters of all sites under a mask, flat: the sums of the last layers of both branches.

    Args:
        weights: the weights.
        inputs: `[H, W, sites, I]`. Inputs of the values of the sites of each pixel.
        known: `[H, W, sites]`. 1 where a site is known, else 0.
        features: None, or the flat condition.
        activation: of the hidden layers.
    """
    act = ACTIVATIONS[activation]
    masked = np.concatenate([inputs * known[..., None], known[..., None]], axis=-1)
    image = masked.reshape(*masked.shape[:2], -1).astype(np.float64)
    layers = [(valid_convolution, layer) for layer in weights.valid] + [(full_convolution, w) for w in weights.full]
    hidden = image
    for number, (convolution, layer) in enumerate(layers, start=1):
        sums = convolution(hidden, layer.kernel) + layer.offset(features)
        hidden = sums if number == len(layers) else act(sums)
    result = hidden.ravel()
    if weights.dense:
        units = image.ravel()
        for number, layer in enumerate(weights.dense, start=1):
            sums = units @ layer.kernel + layer.offset(features)
            units = sums if number == len(weights.dense) else act(sums)
        result = result + units
    return result
