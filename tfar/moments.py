"""Mean and standard deviation of data that come in parts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Moments:
    """Accumulates the mean and the standard deviation of each entry over successive arrays `[..., *shape]`, in float64.

    References:
        Chan, Golub and LeVeque. Updating formulae and a pairwise algorithm for computing sample variances. COMPSTAT 1982.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.count = np.zeros(shape)
        self.mean, self.squares = np.zeros(shape), np.zeros(shape)
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)

    def add(self, values: Any) -> None:
        """Adds an array `[..., *shape]`. The masked entries of a masked array of NumPy are left out."""
        values = values if np.ma.isMaskedArray(values) else np.ma.array(np.asarray(values))
        mask = np.ma.getmaskarray(values)
        rows = self._rows(np.where(mask, 0.0, values.data))
        if not len(rows):
            return
        observed = ~mask.reshape(rows.shape)
        added = observed.sum(axis=0)
        share = added / np.maximum(self.count + added, 1)
        mean = np.where(observed, rows, 0.0).sum(axis=0) / np.maximum(added, 1)
        difference = mean - self.mean
        self.squares = (
            self.squares
            + np.where(observed, np.square(rows - mean), 0.0).sum(axis=0)
            + difference**2 * self.count * share
        )
        self.mean = self.mean + difference * share
        self.low = np.minimum(self.low, np.where(observed, rows, np.inf).min(axis=0))
        self.high = np.maximum(self.high, np.where(observed, rows, -np.inf).max(axis=0))
        self.count = self.count + added

    def loc_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the mean and the standard deviation, with 1 for the deviation of a constant entry."""
        if not np.any(self.count):
            raise ValueError("Expected at least one row of data; received none.")
        if not np.all(self.count):
            entry = tuple(int(i) for i in np.argwhere(self.count == 0)[0])
            raise ValueError(f"Expected an observed value for every entry; entry {list(entry)} has none.")
        deviation = np.sqrt(self.squares / self.count)
        return self.mean, np.where(self.low == self.high, 1.0, deviation)

    def _rows(self, values: Any) -> NDArray[np.float64]:
        array = np.asarray(values, np.float64)
        if array.ndim < len(self.shape) or array.shape[array.ndim - len(self.shape) :] != self.shape:
            raise ValueError(f"Expected data of shape [..., {list(self.shape)}]; received {list(array.shape)}.")
        if not (np.abs(array) <= np.finfo(np.float32).max).all():
            raise ValueError("Expected data that are finite in float32; received NaN, infinity or a larger number.")
        return array.reshape(-1, *self.shape)
