"""The house of every page: one file without a network, light and dark, for print, keyboard and screen reader.

A page is a heading and fragments that follow each other. Everything is escaped, except what is Markup already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.report.sections.section import Fragment
from harness.spec.formats import FORMATS

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class NavLink:
    """A link to another page; ``here`` marks the one to the page itself."""

    text: str
    href: str
    here: bool = False


def render_house(heading: dict[str, Any], fragments: Sequence[Fragment]) -> str:
    """Return a page: ``heading`` has a ``title``, a ``lead`` and a ``state``, empty unless something is missing.

    ``heading`` may have a ``nav``: the links above the title of a page that belongs to several, as `NavLink`.
    """
    import jinja2
    from markupsafe import Markup

    # A misspelt name in a template must fail the tests and not leave a gap on the page.
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # No loader: a section brings its template along, and templates neither include nor extend each other.
    rendered = [environment.from_string(f.template).render(f.values) for f in fragments]
    embedded = {name: _embedded(data) for f in fragments for name, data in f.embedded.items()}
    return environment.from_string(template("house.html.j2")).render(
        {"nav": (), **heading},
        sections=[Markup(text) for text in rendered],
        embedded=embedded,
        css=Markup(template("house.css")),
        scripts=[
            Markup(text) for text in dict.fromkeys([template("house.js"), *(f.script for f in fragments)]) if text
        ],
        colours={format_.value: row.colour for format_, row in FORMATS.items()},
    )


def template(name: str) -> str:
    """Return a file of the folder ``templates``."""
    return resources.files("harness.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")


def _embedded(data: dict[str, Any]) -> Markup:
    """``data`` as JSON inside a script element, which ends at the first ``</script`` whatever the quotes around it."""
    from markupsafe import Markup

    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
