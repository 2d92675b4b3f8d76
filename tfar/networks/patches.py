"""Images in patches, and the steps of a network that decides all patches of a group of pixels at once."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfar.networks.base import Weights
from tfar.networks.conditions import State
from tfar.networks.phases import Phase
from tfar.networks.raster import RasterNetwork


def to_patches(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Splits an image `[B, H, W, C]` into patches in raster order, `[B * patches, *size, C]`."""
    height, width, channels = image.shape[1:]
    rows, columns = height // size[0], width // size[1]
    parts = tf.reshape(image, [-1, rows, size[0], columns, size[1], channels])
    return tf.reshape(tf.transpose(parts, [0, 1, 3, 2, 4, 5]), [-1, *size, channels])


def from_patches(patches: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    """Inverts `to_patches`: joins patches `[B * patches, h, w, C]` to an image `[B, *shape, C]`.

    Example:
        >>> image = tf.reshape(tf.range(16), [1, 4, 4, 1])
        >>> bool(tf.reduce_all(from_patches(to_patches(image, (2, 2)), (4, 4)) == image))
        True
    """
    height, width, channels = patches.shape[1:]
    rows, columns = shape[0] // height, shape[1] // width
    parts = tf.reshape(patches, [-1, rows, columns, height, width, channels])
    return tf.reshape(tf.transpose(parts, [0, 1, 3, 2, 4, 5]), [-1, *shape, channels])


class PatchPhase(Phase):
    """Decides patches of one size side by side: a step decides one site of every patch.

    Args:
        network: the network of a patch.
        shape: (height, width) of the picture that consists of the patches.
        name: str. Prefix of the step weights of the network.
        condition: maps the state before the phase to the condition of the patches.
        end: maps the state before the phase and the picture `[B, *shape, C]` to the state after it.
    """

    def __init__(
        self,
        network: RasterNetwork,
        shape: tuple[int, int],
        name: str,
        condition: Callable[[State], Any],
        end: Callable[[State, tf.Tensor], State],
    ) -> None:
        self.network, self.shape, self.name, self.condition, self.end = network, shape, name, condition, end
        height, width, self._channels = network.image_shape
        self.num_steps, self.stages = network.num_sites, network.stages
        self.group_size = (shape[0] // height) * (shape[1] // width)

    def start(self, state: State, weights: Weights) -> State:
        batch_size = tf.shape(next(iter(state.values())))[0]
        return self.network.start(batch_size * self.group_size, self.condition(state))

    def start_stage(
        self, level: int, state: State, number: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        return self.network.start_stage(level, state, number, self._each(x_previous), self._own(weights))

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        params, state = self.network.step(state, index, self._each(x_previous), self._own(weights))
        return tf.reshape(params, [-1, self.group_size, params.shape[-1]]), state

    def _each(self, x: tf.Tensor) -> tf.Tensor:
        """Returns values `[B, patches, *site_shape]` with a row for each patch, `[B * patches, 1, *site_shape]`."""
        return tf.reshape(x, [-1, 1, *self.network.site_shape])

    def _own(self, weights: Weights | None) -> Weights | None:
        """Returns the step weights of the network of a patch."""
        if weights is None:
            return None
        prefix = f"{self.name}:"
        return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}

    def finish(self, state: State, values: tf.Tensor) -> State:
        by_patch = tf.reshape(values, [-1, self.num_steps, self.group_size, self._channels // self.network.num_groups])
        by_patch = tf.transpose(by_patch, [0, 2, 1, 3])
        patches = tf.reshape(by_patch, [-1, *self.network.image_shape])
        return self.end(state, from_patches(patches, self.shape))


class WholePhase(Phase):
    """Decides all pixels of a picture in one step.

    Args:
        shape: (height, width) of the picture.
        params: maps the state before the phase to the parameters of the pixels, `[B, *shape, params_size]`.
        end: as in `PatchPhase`.
    """

    num_steps = 1

    def __init__(
        self,
        shape: tuple[int, int],
        params: Callable[[State], tf.Tensor],
        end: Callable[[State, tf.Tensor], State],
    ) -> None:
        self.shape, self.params, self.end, self.group_size = shape, params, end, shape[0] * shape[1]

    def start(self, state: State, weights: Weights) -> State:
        params = tf.cast(self.params(state), tf.float32)
        return {"params": tf.reshape(params, [-1, self.group_size, params.shape[-1]])}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        return state["params"], state

    def finish(self, state: State, values: tf.Tensor) -> State:
        channels = values.shape[3:].num_elements()
        return self.end(state, tf.reshape(values, [-1, *self.shape, channels]))
