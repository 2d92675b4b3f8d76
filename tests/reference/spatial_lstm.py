"""The spatial LSTM as the paper writes it, in loops over pixels: slow, and independent of the package.

Theis and Bethge. Generative image modeling using spatial LSTMs. NIPS 2015, section 2.1, equations 1 and 2, and figure 1.
"""

import numpy as np

from tests.reference.pixel_cnn import Array, Layer, convolution
from tests.reference.pixel_rnn import Gates, Sets, Weights
from tests.reference.receptive_fields import masked


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def states(inputs: Array, kernel: Array, gates: Gates) -> Array:
    """Hidden states `[H, W, h]` from inputs to the gates `[H, W, 5 h]`; `kernel [2, h, 5 h]` of the left and the upper pixel.

    The gates are in the order output, forget (left), forget (above), input, content.
    """
    height, width, _ = inputs.shape
    hidden, cells = np.zeros((2, height, width, gates.num_features))
    nothing = np.zeros(gates.num_features)
    for r, c in np.ndindex(height, width):
        left, above = (r, c - 1) if c > 0 else None, (r - 1, c) if r > 0 else None
        sums = inputs[r, c].copy()
        for tap, place in enumerate((left, above)):
            if place is not None:
                sums += hidden[place] @ kernel[tap]
        o, f_left, f_above, i, g = (sums[gates.columns(gate, 0)] for gate in range(5))
        cells[r, c] = sigmoid(f_left) * (nothing if left is None else cells[left])
        cells[r, c] += sigmoid(f_above) * (nothing if above is None else cells[above])
        cells[r, c] += sigmoid(i) * np.tanh(g)
        hidden[r, c] = np.tanh(sigmoid(o) * cells[r, c])
    return hidden


def recurrence(weights: Weights, name: str, inputs: Array, num_colours: int) -> Array:
    """Hidden states of the LSTM of a name, whose weights are in the layout of the package."""
    kernel = weights[f"{name}/kernel"]
    num_features = len(kernel) // 2
    gates = Gates(num_features, num_colours, num_gates=5)
    return states(inputs, kernel.reshape(2, num_features, -1), gates)


def parameters(weights: Weights, image: Array, num_colours: int, parts: Weights) -> Array:
    """Parameters `[H, W, C P]`; `image` has an additional input of ones for each value.

    A network without a layer of outputs gives the features, then the linear prediction. The parts of a condition, vectors or maps
    by the names of their weights, add to the inputs of each layer.
    """

    def given(block: int, inputs: Array) -> Array:
        count = inputs.shape[-1]
        for name, part in parts.items():
            inputs = inputs + part @ weights[f"{name}/kernel"][:, (block - 1) * count : block * count]
        return inputs

    layer = lambda name: Layer(weights[f"{name}/kernel"], weights[f"{name}/bias"])  # noqa: E731
    block = 1
    features = None
    if "recurrence_1/kernel" not in weights:
        features = given(1, convolution(layer("features"), image, "A", num_colours))
    while f"recurrence_{block}/kernel" in weights:
        x, mask = (image, "A") if block == 1 else (features, "B")
        inputs = convolution(layer(f"input_to_state_{block}"), x, mask, num_colours)
        features = recurrence(weights, f"recurrence_{block}", given(block, inputs), num_colours)
        block += 1
    linear = convolution(layer("linear"), image, "A", num_colours)
    if "outputs/kernel" in weights:
        return convolution(layer("outputs"), features, "B", num_colours) + linear
    return np.concatenate([features, linear], axis=-1)


def connectivity(image: Sets, neighbourhood: int, num_layers: int) -> Array:
    """Which sites each site depends on, `[N, N]`."""
    size = (neighbourhood, neighbourhood)
    features = linear = masked(image, size, "A")
    for _ in range(num_layers):
        features = masked(features, (1, 1), "B")
        for r, c in np.ndindex(features.shape[:2]):
            if r > 0:
                features[r, c] |= features[r - 1, c].any(0)
            if c > 0:
                features[r, c] |= features[r, c - 1].any(0)
    return (masked(features, (1, 1), "B") | linear).reshape(image.shape[-1], -1)
