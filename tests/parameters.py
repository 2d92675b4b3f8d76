"""Parameters of tests, of which a few run by default."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.shards import is_of_today


def few_by_default(parameters: Iterable[Any], count: int = 1) -> list[Any]:
    """What `pytest.mark.parametrize` takes: the first `count` run by default, of the others a quarter before a change lands.

    Args:
        parameters: iterable of values, or of tuples if the test takes several at once.
        count: int.
    """
    marked = []
    for number, parameter in enumerate(parameters):
        values = parameter if isinstance(parameter, tuple) else (parameter,)
        marked.append(pytest.param(*values, marks=[] if number < count else pytest.mark.slow(ci=is_of_today(number))))
    return marked
