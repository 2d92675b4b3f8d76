"""Parameters of tests, of which a few run by default."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.shards import is_of_today


def few_by_default(parameters: Iterable[Any], count: int = 1, *, in_ci: int = 0) -> list[Any]:
    """What `pytest.mark.parametrize` takes: few parameters run by default, and others before a change lands.

    Args:
        parameters: iterable of values, or of tuples if the test takes several at once.
        count: int. The first ones, which run by default.
        in_ci: int. The next ones, which run before every change; of the others a sixteenth does.
    """
    marked = []
    for number, parameter in enumerate(parameters):
        ci = number < count + in_ci or is_of_today(number)
        values = parameter if isinstance(parameter, tuple) else (parameter,)
        marked.append(pytest.param(*values, marks=[] if number < count else pytest.mark.slow(ci=ci)))
    return marked
