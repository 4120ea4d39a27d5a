"""The devices of a night: what they cost, who goes into quarantine and who comes back, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cli.night_files import night_code
from harness.errors import UsageError
from harness.plan.cells import Cell, Plan, make_cell
from harness.records.measurement import CellStatus, GateFacts, GateOutcome, LaunchSummary, Measurement
from harness.spec.profiles import ProfileName
from harness.store.records import RunRecord
from harness.wire import Delegate, Format
from harness.workflows.nightly.device_words import device_lines, usage_rows
from harness.workflows.nightly.files import markdown
from harness.workflows.nightly.night import NightOptions, nightly
from harness.workflows.nightly.page import night_page
from harness.workflows.nightly.quarantine import PAUSES, Fared, kept_out, next_health
from harness.workflows.nightly.record import (
    Absent,
    Carried,
    Compared,
    DeviceHealth,
    NightRecord,
    SeriesNight,
    State,
)
from harness.workflows.nightly.usage import usage_of
from tests.report.builders import host_run
from tests.workflows.nightly.conftest import SPEC, Farm

DEVICES = ("android:AAA", "android:BBB", "android:CCC", "android:DDD")


def bad(device: str, reason: str = "") -> Fared:
    return Fared(device=device, cells=4, missing=3, reason=reason or f"phone {device} is offline")


def good(device: str) -> Fared:
    return Fared(device=device, cells=4, missing=1, reason="a bad cable")


def record(night: str, devices: tuple[DeviceHealth, ...] = (), **facts: object) -> NightRecord:
    blank = NightRecord(
        id=night,
        created_at="2026-01-01T01:00:00Z",
        spec=replace(SPEC, device=DEVICES),
        history="h",
        taken_over=Carried(devices=devices),
    )
    return replace(blank, **facts)  # type: ignore[arg-type]


def play(outcomes: str, device: str = DEVICES[0]) -> str:
    """Play nights of one device that would go as ``outcomes`` say (``+`` or ``-``); ``.`` stands for kept out."""
    health: tuple[DeviceHealth, ...] = ()
    played = ""
    for number, outcome in enumerate(outcomes):
        out = tuple(absent.device for absent in kept_out(DEVICES, health, ()))
        night = record(f"n{number}", health, kept_out=out)
        fared = [good(other) for other in DEVICES[1:]] + [good(device) if outcome == "+" else bad(device)]
        health = next_health(night, fared)
        played += "." if device in out else outcome
    return played


def test_three_bad_nights_in_a_row_and_the_pause_doubles_with_each_try_in_vain() -> None:
    assert play("-" * 25) == "---" + "." + "-" + ".." + "-" + "...." + "-" + "........" + "-" + "..." + ""
    assert PAUSES == (1, 2, 4, 8)


def test_a_good_night_ends_the_count_and_the_quarantine() -> None:
    assert play("--+--+--+") == "--+--+--+"
    # Out for a night, tried, fine again; from then on it takes three bad nights again.
    assert play("---" + "x" + "+" + "--" + "+") == "---" + "." + "+" + "--" + "+"


def test_a_device_that_measures_half_of_its_cells_has_not_failed() -> None:
    assert not Fared(device="a", cells=4, missing=2).failed
    assert Fared(device="a", cells=4, missing=3).failed
    assert not Fared(device="a", cells=0, missing=0).failed


RESTING = tuple(
    DeviceHealth(device=device, failed=3, reason="offline", since="n1", wait=1) for device in (DEVICES[0], "android:X")
)


def test_only_devices_of_the_night_are_kept_out_and_never_all_of_them() -> None:
    (out,) = kept_out(DEVICES, RESTING, ())
    assert out.device == DEVICES[0]
    assert "in quarantine since night n1, because it failed 3 nights in a row (offline)" in out.reason
    assert "tried again the next night, or at once with --readmit android:AAA" in out.reason
    assert kept_out(DEVICES, RESTING, DEVICES[:1]) == ()
    assert kept_out(DEVICES[:1], RESTING, ()) == ()
    # A device that the night does not have keeps what is known of it.
    after = next_health(record("n2", RESTING, kept_out=DEVICES[:1]), [bad(DEVICES[0]), good(DEVICES[1])])
    assert [(h.device, h.wait) for h in after] == [(DEVICES[0], 0), ("android:X", 1)]


@pytest.mark.parametrize(
    ("reasons", "blamed"),
    [
        # Each with its own name in it, and otherwise the same.
        ([f"no adb server for {device}" for device in DEVICES[:3]], 0),
        ([f"no adb server for {device.partition(':')[2]}" for device in DEVICES], 0),
        # Two of four are not most of them.
        ([f"no adb server for {device}" for device in DEVICES[:2]], 2),
        (["hot", "offline", "full"], 3),
        (["hot"], 1),
    ],
)
def test_a_cause_that_most_devices_share_is_no_devices_own(reasons: list[str], blamed: int) -> None:
    fared = [bad(device, reason) for device, reason in zip(DEVICES, reasons, strict=False)]
    fared += [good(device) for device in DEVICES[len(reasons) :]]
    assert len(next_health(record("n1"), fared)) == blamed


def test_a_common_cause_neither_counts_nor_forgives() -> None:
    before = (DeviceHealth(device=DEVICES[0], failed=2, reason="hot"),)
    fared = [bad(device, "no adb server") for device in DEVICES]
    assert next_health(record("n3", before), fared) == before


def test_the_summary_says_who_goes_who_comes_back_and_names_a_common_cause_once() -> None:
    gone = DeviceHealth(device=DEVICES[1], failed=3, reason="hot", since="n5", wait=1)
    night = record(
        "n5",
        RESTING[:1],
        absent=tuple(Absent(device=device, reason=f"{device} has no adb server") for device in DEVICES[2:]),
        handed_on=Carried(devices=(gone,)),
        series=(),
    )
    lines = device_lines(night)
    assert lines[0] == (
        "2 devices were absent for the same reason (android:CCC, android:DDD): android:CCC has no adb server."
    )
    assert "Device android:BBB has been in quarantine since night n5" in lines[1]
    # Kept out of the next night, and tried in the one after it.
    assert "it is tried again in 2 nights, or at once with --readmit android:BBB" in lines[1]
    assert lines[2] == "Device android:AAA measured again: its quarantine is over."
    assert all(line in markdown(night) for line in lines)
    assert "its quarantine is over" in night_page(night)


def test_cells_of_a_device_in_quarantine_make_no_night_incomplete() -> None:
    def missing(device: str) -> SeriesNight:
        return SeriesNight(
            series=f"{device}/latency", cell=device, metric="latency", state=State.INCOMPLETE, device=device
        )

    night = record("n5", kept_out=DEVICES[:1], series=(missing(DEVICES[0]),))
    assert night_code(night, fail_on_undecided=False) == 0
    both = replace(night, series=(missing(DEVICES[0]), missing(DEVICES[1])))
    assert night_code(both, fail_on_undecided=False) == 20
    # Nights of earlier versions do not name the device.
    assert night_code(replace(night, series=(replace(missing(DEVICES[0]), device=""),)), fail_on_undecided=False) == 20


def cell(device: str, variant: str) -> Cell:
    return make_cell("digits", variant, Format.ONNX, Delegate.CPU, 1, device, ProfileName.STANDARD)


def measured(cell_: Cell, start: int, end: int, cooling_s: float = 0.0) -> Measurement:
    """A measurement from second ``start`` to ``end`` after one o'clock."""
    gate = GateFacts(outcome=GateOutcome.OPEN, waited_s=cooling_s)
    launch = LaunchSummary(
        index=0, reply_sha256="", median_ns=1, calls=1, first_ns=1, load_ns=1, steady_state="steady", gate=gate
    )
    return Measurement(cell=cell_.key, status=CellStatus.OK, started_at=at(start), ended_at=at(end), launches=(launch,))


def at(second: int) -> str:
    return f"2026-01-01T01:{second // 60:02d}:{second % 60:02d}.000Z"


def run_of(*measurements: Measurement, cells: tuple[Cell, ...]) -> RunRecord:
    run = host_run()
    return replace(run, head=replace(run.head, plan=Plan(cells=cells, holes=())), measurements=measurements)


def test_the_cost_of_a_night_counted_by_hand() -> None:
    a1, a2, b1, never = cell("a", "fp32"), cell("a", "int8"), cell("b", "fp32"), cell("b", "int8")
    run = run_of(
        measured(a1, 0, 100, cooling_s=30),
        measured(b1, 10, 60),
        measured(a2, 120, 200, cooling_s=5),
        measured(never, 70, 70),
        cells=(a1, a2, b1, never),
    )
    again = run_of(measured(b1, 1000, 1040), cells=(b1,))
    compared = [Compared(device="a", started_at=at(1050), ended_at=at(1110))]
    a, b = usage_of([run, again], compared)
    # Device a: 100 + 80 + 60. Its cells waited 0 and 120. Any device was busy for 100 + 80 + 40 + 60.
    assert (a.device, a.cells, a.busy_s, a.cooling_s, a.queued_s, a.active_s) == ("a", 2, 240, 35, 60, 280)
    # Device b: 50 + 40, after 10 in the first run and 0 in the second one.
    assert (b.device, b.cells, b.busy_s, b.cooling_s, b.queued_s, b.active_s) == ("b", 2, 90, 0, 5, 280)
    assert a.utilisation == pytest.approx(240 / 280)
    assert usage_rows([a]) == [("a", "2", "4.0 min", "0.6 min", "1.0 min", "86\u202f%")]
    night = record("n1", usage=(a, b), series=())
    assert "Cost: 5.5 min on 2 devices, which were busy 59 % of 4.7 min." in markdown(night)
    assert "| a | 2 | 4.0 min | 0.6 min | 1.0 min | 86 % |" in markdown(night)
    assert "4.0 min" in night_page(night)


def test_a_night_without_measurements_costs_nothing() -> None:
    assert usage_of([], []) == ()


def test_a_lost_device_is_kept_out_of_the_fourth_night_and_readmitted_by_name(farm: Farm) -> None:
    spec = replace(SPEC, device=("fake", "fake:lost"))
    nights = [nightly(spec, farm.tools) for _ in range(4)]
    assert [night.kept_out for night in nights] == [(), (), (), ("fake:lost",)]
    assert [night_code(night, fail_on_undecided=False) for night in nights] == [20, 20, 20, 0]
    assert "has been in quarantine since night" in markdown(nights[2])
    assert [use.device for use in nights[3].usage] == ["fake"]
    (reason,) = {one.reason for one in nights[3].series or () if one.state is State.INCOMPLETE}
    assert reason.startswith("in quarantine")
    with pytest.raises(UsageError, match="'fake:loost' is not a device of this night"):
        nightly(spec, farm.tools, NightOptions(readmit=("fake:loost",)))
    assert nightly(spec, farm.tools, NightOptions(readmit=("fake:lost",))).kept_out == ()
