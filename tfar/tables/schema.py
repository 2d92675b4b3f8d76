"""The columns of a table, and the way between DataFrames and events of a model."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfar.heads import PerSite
from tfar.optional import require
from tfar.tables.column import Column
from tfar.tables.inference import Options, infer_column

MEANINGS = ("marginalise", "value")


class Encoded(NamedTuple):
    """A table as events of a model.

    Attributes:
        values: float32 `[rows, num_sites]`; 0 where a cell is not observed.
        observed: bool `[rows, num_sites]`.
        log_scale: float64 `[rows, columns]`. The log-density of a cell in the units of the data is that of its values minus
            it.
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    log_scale: NDArray[np.float64]


class Schema:
    """The columns of a table: their kinds, categories, units and what a missing cell means.

    A model sees each cell as the values of one or two sites. `encode` and `decode` go between a DataFrame and these values, and
    `head` returns the head of each site.

    - *categorical*: strings, numbers or booleans without an order, and one class for cells that are unseen. One site, or two
      digits. Counting measure.
    - *ordinal*: an ordered categorical dtype. One site. Counting measure.
    - *count*: whole numbers; frequent ones have a mass of their own. One site. Counting measure.
    - *real*: numbers; those that repeat have a mass, the others a density. One site. Lebesgue measure, and counting measure at
      the atoms.
    - *datetime*: days; or seconds, as a day and a second of the day; or finer times, as real seconds. One or two sites. Counting
      measure, or Lebesgue measure for the last.
    - *constant*: one value. No site.

    Args:
        columns: the columns, with distinct names.

    Raises:
        ValueError: If there is no column, or two have one name.

    Example:
        >>> import pandas as pd
        >>> df = pd.DataFrame({"age": [31, 44, 65, None], "sex": ["F", "M", "F", "F"]})
        >>> schema = tfar.tables.Schema.infer(df)
        >>> schema
        Schema(age: count, sex: categorical)
        >>> schema.decode(schema.encode(df).values)["sex"].tolist()
        ['F', 'M', 'F', 'F']
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = tuple(columns)
        names = [column.name for column in self.columns]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"Expected columns with distinct names; received {names}.")
        ends = np.cumsum([0, *(column.num_sites for column in self.columns)])
        self._sites = {name: slice(*ends[i : i + 2]) for i, name in enumerate(names)}
        self.num_sites = int(ends[-1])

    @classmethod
    def infer(
        cls,
        df: Any,
        *,
        kinds: Mapping[str, str] | None = None,
        missing: str = "marginalise",
        max_classes: int = 100,
        atom_share: float = 0.02,
        max_atoms: int = 16,
    ) -> "Schema":
        """Finds the kind of each column of a DataFrame, its categories and its units.

        Strings, booleans and unordered categories are categorical, as are numbers with two different values; ordered categories
        are ordinal; whole numbers up to 2**24 are counts, and other numbers real. A column with one value is constant.

        Args:
            df: pandas DataFrame, the training data.
            kinds: kinds by name, for columns whose kind is not to be found.
            missing: "marginalise": a missing cell is not observed, and `log_prob` of a row is that of its other cells. "value":
                in the columns that have missing cells here, a missing cell is a value of its own.
            max_classes: int. A categorical column with more classes becomes two sites, the digits of its class.
            atom_share: float. A number with at least this share of the cells of its column, and that repeats, has a mass.
            max_atoms: int. Largest number of such numbers of a column, the most frequent ones. Amounts that people round, such as
                wages, have many: a smaller `atom_share` and a larger `max_atoms` give each its mass.

        Raises:
            ValueError: If an argument is out of range, there is no row, or a column has cells that no kind fits.
        """
        if missing not in MEANINGS:
            raise ValueError(f"Expected `missing` to be one of {MEANINGS}; received {missing!r}.")
        if max_classes < 2 or not 0.0 < atom_share <= 1.0 or max_atoms < 0:
            raise ValueError(
                "Expected `max_classes` of at least 2, `atom_share` in (0, 1] and `max_atoms` of at least 0; received "
                f"{max_classes!r}, {atom_share!r} and {max_atoms!r}."
            )
        names = names_of(df)
        kinds = dict(kinds or {})
        unknown = sorted(set(kinds) - set(names))
        if unknown or not len(df):
            raise ValueError(
                f"Expected rows and `kinds` of their columns; received {len(df)} rows and kinds of {unknown}."
            )
        options = Options(missing, max_classes, atom_share, max_atoms)
        series = [df.iloc[:, i].rename(name) for i, name in enumerate(names)]
        return cls(infer_column(column, kinds.get(str(column.name)), options) for column in series)

    # Parts -----------------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    def __getitem__(self, name: str) -> Column:
        if name not in self._sites:
            raise ValueError(f"Expected a column among {self.names}; received {name!r}.")
        return self.columns[self.names.index(name)]

    def sites(self, name: str) -> slice:
        """Returns the sites of a column."""
        return self._sites[self[name].name]

    @property
    def column_of_site(self) -> list[str]:
        """The column of each site."""
        return [column.name for column in self.columns for _ in range(column.num_sites)]

    def head(self, num_components: int = 5) -> PerSite:
        """Returns the head of each site; mixtures have `num_components` components."""
        heads = [head for column in self.columns for head in column.heads(num_components)]
        if not heads:
            raise ValueError("Expected a column with different values; all are constant.")
        return PerSite(heads)

    @property
    def base_measure(self) -> dict[str, str]:
        """What `log_prob` of each column is a density of, in the units of the data."""
        return {column.name: column.base_measure for column in self.columns}

    def with_missing(self, missing: str) -> "Schema":
        """Returns a schema in which a missing cell of every column but constants has this meaning, see `infer`."""
        if missing not in MEANINGS:
            raise ValueError(f"Expected `missing` to be one of {MEANINGS}; received {missing!r}.")
        return Schema(
            column if column.kind == "constant" else column.with_missing(missing == "value") for column in self.columns
        )

    # DataFrames ------------------------------------------------------------------------------------------------------

    def check(self, df: Any) -> Any:
        """Returns a DataFrame with its columns in the order of the schema, or raises ValueError if they are others."""
        names = names_of(df)
        lacking = [name for name in self.names if name not in names]
        extra = [name for name in names if name not in self._sites]
        if lacking or extra:
            raise ValueError(
                f"Expected the columns {', '.join(self.names)}; "
                + "; ".join(
                    f"{what} {', '.join(found)}"
                    for what, found in (("missing", lacking), ("received also", extra))
                    if found
                )
                + "."
            )
        renamed = df.set_axis(names, axis=1)
        return renamed[self.names]

    def encode(self, df: Any) -> Encoded:
        """Returns the cells of a DataFrame as values of sites.

        Raises:
            ValueError: If a column is missing or not one of the schema, or a cell does not fit its column.
        """
        df = self.check(df)
        cells = [column.encode(df[column.name]) for column in self.columns]
        observed = [
            np.repeat(c.observed[:, None], column.num_sites, 1) for c, column in zip(cells, self.columns, strict=True)
        ]
        return Encoded(
            np.concatenate([c.values for c in cells], axis=1),
            np.concatenate(observed, axis=1),
            np.stack([c.log_scale for c in cells], axis=1),
        )

    def decode(self, values: Any, index: Any = None) -> Any:
        """Returns values `[rows, num_sites]` as a DataFrame in the units and dtypes of the data.

        Raises:
            ValueError: If the shape does not fit.
        """
        values = np.asarray(values)
        if values.ndim != 2 or values.shape[1] != self.num_sites:
            raise ValueError(f"Expected values of shape [rows, {self.num_sites}]; received {list(values.shape)}.")
        pandas = require("pandas", "tables")
        columns = {column.name: column.decode(values[:, self.sites(column.name)]) for column in self.columns}
        made = pandas.DataFrame(columns)
        return made if index is None else made.set_axis(index, axis=0)

    # Configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Returns the schema as JSON values."""
        return {"columns": [column.config() for column in self.columns]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schema":
        """Inverts `get_config`."""
        return cls(Column.from_config(column) for column in config["columns"])

    def to_json(self) -> str:
        """Returns the schema as JSON."""
        return json.dumps(self.get_config(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Schema":
        """Inverts `to_json`."""
        return cls.from_config(json.loads(text))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.columns)

    def __repr__(self) -> str:
        return f"Schema({', '.join(f'{column.name}: {column.kind}' for column in self.columns)})"


def names_of(df: Any) -> list[str]:
    """Returns the names of the columns of a DataFrame as strings, or raises ValueError for other objects."""
    if not isinstance(df, require("pandas", "tables").DataFrame):
        raise ValueError(f"Expected a pandas DataFrame; received a {type(df).__name__}.")
    names = [str(name) for name in df.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"Expected columns with distinct names; received {names}.")
    return names
