"""PixelCNN as the paper writes it, in loops over pixels and channels: slow, and independent of the package.

van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, sections 3.3 and 3.4, table 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass
class Layer:
    """A convolution: `kernel [h, w, in, out]`, not masked, and `bias [out]`."""

    kernel: Array
    bias: Array


def colour(channel: int, num_channels: int, num_colours: int) -> int:
    """The colour that a feature belongs to: the features of red come first."""
    return channel * num_colours // num_channels


def sees(row: int, column: int, colour_in: int, colour_out: int, mask: str) -> bool:
    """Whether a feature may see one that lies `row` below and `column` to the right of it (section 3.4)."""
    if row != 0:
        return row < 0
    if column != 0:
        return column < 0
    return colour_in < colour_out or (mask == "B" and colour_in == colour_out)


def convolution(layer: Layer, image: Array, mask: str, num_colours: int) -> Array:
    """Masked convolution of `image [H, W, in]`; what lies outside the image is zero."""
    height, width, num_inputs = image.shape
    kernel_height, kernel_width, _, num_outputs = layer.kernel.shape
    result = np.zeros((height, width, num_outputs))
    for r, c, o in np.ndindex(result.shape):
        result[r, c, o] = layer.bias[o]
        for i, j, n in np.ndindex(kernel_height, kernel_width, num_inputs):
            row, column = i - kernel_height // 2, j - kernel_width // 2
            inside = 0 <= r + row < height and 0 <= c + column < width
            colours = colour(n, num_inputs, num_colours), colour(o, num_outputs, num_colours)
            if inside and sees(row, column, *colours, mask):
                result[r, c, o] += layer.kernel[i, j, n, o] * image[r + row, c + column, n]
    return result


def relu(features: Array) -> Array:
    return np.maximum(features, 0.0)


def parameters(
    layers: Mapping[str, Layer],
    inputs: Array,
    num_colours: int,
    added: Array | float = 0.0,
    relu: Callable[[Array], Array] = relu,
) -> Array:
    """Parameters `[H, W, C P]` of inputs `[H, W, C I]` (table 1, figure 5): residual blocks, or none without "block_1_in".

    `added` holds features that are added to those of the first convolution.
    """
    features = convolution(layers["first"], inputs, "A", num_colours) + added
    block = 1
    while f"block_{block}" in layers:
        if f"block_{block}_in" in layers:
            inside = features
            for name in (f"block_{block}_in", f"block_{block}", f"block_{block}_out"):
                inside = convolution(layers[name], relu(inside), "B", num_colours)
            features = features + inside
        else:
            features = convolution(layers[f"block_{block}"], relu(features), "B", num_colours)
        block += 1
    output = 1
    while f"output_{output}" in layers:
        features = convolution(layers[f"output_{output}"], relu(features), "B", num_colours)
        output += 1
    return convolution(layers["params"], relu(features), "B", num_colours)
