"""Where imported cells come from: the file, the program that measured, and what it says about how.

Cells of phonebench have no origin, so most runs do without this section.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.report.sections.section import Fragment, Line, Report, Tone

_PAGE = """\
<h2>Imported from</h2>
<ul class="notes">
{% for source in sources %}
  <li><strong>{{ source.file }}</strong> ({{ source.program }}, {{ source.cells }})
    {% if source.settings %}<div class="muted">{{ source.settings }}</div>{% endif %}</li>
{% endfor %}
</ul>
<p class="muted">The files are kept with the run. What a file does not say is unknown.</p>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, the program that measured, how many cells it gave, and the settings that all of them have in common."""

    file: str
    program: str
    cells: str
    settings: str


def lines(report: Report) -> Iterator[Line]:
    """Yield a line per file."""
    for source in sources(report):
        settings = f": {source.settings}" if source.settings else ""
        yield Line(text=f"Imported from {source.file} ({source.program}, {source.cells}){settings}", tone=Tone.QUIET)


def html(report: Report) -> Fragment | None:
    """Return the files as a list."""
    listed = sources(report)
    return Fragment(template=_PAGE, values={"sources": listed}) if listed else None


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its origin."""
    return {}


def sources(report: Report) -> tuple[Source, ...]:
    """Return the files that cells came from, in the order of the cells."""
    settings: dict[tuple[str, str], list[dict[str, str]]] = {}
    for measurement in report.run.measurements:
        origin = measurement.origin
        if origin is not None:
            settings.setdefault((origin.file, origin.program), []).append(origin.settings)
    return tuple(
        Source(
            file=file,
            program=program,
            cells=f"{len(listed)} cell{'s' if len(listed) > 1 else ''}",
            settings=", ".join(f"{key} {value}" for key, value in _common(listed).items()),
        )
        for (file, program), listed in settings.items()
    )


def _common(listed: list[dict[str, str]]) -> dict[str, str]:
    first, *others = listed
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
