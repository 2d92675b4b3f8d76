"""Columns of classes: without an order, in digits if there are many, and with an order; and columns of one value."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.heads import Atoms, Categorical, Head, Ordinal
from tfar.optional import require
from tfar.tables.column import (
    ARROW,
    Cells,
    Classes,
    Column,
    Floats,
    Interval,
    OneSite,
    Restriction,
    bounds,
    is_missing_query,
)

JSON_TYPES = (str, bool, int, float)


def plain(column: str, values: Any) -> tuple[Any, ...]:
    """Returns categories as plain values of Python, or raises ValueError if JSON could not hold one."""
    found = [value.item() if isinstance(value, np.generic) else value for value in values]
    strange = [value for value in found if not isinstance(value, JSON_TYPES)]
    if strange:
        raise ValueError(
            f"Expected strings, numbers or booleans as categories of the column {column!r}; received {strange[0]!r} of the type "
            f"{type(strange[0]).__name__}. Convert the column with `astype(str)`."
        )
    return tuple(found)


def codes_of(series: Any, categories: tuple[Any, ...]) -> NDArray[np.int64]:
    """Returns the position of each cell among the categories, and -1 for other cells."""
    pandas = require("pandas", "tables")
    index = pandas.Index(list(categories), dtype=object)
    return np.asarray(index.get_indexer(series.astype(object)), np.int64)


def series_of(values: list[Any], dtype: str, categories: tuple[Any, ...], ordered: bool) -> Any:
    """Returns a Series of the dtype, or of the nullable one if it cannot hold the missing cells."""
    pandas = require("pandas", "tables")
    if dtype == "category":
        return pandas.Series(pandas.Categorical(values, categories=list(categories), ordered=ordered))
    series = pandas.Series(values, dtype=object)
    if series.isna().any() and dtype.startswith(("bool", "int", "uint")) and not dtype.endswith(ARROW):
        dtype = "boolean" if dtype.startswith("bool") else dtype.replace("int", "Int").replace("uI", "UI")
    return series.astype(dtype)


class CategoricalColumn(Column):
    """Classes without an order.

    Class 0 is reserved for cells that are none of the categories; the categories follow, and last, if `missing`, missing
    cells. With a `base`, a class is two digits, each a site: `class = base * first + second`. Combinations of digits
    beyond the last class stand for unseen cells too; the base is chosen such that there are few.

    Args:
        name, dtype, missing: see `Column`.
        categories: strings, numbers or booleans.
        base: int, or None for one site.
    """

    kind = "categorical"

    def __init__(self, name: str, dtype: str, categories: Any, missing: bool = False, base: int | None = None) -> None:
        super().__init__(name, dtype, missing)
        self.categories, self.base = plain(name, categories), base
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise self.refuse("distinct categories", f"{list(self.categories)}")

    @property
    def num_classes(self) -> int:
        """Number of classes: categories, unseen cells and, if they are a value, missing cells."""
        return 1 + len(self.categories) + self.missing

    @property
    def digits(self) -> tuple[int, ...]:
        """Number of classes of each site."""
        return (self.num_classes,) if self.base is None else (-(-self.num_classes // self.base), self.base)

    @property
    def num_sites(self) -> int:
        return len(self.digits)

    def heads(self, num_components: int) -> list[Head]:
        return [Categorical(count) for count in self.digits]

    def encode(self, series: Any) -> Cells:
        codes, is_missing = codes_of(series, self.categories) + 1, np.asarray(series.isna())
        codes = np.where(is_missing, self.num_classes - 1 if self.missing else 0, codes)
        values = codes[:, None] if self.base is None else np.stack([codes // self.base, codes % self.base], axis=-1)
        observed = np.ones(len(codes), bool) if self.missing else ~is_missing
        return Cells(np.where(observed[:, None], values, 0).astype(np.float32), observed, np.zeros(len(codes)))

    def codes(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the classes `[rows]` of values `[rows, num_sites]`; 0 for digits beyond the last class."""
        codes = np.asarray(np.round(values), np.int64)
        codes = codes[:, 0] if self.base is None else codes[:, 0] * self.base + codes[:, 1]
        return np.where(codes < self.num_classes, codes, 0)

    def is_invalid(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        return self.codes(values) == 0

    def decode(self, values: NDArray[Any]) -> Any:
        labels = [None, *self.categories, None]
        return series_of([labels[code] for code in self.codes(values)], self.dtype, self.categories, ordered=False)

    def restriction(self, condition: Any) -> Restriction:
        asked = condition if isinstance(condition, list | tuple | set | frozenset) else [condition]
        allowed = np.zeros(math.prod(self.digits), bool)
        for value in asked:
            if is_missing_query(self, value):
                allowed[self.num_classes - 1] = True
            elif value in self.categories:
                allowed[1 + self.categories.index(value)] = True
            else:
                raise self.refuse(f"categories among {_some(self.categories)}", f"{value!r}")
        return OneSite(Classes(allowed)) if self.base is None else _Digits(allowed.reshape(self.digits))

    def get_config(self) -> dict[str, Any]:
        return {"categories": list(self.categories), "base": self.base}


class _Digits(Restriction):
    """Classes as two digits, of which `allowed` is true for some pairs."""

    def __init__(self, allowed: NDArray[np.bool_]) -> None:
        self._allowed = allowed

    def allowed(self, number: int, earlier: Floats) -> Classes:
        if number == 0:
            return Classes(np.asarray(self._allowed.any(axis=1)))
        return Classes(self._allowed[earlier[:, 0].astype(int)])


def base_for(num_classes: int) -> int:
    """Returns a base near the square root for which few combinations of two digits are no class.

    Example:
        >>> base_for(1000)
        25
    """
    root = math.sqrt(num_classes)
    near = range(max(2, math.ceil(root / 1.4)), math.ceil(root * 1.4) + 1)
    return min(near, key=lambda base: (-num_classes % base, abs(base - root)))


class OrdinalColumn(Column):
    """Classes with an order, which the head `tfar.heads.Ordinal` models. Unseen cells are an error.

    Args:
        name, dtype, missing: see `Column`.
        categories: strings, numbers or booleans, from the lowest to the highest.
    """

    kind = "ordinal"

    def __init__(self, name: str, dtype: str, categories: Any, missing: bool = False) -> None:
        super().__init__(name, dtype, missing)
        self.categories = plain(name, categories)
        if len(self.categories) < 2 or len(set(self.categories)) < len(self.categories):
            raise self.refuse("at least two distinct categories", f"{list(self.categories)}")

    @property
    def num_sites(self) -> int:
        return 1

    def heads(self, num_components: int) -> list[Head]:
        head = Ordinal(len(self.categories), lowest=0)
        return [Atoms([-1], head) if self.missing else head]

    def encode(self, series: Any) -> Cells:
        codes, is_missing = codes_of(series, self.categories), np.asarray(series.isna())
        unseen = np.flatnonzero((codes < 0) & ~is_missing)
        if len(unseen):
            raise self.refuse(f"categories among {_some(self.categories)}", repr(series.iloc[unseen[0]]))
        observed = np.ones(len(codes), bool) if self.missing else ~is_missing
        values = np.where(is_missing, -1 if self.missing else 0, codes)
        return Cells(values.astype(np.float32)[:, None], observed, np.zeros(len(codes)))

    def decode(self, values: NDArray[Any]) -> Any:
        labels = [*self.categories, None]  # the value -1 is a missing cell
        cells = [labels[code] for code in np.asarray(np.round(values[:, 0]), np.int64)]
        return series_of(cells, self.dtype, self.categories, ordered=True)

    def restriction(self, condition: Any) -> Restriction:
        if is_missing_query(self, condition):
            return OneSite(Interval(-1.0, -1.0))
        lower, upper = bounds(self, condition)
        for value in (lower, upper):
            if value is not None and value not in self.categories:
                raise self.refuse(f"categories among {_some(self.categories)}", f"{value!r}")
        low = 0 if lower is None else self.categories.index(lower)
        high = len(self.categories) - 1 if upper is None else self.categories.index(upper)
        return OneSite(Interval(float(low), float(high)))

    def get_config(self) -> dict[str, Any]:
        return {"categories": list(self.categories)}


class ConstantColumn(Column):
    """One value, or nothing but missing cells. It is no site of a model.

    Args:
        name, dtype, missing: see `Column`.
        value: a string, number or boolean, or None.
    """

    kind = "constant"

    def __init__(self, name: str, dtype: str, value: Any, missing: bool = False) -> None:
        super().__init__(name, dtype, missing)
        self.value = None if value is None else plain(name, [value])[0]

    @property
    def num_sites(self) -> int:
        return 0

    def heads(self, num_components: int) -> list[Head]:
        return []

    def encode(self, series: Any) -> Cells:
        present = series[series.notna()]
        other = present[codes_of(present, () if self.value is None else (self.value,)) < 0]
        if len(other):
            raise self.refuse(
                f"the value {self.value!r}, the only one when the schema was inferred,", repr(other.iloc[0])
            )
        count = len(series)
        return Cells(np.zeros((count, 0), np.float32), np.ones(count, bool), np.zeros(count))

    def decode(self, values: NDArray[Any]) -> Any:
        categories = () if self.value is None else (self.value,)
        return series_of([self.value] * len(values), self.dtype, categories, ordered=False)

    def restriction(self, condition: Any) -> Restriction:
        raise self.refuse("no condition, as there is only one value,", f"{condition!r}")

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


def _some(values: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, values[:8])) + (f" and {len(values) - 8} more" if len(values) > 8 else "")
