"""Which cases of the registry a run selected, for fixtures that prepare them all at once."""

import pytest

from tests.registry import Case


def selected_cases(request: pytest.FixtureRequest) -> list[Case]:
    """The cases that the selected tests of the asking file run on, in their order."""
    items = [item for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    found = [item.callspec.params["case"] for item in items if "case" in item.callspec.params]
    return list({case.name: case for case in found}.values())
