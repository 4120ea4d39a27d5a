"""The state of the host at one moment: load, memory, clocks, temperatures. A value is None if not reported."""

from __future__ import annotations

from pathlib import Path

from harness.runners.host.readings import ROOT, read_state
from harness.wire import StateSample


def sample_state(root: Path = ROOT) -> StateSample:
    """Read the state now. ``root`` is where ``proc`` and ``sys`` are; missing files raise nothing."""
    return StateSample(**read_state(root))
