"""Numbers in the output of the commands."""

import re


def printed(output: str, name: str) -> float:
    """Returns a number of the table that `tfar evaluate` prints."""
    found = re.search(rf"{name}\W+([-\d.]+)", output)
    assert found, output
    return float(found[1])
