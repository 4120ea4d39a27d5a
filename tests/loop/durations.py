"""How long tests take, kept in ``durations.json``. They decide which start first, and which ``make quick`` leaves out.

``make test ARGS=--store-durations`` measures them again. They need not be exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

FILE = Path(__file__).with_suffix(".json")
# Tests that take less are not listed.
LEAST_S = 0.5


def without_parameters(test: str) -> str:
    """Return the id of a test without its parameters."""
    return test.partition("[")[0]


def read_durations() -> dict[str, float]:
    """Return the seconds of each long test, the sum over its parameters."""
    seconds: dict[str, float] = json.loads(FILE.read_text())
    return seconds


class Recorder:
    """A plugin that records how long the tests of this session take."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of a test."""
        name = without_parameters(report.nodeid)
        self._seconds[name] = self._seconds.get(name, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """Replace the durations of the tests that ran, and keep the others."""
        FILE.write_text(json.dumps(merged(read_durations(), self._seconds), indent=1, sort_keys=True) + "\n")


def merged(known: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """Return ``known`` updated with ``measured``, without the short tests."""
    return {name: round(s, 1) for name, s in {**known, **measured}.items() if s >= LEAST_S}
