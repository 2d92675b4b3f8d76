"""Layer that standardises real values."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.moments import Moments

# Smallest allowed ratio of a scale to the distance between neighbouring float32 numbers at the location.
MIN_STEPS = 100


@keras.saving.register_keras_serializable("tfar")
class Standardization(keras.layers.Layer):
    """Subtracts a location from each entry and divides it by a scale.

        y = (x - loc) / scale

    Both are non-trainable variables. They are given, or `adapt` sets them to the mean and the standard deviation of
    data.

    Values are float32, so a scale must be large compared with the distance between neighbouring float32 numbers at the
    location: `100 * spacing(|loc|) <= scale`. For example, Unix times are about 1.7e9, where the spacing is 128. With a
    standard deviation of 50 they violate this condition: float32 rounds them to a few distinct numbers, and a density
    model would assign these too high a density.

    Args:
        shape: shape of one event.
        loc: float or floats that broadcast to `shape`. None means 0.
        scale: positive float or floats that broadcast to `shape`. None means 1.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Attributes:
        initial: location and scale before `adapt`, two float32 arrays `[*shape]`.

    Input shape: `[..., *shape]`.
    Output shape: `[..., *shape]`, in the layer's compute dtype; the arithmetic is in float32.

    Raises:
        ValueError: If `loc` or `scale` is not finite or does not broadcast, if a scale is not positive, or if float32 is too
            coarse for the pair.

    Example:
        >>> layer = Standardization([2])
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> layer(np.array([[3.0, 10.0]])).numpy()
        array([[ 1., -1.]], dtype=float32)

    Notes:
        The standard deviation is the population one (divided by n, not n - 1). An entry that is constant in the data
        gets the scale 1, because its standard deviation is 0.
    """

    def __init__(self, shape: Iterable[int], loc: Any = None, scale: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(int(n) for n in shape)
        self._given = {"loc": _listed("loc", loc), "scale": _listed("scale", scale)}
        self.initial = checked_units(_filled("loc", loc, 0.0, self.shape), _filled("scale", scale, 1.0, self.shape))

    @property
    def input_dtype(self) -> str:
        """The dtype of inputs, always float32, because half precision would round away small deviations from `loc`."""
        return "float32"

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables, whose shapes depend only on the configuration."""
        self.loc, self.scale = (
            self.add_weight(
                name=name,
                shape=self.shape,
                initializer=lambda *_, value=value, **__: tf.constant(value, tf.float32),
                dtype="float32",
                trainable=False,
                autocast=False,
            )
            for name, value in zip(("loc", "scale"), self.initial, strict=True)
        )
        self.built = True

    @property
    def awaits_data(self) -> bool:
        """Whether neither `loc` nor `scale` was given, and both have their initial values 0 and 1."""
        if any(value is not None for value in self._given.values()):
            return False
        return not self.built or bool(np.all(np.asarray(self.loc) == 0.0) and np.all(np.asarray(self.scale) == 1.0))

    def adapt(self, data: Any, fixed: Any = False) -> None:
        """Sets location and scale to the mean and the standard deviation of data, computed in float64.

        Args:
            data: array `[..., *shape]`, or an iterable of such arrays, such as a `tf.data.Dataset`, which is read once. The
                masked entries of masked arrays of NumPy are left out.
            fixed: bool that broadcasts to `shape`. Entries that keep location 0 and scale 1.

        Raises:
            ValueError: If the data are empty or infinite, if a shape does not fit, if a value is not finite in float32,
                or if float32 is too coarse for the data.
        """
        if not self.built:
            self.build()
        moments = Moments(self.shape)
        for part in arrays_of(data):
            moments.add(part)
        mean, deviation = moments.loc_and_scale()
        loc, scale = checked_units(np.where(fixed, 0.0, mean), np.where(fixed, 1.0, deviation))
        self.loc.assign(loc)
        self.scale.assign(scale)

    def call(self, inputs: Any) -> tf.Tensor:
        values = (tf.cast(inputs, tf.float32) - self.loc) / self.scale
        return tf.cast(values, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shape": list(self.shape), **self._given}


def arrays_of(data: Any) -> Iterable[Any]:
    """Returns an iterable over the arrays of data, which are an array, nested lists, or an iterable of arrays."""
    if isinstance(data, tf.data.Dataset) and int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ValueError("Expected a finite data set; received one that repeats forever.")
    return [data] if hasattr(data, "shape") or isinstance(data, list | tuple) else data


def masked(values: Any, observed: Any = True) -> np.ma.MaskedArray:
    """Returns a masked array of NumPy that masks the values that are not observed, and those that were masked before.

    Args:
        values: array.
        observed: bools that broadcast to the shape of the values.
    """
    values = values if np.ma.isMaskedArray(values) else np.asarray(values)
    return np.ma.array(values, mask=~np.broadcast_to(np.asarray(observed, bool), values.shape))


def _listed(name: str, value: Any) -> Any:
    """Returns a value as a number, nested lists or None, for a configuration."""
    try:
        return None if value is None else np.asarray(value, np.float64).tolist()
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `{name}` to be numbers; received {value!r}.") from error


def _filled(name: str, value: Any, default: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.asarray(default if value is None else value, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"Expected `{name}` to be finite; received {value!r}.")
    try:
        return np.array(np.broadcast_to(array, shape))
    except ValueError as error:
        raise ValueError(
            f"Expected `{name}` to broadcast to {list(shape)}; received shape {list(array.shape)}."
        ) from error


def checked_units(
    loc: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns location and scale as float32, or raises ValueError if float32 cannot represent them or is too coarse."""
    limits = np.finfo(np.float32)
    if not ((scale >= limits.tiny) & (scale <= limits.max)).all():
        raise ValueError(
            f"Expected scales that are positive and finite in float32; received {scale.min()} to {scale.max()}."
        )
    if not (np.abs(loc) <= limits.max).all():
        raise ValueError(f"Expected locations that are finite in float32; received {loc.min()} to {loc.max()}.")
    spacing = np.spacing(np.abs(loc).astype(np.float32)).astype(np.float64)
    coarse = np.argwhere(MIN_STEPS * spacing > scale)
    if len(coarse):
        entry = tuple(int(i) for i in coarse[0])
        raise ValueError(
            f"Expected a scale of at least {MIN_STEPS} times the distance between float32 numbers at the location; received "
            f"scale {scale[entry]:.6g} at location {loc[entry]:.10g}, where they are {spacing[entry]:.6g} apart"
            f"{f' (entry {list(entry)})' if entry else ''}. Subtract an offset from the data in float64 first, and add it to "
            "samples."
        )
    return loc.astype(np.float32), scale.astype(np.float32)
