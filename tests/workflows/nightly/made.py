"""Made-up nights of several series of one phone, as the nightly job sees them."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache

from harness.history.figures import make_series
from harness.history.records import Decided, Environment, Figures, HistoryEntry, Night, Series
from harness.plan.cells import make_cell
from harness.records.metrics import LATENCY
from harness.spec.profiles import ProfileName
from harness.stats.screening import ARL0
from harness.wire import Delegate, Format
from harness.workflows.nightly.agenda import SeriesTonight
from harness.workflows.nightly.screening import SeriesHistory, as_night, screen_series
from tests.history.nights import PHONE, entry, run_facts


@lru_cache(maxsize=256)
def series(number: int, *, device: str = "fake", format_: Format = Format.ONNX) -> Series:
    """The latency of one of many cells."""
    cell = make_cell(f"m{number % 3}", f"v{number}", format_, Delegate.CPU, 1, device, ProfileName.STANDARD)
    return make_series(cell, LATENCY)


def value(
    of: Series, factor: float = 1.0, *, night: int = 0, file: str = "aa", environment: Environment = PHONE
) -> HistoryEntry:
    """The value of a series on a night: about 1 ms times ``factor``."""
    made = entry(1e6, artifact=file, environment=environment)
    ns = 1e6 * factor * (1 + 0.015 * random.Random(f"{of.name} {night}").uniform(-1, 1))
    return replace(made, series=of, figures=Figures(value=ns))


def past(of: Series, nights: int, *, file: str = "aa", shifts: dict[int, float] | None = None) -> tuple[Night, ...]:
    """The nights before, level but for ``shifts`` by night."""
    return tuple(
        as_night(value(of, (shifts or {}).get(night, 1.0), night=night, file=file), run_facts(night))
        for night in range(nights)
    )


def tonight(
    of: Series, nights: tuple[Night, ...], made: HistoryEntry, decisions: tuple[Decided, ...] = ()
) -> SeriesTonight:
    """The series after its screen."""
    history = SeriesHistory(nights=nights, decisions=decisions)
    screened = screen_series(history, [made], run_facts(len(nights)), ARL0)
    assert screened.night.series == of.name
    return SeriesTonight(history=history, entry=made, night=screened.night)
