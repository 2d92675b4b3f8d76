"""`python -m tfar.cli`, the same as `tfar`."""

from tfar.cli import main

main()
