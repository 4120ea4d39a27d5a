"""The documentation as a site: ``make docs`` builds it with Sphinx from the pages of this folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "phonebench"
author = "The phonebench authors"
copyright = author  # noqa: A001  Sphinx's own name
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# The outputs in the notebooks are those that the tests check; building the site runs nothing.
nb_execution_mode = "off"
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Names in single backticks are code, as in the docstrings.
default_role = "code"
html_theme = "furo"
html_title = f"phonebench {__version__}"

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def setup(app: Sphinx) -> None:
    """Register what changes the pages before they are read."""
    app.connect("source-read", _without_links_outside)


def _without_links_outside(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Keep the words of links to files beside this folder: they are in the repository and not on the site."""
    source[0] = _OUTSIDE.sub(r"\1", source[0])
