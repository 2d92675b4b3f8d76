"""Data sets: named sets and files."""

from tfar.data.files import from_files
from tfar.data.load import load, names
from tfar.data.mu_law import inverse_mu_law, mu_law
from tfar.data.rows import FileRows, open_rows
from tfar.data.splits import DataSplits

__all__ = ["DataSplits", "FileRows", "from_files", "inverse_mu_law", "load", "mu_law", "names", "open_rows"]
