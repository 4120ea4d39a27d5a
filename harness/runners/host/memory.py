"""The memory pass: what the process owns before the load, with the model loaded, in use, at its peak, and released.

The main figure on Linux is RssAnon + VmSwap: memory that the process owns and that the system cannot simply drop.
Weights that a runtime maps from the file are not part of it, as the definition next to every reading says.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.wire import MemoryMoment, MemoryPass, MemoryReading, MemorySplit

STATUS = Path("/proc/self/status")
# Writing 5 to it resets VmHWM, the peak of resident memory (man 5 proc).
CLEAR_REFS = Path("/proc/self/clear_refs")

# The definitions are stored with the readings, and readings with different definitions are never compared: changing a
# word here makes all earlier results incomparable.
LINUX_DEFINITION = (
    "owned memory of the runner process: RssAnon + VmSwap of /proc/self/status, in bytes; pages mapped from files "
    "(weights mapped from the artifact among them) and memory of accelerators are not in it. Baseline: after the "
    "runtime's import, before the load, once the heap's free pages are given back (malloc_trim, with glibc). Loaded: "
    "right after the load. Steady: median between the calls of the memory pass. Retained: after release, garbage "
    "collection, malloc_trim and the settling time. Peak: baseline plus the growth of VmHWM over VmRSS since it was "
    "reset at the baseline, until the end of the pass, file pages included; null where the kernel refuses the reset. "
    "Mapped, apart: the growth of RssFile from the baseline to the steady state."
)
OTHER_DEFINITION = (
    "unique set size (USS) of the runner process as psutil tells it, in bytes. Baseline: after the runtime's import, "
    "before the load. Loaded: right after the load. Steady: median between the calls of the memory pass. Retained: "
    "after release, garbage collection and the settling time. Peak: not measured on this system, null."
)


class MemoryProbe(Protocol):
    """A way to read the memory of this process."""

    definition: str

    def owned_bytes(self) -> int: ...

    def mapped_bytes(self) -> int | None:
        """Return the bytes of pages mapped from files that are resident now, or None if not reported."""

    def split(self, at: MemoryMoment) -> MemorySplit | None:
        """Return what the memory consists of now, or None if not reported."""

    def reset_peak(self) -> bool:
        """Forget the peak so far. Returns False if that is not possible."""

    def growth_bytes(self) -> int:
        """Return by how much the peak exceeds what was resident at the reset."""


class Call(Protocol):
    """What the memory pass calls between its readings: a session, or one generation of a language model."""

    def invoke(self) -> None: ...

    def close(self) -> None: ...


class LinuxProbe:
    """Reads ``/proc/self``. The two paths are parameters so that a test can supply files of its own.

    ``smaps_rollup`` is next to ``status``; kernels before 4.14 do not have it.
    """

    definition = LINUX_DEFINITION

    def __init__(self, status: Path = STATUS, clear_refs: Path = CLEAR_REFS) -> None:
        self._status, self._clear_refs = status, clear_refs
        self._resident = 0

    def owned_bytes(self) -> int:
        return self._field("RssAnon") + self._field("VmSwap")

    def mapped_bytes(self) -> int | None:
        return _proc_field(self._status, "RssFile")

    def split(self, at: MemoryMoment) -> MemorySplit | None:
        return MemorySplit(
            at=at,
            anonymous_bytes=_proc_field(self._status, "RssAnon"),
            file_bytes=_proc_field(self._status, "RssFile"),
            shared_bytes=_proc_field(self._status, "RssShmem"),
            swap_bytes=_proc_field(self._status, "VmSwap"),
            pss_bytes=_proc_field(self._status.with_name("smaps_rollup"), "Pss"),
        )

    def reset_peak(self) -> bool:
        try:
            self._clear_refs.write_text("5", encoding="ascii")
        except OSError:
            return False
        self._resident = self._field("VmRSS")
        return True

    def growth_bytes(self) -> int:
        return max(0, self._field("VmHWM") - self._resident)

    def _field(self, name: str) -> int:
        return _proc_field(self._status, name) or 0


def _proc_field(path: Path, name: str) -> int | None:
    """Return the field ``name`` of a file in /proc in bytes, or None if the kernel does not have it."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == name:
            # What the kernel calls kB is 1024 bytes.
            return int(value.split()[0]) * 1024
    return None


class PsutilProbe:
    """Reads the unique set size with psutil, for systems other than Linux."""

    definition = OTHER_DEFINITION

    def owned_bytes(self) -> int:
        import psutil

        return int(psutil.Process().memory_full_info().uss)

    def mapped_bytes(self) -> int | None:
        return None

    def split(self, at: MemoryMoment) -> MemorySplit | None:  # noqa: ARG002  a `MemoryProbe`
        return None

    def reset_peak(self) -> bool:
        return False

    def growth_bytes(self) -> int:
        return 0


@dataclass(slots=True)
class Meter:
    """The readings so far. `start` takes the baseline; call `loaded` as soon as the model is loaded."""

    probe: MemoryProbe
    baseline_bytes: int
    has_peak: bool
    mapped_baseline_bytes: int | None = None
    loaded_bytes: int = 0
    splits: list[MemorySplit] = field(default_factory=list)

    @classmethod
    def start(cls, probe: MemoryProbe | None = None) -> Meter:
        """Take the baseline, with the runtime imported and nothing loaded."""
        probe = probe or (LinuxProbe() if sys.platform == "linux" else PsutilProbe())
        _give_back()
        baseline = probe.owned_bytes()
        mapped = probe.mapped_bytes()
        meter = cls(probe=probe, baseline_bytes=baseline, has_peak=False, mapped_baseline_bytes=mapped)
        meter._split(MemoryMoment.BASELINE)
        meter.has_peak = probe.reset_peak()
        return meter

    def loaded(self) -> None:
        """Read the memory right after the load."""
        self.loaded_bytes = self.probe.owned_bytes()
        self._split(MemoryMoment.LOADED)

    def finish(self, session: Call, request: MemoryPass) -> MemoryReading:
        """Run the calls of the pass, release ``session``, and return all readings in bytes."""
        steady, mapped = [], []
        for _ in range(max(1, request.calls)):
            session.invoke()
            steady.append(self.probe.owned_bytes())
            mapped.append(self.probe.mapped_bytes())
        peak = self.baseline_bytes + self.probe.growth_bytes() if self.has_peak else None
        if peak is not None:
            # Where the system drops pages of files, resident memory grows by less than what the process owns.
            peak = max(peak, self.baseline_bytes, self.loaded_bytes, *steady)
        self._split(MemoryMoment.STEADY)
        session.close()
        _give_back()
        time.sleep(request.settle_ns / 1e9)
        retained = self.probe.owned_bytes()
        self._split(MemoryMoment.RETAINED)
        return MemoryReading(
            definition=self.probe.definition,
            baseline_bytes=self.baseline_bytes,
            loaded_bytes=self.loaded_bytes,
            steady_bytes=int(statistics.median(steady)),
            peak_bytes=peak,
            retained_bytes=retained,
            mapped_bytes=_growth(mapped, self.mapped_baseline_bytes),
            split=tuple(self.splits),
        )

    def _split(self, at: MemoryMoment) -> None:
        split = self.probe.split(at)
        if split is not None:
            self.splits.append(split)


def _growth(readings: list[int | None], baseline: int | None) -> int | None:
    reported = [reading for reading in readings if reading is not None]
    return int(statistics.median(reported)) - baseline if reported and baseline is not None else None


def _give_back() -> None:
    """Collect garbage and return free heap pages to the system.

    Without this, a small load could reuse pages that the imports left free, and would not show.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
