"""The convolutions and blocks of PixelCNN++ in loops and float64: slow, and independent of the package.

Salimans et al. PixelCNN++. ICLR 2017, section 2. van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS
2016, figure 1 and equation 4. Salimans and Kingma. Weight normalization. NIPS 2016, equation 2.
"""

from typing import Any

import numpy as np

Array = np.ndarray


def convolve(x: Array, kernel: Array, bias: Array, shift: str, strict: bool = False, strides: int = 1) -> Array:
    """Each output by a sum over the pixels that it may see: rows above, and columns around or to the left."""
    height, width, _ = x.shape
    rows, columns, _, filters = kernel.shape
    out = np.zeros((-(-height // strides), -(-width // strides), filters))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = bias
            for a in range(rows):
                for b in range(columns):
                    r = strides * i - (rows - 1) + a - (1 if strict and shift == "down" else 0)
                    if shift == "down":
                        c = strides * j - columns // 2 + b
                    else:
                        c = strides * j - (columns - 1) + b - (1 if strict else 0)
                    if 0 <= r < height and 0 <= c < width:
                        out[i, j] += x[r, c] @ kernel[a, b].astype(np.float64)
    return out


def expand(x: Array, kernel: Array, bias: Array, shift: str, size: tuple[int, int]) -> Array:
    """Each pixel gives to the pixels of the larger image at and below twice its place."""
    rows, columns, filters, _ = kernel.shape
    out = np.zeros((*size, filters)) + bias
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            for a in range(rows):
                for b in range(columns):
                    i, j = 2 * r + a, 2 * c + b - (columns // 2 if shift == "down" else 0)
                    if 0 <= i < size[0] and 0 <= j < size[1]:
                        out[i, j] += kernel[a, b].astype(np.float64) @ x[r, c]
    return out


def elu(x: Array) -> Array:
    return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))


ACTIVATIONS = {
    "concat_elu": lambda x: elu(np.concatenate([x, -x], -1)),
    "elu": elu,
    "relu": lambda x: np.maximum(x, 0.0),
}


def normalized(v: Array, g: Array) -> Array:
    """Kernels of length g in the direction of v, for each output channel."""
    kernel = np.array(v, np.float64)
    for f in range(kernel.shape[-1]):
        kernel[..., f] *= g[f] / np.sqrt(np.sum(kernel[..., f] ** 2))
    return kernel


def weights_of_block(block: Any) -> dict[str, Array]:
    """The numbers of a block, by name."""
    found = {}
    for name in ("conv_1", "conv_2", "shortcut"):
        layer = getattr(block, name)
        if layer is not None:
            found[name], found[f"{name}_bias"] = normalized(layer.v, np.asarray(layer.g)), np.asarray(layer.bias)
    if block.condition is not None:
        found["condition"], found["condition_bias"] = (
            np.asarray(block.condition.kernel),
            np.asarray(block.condition.bias),
        )
    return found


def gated_block(
    weights: dict[str, Array], x: Array, z: Array | None, y: Array | None, activation: str, shift: str
) -> Array:
    """x + a * sigmoid(b), with a and b from two convolutions, a short-cut z between them and a condition y after them."""
    f = ACTIVATIONS[activation]
    hidden = convolve(f(x), weights["conv_1"], weights["conv_1_bias"], shift)
    if z is not None:
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                hidden[i, j] += f(z[i, j].astype(np.float64)) @ weights["shortcut"][0, 0] + weights["shortcut_bias"]
    both = convolve(f(hidden), weights["conv_2"], weights["conv_2_bias"], shift)
    if y is not None:
        both += y @ weights["condition"] + weights["condition_bias"]
    half = both.shape[-1] // 2
    return x + both[..., :half] / (1.0 + np.exp(-both[..., half:]))
