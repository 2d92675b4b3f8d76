"""Layer that takes the units out of real values."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@keras.saving.register_keras_serializable("tfar")
class Standardization(keras.layers.Layer):
    """Subtracts a location from each entry and divides it by a scale.

        y = (x - loc) / scale

    Both are variables that no training changes: given, or fitted by `adapt` as mean and standard deviation.

    Args:
        shape: shape of one event.
        loc: float or floats that broadcast to `shape`. None: 0.
        scale: positive float or floats that broadcast to `shape`. None: 1.
        **kwargs: those of `keras.layers.Layer`.

    Input shape: `[..., *shape]`.
    Output shape: `[..., *shape]`, in the layer's compute dtype; the arithmetic is in float32.

    Raises:
        ValueError: If `loc` or `scale` is not finite, does not broadcast, or a scale is not positive.

    Example:
        >>> layer = Standardization([2])
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> layer(np.array([[3.0, 10.0]])).numpy()
        array([[ 1., -1.]], dtype=float32)

    Notes:
        The deviation is that of the data as a whole (divided by n, not n - 1). An entry that is the same in all of the data gets
        the scale 1: its deviation 0 says nothing about the units of a value that differs.
    """

    def __init__(self, shape: Iterable[int], loc: Any = None, scale: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(int(n) for n in shape)
        self._given = {"loc": _listed("loc", loc), "scale": _listed("scale", scale)}
        self._initial_loc = _filled("loc", loc, 0.0, self.shape)
        self._initial_scale = checked_scale(_filled("scale", scale, 1.0, self.shape))

    @property
    def input_dtype(self) -> str:
        """Inputs stay float32 under mixed precision: half of their digits may be their units."""
        return "float32"

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables; their shapes follow from the configuration."""
        self.loc, self.scale = (
            self.add_weight(
                name=name,
                shape=self.shape,
                initializer=lambda *_, value=value, **__: tf.constant(value, tf.float32),
                dtype="float32",
                trainable=False,
                autocast=False,
            )
            for name, value in (("loc", self._initial_loc), ("scale", self._initial_scale))
        )
        self.built = True

    def adapt(self, data: Any) -> None:
        """Sets location and scale to the mean and the standard deviation of data.

        Args:
            data: array `[..., *shape]`, or an iterable of such arrays, as a `tf.data.Dataset` is: then they are passed once.

        Raises:
            ValueError: If there are no data, if they never end, if a shape does not fit, or if a value is not finite.
        """
        if not self.built:
            self.build()
        moments = Moments(self.shape)
        for part in _parts(data):
            moments.add(part)
        loc, scale = moments.loc_and_scale()
        scales = checked_scale(scale.astype(np.float32))
        self.loc.assign(loc.astype(np.float32))
        self.scale.assign(scales)

    def units(self) -> tf.Tensor:
        """Location and scale side by side, float32 `[*shape, 2]`."""
        return tf.stack([tf.convert_to_tensor(self.loc), tf.convert_to_tensor(self.scale)], axis=-1)

    def call(self, inputs: Any) -> tf.Tensor:
        values = (tf.cast(inputs, tf.float32) - self.loc) / self.scale
        return tf.cast(values, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shape": list(self.shape), **self._given}


class Moments:
    """Mean and deviation of the entries of arrays that come one after the other, in float64.

    Args:
        shape: shape of one event.

    References:
        Chan, Golub and LeVeque. Updating formulae and a pairwise algorithm for computing sample variances. COMPSTAT 1982.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.count = 0
        self.mean, self.squares = np.zeros(shape), np.zeros(shape)
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)

    def add(self, values: Any) -> None:
        """Takes an array `[..., *shape]` in."""
        rows = self._rows(values)
        if not len(rows):
            return
        mean, total = rows.mean(axis=0), self.count + len(rows)
        difference = mean - self.mean
        self.squares += np.square(rows - mean).sum(axis=0) + difference**2 * (self.count * len(rows) / total)
        self.mean += difference * (len(rows) / total)
        self.low, self.high = np.minimum(self.low, rows.min(axis=0)), np.maximum(self.high, rows.max(axis=0))
        self.count = total

    def loc_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation; the deviation of an entry that never differs is given as 1."""
        if not self.count:
            raise ValueError("Expected data to adapt to; received none.")
        deviation = np.sqrt(self.squares / self.count)
        return self.mean, np.where(self.low == self.high, 1.0, deviation)

    def _rows(self, values: Any) -> NDArray[np.float64]:
        array = np.asarray(values, np.float64)
        if array.ndim < len(self.shape) or array.shape[array.ndim - len(self.shape) :] != self.shape:
            raise ValueError(f"Expected data of shape [..., {list(self.shape)}]; received {list(array.shape)}.")
        if not np.isfinite(array).all():
            raise ValueError("Expected data to adapt to that are finite; received NaN or infinity.")
        return array.reshape(-1, *self.shape)


def _parts(data: Any) -> Iterable[Any]:
    """The arrays of data, one at a time."""
    if isinstance(data, tf.data.Dataset) and int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ValueError("Expected data that end; received a data set that repeats for ever.")
    return [data] if hasattr(data, "shape") or isinstance(data, list | tuple) else data


def _listed(name: str, value: Any) -> Any:
    """A number, nested lists or None, for a configuration."""
    try:
        return None if value is None else np.asarray(value, np.float64).tolist()
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `{name}` to be numbers; received {value!r}.") from error


def _filled(name: str, value: Any, default: float, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = np.asarray(default if value is None else value, np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"Expected `{name}` to be finite; received {value!r}.")
    try:
        return np.ascontiguousarray(np.broadcast_to(array, shape))
    except ValueError as error:
        raise ValueError(
            f"Expected `{name}` to broadcast to {list(shape)}; received shape {list(array.shape)}."
        ) from error


def checked_scale(scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns scales that are positive and finite in float32, or raises ValueError."""
    if not ((scale > 0.0) & (scale < np.inf)).all():
        raise ValueError(
            f"Expected scales that are positive and finite in float32; received {scale.min()} to {scale.max()}."
        )
    return scale
