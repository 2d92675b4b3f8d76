"""Models of tables with columns of several kinds: DataFrames in, DataFrames out, in the units of the data."""

from tfar.tables.classes import CategoricalColumn, ConstantColumn, OrdinalColumn
from tfar.tables.column import Column
from tfar.tables.datetimes import DatetimeColumn
from tfar.tables.model import TableModel as TableModel  # documented as tfar.TableModel
from tfar.tables.numbers import CountColumn, RealColumn
from tfar.tables.queries import Estimate
from tfar.tables.schema import Encoded, Schema

__all__ = [
    "CategoricalColumn",
    "Column",
    "ConstantColumn",
    "CountColumn",
    "DatetimeColumn",
    "Encoded",
    "Estimate",
    "OrdinalColumn",
    "RealColumn",
    "Schema",
]
