"""The list of stored runs, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.records import units
from harness.report.view import plain
from harness.store.listing import ListedRun

TITLES = ("run", "models", "devices", "started", "status", "cells")


def list_rows(runs: Iterable[ListedRun]) -> list[tuple[str, ...]]:
    """Return one row of text per run; the columns are `TITLES`."""
    return [
        (
            run.id,
            ", ".join(run.models) or units.NONE,
            ", ".join(run.devices) or units.NONE,
            units.stamp(run.created_at),
            run.status.value,
            ", ".join(f"{count} {status.value}" for status, count in run.cells.items()) or units.NONE,
        )
        for run in runs
    ]


def list_json(runs: Iterable[ListedRun]) -> list[dict[str, Any]]:
    """Return the runs as plain values; None for what a damaged run does not give."""
    return [plain(run) for run in runs]
