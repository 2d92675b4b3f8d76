"""Runs the command line with `python -m tfar.cli`."""

from tfar.cli import main

main()
