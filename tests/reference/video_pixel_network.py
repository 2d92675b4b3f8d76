"""The Video Pixel Network as the paper writes it, in loops: slow, and independent of the package.

Kalchbrenner et al. Video pixel networks. ICML 2017, sections 3 and 4, figures 1 and 2.
Shi et al. Convolutional LSTM network. NIPS 2015, equation 3, without peepholes.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tests.reference import gated_pixel_cnn
from tests.reference.pixel_cnn import Layer, colour, convolution, relu
from tests.reference.receptive_fields import gated_pixel_cnn as seen_by_two_stacks
from tests.reference.receptive_fields import masked

Array = np.ndarray
Weights = Mapping[str, Array]


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def first_offset(size: int, dilation: int) -> int:
    """Where the first tap is: as many zeros before the frame as after it, or one fewer."""
    return -((size - 1) * dilation // 2)


def plain_convolution(kernel: Array, frame: Array, dilation: int = 1) -> Array:
    """Convolution of a frame `[H, W, in]` without a mask or a bias; what lies outside the frame is zero."""
    height, width, _ = frame.shape
    result = np.zeros((height, width, kernel.shape[-1]))
    for r, c, i, j in np.ndindex(height, width, *kernel.shape[:2]):
        row = r + first_offset(kernel.shape[0], dilation) + i * dilation
        column = c + first_offset(kernel.shape[1], dilation) + j * dilation
        if 0 <= row < height and 0 <= column < width:
            result[r, c] += frame[row, column] @ kernel[i, j]
    return result


def multiplicative_unit(sums: Array, h: Array, num_colours: int) -> Array:
    """g1 * tanh(g2 * h + g3 * tanh(u)); the sums hold the four of each colour in turn (figure 2)."""
    result, size = np.zeros_like(h), h.shape[-1] // num_colours
    for r, c, n in np.ndindex(h.shape):
        of_colour, place = colour(n, h.shape[-1], num_colours), n % size
        g1, g2, g3, u = (sums[r, c, (4 * of_colour + gate) * size + place] for gate in range(4))
        result[r, c, n] = sigmoid(g1) * math.tanh(sigmoid(g2) * h[r, c, n] + sigmoid(g3) * math.tanh(u))
    return result


def encoder_block(weights: Weights, name: str, x: Array, dilation: int) -> Array:
    """A residual multiplicative block without masks: the input, and two units inside of 1x1 convolutions (section 4.2)."""
    convolve = lambda part, h: plain_convolution(weights[f"{name}_{part}/kernel"], h, dilation)  # noqa: E731
    inside = convolve("in", x) + weights[f"{name}_in/bias"]
    for unit in ("unit_1", "unit_2"):
        inside = multiplicative_unit(convolve(unit, inside) + weights[f"{name}_{unit}/bias"], inside, 1)
    return x + convolve("out", inside) + weights[f"{name}_out/bias"]


def decoder_block(weights: Weights, name: str, x: Array, num_colours: int) -> Array:
    """The same with masks that include the pixel itself."""
    layer = lambda part: Layer(weights[f"{name}_{part}/kernel"], weights[f"{name}_{part}/bias"])  # noqa: E731
    inside = convolution(layer("in"), x, "B", num_colours)
    for unit in ("unit_1", "unit_2"):
        inside = multiplicative_unit(convolution(layer(unit), inside, "B", num_colours), inside, num_colours)
    return x + convolution(layer("out"), inside, "B", num_colours)


def lstm(weights: Weights, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """The states after a frame x: sums of the output, forget and input gates and of the new content, in this order."""
    sums = plain_convolution(weights["lstm/kernel"], x) + plain_convolution(weights["lstm/recurrent_kernel"], h)
    sums += weights["lstm/bias"]
    new_h, new_c, size = np.zeros_like(h), np.zeros_like(c), h.shape[-1]
    for r, column, n in np.ndindex(h.shape):
        o, f, i, g = (sums[r, column, gate * size + n] for gate in range(4))
        new_c[r, column, n] = sigmoid(f) * c[r, column, n] + sigmoid(i) * math.tanh(g)
        new_h[r, column, n] = sigmoid(o) * math.tanh(new_c[r, column, n])
    return new_h, new_c


def condition_of(weights: Weights, name: str, y: Array, number: int, width: int) -> Array:
    """The contribution of a condition to block `number`, from 0."""
    return y @ weights[name][:, number * width : (number + 1) * width]


def decode(weights: Weights, frame: Array, context: Array, y: Array | None, num_colours: int) -> Array:
    """Parameters `[H, W, C P]` of a frame of inputs, given the state before it `[H, W, k]` and its condition."""
    weights = {name.removeprefix("decoder/"): v for name, v in weights.items() if name.startswith("decoder/")}
    layer = lambda name: Layer(weights[f"{name}/kernel"], weights[f"{name}/bias"])  # noqa: E731
    features, block = convolution(layer("first"), frame, "A", num_colours), 0
    while f"block_{block + 1}_in/kernel" in weights:
        width = features.shape[-1]
        features = features + condition_of(weights, "condition_context/kernel", context, block, width)
        if y is not None:
            features = features + condition_of(weights, "condition_frame/kernel", y, block, width)
        block += 1
        features = decoder_block(weights, f"block_{block}", features, num_colours)
    output = 1
    while f"output_{output}/kernel" in weights:
        features = convolution(layer(f"output_{output}"), relu(features), "B", num_colours)
        output += 1
    return convolution(layer("params"), relu(features), "B", num_colours)


def decode_by_two_stacks(weights: Weights, frame: Array, context: Array, y: Array | None, num_colours: int) -> Array:
    """The same with the weights of a Gated PixelCNN, of which the state is a map and the condition a vector."""
    parts = {"condition_context": context} | ({} if y is None else {"condition_frame": y})
    return gated_pixel_cnn.parameters(weights, frame, num_colours, parts)


def parameters(
    weights: Weights,
    frames: Array,
    num_colours: int,
    dilations: Sequence[int],
    y: Array | None = None,
    two_stacks: Weights | None = None,
) -> Array:
    """Parameters `[T, H, W, C P]` of encoded frames `[T, H, W, C I]`, with a condition `[T, K]` of the frames or none.

    `two_stacks` are the weights of the decoder if it is a Gated PixelCNN.
    """
    h = c = np.zeros((*frames.shape[1:3], weights["lstm/bias"].size // 4))
    params = []
    for t, frame in enumerate(frames):
        of_frame = None if y is None else y[t]
        if two_stacks is None:
            params.append(decode(weights, frame, h, of_frame, num_colours))
        else:
            params.append(decode_by_two_stacks(two_stacks, frame, h, of_frame, num_colours))
        x = plain_convolution(weights["encoder_first/kernel"], frame) + weights["encoder_first/bias"]
        for number, dilation in enumerate(dilations):
            if y is not None:
                x = x + condition_of(weights, "condition/kernel", y[t], number, x.shape[-1])
            x = encoder_block(weights, f"encoder_{number + 1}", x, dilation)
        h, c = lstm(weights, x, h, c)
    return np.stack(params)


# Connectivity --------------------------------------------------------------------------------------------------------

Size = tuple[int, int]


def around(x: Array, size: Size, dilation: int = 1) -> Array:
    """The union of the pixels that a convolution without a mask sees; x holds sets of sites, `[H, W, N]`."""
    height, width, _ = x.shape
    out = np.zeros_like(x)
    for r, c, i, j in np.ndindex(height, width, *size):
        row, column = (
            r + first_offset(size[0], dilation) + i * dilation,
            c + first_offset(size[1], dilation) + j * dilation,
        )
        if 0 <= row < height and 0 <= column < width:
            out[r, c] |= x[row, column]
    return out


def connectivity(
    sets: Array, first: Size, kernel_size: Size, num_blocks: int, dilations: Sequence[int], *, two_stacks: bool
) -> Array:
    """Which sites each site depends on, `[N, N]`; `sets [T, H, W, colours, N]` are the sites themselves."""
    state, found = np.zeros_like(sets[0, :, :, 0]), []
    for frame in sets:
        context = state[:, :, None]
        if two_stacks:
            found.append(seen_by_two_stacks(frame, first, kernel_size, num_blocks, context))
        else:
            x = masked(frame, first, "A")
            for _ in range(num_blocks):
                x = x | context
                x = x | masked(masked(x, kernel_size, "B"), kernel_size, "B")
            found.append(masked(x, (1, 1), "B"))
        encoded = around(frame.any(axis=2), kernel_size)
        for dilation in dilations:
            encoded = encoded | around(around(encoded, kernel_size, dilation), kernel_size, dilation)
        state = around(encoded, kernel_size) | around(state, kernel_size)
    return np.concatenate([rows.reshape(-1, sets.shape[-1]) for rows in found])
