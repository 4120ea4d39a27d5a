"""What a section of a report is given, and what it returns for the page, the terminal and the JSON.

A section knows nothing of rich text, terminal widths or the rest of the page, and a format knows nothing of any
section. This module imports neither jinja2 nor matplotlib: ``phonebench show`` needs neither of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from harness.report.footnotes import Footnote, footnotes
from harness.report.ranking import Ranking, rankings
from harness.report.view import CellView, cell_views
from harness.store.records import RunHead, RunRecord

if TYPE_CHECKING:
    from harness.records.measurement import Measurement
    from harness.report.charts.charts import Chart
    from harness.report.evidence import Evidence, LaunchEvidence


def _nothing(_: Measurement) -> tuple[LaunchEvidence, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run with everything that several sections show.

    ``charts`` is empty unless the page is being rendered, and ``evidence`` then reads the replies.
    """

    run: RunRecord
    views: tuple[CellView, ...]
    rankings: tuple[Ranking, ...]
    footnotes: tuple[Footnote, ...]
    charts: tuple[Chart, ...] = ()
    evidence: Evidence = _nothing

    @property
    def head(self) -> RunHead:
        """What was asked for, and on what."""
        return self.run.head


def report_of(run: RunRecord, drawn: tuple[Chart, ...] = (), evidence: Evidence = _nothing) -> Report:
    """Return the report of ``run``; ``drawn`` are its charts and ``evidence`` reads its replies, for the page."""
    views = cell_views(run)
    return Report(
        run=run, views=views, rankings=rankings(run), footnotes=footnotes(views), charts=drawn, evidence=evidence
    )


class Tone(StrEnum):
    """How a line stands out in a terminal."""

    PLAIN = "plain"
    STRONG = "strong"
    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    ASIDE = "aside"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sentence for the terminal, which wraps it. Leading spaces indent all the lines that it becomes."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a `Grid`: its title, whose lines are separated by newlines, and its text in every row.

    The column with the lowest ``keep`` is dropped first in a narrow terminal. ``text`` columns are left-aligned. A
    ``common`` column that has the same value in every row moves to a sentence above the grid.
    """

    title: str
    values: tuple[str, ...]
    keep: int
    text: bool = False
    common: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table for the terminal; ``dimmed`` says for each row whether it is printed faintly."""

    columns: tuple[Column, ...]
    dimmed: tuple[bool, ...]


Block = Line | Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A piece of the page: a Jinja template, its heading included, and the values that it names.

    Values are escaped, except those that are `markupsafe.Markup` already. ``embedded`` are plain values for the page's
    script, by the id of the element that holds them as JSON. ``script`` is JavaScript that the fragment needs.
    """

    template: str
    values: dict[str, Any]
    embedded: dict[str, Any] = field(default_factory=dict)
    script: str = ""


class Section(Protocol):
    """One part of a report. A module with these three functions is a section."""

    def lines(self, report: Report) -> Iterable[Block]:
        """Return what the terminal shows; nothing leaves the section out."""

    def html(self, report: Report) -> Fragment | None:
        """Return what the page shows; None leaves the section out."""

    def json(self, report: Report) -> dict[str, Any]:
        """Return the keys that the section adds to ``phonebench show --json``; mostly none."""
