"""Console output of the commands."""

from typing import Any

from rich.console import Console
from rich.markup import escape


def make_console(stderr: bool = False) -> Console:
    """Returns a console without emoji codes such as `:x:` and without line wrapping, so that lines can be copied."""
    return Console(stderr=stderr, emoji=False, highlight=False, soft_wrap=True)


def shown(value: Any) -> str:
    """Escapes a path or name, so that rich does not interpret it as markup."""
    return escape(str(value))
