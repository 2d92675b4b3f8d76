"""Gated PixelCNN as the paper writes it, in loops over pixels: slow, and independent of the package.

van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS 2016, section 2 and figure 2.
"""

from collections.abc import Mapping

import numpy as np

from tests.reference.grid import PLAIN, Plain
from tests.reference.pixel_cnn import Layer, convolution

Array = np.ndarray


def gate(features: Array, num_colours: int = 1, grid: Plain = PLAIN) -> Array:
    """tanh(a) * sigmoid(b) (equation 2), a and b being the halves of the features of each colour."""
    height, width, num_features = features.shape
    per_colour = num_features // num_colours
    half = per_colour // 2
    result = np.zeros((height, width, num_features // 2))
    for r, c, colour, k in np.ndindex(height, width, num_colours, half):
        a, b = features[r, c, colour * per_colour + k], features[r, c, colour * per_colour + half + k]
        result[r, c, colour * half + k] = grid.gate(a, b)
    return result


def vertical(layer: Layer, features: Array, reach: int) -> Array:
    """Convolution with the rows from `reach` above down to the last that the kernel has; no mask within a row."""
    height, width, _ = features.shape
    rows, columns, _, num_outputs = layer.kernel.shape
    result = np.zeros((height, width, num_outputs))
    for r, c in np.ndindex(height, width):
        result[r, c] = layer.bias
        for i, j in np.ndindex(rows, columns):
            row, column = r - reach + i, c + j - columns // 2
            if 0 <= row < height and 0 <= column < width:
                result[r, c] += features[row, column] @ layer.kernel[i, j]
    return result


def condition(weights: Mapping[str, Array], block: int, parts: Mapping[str, Array], r: int, c: int) -> Array | float:
    """V^T h of a vector (equation 4), V * s of a map at its place (equation 5), for both stacks side by side."""
    total: Array | float = 0.0
    for name, part in parts.items():
        total = total + (part if part.ndim == 1 else part[r, c]) @ weights[f"{name}_{block}/kernel"]
    return total


def parameters(
    weights: Mapping[str, Array],
    inputs: Array,
    num_colours: int,
    parts: Mapping[str, Array],
    grid: Plain = PLAIN,
) -> Array:
    """Parameters `[H, W, C P]` of inputs `[H, W, C I]`, from weights by their names and parts of a condition by theirs.

    `grid` rounds what enters a convolution or a gate, as in a frozen model.
    """
    layer = lambda name: Layer(weights[f"{name}/kernel"], weights[f"{name}/bias"])  # noqa: E731
    above, left, total, block = inputs, inputs, 0.0, 0
    while f"vertical_{block}/kernel" in weights:
        rows = len(weights[f"vertical_{block}/kernel"])
        before = vertical(layer(f"vertical_{block}"), above, rows if block == 0 else rows - 1)
        own = convolution(
            layer(f"horizontal_{block}"), grid.signed(left) if block else left, "B" if block else "A", num_colours
        )
        for r, c in np.ndindex(before.shape[:2]):
            added = np.zeros(2 * before.shape[2]) + condition(weights, block, parts, r, c)
            before[r, c] += added[: before.shape[2]]
            own[r, c] += grid.signed(before[r, c]) @ weights[f"link_{block}/kernel"] + added[before.shape[2] :]
        gated = gate(own, num_colours, grid)
        total = total + convolution(layer(f"skip_{block}"), gated, "B", num_colours)
        if f"residual_{block}/kernel" in weights:
            added = convolution(layer(f"residual_{block}"), gated, "B", num_colours)
            left = added if block == 0 else left + added
        above, block = gate(before, grid=grid), block + 1
    output = 1
    while f"output_{output}/kernel" in weights:
        total = convolution(layer(f"output_{output}"), grid.relu(total), "B", num_colours)
        for name, part in parts.items():  # as in PixelVAE
            if f"{name}_output_{output}/kernel" in weights:
                total = total + part @ weights[f"{name}_output_{output}/kernel"]
        output += 1
    return convolution(layer("params"), grid.relu(total), "B", num_colours)
