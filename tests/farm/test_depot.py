"""The depot: who may start what, who holds a device, and what a kill leaves on its disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.devices.fake.fake import fake_info
from harness.errors import StoreError
from harness.farm.calls import Announcement, Claim, Dropped, Offered, Outcome, Queue, QueuedCell, Since
from harness.farm.depot import DAY_S, HOLD_S, PRESENT_S, Depot, JournalTooShortError, NameTakenError
from harness.farm.events import EventKind
from harness.farm.status import DeviceState

RUN = "night"


@dataclass
class Clock:
    """A clock that a test sets."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def announcement(agent: str, *units: int, process: str = "first") -> Announcement:
    devices = tuple(Offered(info=replace(fake_info("fake"), key=f"fake:{unit}")) for unit in units)
    return Announcement(agent=agent, process=process, devices=devices)


def claim(cell: str, *, device: str = "fake:1", agent: str = "rack1") -> Claim:
    return Claim(run=RUN, cell=cell, device=device, agent=agent)


def queue(depot: Depot, *cells: str, again: bool = False) -> None:
    depot.queue(
        Queue(run=RUN, user="ada", cells=tuple(QueuedCell(cell=c, device="fake:1", again=again) for c in cells))
    )


def deliver(depot: Depot, cell: str, folder: Path, *, attempt: int = 0, data: bytes = b"a parcel") -> None:
    digest = hashlib.sha256(data).hexdigest()
    folder.mkdir(exist_ok=True)
    (folder / digest).write_bytes(data)
    own = claim(cell)
    outcome = Outcome(
        run=RUN, cell=cell, device=own.device, agent=own.agent, attempt=attempt, seconds=1.0, parcel=digest
    )
    depot.deliver(outcome, folder / digest)


def kinds(depot: Depot) -> list[str]:
    return [event.kind.value for event in depot.events(Since(run=RUN))]


def test_a_cell_starts_and_ends_once(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    assert depot.claim(claim("a")).go
    deliver(depot, "a", tmp_path / "spool")
    deliver(depot, "a", tmp_path / "spool")
    refused = depot.claim(claim("a"))
    assert (refused.go, refused.reason) == (False, "its result is stored")
    assert kinds(depot) == ["queued", "started", "done"]


def test_an_agent_that_did_not_get_the_answer_claims_the_same_attempt(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a", "b")
    assert [depot.claim(claim("a")).attempt for _ in range(3)] == [0, 0, 0]
    assert kinds(depot) == ["queued", "queued", "started"]
    # Another cell means that the first one ended, and nobody heard how.
    assert depot.claim(claim("b")).go
    assert kinds(depot)[3:] == ["lost", "started"]
    assert depot.claim(claim("a")).attempt == 1


def test_a_result_survives_its_sender_and_the_depot(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    depot.claim(claim("a"))
    deliver(depot, "a", tmp_path / "spool")
    for file in (tmp_path / "spool").iterdir():
        file.unlink()
    again = Depot(tmp_path / "depot")
    done = again.events(Since(run=RUN))[-1]
    assert done.kind is EventKind.DONE
    assert again.fetch(done.parcel, tmp_path).read_bytes() == b"a parcel"
    assert not again.claim(claim("a")).go


def test_a_line_that_a_kill_cut_off_does_not_count(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    with (tmp_path / "depot" / "runs" / f"{RUN}.jsonl").open("ab") as file:
        file.write(b'{"kind":"started","at":')
    again = Depot(tmp_path / "depot")
    assert again.claim(claim("a")).go
    assert kinds(Depot(tmp_path / "depot")) == ["queued", "started"]


def test_an_attempt_under_way_when_the_depot_died_can_still_end(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    depot.claim(claim("a"))
    again = Depot(tmp_path / "depot")
    deliver(again, "a", tmp_path / "spool")
    assert kinds(again) == ["queued", "started", "done"]


def test_nobody_measures_for_a_run_that_was_left(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a", "b")
    depot.announce(announcement("rack1", 1))
    depot.claim(claim("a"))
    depot.drop(Dropped(run=RUN))
    assert depot.claim(claim("b")).reason == "nobody waits for it"
    assert depot.announce(announcement("rack1", 1)).ended == (RUN,)


def test_a_cell_that_was_given_up_does_not_start(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    depot.drop(Dropped(run=RUN, cell="a", reason="enough"))
    assert not depot.claim(claim("a")).go


def test_a_result_that_came_in_between_is_not_queued_again_unless_it_is_wanted(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    depot.claim(claim("a"))
    deliver(depot, "a", tmp_path / "spool")
    queue(depot, "a")
    assert not depot.claim(claim("a")).go
    queue(depot, "a", again=True)
    assert depot.claim(claim("a")).go


def test_a_device_belongs_to_one_agent_until_it_is_released_or_silent(tmp_path: Path) -> None:
    clock = Clock()
    depot = Depot(tmp_path / "depot", clock=clock)
    queue(depot, "a")
    assert depot.announce(announcement("rack1", 1, 2)).devices == ("fake:1", "fake:2")
    assert depot.announce(announcement("rack2", 1)).devices == ()
    assert depot.claim(claim("a", agent="rack2")).reason == "device 'fake:1' is held by 'rack1'"
    # The cable moved: the first agent no longer lists it.
    depot.announce(announcement("rack1", 2))
    assert depot.announce(announcement("rack2", 1)).devices == ("fake:1",)
    clock.now_s = HOLD_S - 1
    assert depot.announce(announcement("rack2", 1, 2)).devices == ("fake:1",)
    clock.now_s = HOLD_S + 1
    assert depot.announce(announcement("rack2", 1, 2)).devices == ("fake:1", "fake:2")


def test_the_devices_of_a_silent_agent_are_away_and_later_its_cells_are_lost(tmp_path: Path) -> None:
    clock = Clock()
    depot = Depot(tmp_path / "depot", clock=clock)
    queue(depot, "a")
    depot.announce(announcement("rack1", 1))
    depot.claim(claim("a"))
    clock.now_s = PRESENT_S + 1
    status = depot.status()
    assert status.devices[0].state is DeviceState.AWAY
    assert not status.hosts[0].present
    # Nobody else has its devices yet, and what they run may go on.
    assert kinds(depot) == ["queued", "started"]
    clock.now_s = HOLD_S + 1
    depot.sweep()
    lost = depot.events(Since(run=RUN))[-1]
    assert (lost.kind, lost.reason) == (EventKind.LOST, "the agent 'rack1' has not been heard of for 121 s")
    assert depot.claim(claim("a")).attempt == 1


def test_what_a_restarted_agent_ran_before_is_lost_at_once(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    depot.announce(announcement("rack1", 1))
    depot.claim(claim("a"))
    depot.announce(announcement("rack1", 1, process="second"))
    assert kinds(depot) == ["queued", "started", "lost"]


def test_of_two_agents_with_one_name_only_the_newer_one_stays(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    depot.announce(announcement("rack1", 1))
    depot.announce(announcement("rack1", 2, process="second"))
    depot.claim(claim("a", device="fake:2"))
    with pytest.raises(NameTakenError, match="give one of the two another name with --name"):
        depot.announce(announcement("rack1", 1))
    assert kinds(depot) == ["queued", "started"]


def test_an_attempt_that_was_given_up_is_lost_only_once(tmp_path: Path) -> None:
    clock = Clock()
    depot = Depot(tmp_path / "depot", clock=clock)
    queue(depot, "a")
    depot.announce(announcement("rack1", 1))
    depot.claim(claim("a"))
    clock.now_s = HOLD_S + 1
    depot.sweep()
    depot.claim(claim("a", agent="rack2", device="fake:2"))
    own = claim("a")
    late = Outcome(run=RUN, cell="a", device=own.device, agent=own.agent, attempt=0, seconds=1.0, reason="cut off")
    depot.deliver(late, None)
    assert kinds(depot) == ["queued", "started", "lost", "started"]


def test_files_that_nobody_has_used_for_two_weeks_are_removed_every_day(tmp_path: Path) -> None:
    clock, data = Clock(), {name: hashlib.sha256(name.encode()).hexdigest() for name in ("old", "used")}
    depot = Depot(tmp_path / "depot", clock=clock)
    for name, digest in data.items():
        depot.files.receive(digest, 0, name.encode(), last=True)
        os.utime(depot.files.path_of(digest), (0, 0))
    depot.files.receive(data["used"], 0, b"used", last=True)
    depot.sweep()
    assert depot.files.path_of(data["old"]).is_file()
    clock.now_s = DAY_S + 1
    depot.sweep()
    assert [depot.files.path_of(digest).is_file() for digest in data.values()] == [False, True]


def test_the_parcels_of_a_run_that_took_all_are_removed(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a")
    depot.claim(claim("a"))
    deliver(depot, "a", tmp_path / "spool")
    parcel = depot.events(Since(run=RUN))[-1].parcel
    depot.drop(Dropped(run=RUN, finished=True))
    with pytest.raises(StoreError, match="the depot has no file"):
        depot.fetch(parcel, tmp_path)


def test_runs_that_nobody_has_written_to_for_long_are_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    depot = Depot(tmp_path / "depot", clock=clock)
    queue(depot, "a")
    depot.claim(claim("a"))
    depot.queue(Queue(run="recent", user="", cells=(QueuedCell(cell="b", device="fake:2"),)))
    os.utime(tmp_path / "depot" / "runs" / f"{RUN}.jsonl", (0, 0))
    clock.now_s = DAY_S + 1
    depot.sweep()
    assert [run.run for run in depot.status().runs] == ["recent"]
    assert (depot.events(Since(run=RUN)), kinds(Depot(tmp_path / "depot"))) == ((), [])
    # Nothing of it holds the device.
    assert depot.claim(claim("a")).reason == "nobody waits for it"


def test_a_journal_that_was_emptied_is_not_waited_for(tmp_path: Path) -> None:
    depot = Depot(tmp_path / "depot")
    queue(depot, "a", "b")
    assert depot.events(Since(run=RUN, after=2)) == ()
    with pytest.raises(JournalTooShortError, match="was emptied"):
        Depot(tmp_path / "other").events(Since(run=RUN, after=2, wait_s=60))


def test_a_result_on_another_file_system_is_copied(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        assert Path(name).stat().st_dev != tmp_path.stat().st_dev, "this test needs two file systems"
        depot = Depot(tmp_path / "depot")
        queue(depot, "a")
        depot.claim(claim("a"))
        deliver(depot, "a", Path(name, "spool"))
    parcel = depot.events(Since(run=RUN))[-1].parcel
    assert depot.fetch(parcel, tmp_path).read_bytes() == b"a parcel"
    assert [path.name for path in (tmp_path / "depot" / "files").iterdir()] == [parcel]


def test_a_large_file_that_arrives_keeps_nobody_waiting(tmp_path: Path) -> None:
    """While one file is written, everything else of the depot can be asked, and its second sender waits."""
    depot, data = Depot(tmp_path / "depot"), b"weights"
    digest = hashlib.sha256(data).hexdigest()
    with ThreadPoolExecutor() as pool:
        with depot.files._lock_of(digest):
            second = pool.submit(depot.files.receive, digest, 0, data, last=True)
            assert pool.submit(depot.status).result(60).runs == ()
            other = hashlib.sha256(b"other").hexdigest()
            assert pool.submit(depot.files.receive, other, 0, b"other", last=True).result(60) is None
            assert not second.done()
        assert second.result(60) is None
    assert depot.files._arriving == {}


@pytest.mark.parametrize("size", [1, 10], ids=["whole", "in pieces"])
def test_a_file_arrives_in_pieces(tmp_path: Path, size: int) -> None:
    depot, data = Depot(tmp_path / "depot"), bytes(range(10))
    digest, step = hashlib.sha256(data).hexdigest(), 10 // size
    for start in range(0, 10, step):
        piece = data[start : start + step]
        left = depot.files.receive(digest, start, piece, last=start + step >= 10)
    assert left is None
    assert depot.files.received(digest) is None
    assert depot.fetch(digest, tmp_path).read_bytes() == data


def test_a_piece_that_does_not_fit_the_end_is_not_taken(tmp_path: Path) -> None:
    depot, digest = Depot(tmp_path / "depot"), "0" * 64
    depot.files.receive(digest, 0, b"abc", last=False)
    assert depot.files.receive(digest, 5, b"xyz", last=False) == 3
    assert depot.files.received(digest) == 3


def test_a_file_that_does_not_match_its_digest_is_begun_again(tmp_path: Path) -> None:
    depot, digest = Depot(tmp_path / "depot"), "0" * 64
    assert depot.files.receive(digest, 0, b"abc", last=True) == 0
    assert depot.files.received(digest) == 0


@pytest.mark.parametrize("name", ["../night", "a/b", "", ".hidden"])
def test_a_run_cannot_be_named_out_of_the_folder(tmp_path: Path, name: str) -> None:
    depot = Depot(tmp_path / "depot")
    with pytest.raises(StoreError, match="not a plain name"):
        depot.queue(Queue(run=name, user="", cells=(QueuedCell(cell="a", device="fake:1"),)))
