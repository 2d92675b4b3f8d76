"""WaveNet as the paper writes it, in loops over times and layers: slow, and independent of the package.

van den Oord et al. WaveNet: a generative model for raw audio. 2016, sections 2.1 to 2.5, equations 2 and 3, figure 4.
"""

from collections.abc import Mapping

import numpy as np

from tests.reference.grid import PLAIN, Plain

Array = np.ndarray
Weights = Mapping[str, Array]


def causal(weights: Weights, name: str, x: Array, t: int, dilation: int = 1) -> Array:
    """(W * x)[t] + b with taps at t, t - d, t - 2 d, ...; what lies before the beginning is zeros (section 2.1)."""
    kernel = weights[f"{name}/kernel"]
    total = weights[f"{name}/bias"].copy()
    for tap in range(len(kernel)):
        source = t - (len(kernel) - 1 - tap) * dilation
        if source >= 0:
            total += x[source] @ kernel[tap]
    return total


def upsampled(frames: Array, hop: int, kernel: Array | None) -> Array:
    """The condition of every time (section 2.5): its frame, or a transposed convolution `[m, hop, F]` around its frame."""
    result = np.zeros((len(frames) * hop, frames.shape[1]))
    for t in range(len(result)):
        frame, phase = t // hop, t % hop
        if kernel is None:
            result[t] = frames[frame]
            continue
        for j in range(len(kernel)):
            source = frame + j - len(kernel) // 2
            if 0 <= source < len(frames):
                result[t] += kernel[j, phase] * frames[source]
    return result


def condition(weights: Weights, parts: Mapping[str, Array], hop: int, t: int, layer: int, width: int) -> Array:
    """V^T h of a global condition, V * y of a local one at time t, for the filter and the gate of a layer."""
    total = np.zeros(width)
    for name, part in parts.items():
        if part.ndim == 2:
            part = upsampled(part, hop, weights.get(f"upsample_{name}/kernel"))[t]
        total += part @ weights[f"{name}/kernel"][:, layer * width : (layer + 1) * width]
    return total


def parameters(
    weights: Weights,
    inputs: Array,
    dilations: list[int],
    parts: Mapping[str, Array],
    hop: int,
    grid: Plain = PLAIN,
) -> Array:
    """Parameters `[T, P]` of encoded values `[T, C]`, from weights and parts of a condition by their names.

    `grid` rounds what enters a convolution or a gate, as in a frozen model.
    """
    length, num_filters = len(inputs), weights["first/bias"].size
    shifted = np.concatenate([np.zeros_like(inputs[:1]), inputs[:-1]])
    features = np.stack([causal(weights, "first", shifted, t) for t in range(length)])
    skips = np.zeros((length, weights["skip/bias"].size)) + weights["skip/bias"]
    for layer, dilation in enumerate(dilations):
        after, rounded = features.copy(), grid.signed(features)
        for t in range(length):
            both = causal(weights, f"dilated_{layer}", rounded, t, dilation)
            both += condition(weights, parts, hop, t, layer, both.size)
            pairs = zip(both[:num_filters], both[num_filters:], strict=True)
            z = np.array([grid.gate(f, q) for f, q in pairs])  # equation 2
            skips[t] += z @ weights["skip/kernel"][0, layer * num_filters : (layer + 1) * num_filters]
            if layer < len(dilations) - 1:
                after[t] += z @ weights[f"residual_{layer}/kernel"][0] + weights[f"residual_{layer}/bias"]
        features = after
    hidden = grid.relu(skips) @ weights["output/kernel"][0] + weights["output/bias"]
    return grid.relu(hidden) @ weights["params/kernel"][0] + weights["params/bias"]


def connectivity(length: int, channels: int, kernel_size: int, dilations: list[int]) -> Array:
    """Which values each value depends on: those of the times before, as far as the taps of all layers add up."""
    reach = kernel_size + sum((kernel_size - 1) * dilation for dilation in dilations)
    times = np.repeat(np.arange(length), channels)
    back = times[:, None] - times[None, :]
    return (back >= 1) & (back <= reach)
