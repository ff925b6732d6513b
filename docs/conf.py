"""How Sphinx makes the site; CONTRIBUTING.md has the command.

The whole repository is the source, not this folder alone, so that links between the pages here, the
README and the studies are the ones that a code-hosting site follows. Nothing is fetched.
"""

from __future__ import annotations

import posixpath
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# From this tree, whatever is installed.
import npu_tune
from npu_tune import api, network, samplers, space, targets, tuning

for _package in (npu_tune, samplers, space, targets, network, tuning):
    # Names that are imported when they are first used are not seen by autodoc before.
    for _name in _package.__all__:
        # `npu_tune.space` and `npu_tune.compare` are packages, and functions of the front door.
        _home = api if _package is npu_tune and hasattr(api, _name) else _package
        setattr(_package, _name, getattr(_home, _name))

project = "npu-tune"
version = release = npu_tune.__version__
author = copyright = "the authors of npu-tune"  # noqa: A001 -- Sphinx asks for this name

root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/**.md",
    "notebooks/**.ipynb",
    "notebooks/**.md",
    "studies/**README.md",
]
exclude_patterns = [".*", "build", "dist", "runs", "site"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]

# Anchors as a code-hosting site makes them, so that `page.md#a-heading` means the same there.
myst_heading_anchors = 4
# Notebooks are shown as they are kept; what runs them is a test of its own.
nb_execution_mode = "off"
# Widgets would fetch scripts.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

suppress_warnings = [
    # The README and the studies' pages begin with a picture or a table of their own.
    "myst.header",
]
nitpick_ignore_regex = [
    # Types of other packages have their own pages, which are not fetched.
    ("py:.*", r"(?!npu_tune\b).*"),
    # What a signature names and nobody has to import, from the inside of a package.
    ("py:class", r"npu_tune(\.[a-z_]+){2,}\.[A-Z]\w+"),
    ("py:class", r"npu_tune\.(closing\.Closing|validation\.Table)"),
    ("py:mod", r"npu_tune\.testing\.suite"),
]

html_theme = "furo"
html_title = "npu-tune"
html_copy_source = False
html_additional_pages = {"index": "start.html"}
templates_path = ["templates"]
copybutton_exclude = ".linenos, .gp, .go"


def drop_empty_globs(app: Sphinx, page: str, source: list[str]) -> None:
    """Leaves patterns out of the table of contents that no page matches, such as of notebooks."""
    if page == root_doc:
        lines = source[0].split("\n")
        source[0] = "\n".join(
            line for line in lines if not is_empty_glob(line, app.env.found_docs)
        )


def is_empty_glob(line: str, pages: set[str]) -> bool:
    """True for a line that is a pattern of pages, and matches none."""
    pattern = posixpath.join("docs", line).removeprefix("/")
    return line.endswith("*") and not any(fnmatch(page, pattern) for page in pages)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", drop_empty_globs)
