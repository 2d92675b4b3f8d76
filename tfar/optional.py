"""Packages that only an extra of the package installs."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Imports a module of an optional package; the ImportError says how to install it.

    Example:
        >>> require("json", "data").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{module} could not be imported ({error}). Install it with: pip install "tfar[{extra}]"'
        ) from error
