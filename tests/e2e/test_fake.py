"""The real command line on scripted phones: what a user sees when all is well, and when a phone is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import CommandLine


def test_a_run_ends_with_a_table_a_report_and_json(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench("run", "--device", "fake")
    assert done.code == 0, done.err
    assert "report.html" in done.out
    assert "int8-dynamic" in done.out
    shown = phonebench("show", "--json").json()
    assert [c["status"] for c in shown["cells"]] == ["ok"] * 16
    assert len({c["key"] for c in shown["cells"]}) == 16
    html = next((tmp_path / "results").glob("*/report.html")).read_text()
    assert "SIMULATED" in html
    assert "http://" not in html.replace("http://www.w3.org/", "")


def test_json_goes_to_standard_output_and_progress_to_standard_error(phonebench: CommandLine) -> None:
    done = phonebench("run", "--device", "fake", "--format", "onnx", "--variant", "fp32,int8", "--json")
    cells = done.json()["cells"]
    assert [c["variant"] for c in cells] == ["fp32", "int8"]
    assert "measure 2/2" in done.err
    assert cells[0]["accuracy"] is None
    assert cells[0]["latency"]["calls"] >= 50


@pytest.mark.parametrize(
    ("device", "status", "code", "words"),
    [
        ("fake:crash", "failed", 5, "crash"),
        ("fake:hang", "failed", 5, "timeout"),
        ("fake:rubbish", "failed", 5, "reply"),
        ("fake:half-reply", "failed", 5, "reply"),
        ("fake:oom", "failed", 5, "oom"),
    ],
)
def test_a_phone_that_fails_is_a_record_with_a_reason(
    phonebench: CommandLine, tmp_path: Path, device: str, status: str, code: int, words: str
) -> None:
    done = phonebench("run", "--device", device, "--format", "onnx", "--variant", "fp32")
    assert done.code == code
    assert "Traceback" not in done.err
    cell = phonebench("show", "--json").json()["cells"][0]
    assert cell["status"] == status
    assert cell["reason"]
    stored = next((tmp_path / "results").glob("*/measurements.jsonl"))
    assert json.loads(stored.read_text())["failure"]["kind"] == words


@pytest.mark.parametrize(("device", "code"), [("fake:lost", 20), ("fake:full", 20)])
def test_the_cells_of_a_lost_phone_can_be_resumed(phonebench: CommandLine, device: str, code: int) -> None:
    done = phonebench("run", "--device", device, "--format", "onnx")
    assert done.code == code
    assert "--resume=" in done.err
    statuses = [c["status"] for c in phonebench("show", "--json").json()["cells"]]
    assert "pending" in statuses
    assert "failed" not in statuses


def test_a_fallback_is_shown_with_the_figures(phonebench: CommandLine) -> None:
    phonebench("run", "--device", "fake:fallback", "--format", "tflite", "--variant", "fp32")
    cell = phonebench("show", "--json").json()["cells"][0]
    assert cell["runtime"]["delegate_used"] == "cpu"
    assert "FALLBACK" in {c["id"] for c in cell["conditions"]}


def test_holes_are_results(phonebench: CommandLine) -> None:
    done = phonebench("run", "--device", "fake", "--format", "onnx,tflite", "--variant", "fp32", "--delegate", "gpu")
    assert done.code == 0
    cells = {c["format"]: c for c in phonebench("show", "--json").json()["cells"]}
    assert cells["tflite"]["status"] == "ok"
    assert cells["onnx"]["status"] == "unsupported"
    assert "gpu" in cells["onnx"]["reason"]


def test_several_launches_give_an_interval(phonebench: CommandLine) -> None:
    args = ("--format", "onnx", "--variant", "fp32", "--launches", "5")
    cell = phonebench("run", "--device", "fake", *args, "--json").json()["cells"][0]
    latency = cell["latency"]
    assert latency["launches"] == 5
    assert latency["low_ns"] < latency["median_ns"] < latency["high_ns"]
