"""Columns of numbers: counts, and real numbers in the units of the data."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.heads import Count, Head, NormalMixture
from tfar.heads.base import MAX_WHOLE
from tfar.optional import require
from tfar.tables.column import (
    ARROW,
    MISSING,
    Cells,
    Column,
    Restriction,
    bounds,
    number_restriction,
    with_atoms,
)

# Smallest scale of a component of a real column, in standard deviations.
MIN_SCALE = 1e-3


def as_numbers(column: Column, series: Any) -> NDArray[np.float64]:
    """Returns cells as float64 with NaN for missing ones, or raises ValueError for text and infinite numbers."""
    pandas = require("pandas", "tables")
    if pandas.api.types.is_datetime64_any_dtype(series.dtype):
        raise column.refuse("numbers", f"cells of the dtype {series.dtype}")
    try:
        numbers = pandas.to_numeric(series).to_numpy(np.float64, na_value=math.nan)
    except (TypeError, ValueError) as error:
        raise column.refuse("numbers", f"{error}") from error
    if np.isinf(numbers).any():
        raise column.refuse("finite numbers", "inf")
    return numbers


def numbers_series(numbers: NDArray[np.float64], dtype: str) -> Any:
    """Returns numbers, NaN for missing ones, as a Series of the dtype.

    If the dtype cannot hold them, the Series has another one: the nullable dtype for NaN among whole numbers, and a dtype of
    64 bits for numbers beyond its range. A model may draw such numbers.
    """
    pandas = require("pandas", "tables")
    series, arrow = pandas.Series(numbers), ARROW if dtype.endswith(ARROW) else ""
    dtype = dtype.removesuffix(ARROW)
    if dtype.lower().startswith(("int", "uint")):
        series, limits = series.round(), np.iinfo(dtype.lower())
        if not series.dropna().between(limits.min, limits.max).all():
            dtype = "int64" if dtype[0] in "iu" else "Int64"
        if series.isna().any() and dtype[0] in "iu" and not arrow:
            dtype = dtype.replace("int", "Int").replace("uI", "UI")
    elif dtype.lower() in ("float16", "float32") and np.abs(series).max() > np.finfo(dtype.lower()).max:
        dtype = dtype.replace("16", "64").replace("32", "64")
    return series.astype(dtype + arrow)


class NumberColumn(Column):
    """What counts and real numbers share.

    Args:
        name, dtype, missing: see `Column`.
        loc, scale: floats. Location and scale of the values that are not atoms.
        atoms: floats. Values that repeat, which have a mass.
    """

    def __init__(self, name: str, dtype: str, loc: float, scale: float, atoms: Any = (), missing: bool = False) -> None:
        super().__init__(name, dtype, missing)
        self.loc, self.scale = float(loc), float(scale)
        self._atoms = tuple(float(atom) for atom in atoms)
        if not math.isfinite(self.loc) or not 0.0 < self.scale < math.inf:
            raise self.refuse("a finite location and a positive scale", f"{loc!r} and {scale!r}")

    @property
    def num_sites(self) -> int:
        return 1

    def _ends(self, condition: Any) -> tuple[float, float]:
        """Returns the ends of a condition as floats, infinite where it is open."""
        ends = []
        for end, open_end in zip(bounds(self, condition), (-math.inf, math.inf), strict=True):
            try:
                ends.append(open_end if end is None else float(end))
            except (TypeError, ValueError) as error:
                raise self.refuse("numbers", f"{condition!r}") from error
        return ends[0], ends[1]

    def get_config(self) -> dict[str, Any]:
        return {"loc": self.loc, "scale": self.scale, "atoms": list(self._atoms)}


class CountColumn(NumberColumn):
    """Whole numbers from `low` on, with the head `tfar.heads.Count`.

    Args:
        name, dtype, loc, scale, atoms, missing: see `NumberColumn`.
        low: int, the lowest value, or None for all whole numbers.
    """

    kind = "count"

    def __init__(self, name: str, dtype: str, loc: float, scale: float, low: int | None = 0, **kwargs: Any) -> None:
        super().__init__(name, dtype, loc, scale, **kwargs)
        self.low = low

    @property
    def atoms(self) -> tuple[float, ...]:
        return self._atoms

    def heads(self, num_components: int) -> list[Head]:
        head = Count(num_components, self.low, self.loc, self.scale)
        return [with_atoms(head, self.atoms, self.missing)]

    def encode(self, series: Any) -> Cells:
        numbers = as_numbers(self, series)
        present = ~np.isnan(numbers)
        found = numbers[present]
        bad = found[(found != np.floor(found)) | (np.abs(found) > MAX_WHOLE)]
        if len(bad):
            raise self.refuse("whole numbers up to 2**24", f"{bad[0]!r}")
        if self.low is not None and (found < self.low).any():
            raise self.refuse(f"whole numbers from {self.low} on", f"{found.min():.15g}")
        values = np.where(present, numbers, MISSING if self.missing else 0.0).astype(np.float32)
        return Cells(values[:, None], present | self.missing, np.zeros(len(values)))

    def decode(self, values: NDArray[Any]) -> Any:
        numbers = np.asarray(values[:, 0], np.float64)
        return numbers_series(np.where(numbers <= MISSING / 2, math.nan, numbers), self.dtype)

    def restriction(self, condition: Any) -> Restriction:
        low, high = (-math.inf, math.inf) if condition is None else self._ends(condition)
        return number_restriction(self, condition, low, high)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low}


class RealColumn(NumberColumn):
    """Real numbers with a density, a mixture of normals of the standardised values; atoms have a mass.

    Values are standardised in float64, so that float32 holds what distinguishes them.

    Args:
        name, dtype, loc, scale, atoms, missing: see `NumberColumn`.
    """

    kind = "real"

    @property
    def base_measure(self) -> str:  # type: ignore[override]
        return "counting at the atoms and Lebesgue elsewhere" if self._atoms or self.missing else "Lebesgue"

    @property
    def atoms(self) -> tuple[float, ...]:
        return tuple(float(z) for z in self._inside(np.array(self._atoms)))

    def _inside(self, numbers: Any) -> NDArray[np.float32]:
        return ((np.asarray(numbers, np.float64) - self.loc) / self.scale).astype(np.float32)

    def heads(self, num_components: int) -> list[Head]:
        return [with_atoms(NormalMixture(num_components, MIN_SCALE), self.atoms, self.missing)]

    def encode(self, series: Any) -> Cells:
        return self.encode_numbers(as_numbers(self, series))

    def encode_numbers(self, numbers: NDArray[np.float64]) -> Cells:
        """Returns the cells of numbers, NaN where they are missing."""
        present = ~np.isnan(numbers)
        values = self._inside(np.where(present, numbers, self.loc))
        if not (np.abs(values) < -MISSING / 2).all():
            far = numbers[np.abs(values) >= -MISSING / 2][0]
            raise self.refuse(f"numbers within 5e8 scales of {self.loc:.6g}; the scale is {self.scale:.6g}", f"{far!r}")
        has_density = present & ~np.isin(values, np.array(self.atoms, np.float32))
        values = np.where(present, values, np.float32(MISSING if self.missing else 0.0))
        return Cells(values[:, None], present | self.missing, np.where(has_density, math.log(self.scale), 0.0))

    def decode(self, values: NDArray[Any]) -> Any:
        return numbers_series(self.decode_numbers(values[:, 0]), self.dtype)

    def decode_numbers(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the numbers of values `[rows]`, NaN for missing cells and the exact number for atoms."""
        values = np.asarray(values, np.float32)
        numbers = self.loc + self.scale * values.astype(np.float64)
        for z, atom in zip(np.array(self.atoms, np.float32), self._atoms, strict=True):
            numbers = np.where(values == z, atom, numbers)
        return np.where(values <= MISSING / 2, math.nan, numbers)

    def restriction(self, condition: Any) -> Restriction:
        low, high = (-math.inf, math.inf) if condition is None else self._ends(condition)
        low, high = (float(self._inside(end)) if math.isfinite(end) else end for end in (low, high))
        return number_restriction(self, condition, low, high)

    def summary(self, name: str, values: NDArray[Any]) -> Any:
        if name == "quantile":
            return self.decode_numbers(values)
        return np.asarray(values, np.float64) * self.scale + (0.0 if name == "stddev" else self.loc)
