"""Imported results are compared only with results of the same program and settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.compare.keys import comparison_keys, differing_keys
from harness.errors import UsageError
from harness.history.figures import entries_of
from harness.plan.cells import make_cell
from harness.records.measurement import CellStatus, Measurement
from harness.records.metrics import METRICS
from harness.records.origin import Origin, StatedFigure, StatedName
from harness.spec.profiles import ProfileName
from harness.spec.read import make_spec
from harness.wire import Delegate, Format
from tests.report.builders import make_run

ORIGIN = Origin(kind="llama-bench", program="llama-bench", file="a.jsonl", sha256="0" * 64, format="gguf")
CELL = make_cell("m", "as-is", Format.OTHER, Delegate.UNKNOWN, None, "phone", ProfileName.IMPORTED)
MEASUREMENT = Measurement(cell=CELL.key, status=CellStatus.OK, started_at="", ended_at="", origin=ORIGIN)


def keys_of(origin: Origin | None) -> dict[str, str]:
    measurement = replace(MEASUREMENT, origin=origin)
    return comparison_keys(make_run((CELL,), (measurement,)), CELL, measurement)


def test_what_the_file_does_not_say_is_unknown() -> None:
    keys = keys_of(replace(ORIGIN, format=""))
    assert {keys["format"], keys["threads"], keys["delegate"], keys["runtime"], keys["device model"]} == {"unknown"}


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("n_batch", replace(ORIGIN, settings={"n_batch": "512"})),
        ("measured by", replace(ORIGIN, program="other")),
        ("format", replace(ORIGIN, format="ggml")),
    ],
)
def test_another_program_or_setting_or_format_is_named(key: str, other: Origin) -> None:
    assert [d.key for d in differing_keys(keys_of(ORIGIN), keys_of(other))] == [key]


def test_a_stated_figure_is_a_metric_of_its_own() -> None:
    stated = StatedFigure(name=StatedName.DECODE, value=21.5, definition="tg128")
    readings = {n: m.read(replace(MEASUREMENT, stated=(stated,))) for n, m in METRICS.items()}
    assert {name: reading.value for name, reading in readings.items() if reading} == {"decode_speed": 21.5}


def test_the_history_takes_no_imported_run() -> None:
    with pytest.raises(UsageError, match="imported from another program"):
        entries_of(make_run((CELL,), (MEASUREMENT,)))


@pytest.mark.parametrize(("key", "value"), [("format", "other"), ("delegate", "unknown"), ("profile", "imported")])
def test_nobody_can_ask_for_what_only_imports_have(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"unknown {key} '{value}'"):
        make_spec({key: value})
