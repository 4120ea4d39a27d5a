"""The state of this machine that the gate checks."""

from __future__ import annotations

from harness.devices.host.probe import host_readiness
from harness.runners.host.readings import PROBES, probe_ns


def test_the_probe_is_the_least_of_its_pieces() -> None:
    ticks = iter([0, 50, 100, 130, 200, 290, 300, 340, 400, 470])
    assert probe_ns(lambda: next(ticks)) == 30
    assert PROBES == 5


def test_this_machine_tells_its_speed_and_its_load() -> None:
    found = host_readiness()
    assert (found.probe_ns or 0) > 0
    assert found.busy is not None
    assert 0 <= found.busy <= 1
