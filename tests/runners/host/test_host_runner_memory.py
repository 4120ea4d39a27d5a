"""The memory pass on a simulated process, and the reading of a simulated /proc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.runners.host.memory import LinuxProbe, Meter
from harness.wire import MemoryMoment, MemoryPass, MemorySplit, RuntimeReport, TensorSpec
from harness.wire.tensors import Array

STATUS = """Name:\tpython
VmHWM:\t    5000 kB
VmRSS:\t    4000 kB
RssAnon:\t    1000 kB
RssFile:\t    3000 kB
VmSwap:\t      24 kB
"""


class Process:
    """A probe whose owned memory follows a list."""

    definition = "made up"

    def __init__(self, *owned: int, resets: bool = True) -> None:
        self._owned, self._resets, self._mapped = iter(owned), resets, 1000

    def owned_bytes(self) -> int:
        return next(self._owned)

    def mapped_bytes(self) -> int | None:
        self._mapped += 20
        return self._mapped

    def split(self, at: MemoryMoment) -> MemorySplit | None:
        return None if at is MemoryMoment.LOADED else MemorySplit(at=at, file_bytes=self._mapped)

    def reset_peak(self) -> bool:
        return self._resets

    def growth_bytes(self) -> int:
        return 70


class Idle:
    """A session that only counts calls."""

    def __init__(self) -> None:
        self.calls, self.closed = 0, False

    def inputs(self) -> tuple[TensorSpec, ...] | None:
        return None

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        assert not arrays

    def invoke(self) -> None:
        self.calls += 1

    def outputs(self) -> tuple[Array, ...]:
        return (np.zeros(1),)

    def report(self) -> RuntimeReport:
        raise AssertionError

    def close(self) -> None:
        self.closed = True


def test_the_five_readings_are_taken_in_their_order() -> None:
    meter, session = Meter.start(Process(100, 150, 160, 190, 170, 110)), Idle()
    meter.loaded()
    reading = meter.finish(session, MemoryPass(calls=3))
    assert (reading.baseline_bytes, reading.loaded_bytes, reading.steady_bytes) == (100, 150, 170)
    # The peak grew by 70, but the process owned 190 between two calls.
    assert (reading.peak_bytes, reading.retained_bytes, reading.definition) == (190, 110, "made up")
    assert (session.calls, session.closed, reading.mapped_bytes) == (3, True, 40)
    assert [(one.at.value, one.file_bytes) for one in reading.split] == [
        ("baseline", 1020), ("steady", 1080), ("retained", 1080),
    ]  # fmt: skip


def test_without_a_reset_the_peak_is_not_measured() -> None:
    meter = Meter.start(Process(100, 150, 160, 110, resets=False))
    meter.loaded()
    assert meter.finish(Idle(), MemoryPass(calls=1)).peak_bytes is None


def test_linux_reads_owned_memory_and_the_growth_of_the_peak(tmp_path: Path) -> None:
    status, clear = tmp_path / "status", tmp_path / "clear_refs"
    status.write_text(STATUS)
    probe = LinuxProbe(status, clear)
    assert probe.owned_bytes() == 1024 * 1024
    assert probe.mapped_bytes() == 3000 * 1024
    assert probe.reset_peak()
    assert clear.read_text() == "5"
    status.write_text(STATUS.replace("5000", "6500"))
    assert probe.growth_bytes() == 2500 * 1024


def test_linux_splits_what_is_resident_and_says_what_it_does_not_know(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(STATUS)
    probe = LinuxProbe(status, tmp_path / "clear_refs")
    known = MemorySplit(
        at=MemoryMoment.STEADY, anonymous_bytes=1000 * 1024, file_bytes=3000 * 1024, swap_bytes=24 * 1024
    )
    assert probe.split(MemoryMoment.STEADY) == known
    (tmp_path / "smaps_rollup").write_text(
        "0-f ---p 0 00:00 0 [rollup]\nRss:  4000 kB\nPss:   2500 kB\nPss_Anon: 9 kB\n"
    )
    assert probe.split(MemoryMoment.STEADY) == replace(known, pss_bytes=2500 * 1024)


def test_a_kernel_that_refuses_the_reset_is_believed(tmp_path: Path) -> None:
    (tmp_path / "status").write_text(STATUS)
    assert not LinuxProbe(tmp_path / "status", tmp_path / "no folder" / "clear_refs").reset_peak()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_real_probe_sees_memory_come_and_go() -> None:
    probe = LinuxProbe()
    before = probe.owned_bytes()
    held = np.ones(8 * 2**20)
    assert probe.owned_bytes() - before > 0.9 * held.nbytes
    del held
    assert probe.owned_bytes() - before < 32 * 2**20
