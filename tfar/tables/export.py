"""Exports of a model of a table, whose inputs are its columns by name."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.laws.signature import Example, Signature
from tfar.serving.saved_model import export_signatures
from tfar.tables import tensors
from tfar.tables.column import Column
from tfar.tables.schema import Schema

EXAMPLE_ROWS = 3


def input_name(name: str) -> str:
    """Returns the name of the input of a column: other characters than letters and digits become underscores.

    Example:
        >>> input_name("capital-gain"), input_name("2nd")
        ('capital_gain', '_2nd')
    """
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{plain}" if plain[:1].isdigit() or not plain else plain


def export_table(model: Any, base_path: str | os.PathLike[str], version: int | None = None) -> Path:
    """Writes a SavedModel with an input for each column; see `TableModel.export`."""
    columns = [column for column in model.schema.columns if column.num_sites]
    names = [input_name(column.name) for column in columns]
    if len(set(names)) < len(names):
        raise ValueError(f"Expected columns whose names differ in letters or digits; received {model.schema.names}.")
    parts = table_signatures(model, dict(zip(names, columns, strict=True)))
    data = {"schema": model.schema.get_config(), "inputs": {c.name: n for c, n in zip(columns, names, strict=True)}}
    return export_signatures(model.dist, parts, base_path, version, data=data)


def table_signatures(model: Any, columns: dict[str, Column]) -> dict[str, Signature]:
    """Returns the signatures `serving_default` and `log_prob`, which are one, and `explain`, of columns by input."""
    law, schema = model.dist.law, model.schema
    specs = {name: tf.TensorSpec([None], tensors.input_dtype(column), name) for name, column in columns.items()}
    meanings = {name: _meaning(column) for name, column in columns.items()}

    def surprise(given: dict[str, tf.Tensor]) -> tf.Tensor:
        cells = [tensors.encoded(column, given[name]) for name, column in columns.items()]
        values = tf.concat([cell.values for cell in cells], axis=1)
        observed = tf.concat(
            [
                tf.tile(c.observed[:, None], [1, column.num_sites])
                for c, column in zip(cells, columns.values(), strict=True)
            ],
            axis=1,
        )
        of_sites = tf.cast(law.site_log_probs(values, None, observed), tf.float64)
        sizes = [column.num_sites for column in columns.values()]
        of_cells = [tf.reduce_sum(part, axis=1) for part in tf.split(of_sites, sizes, axis=1)]
        pairs = zip(cells, of_cells, strict=True)
        found = [tf.where(cell.observed, cell.log_scale, 0.0) - of_cell for cell, of_cell in pairs]
        return tf.stack(found, axis=1)

    def explain(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"surprise": surprise(given)}

    def log_prob(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"log_prob": -tf.reduce_sum(surprise(given), axis=1)}

    def example(seed: int, key: str) -> Example:
        rows = model.sample(EXAMPLE_ROWS, seed=seed)
        found = model.explain(rows)[[column.name for column in columns.values()]].fillna(0.0).to_numpy()
        inputs = {name: tensors.inputs_of(column, rows[column.name]) for name, column in columns.items()}
        outputs = {"log_prob": -found.sum(axis=1), "surprise": found}
        return Example(inputs, {key: outputs[key]}, np.maximum(1.0, np.abs(found).sum(axis=1)))

    of_row = f"log-density of the observed cells of a row, in nats; {_measures(schema)}"
    of_cells = f"surprise of each cell given those before, in nats, 0 if it is not observed: {', '.join(meanings)}"
    made = Signature(log_prob, specs, {"log_prob": of_row}, meanings, lambda seed: example(seed, "log_prob"))
    explained = Signature(explain, specs, {"surprise": of_cells}, meanings, lambda seed: example(seed, "surprise"))
    return {"serving_default": made, "log_prob": made, "explain": explained}


def _meaning(column: Column) -> str:
    dtype = tensors.input_dtype(column)
    if column.kind == "datetime":
        return f"the column {column.name!r}: seconds since 1970-01-01 UTC; NaN if it is missing"
    if dtype == tf.bool:
        return f"the column {column.name!r}"
    return f"the column {column.name!r}; {'an empty string' if dtype == tf.string else 'NaN'} if it is missing"


def _measures(schema: Schema) -> str:
    return "base measures: " + "; ".join(f"{name}: {measure}" for name, measure in schema.base_measure.items())
