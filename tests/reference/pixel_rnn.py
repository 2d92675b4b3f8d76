"""Row LSTM and Diagonal BiLSTM as the paper writes them, in loops over pixels: slow, and independent of the package.

van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, sections 3.1 to 3.4, equation 3,
figures 3 and 5, table 1.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tests.reference.pixel_cnn import Array, Layer, colour, convolution, relu
from tests.reference.receptive_fields import masked

Weights = Mapping[str, Array]
State = tuple[Array, Array]


class Gates(NamedTuple):
    """Where the gates of an LSTM of h features are among the columns of a kernel.

    The columns of a colour follow those of the colours before it; it has the gates of each direction.
    """

    num_features: int
    num_colours: int = 1
    num_directions: int = 1
    num_gates: int = 4

    def columns(self, gate: int, direction: int) -> list[int]:
        """The columns of a gate (o, f, i or g) of all features."""
        per_colour, found = self.num_features // self.num_colours, []
        for feature in range(self.num_features):
            own = colour(feature, self.num_features, self.num_colours)
            before = (own * self.num_directions + direction) * self.num_gates + gate
            found.append(before * per_colour + feature - own * per_colour)
        return found


def lstm(sums: Array, c: Array, gates: Gates, direction: int = 0) -> State:
    """The states h and c after the state c (equation 3); `sums` are those of the gates."""
    o, f, i = (1.0 / (1.0 + np.exp(-sums[gates.columns(gate, direction)])) for gate in range(3))
    g = np.tanh(sums[gates.columns(3, direction)])
    c = f * c + i * g
    return o * np.tanh(c), c


def row_lstm(inputs: Array, kernel: Array, initial: Array, gates: Gates) -> Array:
    """Hidden states `[H, W, h]` from inputs to the gates `[H, W, 4 h]` (section 3.1); `kernel [k, h, 4 h]`."""
    height, width, _ = inputs.shape
    hidden, cells = np.zeros((2, height, width, gates.num_features))
    for r, c in np.ndindex(height, width):
        sums = inputs[r, c].copy()
        for tap in range(len(kernel)):
            column = c + tap - len(kernel) // 2
            above = hidden[r - 1, column] if r > 0 and 0 <= column < width else initial[0, 0]
            sums += above @ kernel[tap]
        hidden[r, c], cells[r, c] = lstm(sums, cells[r - 1, c] if r > 0 else initial[0, 1], gates)
    return hidden


def one_direction(inputs: Array, kernel: Array, initial: Array, gates: Gates, direction: int) -> Array:
    """Hidden states of a direction (section 3.2); `kernel [2, h, 8 h]` of the neighbours beside and above."""
    height, width, _ = inputs.shape
    columns = range(width) if direction == 0 else range(width - 1, -1, -1)
    hidden = np.zeros((height, width, gates.num_features))
    for r in range(height):
        beside = initial[direction]
        for c in columns:
            above = hidden[r - 1, c] if r > 0 else initial[direction, 0]
            sums = inputs[r, c] + beside[0] @ kernel[0] + above @ kernel[1]
            beside = lstm(sums, beside[1], gates, direction)
            hidden[r, c] = beside[0]
    return hidden


def diagonal_bilstm(inputs: Array, right_inputs: Array, kernel: Array, initial: Array, gates: Gates) -> Array:
    """The sum of the left direction and of the right one, which is shifted down by one row (section 3.2, figure 3)."""
    left = one_direction(inputs, kernel, initial, gates, 0)
    right = one_direction(right_inputs, kernel, initial, gates, 1)
    result = np.zeros_like(left)
    for r, c in np.ndindex(left.shape[:2]):
        result[r, c] = left[r, c] + (right[r - 1, c] if r > 0 else initial[1, 0])
    return result


def parameters(weights: Weights, image: Array, num_colours: int, parts: Weights, *, diagonal: bool) -> Array:
    """Parameters `[H, W, C P]` of encoded values `[H, W, C I]`, from weights and parts of a condition by their names."""
    layer = lambda name: Layer(weights[f"{name}/kernel"], weights[f"{name}/bias"])  # noqa: E731
    features, block = convolution(layer("first"), image, "A", num_colours), 1
    while f"recurrence_{block}/kernel" in weights:
        inputs = convolution(layer(f"input_to_state_{block}"), features, "B", num_colours)
        for name, part in parts.items():
            count = inputs.shape[-1]
            inputs = inputs + part @ weights[f"{name}/kernel"][:, (block - 1) * count : block * count]
        name = f"recurrence_{block}"
        hidden = recurrence(weights, name, inputs, image, num_colours, diagonal)
        features = features + convolution(layer(f"block_output_{block}"), hidden, "B", num_colours)
        block += 1
    output = 1
    while f"output_{output}/kernel" in weights:
        features = convolution(layer(f"output_{output}"), relu(features), "B", num_colours)
        output += 1
    return convolution(layer("params"), relu(features), "B", num_colours)


def recurrence(weights: Weights, name: str, inputs: Array, image: Array, num_colours: int, diagonal: bool) -> Array:
    """Hidden states of the LSTM of a name, whose weights are in the layout of the package."""
    initial, kernel = weights[f"{name}/initial_state"], weights[f"{name}/kernel"]
    num_features = initial.shape[-1]
    gates = Gates(num_features, num_colours, len(initial))
    kernel = kernel.reshape(-1, num_features, kernel.shape[-1])
    if not diagonal:
        return row_lstm(inputs, kernel, initial, gates)
    right = inputs.copy()
    if f"{name}/image_kernel" in weights:
        columns = [column for gate in range(4) for column in gates.columns(gate, 1)]
        own = gates._replace(num_directions=1)
        places = [column for gate in range(4) for column in own.columns(gate, 0)]
        right[..., columns] += (image @ weights[f"{name}/image_kernel"])[..., places]
    return diagonal_bilstm(inputs, right, kernel, initial, gates)


# Connectivity --------------------------------------------------------------------------------------------------------

Sets = Array  # bool [H, W, colours, N]: which sites each feature depends on


def connectivity(image: Sets, first: tuple[int, int], num_layers: int, states: Callable[[Sets, Sets], Sets]) -> Array:
    """Which sites each site depends on, `[N, N]`; `states(inputs, image)` are the sets of the hidden states of an LSTM."""
    x = masked(image, first, "A")
    for block in range(num_layers):
        x = x | masked(states(x, image if block == 0 else np.zeros_like(image)), (1, 1), "B")
    return masked(x, (1, 1), "B").reshape(x.shape[-1], -1)


def row_states(x: Sets, image: Sets, size: int) -> Sets:
    """Of Row LSTM: each state depends on the states of `size` pixels of the row above, in all colours."""
    height, width, _, _ = x.shape
    states = masked(x, (1, size), "B")
    for r, c, j in np.ndindex(height, width, size):
        column = c + j - size // 2
        if r > 0 and 0 <= column < width:
            states[r, c] |= states[r - 1, column].any(0)
    return states


def diagonal_states(x: Sets, image: Sets, sees_own: bool) -> Sets:
    """Of Diagonal BiLSTM: two directions, of which the right one is shifted down and may see its own pixel."""
    height, width, _, _ = x.shape
    directions = []
    for columns, beside in ((range(width), -1), (range(width - 1, -1, -1), 1)):
        states = masked(x, (1, 1), "B")
        for r in range(height):
            for c in columns:
                if beside == 1 and sees_own:
                    states[r, c] |= image[r, c].any(0)
                if r > 0:
                    states[r, c] |= states[r - 1, c].any(0)
                if 0 <= c + beside < width:
                    states[r, c] |= states[r, c + beside].any(0)
        directions.append(states)
    left, right = directions
    left[1:] |= right[:-1]
    return left
