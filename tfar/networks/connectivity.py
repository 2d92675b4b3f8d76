"""The masks of MADE, described by the step of each site and the degree of each hidden unit.

They are drawn with counter-based random numbers in plain operations, so that a compiled training step can draw new
masks.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import masks, random
from tfar.networks.permutations import inverted


class Connectivity(NamedTuple):
    """The masks of one member of an ensemble, as degrees.

    Attributes:
        positions: int32 `[num_sites]`, or `[B, num_sites]` with one row per example. The step that decides each site.
        hidden: int32 `[units]` for each hidden layer. The degrees of its units.
    """

    positions: tf.Tensor
    hidden: tuple[tf.Tensor, ...]


class ConnectivityDraw(NamedTuple):
    """The distribution of connectivities.

    Attributes:
        num_sites: int.
        hidden_units: tuple of int.
        lowest: int. Lowest degree of a hidden unit: 1, or 0 if the units have inputs other than the sites.
        evenly: bool. Spread the degrees evenly and assign them to the units at random; otherwise draw them independently.
        positions: int32 `[num_sites]`, or None to draw an order each time.
    """

    num_sites: int
    hidden_units: tuple[int, ...]
    lowest: int
    evenly: bool
    positions: NDArray[np.int32] | None

    @property
    def highest(self) -> int:
        """Highest degree of a hidden unit."""
        return self.num_sites - 1

    def even(self) -> list[NDArray[np.int32]]:
        """Returns evenly spread, sorted degrees such that every unit is connected to the previous layer."""
        degrees, lowest = [], self.lowest
        for units in self.hidden_units:
            degrees.append(masks.even_degrees(units, lowest, self.highest))
            lowest = int(degrees[-1].min())
        return degrees

    def draw(self, seed: tf.Tensor) -> Connectivity:
        """Draws a connectivity as a function of `seed`, int32 `[2]`."""
        if self.positions is None:
            order = tf.argsort(random.uniform(seed[None], self.num_sites, random.Stream.MASK_ORDER)[0])
            positions = inverted(order)
        else:
            positions = tf.constant(self.positions)
        stream = random.Stream.MASK_DEGREES
        draws = [random.uniform(seed[None], n + 1, stream, i)[0] for i, n in enumerate(self.hidden_units)]
        if self.evenly:
            hidden = tuple(tf.gather(d, tf.argsort(u[1:])) for d, u in zip(self.even(), draws, strict=True))
        else:
            hidden = self._independent(draws)
        return Connectivity(positions, hidden)

    def _independent(self, draws: list[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Draws degrees uniformly, at least the lowest degree of the previous layer.

        The highest degree is drawn again if it is below the highest degree of the previous layer, because the unit with
        that degree would have no successor.
        """
        hidden: list[tf.Tensor] = []
        lowest = largest = tf.constant(self.lowest)
        for uniforms in draws:
            degrees = self._between(lowest, uniforms[1:])
            top = tf.one_hot(tf.argmax(degrees), tf.size(degrees), on_value=True, off_value=False, dtype=tf.bool)
            redraw = tf.logical_and(top, tf.reduce_max(degrees) < largest)
            degrees = tf.where(redraw, self._between(largest, uniforms[0]), degrees)
            hidden.append(degrees)
            lowest, largest = tf.reduce_min(degrees), tf.reduce_max(degrees)
        return tuple(hidden)

    def _between(self, lowest: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        span = tf.cast(self.highest - lowest + 1, tf.float32)
        return tf.minimum(lowest + tf.cast(tf.floor(uniforms * span), tf.int32), self.highest)


class Members:
    """The connectivities of an ensemble, stored as degrees. Member k depends only on (seed, k)."""

    def __init__(self, drawing: ConnectivityDraw, num_members: int, seed: int) -> None:
        with tf.init_scope():
            seeds = random.row_seeds(seed, num_members)
            draws = [drawing.draw(seeds[k]) for k in range(num_members)]
            hidden = [np.stack([np.asarray(d.hidden[i]) for d in draws]) for i in range(len(drawing.hidden_units))]
            positions = np.stack([np.asarray(d.positions) for d in draws]).astype(np.int32)
        if num_members == 1:
            # With one member, the degrees can be sorted, which lets the matrix product skip masked weights.
            hidden = [np.sort(degrees) for degrees in hidden]
        self.size = num_members
        self.positions = positions if drawing.positions is None else positions[:1]
        self.hidden: list[NDArray[np.int32]] = hidden
        self.tables = [self._table(degrees, drawing.num_sites) for degrees in hidden]

    @staticmethod
    def _table(degrees: NDArray[np.int32], num_sites: int) -> NDArray[np.int32]:
        """Returns the units of each degree for each member, int32 `[K, num_sites, group]`; see `masks.units_by_degree`."""
        tables = [masks.units_by_degree(row, num_sites) for row in degrees]
        group = max(table.shape[1] for table in tables)
        return np.stack([np.concatenate([t, np.repeat(t[:, :1], group - t.shape[1], 1)], 1) for t in tables])

    def connectivity(self, member: int | tf.Tensor) -> Connectivity:
        """Returns the connectivity of a member, given as an int or an int32 scalar."""
        shared = 0 if len(self.positions) == 1 else member
        return Connectivity(
            tf.gather(tf.constant(self.positions), shared),
            tuple(tf.gather(tf.constant(degrees), member) for degrees in self.hidden),
        )
