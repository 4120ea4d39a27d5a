"""The tracer's file and the battery service's text, as values."""

from __future__ import annotations

import pytest

from harness.devices.android.energy.trace import parse_trace
from harness.devices.android.facts import parse_facts
from harness.devices.android.texts import parse_battery
from harness.devices.energy import why_no_energy
from tests.vphone.power import trace
from tests.vphone.state import PhoneState


def test_a_trace_is_read_with_its_rails_by_name_and_its_sum_grows_as_the_power_says() -> None:
    state = PhoneState(watts=lambda _: 2.0, battery_percent=50, plugged=False, charging=False)
    found = parse_trace(trace(state, 100.0, 110.0, 0.25))
    assert found.rail_names == ("VDD_CPU", "VSYS_DISPLAY")
    first, last = found.rails[0], found.rails[-1]
    passed_s = (last.at_ns - first.at_ns) / 1e9
    assert passed_s == pytest.approx(9.75)
    assert sum(last.microjoules) - sum(first.microjoules) == pytest.approx(2e6 * passed_s, rel=2e-3)
    # 20 J at 4.187 V are 1327 µAh.
    used = (found.battery[0].charge_uah or 0) - (found.battery[-1].charge_uah or 0)
    assert used == pytest.approx(19.5 / 4.187 / 3.6e-3, rel=0.01)


@pytest.mark.parametrize("data", [b"\x0b\x01", b"\x0a\xff", b"no trace at all"])
def test_what_is_no_trace_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_trace(data)


def test_an_empty_trace_has_no_counters() -> None:
    assert parse_trace(b"").rails == ()


def test_the_charge_and_the_voltage_of_the_battery_service() -> None:
    text = "  Charge counter: 2871000\n  voltage: 3874\n"
    assert (parse_battery(text).charge_uah, parse_battery(text).volts) == (2_871_000, 3.874)
    assert parse_battery("  Charge counter: -2147483648\n  voltage: 4\n").charge_uah is None
    assert parse_battery("  voltage: 4\n").volts == 4.0
    assert parse_battery("  (UPDATES STOPPED -- use 'reset' to restart)\n").forced is True


@pytest.mark.parametrize(
    ("text", "counts"),
    [("/system/bin/perfetto\n", True), ("  Charge counter: 2871000\n", True), ("  Charge counter: 0\n", False)],
)
def test_whether_a_phone_can_count_energy(text: str, counts: bool) -> None:
    info = parse_facts("1", f"@@energy\n{text}").info("android:1")
    assert (why_no_energy(info) is None) is counts
