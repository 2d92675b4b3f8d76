"""Base class of raster networks whose blocks add a linear function of the condition."""

import abc
from typing import Any

import keras
import tensorflow as tf

from tfar.networks.conditions import State, named_inputs, named_shapes
from tfar.networks.raster import RasterNetwork


class ConditionedRasterNetwork(RasterNetwork, abc.ABC):
    """Raster network to whose blocks vectors and maps of a condition contribute, `V_l c` for block l.

    A vector contributes the same to all pixels, and a map its value at the pixel. A subclass calls `_add_conditions` and adds
    `conditions["condition_<block>"]`, by `run.condition`, in `flow`.
    """

    def _add_conditions(self, channels: int, num_blocks: int) -> None:
        """Creates the layers that map the parts of the condition to features of every block; see `conditions`."""
        self._num_conditioned = num_blocks
        self.condition = {
            name: self._add(keras.layers.Dense, shape[-1], num_blocks * channels, use_bias=False, name=name)
            for name, shape in named_shapes(self.conditional_shape).items()
        }

    def conditions(self, conditional_input: Any) -> State:
        """See the base class. Returns the contribution of the condition to the features of each block."""
        total = None
        for name, part in named_inputs(conditional_input, self.conditional_shape).items():
            projected = tf.cast(self.condition[name](tf.cast(part, tf.float32)), tf.float32)
            if total is not None and projected.shape.rank != total.shape.rank:
                projected, total = (x if x.shape.rank == 4 else x[:, None, None] for x in (projected, total))
            total = projected if total is None else total + projected
        parts = [] if total is None else tf.split(total, self._num_conditioned, axis=-1)
        return {f"condition_{block}": part for block, part in enumerate(parts)}
