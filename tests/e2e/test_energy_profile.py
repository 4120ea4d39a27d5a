"""The profile ``energy`` on scripted phones: a figure with its error, or a reason, and never 0."""

from __future__ import annotations

import pytest

from tests.conftest import CommandLine


def test_energy_is_shown_with_its_repeatability_or_a_reason(phonebench: CommandLine) -> None:
    devices = "fake,fake:charging,fake:no-counter"
    phonebench("run", "--device", devices, "--format", "onnx", "--variant", "fp32", "-p", "energy")
    shown = phonebench("show", "--json").json()
    cells = {cell["device"]: cell for cell in shown["cells"]}
    energy = cells["fake"]["energy"]
    # The scripted phone draws 3 W more while it calls.
    assert energy["joules"] == pytest.approx(3.0 * cells["fake"]["latency"]["median_ns"] / 1e9, rel=0.03)
    assert energy["low_joules"] < energy["joules"] < energy["high_joules"]
    assert energy["pairs"] == 6
    charging = cells["fake:charging"]
    assert charging["status"] == "ok"
    assert charging["energy"]["joules"] is None
    assert "the battery was charging" in charging["energy"]["reason"]
    assert [c["id"] for c in charging["conditions"] if c["id"] == "NO-ENERGY"] == ["NO-ENERGY"]
    assert cells["fake:no-counter"]["status"] == "unsupported"
    assert cells["fake:no-counter"]["reason"] == "no energy counter: this scripted phone has none"


def test_two_runs_on_one_phone_are_compared_and_quick_gives_no_joules(phonebench: CommandLine) -> None:
    runs = []
    for profile in ("energy", "energy", "quick"):
        done = phonebench("run", "-d", "fake", "-f", "onnx", "-v", "fp32", "-p", profile, "--json").json()
        runs.append(done["run"]["id"])
    assert "energy" not in done["cells"][0]
    same = phonebench("compare", runs[0], runs[1], "--json").json()
    assert [m["verdict"] for c in same["cells"] for m in c["metrics"] if m["metric"] == "energy"] == ["equivalent"]
