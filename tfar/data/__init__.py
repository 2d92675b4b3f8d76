"""Data sets: named sets and files."""

from tfar.data.files import from_files
from tfar.data.load import load, names
from tfar.data.rows import FileRows, open_rows
from tfar.data.splits import DataSplits

__all__ = ["DataSplits", "FileRows", "from_files", "load", "names", "open_rows"]
