"""Turns the errors of a command into one line on stderr and exit code 1. `--debug` shows the traceback instead."""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from tfar.cli.printing import make_console, shown

USER_ERRORS = (ValueError, OSError, ImportError, NotImplementedError)
INTERRUPTED = 130

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the option `--debug` to a command. Without it, an error in `USER_ERRORS` is printed as one line."""

    @functools.wraps(command)
    def wrapped(*args: Any, debug: bool, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except USER_ERRORS as error:
            if debug:
                raise
            complain(one_line(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            complain("stopped")
            raise typer.Exit(INTERRUPTED) from error

    signature = inspect.signature(command)
    option = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    wrapped.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore
    wrapped.__annotations__ = {**command.__annotations__, "debug": Debug}
    return wrapped


def complain(message: str) -> None:
    """Prints an error message on stderr as one line."""
    make_console(stderr=True).print(f"[bold red]error:[/] {shown(message)}")


def one_line(error: BaseException) -> str:
    """Returns the message of an error without line breaks.

    Example:
        >>> one_line(FileNotFoundError(2, "No such file or directory", "wine.csv"))
        'wine.csv: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        message = f"{os.fspath(error.filename)}: {error.strerror}"
    elif isinstance(error, OSError) and error.strerror:
        message = error.strerror
    else:
        message = str(error)
    return " ".join(message.split()) or type(error).__name__
