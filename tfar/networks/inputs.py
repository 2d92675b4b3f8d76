"""Helper functions of the networks: input encoding, seeded initializers and dropout."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.layers.initializers import seeded_initializer as seeded_initializer


class SiteEncoding:
    """Encodes the values of sites as `inputs_per_site` inputs of a network.

    Values of more than two classes, of which `low` is the lowest, are scaled to -1 .. 1, or encoded as one-hot vectors. Other
    values are not changed.

    Example:
        >>> SiteEncoding((), num_classes=3)(tf.constant([0.0, 1.0, 2.0])).numpy().ravel()
        array([-1.,  0.,  1.], dtype=float32)
    """

    def __init__(
        self, site_shape: tuple[int, ...], num_classes: int | None = None, one_hot: bool = False, low: float = 0.0
    ) -> None:
        self.site_shape, self.low = tuple(site_shape), float(low)
        self.num_classes, self.one_hot = num_classes, bool(one_hot and num_classes)
        self.site_size = int(np.prod(self.site_shape, dtype=int))
        self.inputs_per_site = self.site_size * (num_classes if self.one_hot and num_classes else 1)

    def __call__(self, values: tf.Tensor, site: Any = None) -> tf.Tensor:
        """Returns the inputs `[..., inputs_per_site]` for values `[..., *site_shape]`, the same for every site."""
        lead = tf.shape(values)[: values.shape.rank - len(self.site_shape)]
        values = tf.reshape(values, tf.concat([lead, [self.site_size]], 0))
        values = values - self.low if self.low else values
        if self.one_hot:
            is_class = tf.equal(tf.expand_dims(values, -1), tf.cast(tf.range(self.num_classes), values.dtype))
            return tf.reshape(tf.cast(is_class, values.dtype), tf.concat([lead, [self.inputs_per_site]], 0))
        if self.num_classes and self.num_classes > 2:
            return values * (2.0 / (self.num_classes - 1)) - 1.0
        return values


class LevelEncoding(SiteEncoding):
    """Encodes the values of sites that differ, such as the columns of a table.

    Some values of a site, its levels, have an input of their own, which is 1 at that value and else 0. The first input of
    a site is the value itself, or 0 at a level.

    Args:
        levels: the levels of each site, distinct floats; empty for a site without any.

    Example:
        >>> encode = LevelEncoding([[0.0, 1.0], []])
        >>> encode(tf.constant([[1.0, 0.7]])).numpy()
        array([[[0. , 0. , 1. ],
                [0.7, 0. , 0. ]]], dtype=float32)
    """

    def __init__(self, levels: Sequence[Sequence[float]]) -> None:
        super().__init__(())
        most = max(len(of_site) for of_site in levels)
        self._levels = np.full([len(levels), most], np.finfo(np.float32).min, np.float32)  # no value is that low
        for own, of_site in zip(self._levels, levels, strict=True):
            own[: len(of_site)] = of_site
        self.inputs_per_site = 1 + most

    def __call__(self, values: tf.Tensor, site: Any = None) -> tf.Tensor:
        """Returns the inputs `[..., inputs_per_site]` for values `[...]`.

        Args:
            values: float tensor `[...]`.
            site: int array or tensor that broadcasts to `[...]`: the raster index of the site of each value. None means that
                the last axis holds all sites in raster order.
        """
        levels = tf.constant(self._levels, values.dtype)
        levels = levels if site is None else tf.gather(levels, site)
        is_level = tf.equal(tf.expand_dims(values, -1), levels)
        other = tf.where(tf.reduce_any(is_level, axis=-1), tf.zeros_like(values), values)
        return tf.concat([tf.expand_dims(other, -1), tf.cast(is_level, values.dtype)], axis=-1)


def site_encoding(
    site_shape: tuple[int, ...],
    num_classes: int | None = None,
    one_hot: bool = False,
    levels: Sequence[Sequence[float]] | None = None,
) -> SiteEncoding:
    """Returns the encoding of sites: by the levels of each site if there are any, else the same for all sites."""
    return SiteEncoding(site_shape, num_classes, one_hot) if levels is None else LevelEncoding(levels)


def initial_bias(initial_params: Any, num_sites: int, order: NDArray[np.int32] | None = None) -> Any:
    """Returns the initialiser of the bias of the parameters of all sites: zeros, or `initial_params` for every site.

    `initial_params` may also be a list for each site, which `order` puts in the order in which the bias holds the sites.

    Components of a mixture must differ initially: at a site without inputs, equal components stay equal because their gradients
    are equal.
    """
    if initial_params is None:
        return "zeros"
    values = np.asarray(initial_params, np.float32)
    values = np.tile(values, [num_sites, 1]) if values.ndim == 1 else values
    values = np.ravel(values if order is None else values[order])
    return lambda shape, dtype=None: tf.constant(values, dtype)


def float32_value(variable: Any) -> tf.Tensor:
    """Returns the value of a variable in float32. A call under mixed precision rounds it to the compute dtype first."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def row_seeds(seed: tf.Tensor, num_rows: tf.Tensor) -> tf.Tensor:
    """Returns a seed for each row of a training batch, based on the index of the row in the global batch."""
    replica = tf.distribute.get_replica_context()
    first = 0 if replica is None else replica.replica_id_in_sync_group * num_rows
    return random.row_seeds(seed, num_rows, first)


def dropped(hidden: tf.Tensor, rate: float, seed: tf.Tensor | None, layer: int) -> tf.Tensor:
    """Applies dropout determined by the seed to hidden units `[B, ...]`; without a seed, returns them unchanged."""
    if seed is None or rate == 0.0:
        return hidden
    shape = hidden.shape[1:]
    kept = random.kept(row_seeds(seed, tf.shape(hidden)[0]), shape.num_elements(), rate, layer)
    return hidden * tf.cast(tf.reshape(kept, [-1, *shape]), hidden.dtype)


def outputs_of(hidden: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiplies hidden units `[B, H]` by a kernel `[P, H]`, or by a kernel per row `[B, P, H]`; returns `[B, P]`."""
    if kernel.shape.rank == 3:
        return tf.reduce_sum(hidden[:, None] * kernel, axis=-1)
    if kernel.shape[0] == 1:  # XLA multiplies by a vector faster than by a one-column matrix.
        return tf.linalg.matvec(hidden, kernel[0])[:, None]
    return tf.matmul(hidden, kernel, transpose_b=True)


def push(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Multiplies `values [B, G]` by a kernel `[G, M]`, or by a kernel per row `[B, G, M]`, and returns `[B, M]`."""
    if values.shape[-1] == 1:
        return values * rows[..., 0, :]
    return tf.matmul(values, rows) if rows.shape.rank == 2 else tf.reduce_sum(values[..., None] * rows, axis=1)


def add_columns(state: tf.Tensor, columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Adds `values [B, G]` to the columns `[G]` or `[B, G]` of `state [B, N]`; a column may occur twice."""
    columns = tf.broadcast_to(columns, tf.shape(values))
    rows = tf.broadcast_to(tf.range(tf.shape(values)[0])[:, None], tf.shape(values))
    return tf.tensor_scatter_nd_add(state, tf.stack([rows, columns], axis=-1), values)
