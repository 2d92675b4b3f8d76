"""The network of Gated PixelCNN: a vertical and a horizontal stack of gated convolutions."""

import functools
from typing import Any

import keras
import tensorflow as tf

from tfar import random
from tfar.layers import ShiftedConv2D
from tfar.layers.causal import Run
from tfar.networks.base import TrainingPass
from tfar.networks.conditions import State, named_inputs, named_shapes
from tfar.networks.gates import gate
from tfar.networks.inputs import row_seeds
from tfar.networks.masked_raster import MaskedRasterNetwork


@keras.saving.register_keras_serializable("tfar")
class GatedPixelCNNNetwork(MaskedRasterNetwork):
    """Two stacks of gated convolutions: a vertical one over all rows above and a horizontal one over the row.

        a^v_l = conv(v_{l-1}) + V^v_l c,                        v_l = gate(a^v_l)
        a^h_l = conv_1xn(h_{l-1}) + U_l a^v_l + V^h_l c,        h_l = h_{l-1} + conv_1x1(gate(a^h_l))
        gate(a, b) = tanh(a) * sigmoid(b),                      params = out(relu(sum_l conv_1x1(gate(a^h_l))))

    where c is a vector, or the value of a map at the pixel.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features of each stack; convolutions before the gates have twice as many.
        params_size: int. Parameters of a site.
        conditional_shape, condition_dropout: see `tfar.GatedPixelCNN`.
        **kwargs: arguments of `MaskedRasterNetwork`.

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
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, filters, params_size, conditional_shape=conditional_shape, **kwargs)
        self.condition_dropout = float(condition_dropout)
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

    # Layers ----------------------------------------------------------------------------------------------------------

    def _vertical(self, block: int) -> Any:
        """Returns a vertical convolution.

        The first one covers the rows above the row of the pixel. The others also cover the row itself, whose features
        already depend only on rows above.
        """
        size, inputs = (self.kernel_size, self.filters) if block else (self.first_kernel_size, self._depth)
        kernel_size = (size[0] // 2 + (block > 0), size[1])
        name = f"vertical_{block}"
        return self._add(ShiftedConv2D, inputs, 2 * self.filters, kernel_size, "down", strict=block == 0, name=name)

    def _condition(self, name: str, block: int) -> Any:
        """Returns the layer that maps a part of the condition to features of both stacks."""
        inputs = self._parts[name][-1]
        return self._add(keras.layers.Dense, inputs, 4 * self.filters, use_bias=False, name=f"{name}_{block}")

    def _horizontal(self, block: int) -> Any:
        size, inputs = (self.kernel_size, self.filters) if block else (self.first_kernel_size, self._depth)
        mask_type = "B" if block else "A"
        return self._masked(f"horizontal_{block}", inputs, 2 * self.filters, (1, size[1]), mask_type)

    # Description -----------------------------------------------------------------------------------------------------

    def context(self, run: Run, image: Any, conditions: State) -> None:
        features = image
        for block, (vertical, link) in enumerate(zip(self.vertical, self.link, strict=True)):
            before, linked = run(vertical, features), None
            for name, layers in self.condition.items() if conditions else ():
                of_vertical, of_horizontal = tf.split(layers[block](run.condition(conditions[name])), 2, axis=-1)
                before = before + tf.cast(of_vertical, before.dtype)
                linked = of_horizontal if linked is None else linked + of_horizontal
            linked = run(link, before) if linked is None else run(link, before) + tf.cast(linked, before.dtype)
            run.give(linked)
            features = run.drop(run(gate, before))

    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        features, total = image, None
        gate_groups = functools.partial(gate, half=self.filters // self.num_groups)
        for block, (horizontal, skip) in enumerate(zip(self.horizontal, self.skip, strict=True)):
            gated = run.drop(run(gate_groups, run(horizontal, features) + run.take()))
            skipped = run(skip, gated)
            total = skipped if total is None else total + skipped
            if block < self.num_blocks:
                added = run(self.residual[block], gated)
                features = added if block == 0 else features + added
        return self._outputs(run, total)

    # Conditions ------------------------------------------------------------------------------------------------------

    @property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parts of the condition: `(k,)` of a vector, `(H, W, k)` of a map."""
        return named_shapes(self.conditional_shape)

    def conditions(self, conditional_input: Any) -> State:
        return named_inputs(conditional_input, self.conditional_shape)

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
