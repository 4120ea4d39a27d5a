"""A merged model beside its parts."""

from __future__ import annotations

from dataclasses import replace

from harness.records.measurement import Measurement
from harness.report.sections.parts import PartsComparison, comparison_text, parts_comparisons
from harness.report.view import cell_views
from tests.report.builders import FACTS, cells, make_run, measurement

NAMES = ("detector", "detector.backbone", "detector.head")
CELLS = tuple(cells(model=name)[0] for name in NAMES)
MODELS = tuple(replace(FACTS, name=name, whole=None if name == "detector" else "detector") for name in NAMES)


def compared(*measured: Measurement) -> PartsComparison:
    (comparison,) = parts_comparisons(MODELS, cell_views(make_run(CELLS, measured)))
    return comparison


def test_a_merged_model_is_shown_beside_its_parts_and_their_sum() -> None:
    comparison = compared(*(measurement(cell) for cell in CELLS))
    assert (comparison.cell, comparison.parts) == (CELLS[0].key, NAMES[1:])
    assert comparison.apart_bytes == (79_000, 79_000)
    assert "79.0 kB merged, 79.0 + 79.0 = 158 kB apart" in comparison_text(comparison)


def test_without_the_figure_of_every_part_there_is_no_sum() -> None:
    comparison = compared(measurement(CELLS[0]), measurement(CELLS[1]))
    assert (comparison.apart_bytes, comparison.apart_latency_ns) == (None, None)
    assert "79.0 kB merged, – apart" in comparison_text(comparison)
