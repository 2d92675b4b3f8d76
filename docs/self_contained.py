"""Checks that the pages of the site can be shown without another host."""

import pathlib
import re
from typing import Any

from sphinx.util import logging


def connect(app: Any) -> None:
    """Registers the check, which runs after the build."""
    app.connect("build-finished", check)


def check(app: Any, exception: Exception | None) -> None:
    """Warns of pages that load something from elsewhere; `make docs` turns warnings into errors."""
    for path in sorted(pathlib.Path(app.outdir).rglob("*.html")):
        if found := loaded_from_elsewhere(path.read_text(encoding="utf-8")):
            logging.getLogger(__name__).warning("%s loads %s", path, ", ".join(found))


def loaded_from_elsewhere(page: str) -> list[str]:
    """Returns the addresses of the scripts, styles and pictures that a page of HTML loads from other hosts."""
    tags = re.findall(r"<(?:script|img|iframe|link)\b[^>]*>", page)
    loaded = [tag for tag in tags if 'rel="canonical"' not in tag]
    return re.findall(r"""\b(?:src|href)=["']((?:https?:)?//[^"']+)""", " ".join(loaded))
