"""The state of a farm as its journal shows it: who runs what, what waits and why, and how long it will take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from harness.devices.fake.fake import fake_info
from harness.farm.events import Event, EventKind
from harness.farm.status import Board, DeviceState, FarmStatus, Member

START = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
QUEUED, STARTED, DONE, LOST = EventKind.QUEUED, EventKind.STARTED, EventKind.DONE, EventKind.LOST


def event(kind: EventKind, cell: str, *, at_s: float = 0, seconds: float | None = None, reason: str = "") -> Event:
    """An event of run ``night`` on the device that the cell is named after: ``low-1`` runs on ``fake:low``."""
    at, device = START + timedelta(seconds=at_s), "fake:" + cell.partition("-")[0]
    return Event(
        kind=kind, at=at.isoformat(), run="night", cell=cell, device=device, user="ada", seconds=seconds, reason=reason
    )


def status(*events: Event, devices: tuple[str, ...] = ("fake:low", "fake:high"), at_s: float = 100) -> FarmStatus:
    members = {key: Member(info=replace(fake_info("fake"), key=key), host="rack-1") for key in devices}
    return Board(events).status(START + timedelta(seconds=at_s), members, ())


def test_a_device_that_runs_a_cell_is_busy_with_it() -> None:
    shown = status(event(QUEUED, "low-1"), event(STARTED, "low-1", at_s=90))
    low, high = shown.devices
    assert (low.state, low.run, low.cell, low.user) == (DeviceState.BUSY, "night", "low-1", "ada")
    assert high.state is DeviceState.IDLE


def test_a_cell_waits_for_the_one_before_it() -> None:
    shown = status(event(QUEUED, "low-1"), event(QUEUED, "low-2"), event(STARTED, "low-1"))
    assert [cell.cell for cell in shown.waiting] == ["low-2"]
    assert shown.waiting[0].reason == "device 'fake:low' measures low-1 of ada"


def test_a_cell_waits_for_a_device_that_is_away() -> None:
    shown = status(event(QUEUED, "low-1"), devices=())
    assert shown.devices[0].state is DeviceState.AWAY
    assert shown.waiting[0].reason == "device 'fake:low' is away: no agent has it"


def test_a_lost_attempt_waits_with_its_reason() -> None:
    shown = status(event(QUEUED, "low-1"), event(STARTED, "low-1"), event(LOST, "low-1", reason="the cable came loose"))
    assert shown.waiting[0].reason == "will be tried again: the cable came loose"
    assert shown.waiting[0].attempt == 1


def test_the_time_left_is_that_of_the_longest_queue() -> None:
    # Cells of the run take 60 s. Low has run for 10 s and two more wait: 50 + 120; high has one waiting: 60.
    shown = status(
        *(event(QUEUED, cell) for cell in ("low-1", "low-2", "low-3", "low-4", "high-1")),
        event(STARTED, "low-1"),
        event(DONE, "low-1", at_s=60, seconds=60),
        event(STARTED, "low-2", at_s=90),
    )
    assert [device.left_s for device in shown.devices] == [170.0, 60.0]
    assert shown.left_s == 170.0
    assert (shown.runs[0].done, shown.runs[0].running, shown.runs[0].waiting) == (1, 1, 3)


def test_nothing_is_said_about_time_before_a_cell_has_ended() -> None:
    assert status(event(QUEUED, "low-1")).left_s is None


def test_an_idle_farm_has_nothing_left() -> None:
    shown = status(event(QUEUED, "low-1"), event(STARTED, "low-1"), event(DONE, "low-1", seconds=5))
    assert (shown.left_s, shown.waiting_cells) == (0.0, 0)


def test_a_result_that_arrives_twice_counts_once() -> None:
    again = (event(DONE, "low-1", seconds=5), event(LOST, "low-1"), event(DONE, "low-1", seconds=5))
    shown = status(event(QUEUED, "low-1"), event(STARTED, "low-1"), *again)
    assert (shown.runs[0].cells, shown.runs[0].done) == (1, 1)


def test_the_cells_of_a_program_that_has_gone_do_not_wait() -> None:
    shown = status(event(QUEUED, "low-1"), Event(kind=EventKind.CLOSED, at=START.isoformat(), run="night"))
    assert shown.waiting_cells == 0
    assert not shown.runs[0].open
