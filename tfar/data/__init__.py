"""Data sets by name, the user's own files, and batches whose order a resumed run draws again."""

from tfar.data.batches import Batches
from tfar.data.files import from_files
from tfar.data.load import load, names
from tfar.data.splits import DataSplits

__all__ = ["Batches", "DataSplits", "from_files", "load", "names"]
