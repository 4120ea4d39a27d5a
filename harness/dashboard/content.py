"""What a page of the dashboard returns, and the pieces that pages share: links, lists in parts, search fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from harness.errors import UsageError
from harness.history.browse import PAGE, Page
from harness.report.house import NavLink, render_house
from harness.report.sections.section import Fragment

if TYPE_CHECKING:
    from markupsafe import Markup

Query = Mapping[str, str]


class Place(StrEnum):
    """The pages that the navigation names, by their paths."""

    OVERVIEW = "/"
    NIGHTS = "/nights"
    SERIES = "/series"
    DEVICES = "/devices"
    FARM = "/farm"
    RUNS = "/runs"


# Pages of one thing. Its name is in the query: a name may hold any character, and a path may not.
ONE_NIGHT, ONE_SERIES, ONE_DEVICE, ONE_RUN, NIGHT_FILE = "/night", "/one-series", "/device", "/run", "/night-page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A page below the navigation: its title, a line below it, and what follows."""

    place: Place
    title: str
    lead: str
    fragments: Sequence[Fragment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole page that is stored, such as the report of a run."""

    place: Place
    html: str


def render(content: Content) -> str:
    """Return the page as HTML, in the house of all pages."""
    heading = {"title": content.title, "lead": content.lead, "state": "", "nav": navigation(content.place)}
    return render_house(heading, content.fragments)


def navigation(here: Place) -> tuple[NavLink, ...]:
    """Return the links above every page."""
    return tuple(NavLink(text=place.name.capitalize(), href=place.value, here=place is here) for place in Place)


def address(path: str, **query: str | int) -> str:
    """Return the address of a page; empty values of the query are left out."""
    text = urlencode({name: value for name, value in query.items() if value != ""})
    return f"{path}?{text}" if text else path


def link(text: str, path: str, **query: str | int) -> Markup:
    """Return a link as markup; the text and the address are escaped."""
    from markupsafe import Markup, escape

    # Markup switches off escaping, so both parts are escaped here.
    return Markup(f'<a href="{escape(address(path, **query))}">{escape(text)}</a>')


def name_in(query: Query, what: str) -> str:
    """Return the name of the one thing that a page shows. Raises `UsageError` if it is missing or impossible."""
    name = query.get("name", "")
    if not name or "\0" in name:
        msg = f"the address names no {what}: choose one from the list"
        raise UsageError(msg)
    return name


def page_in(query: Query) -> Page:
    """Return which part of a list to show. Raises `UsageError` if the page is not a number from 1."""
    text = query.get("page", "1")
    # Seven digits are more pages than a history has; more of them would be a number that no database takes.
    if not (text.isascii() and text.isdecimal() and len(text) <= 7 and int(text) > 0):
        msg = f"page={text[:20]!r} is not the number of a page: use 1 or more"
        raise UsageError(msg)
    return Page(first=(int(text) - 1) * PAGE)


_PAGES = """\
<p class="muted">{{ words }}{% for text, href in links %} · <a href="{{ href }}">{{ text }}</a>{% endfor %}</p>
"""
_FIND = """\
<form class="find" role="search" action="{{ action }}">
  <input type="search" name="find" value="{{ value }}" aria-label="Words in the name" placeholder="words in the name">
  <button>Find</button>
</form>
"""
_HEADED_LIST = """\
<h2>{{ heading }}</h2>
<ul class="notes">{% for line in lines %}<li>{{ line }}</li>{% endfor %}</ul>
"""


def search_field(action: str, value: str) -> Fragment:
    """Return a field that finds names by words."""
    return Fragment(template=_FIND, values={"action": action, "value": value})


def lines_below(heading: str, lines: Sequence[str]) -> Fragment:
    """Return a heading with a list of sentences."""
    return Fragment(template=_HEADED_LIST, values={"heading": heading, "lines": lines})


def parts_of(path: str, shown: Page, total: int, **query: str) -> Fragment:
    """Return the line that says which rows of a list are shown, with links to the rows before and after."""
    number = shown.first // shown.size + 1
    last = min(shown.first + shown.size, total)
    links = []
    if shown.first > 0:
        links.append(("previous", address(path, **query, page=min(number - 1, max(1, -(-total // shown.size))))))
    if last < total:
        links.append(("next", address(path, **query, page=number + 1)))
    words = f"{shown.first + 1} to {last} of {total}" if shown.first < total else f"none here, {total} in all"
    return Fragment(template=_PAGES, values={"words": words, "links": links})
