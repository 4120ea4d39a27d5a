"""The JSON interface of ``phonebench show --json``."""

from __future__ import annotations

from typing import Any

from harness.report.sections.registry import SECTIONS
from harness.report.sections.section import Section, report_of
from harness.store.records import RunRecord

# 1 (2026-11): the first.
SCHEMA = 1


def show_json(run: RunRecord, sections: tuple[Section, ...] = SECTIONS) -> dict[str, Any]:
    """Return the public interface of ``phonebench show --json``: plain values, None for what was not measured.

    ``docs/report.md`` specifies the fields; ``schema`` grows when one of them changes its meaning.
    """
    report = report_of(run)
    shown: dict[str, Any] = {"schema": SCHEMA}
    for section in sections:
        shown |= section.json(report)
    return shown
