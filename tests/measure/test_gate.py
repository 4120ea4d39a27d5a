"""When a launch may begin, and when what came of it counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.devices.fake.fake import FakePhone
from harness.errors import DeviceError
from harness.measure.gate import COMPUTER, PHONE, Gate, why_discard, why_refuse, why_wait
from harness.records.device import Readiness
from harness.records.measurement import GateFacts, GateOutcome
from harness.spec.profiles import PROFILES, ProfileName
from harness.wire import StateSample

COOL = Readiness(
    thermal_status="none", battery_c=28.0, battery_percent=80, charging=False, power_save=False, probe_ns=100
)
STANDARD = PROFILES[ProfileName.STANDARD]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"thermal_status": "light"}, "thermal status is light"),
        ({"battery_c": 35.5}, "battery is at 35.5 °C; the limit is 35 °C"),
        ({"battery_percent": 29.0}, "at 29.0 %"),
        ({"power_save": True}, "power saving is on"),
        ({"probe_ns": 106}, "1.06 times its best"),
        ({"probe_ns": 105}, None),
        ({"battery_c": 29.6}, "it was at 28.0 °C before the first launch"),
        ({"charging": True}, "charging"),
        ({"governor": "performance"}, "governor"),
    ],
)
def test_a_phone_waits_until_it_is_as_at_the_first_launch(changes: dict[str, Any], words: str | None) -> None:
    reasons = why_wait(replace(COOL, **changes), COOL, 100, PHONE)
    assert (words in " ".join(reasons)) if words else reasons == ()


@pytest.mark.parametrize(
    ("now", "waits"),
    [
        (Readiness(busy=0.9), True),
        (Readiness(busy=0.5), False),
        (Readiness(hottest_c=90.0), True),
        (Readiness(probe_ns=112), False),
        (Readiness(probe_ns=120), True),
        (Readiness(), False),
    ],
)
def test_a_computer_waits_for_other_work_and_heat(now: Readiness, waits: bool) -> None:
    assert bool(why_wait(now, None, 100, COMPUTER)) is waits


@pytest.mark.parametrize(
    ("changes", "refused"),
    [({}, False), ({"battery_c": 36.9}, False), ({"battery_c": 37.1}, True), ({"battery_percent": 24.0}, True)],
)
def test_some_states_are_refused(changes: dict[str, Any], refused: bool) -> None:
    assert (why_refuse(replace(COOL, **changes), PHONE) is not None) is refused


@pytest.mark.parametrize(
    ("after", "watch", "words"),
    [
        ({}, [], None),
        ({"probe_ns": 111}, [], "1.11 times"),
        ({"foreground": "mail"}, [], "another app"),
        ({"charging": True}, [], "charging started or stopped"),
        ({"screen": "off"}, [], "screen"),
        ({"thermal_status": "moderate"}, [], "rose to moderate"),
        ({}, ["none", "severe", "none"], "rose to severe"),
    ],
)
def test_what_happens_during_a_launch_discards_it(after: dict[str, Any], watch: list[str], words: str | None) -> None:
    gate = GateFacts(outcome=GateOutcome.OPEN, waited_s=0, before=COOL, after=replace(COOL, **after), best_probe_ns=100)
    reasons = why_discard(gate, [StateSample(at_ns=0, thermal_status=status) for status in watch], PHONE)
    assert (words in " ".join(reasons)) if words else reasons == ()


def test_a_warm_phone_is_waited_for_until_it_is_cool() -> None:
    facts = Gate(FakePhone("fake:hot")).wait(STANDARD)
    assert facts.outcome is GateOutcome.OPEN
    assert facts.waited_s == 20
    assert facts.before is not None
    assert (facts.before.battery_c or 99) <= 35


def test_a_cool_phone_waits_ten_seconds_between_launches() -> None:
    gate = Gate(FakePhone())
    assert [gate.wait(STANDARD).waited_s for _ in range(3)] == [0, 10, 10]


def test_a_phone_with_an_empty_battery_is_not_measured() -> None:
    with pytest.raises(DeviceError, match="charge the device"):
        Gate(FakePhone("fake:low-battery")).wait(STANDARD)


@pytest.mark.parametrize(("name", "waited_s"), [(ProfileName.QUICK, 10), (ProfileName.MLPERF, 300)])
def test_profiles_without_a_gate_pause(name: ProfileName, waited_s: int) -> None:
    gate = Gate(FakePhone())
    found = [gate.wait(PROFILES[name]) for _ in range(2)]
    assert [(f.outcome, f.waited_s) for f in found] == [(GateOutcome.NONE, 0), (GateOutcome.NONE, waited_s)]


@pytest.mark.parametrize("name", [ProfileName.QUICK, ProfileName.STANDARD])
def test_the_pause_before_a_launch_that_ran_nothing_counts_for_the_next(name: ProfileName) -> None:
    gate, waited = Gate(FakePhone()), []
    for idle in (True, False, True, True, False, False):
        waited.append(gate.wait(PROFILES[name]).waited_s)
        if idle:
            gate.idled()
    assert waited == [0, 0, 10, 0, 0, 10]


def test_work_of_others_that_does_not_end_is_waited_for_less_and_less() -> None:
    device = BusyComputer()
    gate = Gate(device)
    assert [gate.wait(STANDARD).waited_s for _ in range(4)] == [15, 4, 1, 1]


class BusyComputer(FakePhone):
    """A scripted device that behaves like a computer on which something else always runs."""

    @property
    def passively_cooled(self) -> bool:
        return False

    def readiness(self) -> Readiness:
        return Readiness(busy=1.0)


class WarmPhone(FakePhone):
    """A phone whose battery loses a tenth of a degree per second of rest, by a clock of its own."""

    def __init__(self, battery_c: float) -> None:
        super().__init__()
        self.battery_c, self.clock_s = battery_c, 0.0

    def readiness(self) -> Readiness:
        return replace(COOL, battery_c=round(self.battery_c, 1))

    def rest(self, seconds: float) -> None:
        self.clock_s += seconds
        self.battery_c -= seconds / 10


def test_a_wait_for_a_cool_phone_says_every_half_minute_how_warm_it_is_and_may_be(
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone = WarmPhone(42.0)
    gate = Gate(phone, clock=lambda: phone.clock_s)
    assert gate.wait(STANDARD).waited_s == 70
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert found == [
        f"waiting for {phone.info.key}: battery is at {celsius} °C; the limit is 35 °C; {after} s so far, at most 300 s"
        for celsius, after in ((39.0, 30), (36.0, 60))
    ]


def test_a_wait_for_another_reason_says_the_temperature_too(caplog: pytest.LogCaptureFixture) -> None:
    class SavesPower(WarmPhone):
        def readiness(self) -> Readiness:
            return replace(super().readiness(), power_save=self.clock_s < 40)

    phone = SavesPower(33.0)
    Gate(phone, clock=lambda: phone.clock_s).wait(STANDARD)
    assert "power saving is on (battery at 30 °C); 30 s so far" in caplog.text


def test_the_best_probe_is_kept_until_it_is_given_up() -> None:
    gate = Gate(FakePhone(), best_probe_ns=9_900_000)
    gate.wait(STANDARD)
    assert gate.best_probe_ns == 9_900_000
    gate.forget_probe()
    gate.wait(STANDARD)
    assert gate.best_probe_ns == 10_000_000
