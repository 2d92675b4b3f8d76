"""Configuration of Sphinx for the documentation site: `make docs`."""

import os
import pathlib
import shutil
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

import docstrings  # noqa: E402
import self_contained  # noqa: E402

import tfar  # noqa: E402
from benchmarks import overview  # noqa: E402

URLS = overview.project_urls()

project = "tfar"
author = "the authors of tfar"
project_copyright = author
version = release = tfar.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"tfar {version}"
html_baseurl = URLS["Documentation"] + "/"
html_extra_path = ["llms.txt"]
html_static_path: list[str] = []
html_theme_options = {
    "source_repository": URLS["Source"],
    "source_branch": "main",
    "source_directory": "docs/",
}

# Notebooks are shown with the outputs that are stored in them.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_custom_sections = [("Input shape", "params_style"), ("Output shape", "params_style")]

# Names of other packages, whose documentation the build does not look up, and errors of Python.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(tensorflow|tensorflow_probability|keras|numpy|collections|typing|abc|enum|os|apache_beam|sklearn)\b.*",
    ),
    ("py:(class|exc|obj)", r"(\w*Error|NamedTuple|ABC|object|tuple|Generic)"),
    ("py:class", r"\w+_"),  # attributes that `fit` of scikit-learn's estimators sets
]

COPIES = HERE / "tutorials"


def copy_tutorials() -> None:
    """Copies the notebooks into the source folder, because Sphinx reads nothing outside of it."""
    COPIES.mkdir(exist_ok=True)
    for path in (ROOT / "tutorials").glob("*.ipynb"):
        if not (COPIES / path.name).exists() or (COPIES / path.name).read_bytes() != path.read_bytes():
            shutil.copyfile(path, COPIES / path.name)


def setup(app: Any) -> None:
    """Prepares what Sphinx reads, the notebooks and the docstrings, and checks what it writes."""
    copy_tutorials()
    docstrings.connect(app)
    self_contained.connect(app)
