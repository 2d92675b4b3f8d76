"""What a column of a table is: its sites in a model, and the way between its cells and the values of these sites."""

import abc
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfar.heads import Atoms, Head

# The value of a site that stands for a missing cell of numbers, far from all data and exact in float32.
MISSING = -(2.0**30)
# The end of the names of dtypes of Apache Arrow in pandas, which all hold missing cells.
ARROW = "[pyarrow]"
KINDS: dict[str, type["Column"]] = {}

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class Cells(NamedTuple):
    """The cells of a column as values of its sites.

    Attributes:
        values: float32 `[rows, num_sites]`; 0 where a cell is not observed.
        observed: bool `[rows]`.
        log_scale: float64 `[rows]`. The log-density of a cell in the units of the data is that of the values minus it; 0
            where the cell has a mass.
    """

    values: Floats
    observed: Bools
    log_scale: NDArray[np.float64]


class Interval(NamedTuple):
    """Values lower <= x <= upper of a site, each a float or `[rows]`."""

    lower: Any
    upper: Any


class Classes(NamedTuple):
    """Values of a site with classes: bool `[num_classes]` or `[rows, num_classes]`; class 0 is the lowest value."""

    allowed: Bools


class Column(abc.ABC):
    """A column of a table.

    Attributes:
        name: str.
        dtype: str. The dtype of the column in pandas.
        missing: bool. Whether a missing cell is a value of its own; otherwise it is not observed.
        kind: str. The name of the kind of column.
        base_measure: str. What `log_prob` of a cell is a density of.
    """

    kind: str
    base_measure: str = "counting"

    def __init__(self, name: str, dtype: str, missing: bool = False) -> None:
        self.name, self.dtype, self.missing = str(name), str(dtype), bool(missing)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in vars(cls):
            KINDS[cls.kind] = cls

    @property
    @abc.abstractmethod
    def num_sites(self) -> int:
        """Number of sites of a model that represent a cell."""

    @abc.abstractmethod
    def heads(self, num_components: int) -> list[Head]:
        """Returns the head of each site; mixtures have `num_components` components."""

    @abc.abstractmethod
    def encode(self, series: Any) -> Cells:
        """Returns the cells of a pandas Series, or raises ValueError naming the column if they do not fit."""

    @abc.abstractmethod
    def decode(self, values: NDArray[Any]) -> Any:
        """Returns the cells of values `[rows, num_sites]` as a pandas Series of the dtype of the column."""

    @abc.abstractmethod
    def restriction(self, condition: Any) -> "Restriction":
        """Returns the values of the sites that meet a condition of a query, or raises ValueError naming the column."""

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor as JSON values."""

    def is_invalid(self, values: NDArray[Any]) -> Bools:
        """Returns which of values `[rows, num_sites]` are no cell to draw, such as an unseen category, bool `[rows]`."""
        return np.zeros(len(values), bool)

    @property
    def atoms(self) -> tuple[float, ...]:
        """Values of a numeric column that have a mass of their own, in the units of its first site."""
        return ()

    def summary(self, name: str, values: NDArray[Any]) -> Any:
        """Converts a statistic of the first site, "mean", "quantile" or "stddev", to the units of the data."""
        return values

    def refuse(self, expected: str, received: Any) -> ValueError:
        """Returns the error that a cell or a condition does not fit."""
        return ValueError(f"Expected {expected} in the {self.kind} column {self.name!r}; received {received}.")

    def config(self) -> dict[str, Any]:
        """Returns the configuration with the kind, from which `from_config` makes the same column."""
        return {"kind": self.kind, "name": self.name, "dtype": self.dtype, "missing": self.missing, **self.get_config()}

    @staticmethod
    def from_config(config: dict[str, Any]) -> "Column":
        """Inverts `config`."""
        config = dict(config)
        return KINDS[config.pop("kind")](**config)

    def with_missing(self, missing: bool) -> "Column":
        """Returns the column with another meaning of a missing cell."""
        return Column.from_config({**self.config(), "missing": missing})

    def __repr__(self) -> str:
        return f"{self.kind} column {self.name!r}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Column) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.kind, self.name))


class Restriction(abc.ABC):
    """The cells that meet a condition, as sets of values of the sites of a column."""

    @abc.abstractmethod
    def allowed(self, number: int, earlier: Floats) -> Interval | Classes:
        """Returns the values of a site that some allowed cell has.

        Args:
            number: int. Number of the site within the column.
            earlier: float32 `[rows, number]`. Allowed values of the earlier sites of the column.
        """


class OneSite(Restriction):
    """A restriction of a column with one site."""

    def __init__(self, values: Interval | Classes) -> None:
        self.values = values

    def allowed(self, number: int, earlier: Floats) -> Interval | Classes:
        return self.values


def with_atoms(head: Head, atoms: tuple[float, ...], missing: bool) -> Head:
    """Returns a head with masses at the atoms and, last, at `MISSING`; the head itself if there are none."""
    values = (*atoms, *([MISSING] if missing else []))
    return Atoms(values, head) if values else head


def bounds(column: Column, condition: Any) -> tuple[Any, Any]:
    """Returns the ends of a condition `(lower, upper)`, each None where it is open, or a single value twice."""
    if isinstance(condition, list | set | frozenset):
        raise column.refuse("a value or a range (lower, upper), of which an end may be None,", f"{condition!r}")
    if isinstance(condition, tuple):
        if len(condition) != 2:
            raise column.refuse("a range of two ends", f"{condition!r}")
        return condition
    return condition, condition


def is_missing_query(column: Column, condition: Any) -> bool:
    """Returns whether a condition asks for missing cells: None or NaN.

    Raises:
        ValueError: If it does, and missing cells are not a value of the column.
    """
    asked = condition is None or (isinstance(condition, float) and math.isnan(condition))
    if asked and not column.missing:
        raise column.refuse('a value: a missing cell is one only with missing="value"', f"{condition!r}")
    return asked


def number_restriction(column: Column, condition: Any, low: float, high: float) -> OneSite:
    """Returns the restriction of a site of numbers to low .. high, without the value of missing cells."""
    if is_missing_query(column, condition):
        return OneSite(Interval(MISSING, MISSING))
    return OneSite(Interval(max(low, MISSING / 2), high))
