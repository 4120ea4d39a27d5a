"""Which process is the page's: the one that computes while the worker does, whatever else a browser runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.devices.web.memory import RendererMeter, computed_s

MIB = 1 << 20


def process(proc: Path, pid: int, *, ticks: int, anonymous_kib: int) -> None:
    """Write what the kernel reports of a process, whose name has spaces and a bracket."""
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    after = ["S", *["0"] * 10, str(ticks - 1), "1", *["0"] * 30]
    (folder / "stat").write_text(f"{pid} (chromium) type) {' '.join(after)}\n")
    (folder / "status").write_text(f"RssAnon:\t{anonymous_kib} kB\nVmSwap:\t0 kB\nVmRSS:\t1 kB\nVmHWM:\t1 kB\n")


@pytest.fixture
def meter(tmp_path: Path) -> RendererMeter:
    for pid in (11, 12):
        process(tmp_path, pid, ticks=5000 * pid, anonymous_kib=pid * 1024)
    return RendererMeter(candidates=lambda: (11, 12), proc=tmp_path)


def test_time_of_a_process_is_that_of_all_its_threads(tmp_path: Path) -> None:
    process(tmp_path, 7, ticks=1234, anonymous_kib=1)
    assert computed_s(tmp_path / "7") == pytest.approx(12.34)
    assert computed_s(tmp_path / "8") == 0


def test_the_process_that_computes_is_the_one_that_is_read(meter: RendererMeter, tmp_path: Path) -> None:
    assert meter.look("") == b"false"
    process(tmp_path, 11, ticks=55_004, anonymous_kib=11 * 1024)
    assert meter.look("") == b"false"
    # The other one has computed more in all, but not since.
    process(tmp_path, 11, ticks=55_015, anonymous_kib=11 * 1024)
    assert meter.look("") == b"true"
    for moment, size in (("baseline", 11), ("loaded", 20), ("steady", 19), ("steady", 21), ("steady", 22)):
        process(tmp_path, 11, ticks=56_000, anonymous_kib=size * 1024)
        assert meter.read(moment) == b"null"
    reading = json.loads(meter.read("retained"))
    named = [reading[f"{name}_bytes"] // MIB for name in ("baseline", "loaded", "steady", "retained")]
    assert named == [11, 20, 21, 22]


def test_without_processes_there_is_no_reading(tmp_path: Path) -> None:
    meter = RendererMeter(candidates=lambda: (), proc=tmp_path)
    assert meter.look("") == b"true"
    assert meter.read("baseline") == b"null"
