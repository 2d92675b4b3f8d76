"""The kind of each column of a DataFrame, found from its dtype and its cells."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfar.heads.base import MAX_WHOLE
from tfar.optional import require
from tfar.tables.classes import CategoricalColumn, ConstantColumn, OrdinalColumn, base_for, plain
from tfar.tables.column import Column
from tfar.tables.datetimes import DAY, DatetimeColumn
from tfar.tables.numbers import CountColumn, RealColumn, as_numbers


class Options(NamedTuple):
    """How columns are inferred; see `Schema.infer`."""

    missing: str
    max_classes: int
    atom_share: float
    max_atoms: int


def infer_column(series: Any, kind: str | None, options: Options) -> Column:
    """Returns the column of a Series.

    Args:
        series: pandas Series.
        kind: the kind of column, or None to find it.
        options: see `Options`.

    Raises:
        ValueError: If the cells do not fit the kind, or their dtype is not supported.
    """
    name, present = str(series.name), series[series.notna()]
    missing = options.missing == "value" and len(present) < len(series)
    kind = _kind_of(series, present, missing) if kind is None else kind
    if kind not in _MAKERS:
        raise ValueError(f"Expected a kind among {sorted(_MAKERS)} for the column {name!r}; received {kind!r}.")
    if not len(present) and kind != "constant":
        raise ValueError(f"Expected cells that are not missing in the {kind} column {name!r}; received none.")
    return _MAKERS[kind](series, present, missing, options)


def _kind_of(series: Any, present: Any, missing: bool) -> str:
    types = require("pandas", "tables").api.types
    dtype = series.dtype
    if types.is_datetime64_any_dtype(dtype):
        return "datetime" if len(present) else "constant"
    count = _num_different(series, present)
    if count == 0 or (count == 1 and not missing):
        return "constant"
    if isinstance(dtype, require("pandas", "tables").CategoricalDtype):
        return "ordinal" if dtype.ordered else "categorical"
    if types.is_bool_dtype(dtype) or types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        return "categorical"
    if not types.is_numeric_dtype(dtype) or types.is_complex_dtype(dtype):
        raise ValueError(
            f"Expected numbers, strings, booleans, categories or datetimes in the column {str(series.name)!r}; received the "
            f"dtype {dtype}. Convert or drop the column."
        )
    if count <= 2:
        return "categorical"
    numbers = present.to_numpy(np.float64)
    return "count" if (numbers == np.floor(numbers)).all() and (np.abs(numbers) <= MAX_WHOLE).all() else "real"


def _num_different(series: Any, present: Any) -> int:
    try:
        return int(present.nunique())
    except TypeError as error:
        raise ValueError(
            f"Expected cells that are strings, numbers or booleans in the column {str(series.name)!r}; {error}. Convert or "
            "drop the column."
        ) from error


def _constant(series: Any, present: Any, missing: bool, options: Options) -> Column:
    name, values = str(series.name), present.unique()
    if len(values) > 1:
        raise ValueError(f"Expected one value in the constant column {name!r}; received {len(values)}.")
    return ConstantColumn(name, str(series.dtype), values[0] if len(values) else None)


def _categories_of(series: Any, present: Any) -> tuple[Any, ...]:
    """Returns all categories of a categorical dtype, else the different cells, sorted if they can be."""
    if isinstance(series.dtype, require("pandas", "tables").CategoricalDtype):
        return plain(str(series.name), series.cat.categories)
    categories = plain(str(series.name), present.unique())
    try:
        return tuple(sorted(categories))
    except TypeError:
        return tuple(sorted(categories, key=lambda value: (type(value).__name__, value)))


def _categorical(series: Any, present: Any, missing: bool, options: Options) -> Column:
    categories = _categories_of(series, present)
    num_classes = 1 + len(categories) + missing
    base = None if num_classes <= options.max_classes else base_for(num_classes)
    return CategoricalColumn(str(series.name), str(series.dtype), categories, missing, base)


def _ordinal(series: Any, present: Any, missing: bool, options: Options) -> Column:
    return OrdinalColumn(str(series.name), str(series.dtype), _categories_of(series, present), missing)


def _units(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """Returns mean and standard deviation; 1 in place of a deviation of 0."""
    if not len(numbers):
        return 0.0, 1.0
    scale = float(np.std(numbers))
    # The deviation of equal numbers may be rounding error.
    return float(np.mean(numbers)), scale if scale > 1e-12 * np.abs(numbers).max() else 1.0


def _atoms(numbers: NDArray[np.float64], options: Options) -> tuple[float, ...]:
    """Returns the values that have enough of the cells, if they repeat; the most frequent ones first."""
    values, counts = np.unique(numbers, return_counts=True)
    frequent = np.flatnonzero((counts >= options.atom_share * len(numbers)) & (counts > 1))
    by_count = frequent[np.argsort(-counts[frequent], kind="stable")]
    return tuple(float(values[i]) for i in by_count[: options.max_atoms])


def _count(series: Any, present: Any, missing: bool, options: Options) -> Column:
    probe = CountColumn(str(series.name), str(series.dtype), 0.0, 1.0, low=None)
    numbers = probe.encode(present).values[:, 0].astype(np.float64)
    atoms = _atoms(numbers, options)
    loc, scale = _units(numbers[~np.isin(numbers, atoms)])
    low = 0 if numbers.min() >= 0 else None
    return CountColumn(probe.name, probe.dtype, loc, scale, low, atoms=atoms, missing=missing)


def _real(series: Any, present: Any, missing: bool, options: Options) -> Column:
    name, dtype = str(series.name), str(series.dtype)
    numbers = as_numbers(RealColumn(name, dtype, 0.0, 1.0), present)
    atoms = _atoms(numbers, options)
    loc, scale = _units(numbers[~np.isin(numbers, atoms)])
    return RealColumn(name, dtype, loc, scale, atoms, missing)


def _datetime(series: Any, present: Any, missing: bool, options: Options) -> Column:
    pandas, name = require("pandas", "tables"), str(series.name)
    dtype = str(series.dtype) if pandas.api.types.is_datetime64_any_dtype(series.dtype) else "datetime64[ns]"
    zone = getattr(getattr(series.dtype, "tz", None), "zone", None) or getattr(series.dtype, "tz", None)
    zone = None if zone is None else str(zone)
    probe = DatetimeColumn(name, dtype, "second", 0, (0.0, 0.0), (1.0, 1.0), zone)
    days, within, _ = probe._split(present)
    origin = int(np.floor(np.median(days)))
    resolution = "day" if not within.any() else "real" if (within % 10**9).any() else "second"
    seconds = within / 1e9
    units = [_units((days - origin) * float(DAY) + seconds)]
    if resolution != "real":
        units = [_units((days - origin).astype(np.float64)), _units(seconds)][: 1 if resolution == "day" else 2]
    loc, scale = zip(*units, strict=True)
    return DatetimeColumn(name, dtype, resolution, origin, loc, scale, zone, missing)


_MAKERS: dict[str, Callable[[Any, Any, bool, Options], Column]] = {
    "categorical": _categorical,
    "constant": _constant,
    "count": _count,
    "datetime": _datetime,
    "ordinal": _ordinal,
    "real": _real,
}
