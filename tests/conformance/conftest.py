"""The facts of each case."""

import pytest

from tests.conformance.facts import Facts
from tests.registry import Case


@pytest.fixture(scope="session")
def facts(case: Case) -> Facts:
    """What the tests of a case read, computed once."""
    return Facts(case)
