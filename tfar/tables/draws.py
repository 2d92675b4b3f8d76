"""Draws of rows and of missing cells of a table, without invalid values such as unseen categories."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfar import random
from tfar.optional import require
from tfar.tables.column import Bools, Column, Floats
from tfar.tables.schema import Encoded, Schema

# How often rows with an invalid value are drawn again.
ROUNDS = 20


def sampled(dist: Any, schema: Schema, count: int, seed: Any) -> Floats:
    """Draws values of rows, float32 `[count, num_sites]`."""
    nothing = np.zeros((count, schema.num_sites), bool)
    return _redrawn(lambda seed: dist.sample(count, seed=seed), schema, nothing, seed)


def completed(dist: Any, schema: Schema, encoded: Encoded, count: int, seed: Any) -> list[Floats]:
    """Draws the unobserved values of rows, a list of `count` completions, float32 `[rows, num_sites]`."""
    given, observed = np.tile(encoded.values, [count, 1]), np.tile(encoded.observed, [count, 1])
    draw = lambda seed: dist.complete(given, observed, seed=seed)  # noqa: E731
    return np.split(_redrawn(draw, schema, observed, seed), count)


def _redrawn(draw: Callable[[Any], Any], schema: Schema, observed: Bools, seed: Any) -> Floats:
    """Returns rows of `draw(seed)`. Rows in which an invalid value was drawn are drawn again; see `Column.is_invalid`.

    Each round draws all rows, because a model is compiled for their number. The result follows the distribution given
    that there is none. After `ROUNDS` rounds a row stays as it is.
    """
    rows, values = np.arange(len(observed)), np.zeros(observed.shape, np.float32)
    for own in [seed, *random.row_seeds(seed, ROUNDS)]:
        values[rows] = np.asarray(draw(own))[rows]
        invalid = np.zeros(len(rows), bool)
        for column in schema.columns:
            sites = schema.sites(column.name)
            drawn = ~observed[rows][:, sites].all(axis=1)
            invalid |= drawn & column.is_invalid(values[rows][:, sites])
        rows = rows[invalid]
        if not len(rows):
            break
    return values


def filled(df: Any, schema: Schema, encoded: Encoded, values: Floats) -> Any:
    """Returns a DataFrame with cells of values `[rows, num_sites]` in place of those that are not observed."""
    given, drawn = schema.check(df).copy(), schema.decode(values, df.index)
    for column in schema.columns:
        lacking = ~encoded.observed[:, schema.sites(column.name)].all(axis=1)
        if lacking.any():
            own, new = given[column.name], drawn[column.name]
            own = own.astype(_joint_dtype(own.dtype, new.dtype, column))
            given[column.name] = own.where(~lacking, new.astype(own.dtype) if hasattr(own, "cat") else new)
    return given


def _joint_dtype(own: Any, new: Any, column: Column) -> Any:
    """Returns a dtype that holds the cells of a column and those that were drawn: that of the cells, if it does."""
    pandas = require("pandas", "tables")
    if isinstance(own, pandas.CategoricalDtype):
        drawn = getattr(column, "categories", ())
        if set(drawn) <= set(own.categories):
            return own
        return pandas.CategoricalDtype([*drawn, *(c for c in own.categories if c not in drawn)], own.ordered)
    needs_bits, needs_fractions = str(new).lower() == "int64", column.kind == "real"
    return new if pandas.api.types.is_integer_dtype(own) and (needs_bits or needs_fractions) else own
