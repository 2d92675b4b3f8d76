"""The Keras model of a table, which keeps the schema in its file."""

from typing import Any

import keras

from tfar.tables.schema import Schema
from tfar.training import DensityModel


@keras.saving.register_keras_serializable("tfar")
class TableDensityModel(DensityModel):
    """A `DensityModel` whose `.keras` file also holds the schema of a table.

    Args:
        dist: the distribution of encoded rows.
        schema: the `Schema`, or its configuration.
        **kwargs: arguments of `DensityModel`.
    """

    def __init__(self, dist: Any, schema: Any, **kwargs: Any) -> None:
        super().__init__(dist, **kwargs)
        self.schema = schema if isinstance(schema, Schema) else Schema.from_config(schema)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "schema": self.schema.get_config()}
