"""Cells joined with measurements, and the JSON that scripts rely on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.plan.cells import Hole, make_cell
from harness.records.measurement import CellStatus
from harness.report.formats.json import show_json
from harness.report.view import cell_views, groups, labels, memory_growth
from harness.spec.profiles import ProfileName
from harness.wire import Delegate, Format
from tests.report.builders import broken, cells, failed, host_run, make_run, measurement, phone_run


def test_every_cell_and_hole_is_a_view_with_its_status() -> None:
    planned = cells()[:5]
    run = make_run(
        planned[:4],
        (measurement(planned[0]), broken(planned[1]), failed(planned[2])),
        holes=(Hole(cell=planned[4], reason="no such kernels"),),
    )
    assert [v.status.value for v in cell_views(run)] == ["ok", "broken", "failed", "pending", "unsupported"]
    assert [v.reason for v in cell_views(run)][2:] == ["the runner was killed by signal 11", None, "no such kernels"]


def test_the_last_of_several_measurements_counts() -> None:
    cell = cells()[0]
    assert cell_views(make_run((cell,), (failed(cell), measurement(cell))))[0].status is CellStatus.OK


def test_size_ratio_is_to_fp32_of_the_same_format() -> None:
    by_name = {(v.cell.variant, v.cell.format): v for v in cell_views(phone_run())}
    assert by_name["int8", Format.ONNX].size_ratio == pytest.approx(22_011 / 75_900)
    assert by_name["fp32", Format.ONNX].size_ratio == 1.0


def test_size_ratio_is_none_without_an_fp32_file() -> None:
    cell = cells()[2]
    assert cell_views(make_run((cell,), (measurement(cell),)))[0].size_ratio is None


def test_memory_growth_is_over_the_baseline_and_may_be_negative() -> None:
    reading = measurement(cells()[0]).memory
    assert reading is not None
    growth = memory_growth(replace(reading, retained_bytes=reading.baseline_bytes - 7, peak_bytes=None, mapped_bytes=5))
    assert growth is not None
    assert (growth.loaded_bytes, growth.peak_bytes, growth.retained_bytes, growth.mapped_bytes) == (
        (reading.loaded_bytes or 0) - reading.baseline_bytes,
        None,
        -7,
        5,
    )


@pytest.mark.parametrize(
    ("delegates", "threads", "expected"),
    [
        ([Delegate.XNNPACK], [1], "fp32 pte"),
        ([Delegate.XNNPACK, Delegate.CPU], [1], "fp32 pte xnnpack"),
        ([Delegate.XNNPACK], [1, 4], "fp32 pte 1 thread"),
    ],
)
def test_labels_name_only_what_differs(delegates: list[Delegate], threads: list[int], expected: str) -> None:
    planned = tuple(
        make_cell("digits", "fp32", Format.PTE, d, t, "host", ProfileName.QUICK) for d in delegates for t in threads
    )
    named = labels(cell_views(make_run(planned, ())))
    assert named[planned[0].key] == expected
    assert len(set(named.values())) == len(planned)


def test_groups_are_by_model_and_device() -> None:
    planned = (*cells()[:2], *cells(device="fake")[:1], *cells(model="other")[:1])
    by_group = groups(cell_views(make_run(planned, ())))
    assert {k: len(v) for k, v in by_group.items()} == {
        ("digits", "host"): 2,
        ("digits", "fake"): 1,
        ("other", "host"): 1,
    }


RUN_KEYS = ("id", "created_at", "finished_at", "spec", "models", "devices", "host", "versions", "commit", "goal")
CELL_KEYS = (
    "key model variant format backend delegate threads device status reason artifact latency load memory accuracy "
    "runtime runner conditions scores groups target fidelity"
)


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        (
            "artifact",
            "sha256 bytes sqnr_db agreement own_sqnr_db compressed_bytes parameters macs kept_float calibration types "
            "steps",
        ),
        ("latency", "median_ns low_ns high_ns p90_ns calls launches p90_mlperf_ns tainted over_time"),
        ("load", "first_ns"),
        ("memory", "definition baseline_bytes loaded_bytes steady_bytes peak_bytes retained_bytes mapped_bytes split"),
        ("accuracy", "metric value low high correct count top5 classes"),
        ("runtime", "name version delegate_used nodes_total nodes_delegated accelerator nodes_left"),
        ("runner", "kind version debuggable library_page_bytes"),
    ],
)
def test_parts_of_a_cell_have_their_public_keys(part: str, keys: str) -> None:
    assert list(show_json(host_run())["cells"][0][part]) == keys.split()


def test_the_json_has_its_public_keys_and_survives_json() -> None:
    shown = json.loads(json.dumps(show_json(host_run()), allow_nan=False))
    assert list(shown) == ["schema", "advice", "run", "cells", "parts"]
    assert tuple(shown["run"]) == RUN_KEYS
    assert {tuple(c) for c in shown["cells"]} == {tuple(CELL_KEYS.split())}
    assert shown["cells"][0]["conditions"][0].keys() == {"id", "summary", "detail"}
    assert shown["run"]["devices"][0]["key"] == "host"


def test_what_was_not_measured_is_null() -> None:
    cell = show_json(make_run(cells()[:1], ()))["cells"][0]
    assert cell["status"] == "pending"
    assert [cell[k] for k in ("artifact", "latency", "load", "memory", "accuracy", "runtime")] == [None] * 6
    assert cell["conditions"] == []
