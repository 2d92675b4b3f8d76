"""What the commands print: rich, but what the user named stays as it is."""

from typing import Any

from rich.console import Console
from rich.markup import escape


def make_console(stderr: bool = False) -> Console:
    """A console that turns no `:x:` into a picture and breaks no line that may be copied."""
    return Console(stderr=stderr, emoji=False, highlight=False, soft_wrap=True)


def shown(value: Any) -> str:
    """A path or name as text that rich does not read as markup."""
    return escape(str(value))
