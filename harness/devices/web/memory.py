"""Memory of the process that runs the page, read from outside at the moments that the worker names."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.runners.host.memory import LinuxProbe
from harness.wire import MemoryMoment, MemoryReading, MemorySplit

# Stored with the readings: changing a word makes all earlier results incomparable.
DEFINITION = (
    "owned memory of the browser's renderer process of the page: RssAnon + VmSwap of /proc/PID/status, in bytes; pages "
    "mapped from files, the browser's other processes and memory of a GPU are not in it. Baseline: the runtime has "
    "started and compiled its WebAssembly, the artifact is not in it. Loaded: right after the load. Steady: median "
    "between the calls of the memory pass. Retained: after release, garbage collection and the settling time; the "
    "memory of WebAssembly never shrinks, so it includes what the model took there. Peak: baseline plus the growth of "
    "VmHWM over VmRSS since it was reset at the baseline, until the last call, file pages included, and no reading "
    "above it; null where the system refuses the reset, as it does for a browser with a sandbox."
)

# So much work between two looks is the worker's: ten ticks of the clock that the kernel counts it in.
CLEAR_S = 0.1


@dataclass(slots=True, kw_only=True)
class RendererMeter:
    """The readings of one launch. ``candidates`` returns the processes of which one runs the page, empty if unknown.

    The worker computes for a moment between `look` and the first reading, and that shows which one is the page's: a
    browser lists the renderers of its other pages and of those in reserve too, but not which page each has.
    """

    candidates: Callable[[], Sequence[int]]
    proc: Path = Path("/proc")
    owned: dict[MemoryMoment, list[int]] = field(default_factory=dict)
    splits: list[MemorySplit] = field(default_factory=list)
    peak_bytes: int | None = None
    _before: dict[int, float] = field(default_factory=dict)
    _probe: LinuxProbe | None = None
    _has_peak: bool = False

    def look(self, _: str) -> bytes:
        """Note how much each process has computed; return as JSON whether that shows by now which one is the page's."""
        if not self._before:
            pids = self.candidates() if sys.platform == "linux" else ()
            self._before = {pid: computed_s(self.proc / str(pid)) for pid in pids}
            return b"false" if self._before else b"true"
        busiest, *others = sorted(self._worked().values(), reverse=True)
        return b"true" if busiest >= CLEAR_S and busiest >= 2 * max(others, default=0.0) else b"false"

    def read(self, moment: str) -> bytes:
        """Take the reading of ``moment`` and return the record so far as JSON, null until the last moment."""
        at = MemoryMoment(moment)
        if at is MemoryMoment.BASELINE:
            self._probe = self._busiest()
        if self._probe is None:
            return b"null"
        self.owned.setdefault(at, []).append(self._probe.owned_bytes())
        if at is MemoryMoment.BASELINE:
            self._has_peak = self._probe.reset_peak()
        elif at is MemoryMoment.STEADY and self._has_peak:
            self.peak_bytes = self.owned[MemoryMoment.BASELINE][0] + self._probe.growth_bytes()
        if at is not MemoryMoment.STEADY or len(self.owned[at]) == 1:
            split = self._probe.split(at)
            if split is not None:
                self.splits.append(split)
        return msgspec.json.encode(self._record()) if at is MemoryMoment.RETAINED else b"null"

    def _worked(self) -> dict[int, float]:
        return {pid: computed_s(self.proc / str(pid)) - before for pid, before in self._before.items()}

    def _busiest(self) -> LinuxProbe | None:
        """Return the probe of the process that has computed most since the first look, None if there is none."""
        worked = self._worked()
        if not worked:
            return None
        folder = self.proc / str(max(worked, key=lambda pid: worked[pid]))
        return LinuxProbe(folder / "status", folder / "clear_refs")

    def _record(self) -> MemoryReading:
        middle = {moment: int(statistics.median(values)) for moment, values in self.owned.items()}
        owned_in_use = (middle[moment] for moment in MemoryMoment if moment is not MemoryMoment.RETAINED)
        return MemoryReading(
            definition=DEFINITION,
            baseline_bytes=middle[MemoryMoment.BASELINE],
            loaded_bytes=middle[MemoryMoment.LOADED],
            steady_bytes=middle[MemoryMoment.STEADY],
            # Where the system drops file pages meanwhile, what is resident grows by less than what is owned.
            peak_bytes=None if self.peak_bytes is None else max(self.peak_bytes, *owned_in_use),
            retained_bytes=middle[MemoryMoment.RETAINED],
            split=tuple(self.splits),
        )


def computed_s(process: Path) -> float:
    """Return the processor time of a process in s, with that of ended threads; 0 if it is gone.

    The fields are ``utime`` and ``stime`` of ``stat`` (man 5 proc), in ticks of usually 10 ms.
    """
    try:
        fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
