"""The network of Gated PixelCNN: a vertical and a horizontal stack of gated convolutions."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.layers import RoundedReLU, ShiftedConv2D
from tfar.layers.causal import Run
from tfar.networks.base import TrainingPass
from tfar.networks.bounds import Sums, check_bits, sums_of
from tfar.networks.conditions import State, add_condition, named_inputs, named_shapes
from tfar.networks.inputs import row_seeds
from tfar.networks.masked_raster import MaskedRasterNetwork
from tfar.networks.rounding import gate_for, rounded_inputs

# Entry of the state with the features of the condition for the 1x1 convolutions before the parameters.
OUTPUTS = "conditions_of_outputs"


@keras.saving.register_keras_serializable("tfar")
class GatedPixelCNNNetwork(MaskedRasterNetwork):
    """Two stacks of gated convolutions: a vertical one over all rows above and a horizontal one over the row.

        a^v_l = conv(v_{l-1}) + V^v_l c,                        v_l = gate(a^v_l)
        a^h_l = conv_1xn(h_{l-1}) + U_l a^v_l + V^h_l c,        h_l = h_{l-1} + conv_1x1(gate(a^h_l))
        gate(a, b) = tanh(a) * sigmoid(b),                      params = out(relu(sum_l conv_1x1(gate(a^h_l))))

    where c is a vector, or the value of a map at the pixel. A vector is projected once an event, to the features of all blocks.
    If the activation is a `RoundedReLU`, the gates and the inputs of all convolutions are rounded too.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features of each stack; convolutions before the gates have twice as many.
        params_size: int. Parameters of a site.
        conditional_shape, condition_dropout: see `tfar.GatedPixelCNN`.
        condition_network: None, or a built Keras layer from the condition to the vector or map that takes its place.
        condition_outputs: bool. Whether vectors are also added, by a projection of their own, to the features of the 1x1
            convolutions before the parameters.
        **kwargs: arguments of `MaskedRasterNetwork`.

    Raises:
        ValueError: If the first vertical convolution has no row.

    References:
        van den Oord et al. Conditional image generation with PixelCNN decoders. NIPS 2016, section 2 and figure 2.
        https://arxiv.org/abs/1606.05328
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        conditional_shape: Any = None,
        condition_dropout: float = 0.0,
        condition_network: keras.layers.Layer | None = None,
        condition_outputs: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, filters, params_size, conditional_shape=conditional_shape, **kwargs)
        if self.first_kernel_size[0] < 2:
            raise ValueError(f"Expected `first_kernel_size` of height at least 2; received {self.first_kernel_size}.")
        self.condition_dropout, self.condition_network = float(condition_dropout), condition_network
        self.condition_outputs, self._gate = bool(condition_outputs), gate_for(self.activation)
        blocks, width = range(self.num_blocks + 1), 2 * self.filters
        self.vertical = [self._vertical(block) for block in blocks]
        link = functools.partial(self._add, ShiftedConv2D, width, width, (1, 1), "down", use_bias=False)
        self.link = [link(name=f"link_{block}") for block in blocks]
        self.condition = {name: [self._condition(name, block) for block in blocks] for name in self._parts}
        self.horizontal = [self._horizontal(block) for block in blocks]
        self.skip = [self._masked(f"skip_{block}", self.filters, self.filters) for block in blocks]
        # The last block has no residual connection, because no block follows it.
        self.residual = [self._masked(f"residual_{block}", self.filters, self.filters) for block in blocks[:-1]]
        self._add_outputs(self.filters)
        vectors = [name for name in self._parts if self._is_vector(name)] if condition_outputs else []
        self.of_outputs = {name: self._output_conditions(name) for name in vectors}

    # Layers ----------------------------------------------------------------------------------------------------------

    def _vertical(self, block: int) -> Any:
        """Returns a vertical convolution.

        The first one covers the rows above the row of the pixel. The others also cover the row itself, whose features
        already depend only on rows above.
        """
        size, inputs = (self.kernel_size, self.filters) if block else (self.first_kernel_size, self.depth)
        kernel_size = (size[0] // 2 + (block > 0), size[1])
        name = f"vertical_{block}"
        return self._add(ShiftedConv2D, inputs, 2 * self.filters, kernel_size, "down", strict=block == 0, name=name)

    def _condition(self, name: str, block: int) -> Any:
        """Returns the layer that maps a part of the condition to features of both stacks."""
        inputs = self._parts[name][-1]
        return self._add(keras.layers.Dense, inputs, 4 * self.filters, use_bias=False, name=f"{name}_{block}")

    def _output_conditions(self, name: str) -> list[Any]:
        """Returns the layers that map a vector to features of the 1x1 convolutions before the parameters."""
        dense = functools.partial(self._add, keras.layers.Dense, self._parts[name][-1], use_bias=False)
        return [
            dense(width, name=f"{name}_output_{number}") for number, width in enumerate(self.output_filters, start=1)
        ]

    def _horizontal(self, block: int) -> Any:
        size, inputs = (self.kernel_size, self.filters) if block else (self.first_kernel_size, self.depth)
        mask_type = "B" if block else "A"
        return self._masked(f"horizontal_{block}", inputs, 2 * self.filters, (1, size[1]), mask_type)

    # Description -----------------------------------------------------------------------------------------------------

    def context(self, run: Run, image: Any, conditions: State) -> None:
        features = image
        for block, (vertical, link) in enumerate(zip(self.vertical, self.link, strict=True)):
            before, linked = run(vertical, features), None
            for name in self.condition_names:
                of_vertical, of_horizontal = self._condition_of_block(run, block, name, conditions[name])
                before = run(add_condition, before, of_vertical)
                linked = of_horizontal if linked is None else linked + of_horizontal
            found = run(link, rounded_inputs(run, self.activation, before))
            run.give(found if linked is None else found + run(_in_type_of, linked, before))
            features = run.drop(run(self._gate, before))

    def _condition_of_block(self, run: Run, block: int, name: str, part: Any) -> list[Any]:
        """Returns the contributions of a part of the condition to the vertical and to the horizontal stack of a block."""
        layers, found = self.condition[name], run.condition(part)
        if self._is_vector(name):
            first, count = 2 * block, 2 * len(layers)
        else:
            first, count, found = 0, 2, run(layers[block], found)
        return [run(functools.partial(_piece, number=number, count=count), found) for number in (first, first + 1)]

    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        features, total = image, None
        gate_groups = functools.partial(self._gate, half=self.filters // self.num_groups)
        for block, (horizontal, skip) in enumerate(zip(self.horizontal, self.skip, strict=True)):
            inputs = rounded_inputs(run, self.activation, features) if block else image
            gated = run.drop(run(gate_groups, run(horizontal, inputs) + run.take()))
            skipped = run(skip, gated)
            total = skipped if total is None else total + skipped
            if block < self.num_blocks:
                added = run(self.residual[block], gated)
                features = added if block == 0 else features + added
        return self._outputs(run, total, self._added(run, conditions))

    def _outputs(self, run: Run, features: Any, added: Sequence[Any] = ()) -> Any:
        """See the base class; adds features of the condition to those of the first convolutions."""
        for number, layer in enumerate(self.outputs):
            features = run(layer, run(self.activation, features))
            if number < len(added):
                features = features + tf.cast(added[number], features.dtype)
        return features

    def _added(self, run: Run, conditions: State) -> list[Any]:
        if OUTPUTS not in conditions:
            return []
        return [run.condition(part) for part in tf.split(conditions[OUTPUTS], self.output_filters, axis=-1)]

    def largest_sums(self) -> dict[str, NDArray[np.float64]]:
        """See the base class. The features of all pixels have the same bounds, and those behind a gate are at most 1."""
        check_bits(self._encoding)
        if self.condition_network is not None or not isinstance(self.activation, RoundedReLU):
            return super().largest_sums()
        image, gated = np.ones(self.num_groups), np.ones(self.filters)
        of_image = functools.partial(sums_of, image, group_size=self._encoding.inputs_per_site)
        found: dict[str, NDArray[np.float64]] = {}

        def noted(layer: Any, sums: Sums) -> Sums:
            found[layer.name] = sums.size
            return sums

        features: Sums | None = None
        total = Sums(np.zeros(self.filters), np.zeros(self.filters))
        for block, (vertical, link) in enumerate(zip(self.vertical, self.link, strict=True)):
            kernels = [np.asarray(layers[block].kernel) for layers in self.condition.values()]
            of_vertical, of_horizontal = ([k[:, part] for k in kernels] for part in self._halves)
            if features is None:
                before = of_image(vertical, of_vertical)
                across = of_image(self.horizontal[block], of_horizontal)
            else:
                before = sums_of(gated, vertical, of_vertical, signed=True)
                across = sums_of(features.rounded(self.activation), self.horizontal[block], of_horizontal, signed=True)
            linked = noted(link, sums_of(noted(vertical, before).rounded(self.activation), link, signed=True))
            noted(self.horizontal[block], across.plus(linked))
            total = total.plus(noted(self.skip[block], sums_of(gated, self.skip[block], signed=True)))
            if block < self.num_blocks:
                added = sums_of(gated, self.residual[block], signed=True)
                features = noted(self.residual[block], added if features is None else features.plus(added))
        found[self.skip[-1].name] = total.size
        for number, layer in enumerate(self.outputs):
            others = [np.asarray(layers[number].kernel) for layers in self.of_outputs.values() if number < len(layers)]
            total = noted(layer, sums_of(total.activated(self.activation), layer, others))
        return found

    # Conditions ------------------------------------------------------------------------------------------------------

    @property
    def _halves(self) -> tuple[slice, slice]:
        """The features of a condition that are those of the vertical stack, and those of the horizontal one."""
        return slice(None, 2 * self.filters), slice(2 * self.filters, None)

    @property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parts of the condition: `(k,)` of a vector, `(H, W, k)` of a map."""
        if self.condition_network is not None:
            return named_shapes(tuple(self.condition_network.output_shape[1:]))
        return named_shapes(self.conditional_shape)

    @property
    def condition_names(self) -> list[str]:
        return list(self.condition)

    def _is_vector(self, name: str) -> bool:
        return len(self._parts[name]) == 1

    def conditions(self, conditional_input: Any) -> State:
        if self.condition_network is not None:
            conditional_input = self.condition_network(conditional_input)
        parts = named_inputs(conditional_input, self.conditional_shape)
        state = {n: _joined(self.condition[n], part) if self._is_vector(n) else part for n, part in parts.items()}
        if self.of_outputs and self.output_filters:
            state[OUTPUTS] = tf.add_n([_joined(layers, parts[name]) for name, layers in self.of_outputs.items()])
        return state

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base class. The condition of each row is replaced by zeros with probability `condition_dropout`."""
        if self.condition_dropout > 0.0 and conditional_input is not None:
            noise = random.uniform(row_seeds(seed, tf.shape(x)[0]), 1, random.Stream.CONDITION_DROPOUT)[:, 0]
            kept = tf.cast(noise >= self.condition_dropout, tf.float32)
            keep = lambda part: part * tf.reshape(kept, [-1] + [1] * (part.shape.rank - 1))  # noqa: E731
            conditional_input = tf.nest.map_structure(keep, conditional_input)
        return super().training_pass(x, conditional_input, seed)


def _joined(layers: Sequence[Any], part: tf.Tensor) -> tf.Tensor:
    """Returns the outputs of layers for a vector, side by side, in float32."""
    return tf.concat([tf.cast(layer(part), tf.float32) for layer in layers], axis=-1)


def _piece(features: tf.Tensor, number: int, count: int) -> tf.Tensor:
    """Returns one of so many equal parts of features."""
    return tf.split(features, count, axis=-1)[number]


def _in_type_of(x: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, other.dtype)
