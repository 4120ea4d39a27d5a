"""A history of nights as frames."""

from __future__ import annotations

from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.frames import need_pandas
from harness.api.runs import results_folder

if TYPE_CHECKING:
    import pandas as pd

    from harness.history.records import Night

_ENVIRONMENT = ("device_class", "os_build", "runtime", "runtime_version", "delegate_used")
NIGHT_COLUMNS = (
    "night", "run", "created_at", "commit", "status", "attempt", "value", "low", "high", "count", "level",
    "level_median", "change", "ratio", "conditions", "artifact_sha256", *_ENVIRONMENT,
)  # fmt: skip


class History:
    """The history of a results folder, or of a database. Each read opens and closes it."""

    def __init__(self, place: str) -> None:
        self.place = place

    @property
    def series(self) -> pd.DataFrame:
        """One row per series: a metric of a cell over nights, with its unit and whether lower or higher is better.

        Raises `UsageError` if there is no history, `StoreError` if it cannot be read.
        """
        from harness.history.database import open_history
        from harness.history.queries import list_series
        from harness.history.records import Series

        with open_history(self.place) as opened:
            return need_pandas().DataFrame([asdict(s) for s in list_series(opened)], columns=list(Series.__slots__))

    def nights(self, series: str) -> pd.DataFrame:
        """Return the nights of a series, oldest first; ``series`` is its name or a part that only one name has.

        ``value``, ``low`` and ``high`` are in the unit of the series; a night without a value has its ``status``.
        ``level`` numbers the levels of the series from 0, and ``level_median`` is the median of each. Where a level
        begins by a change, ``change`` says how the change was decided (``suspected`` while it is open) and ``ratio`` is
        new over old. Raises `UsageError` if no series or several match, `StoreError` as `series` does.
        """
        from harness.history.database import open_history
        from harness.history.queries import decisions_of, find_series, nights_of
        from harness.history.story import tell

        with open_history(self.place) as opened:
            match = find_series(opened, series)
            story = tell(match, nights_of(opened, match.name), decisions_of(opened, match.name))
        rows = [_row(night) for night in story.nights]
        for number, segment in enumerate(story.segments):
            for row in rows[segment.first : segment.last + 1]:
                row |= {"level": number, "level_median": segment.median}
        for change in story.changes:
            rows[change.index] |= {"change": change.decision or "suspected", "ratio": change.ratio}
        rows += [_row(night) for night in story.gaps]
        return need_pandas().DataFrame(sorted(rows, key=itemgetter("created_at")), columns=list(NIGHT_COLUMNS))


def load_history(history: str | Path | None = None, *, results: str | Path | None = None) -> History:
    """Return the history: a file, ``postgresql://USER@HOST/DATABASE``, or None for that of the results folder."""
    return History(str(history) if history else str(results_folder(results) / "history.sqlite"))


def _row(night: Night) -> dict[str, Any]:
    figures = night.figures
    return {
        "night": night.night,
        "run": night.run,
        "created_at": night.created_at,
        "commit": night.commit,
        "status": night.status.value,
        "attempt": night.attempt,
        "value": figures.value if figures else None,
        "low": figures.low if figures else None,
        "high": figures.high if figures else None,
        "count": figures.count if figures else None,
        "conditions": " ".join(night.conditions),
        "artifact_sha256": night.artifact_sha256,
        **{name: getattr(night.environment, name) for name in _ENVIRONMENT},
    }
