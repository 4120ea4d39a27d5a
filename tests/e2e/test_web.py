"""The real command line with a real browser, beside the same files on this computer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.devices.web.conftest import chromium, store

__all__ = ["chromium", "store"]


@pytest.mark.usefixtures("store", "chromium")
def test_a_browser_stands_beside_the_computer(phonebench: CommandLine, tmp_path: Path) -> None:
    """One run on both is one table and one chart."""
    files = ("--format", "tflite,pte", "--variant", "fp32", "--launches", "1")
    done = phonebench("run", "digits", "--device", "host,web:chromium", *files, "--json")
    assert done.code == 0, done.err
    shown = done.json()
    by_place = {(cell["device"], cell["format"]): cell for cell in shown["cells"]}
    assert by_place["host", "tflite"]["status"] == by_place["web:chromium", "tflite"]["status"] == "ok"
    assert by_place["web:chromium", "pte"]["status"] == "unsupported"
    assert "ExecuTorch publishes no build for browsers" in by_place["web:chromium", "pte"]["reason"]
    web = by_place["web:chromium", "tflite"]
    assert (web["accuracy"]["correct"], web["accuracy"]["count"]) == (357, 360)
    assert "COARSE-CLOCK" in {condition["id"] for condition in web["conditions"]}
    assert [info["kind"] for info in shown["run"]["devices"]] == ["host", "web"]
    (page,) = (tmp_path / "results").glob("*/report.html")
    assert "The same files on each device" in page.read_text()


def test_without_a_browser_the_run_ends_before_anything_is_measured(phonebench: CommandLine, tmp_path: Path) -> None:
    done = phonebench("run", "digits", "-d", "web:chromium", "-f", "onnx", "-v", "fp32", env={"PATH": str(tmp_path)})
    assert done.code == 3
    assert "there is no browser 'chromium' in PATH; run: apt-get install chromium" in done.err


def test_what_browsers_cannot_run_is_a_hole_of_the_plan(phonebench: CommandLine) -> None:
    done = phonebench(
        "run", "digits", "-d", "web:chromium", "-v", "fp32", "--delegate", "gpu,cpu", "--dry-run", "--json"
    )
    plan = done.json()
    assert [(cell["format"], cell["delegate"]) for cell in plan["cells"]] == [
        ("tflite", "gpu"),
        ("onnx", "gpu"),
        ("onnx", "cpu"),
    ]
    reasons = {hole["reason"] for hole in plan["holes"]}
    assert "tflite has no delegate 'cpu' on device 'web:chromium' (it has: xnnpack, gpu)" in reasons
