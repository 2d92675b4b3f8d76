"""Data sets by name and the user's own files."""

from tfar.data.files import from_files
from tfar.data.load import load, names
from tfar.data.splits import DataSplits

__all__ = ["DataSplits", "from_files", "load", "names"]
