"""The engine inside one process: every cell once, each device one at a time, and nothing lost on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.farm.calls import Queue, Since
from harness.farm.depot import Depot
from harness.farm.engine import MOST_ATTEMPTS, FarmRun, TaskQueue
from harness.farm.events import Event, EventKind
from harness.farm.link import DepotError, JournalLostError
from harness.farm.on_one_host import LocalFarm, local_farm
from harness.farm.work import Work
from harness.progress import Silent
from harness.records.measurement import Measurement
from harness.spec.phone_settings import DEFAULT_SETTINGS
from harness.system.clock import utc_now
from tests.farm.phones import Shelf, Stored, ends, launches, overlaps, short_jobs
from tests.measure.cells import Kept

pytest.importorskip("distributed")


@contextmanager
def farm(folder: Path, devices: list[str], shelf: Shelf | None = None, **changes: object) -> Iterator[LocalFarm]:
    run = FarmRun(run="night", fetched=folder / "fetched", settings=DEFAULT_SETTINGS, **changes)  # type: ignore[arg-type]
    with local_farm(folder / "farm", devices, run, (shelf or Shelf(log=folder / "log")).open) as running:
        yield running


def units(count: int) -> list[str]:
    return [f"fake:{number}" for number in range(1, count + 1)]


def test_three_hundred_cells_on_eight_phones_run_once_each_and_never_two_on_one(tmp_path: Path) -> None:
    jobs, stored = short_jobs(tmp_path, units(8), 38)[:300], Stored()
    with farm(tmp_path, units(8)) as running:
        losses = running.engine.measure(jobs, stored, Silent())
        status = running.depot.status()
    assert sorted(stored.cells) == sorted(job.cell.key for job in jobs)
    assert set(ends(tmp_path / "log").values()) == {1}
    assert overlaps(tmp_path / "log") == []
    assert sum(lost.cells for lost in losses) == 0
    assert (status.runs[0].done, status.waiting_cells, status.left_s) == (300, 0, 0.0)


def test_a_measurement_is_the_same_as_without_a_farm(tmp_path: Path) -> None:
    from harness.devices.fake.fake import open_fake
    from harness.measure.cell import measure

    jobs, stored, kept = short_jobs(tmp_path, ["fake:1"], 1), Stored(), Kept()
    with farm(tmp_path, ["fake:1"]) as running:
        running.engine.measure(jobs, stored, Silent())
    with open_fake("fake:1") as phone:
        alone = measure(jobs[0], phone, kept, utc_now)
    assert stored.measurements[0].latency == alone.latency
    assert stored.measurements[0].launches[0].reply_sha256 == alone.launches[0].reply_sha256
    assert stored.data == kept.data


def test_results_that_were_left_on_the_farm_are_taken_without_measuring_again(tmp_path: Path) -> None:
    jobs, first, second = short_jobs(tmp_path, units(2), 5), Stored(), Stored()

    class Full(Stored):
        """A store whose disk is full after three results, as when the program dies."""

        def add(self, measurement: object) -> None:
            if len(self.measurements) == 3:
                msg = "the disk is full"
                raise OSError(msg)
            first.add(measurement)  # type: ignore[arg-type]
            self.measurements.append(measurement)  # type: ignore[arg-type]

    with farm(tmp_path, units(2)) as running, pytest.raises(OSError, match="full"):
        running.engine.measure(jobs, Full(), Silent())
    rest = [job for job in jobs if job.cell.key not in first.cells]
    with farm(tmp_path, units(2)) as running:
        running.engine.measure(rest, second, Silent())
    assert sorted(first.cells + second.cells) == sorted(job.cell.key for job in jobs)
    assert set(ends(tmp_path / "log").values()) == {1}


class Late:
    """The depot, which tells the owner of a run of nothing until so many results are there."""

    def __init__(self, depot: Depot, count: int) -> None:
        self._depot, self._count = depot, count

    def events(self, since: Since) -> tuple[Event, ...]:
        while True:
            events = self._depot.events(since)
            if sum(event.kind is EventKind.DONE for event in events) in (0, self._count):
                return events

    def __getattr__(self, name: str) -> object:
        return getattr(self._depot, name)


def test_results_that_are_known_at_once_are_stored_and_queued_in_one_go(tmp_path: Path) -> None:
    stored_at_once: list[int] = []
    queued_at_once: list[int] = []

    class Counting(Stored):
        def add_all(self, measurements: Iterable[Measurement]) -> None:
            before = len(self.measurements)
            super().add_all(measurements)
            stored_at_once.append(len(self.measurements) - before)

    class Noting:
        """The queue, which notes how many tasks each call has."""

        def __init__(self, queue: TaskQueue) -> None:
            self._queue = queue

        def submit(self, works: Sequence[Work], *, priority: int) -> Sequence[object]:
            queued_at_once.append(len(works))
            return self._queue.submit(works, priority=priority)

        def __getattr__(self, name: str) -> object:
            return getattr(self._queue, name)

    jobs, stored = short_jobs(tmp_path, units(4), 1), Counting()
    with farm(tmp_path, units(4)) as running:
        running.engine._post = Late(running.depot, 4)  # type: ignore[assignment]
        running.engine._tasks = Noting(running.engine._tasks)  # type: ignore[assignment]
        running.engine.measure(jobs, stored, Silent())
    assert sorted(stored.cells) == sorted(job.cell.key for job in jobs)
    assert [count for count in stored_at_once if count] == [4]
    assert queued_at_once == [4]


class Busy:
    """The depot, which from ``first`` on does not answer ``times`` times when cells are queued."""

    def __init__(self, depot: Depot, *, first: int, times: int) -> None:
        self._depot, self._calls, self._refused = depot, 0, range(first, first + times)

    def queue(self, queue: Queue) -> None:
        self._calls += 1
        if self._calls in self._refused:
            msg = "the depot does not answer"
            raise DepotError(msg)
        self._depot.queue(queue)

    def __getattr__(self, name: str) -> object:
        return getattr(self._depot, name)


@pytest.mark.parametrize("damage", ["cut short", "removed"])
def test_a_result_that_is_damaged_or_gone_on_the_farm_is_measured_again_as_one_attempt(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.farm.engine.WAIT_S", 0.01)
    jobs, stored = short_jobs(tmp_path, ["fake:1"], 2), Stored()

    class Full(Stored):
        def add(self, measurement: object) -> None:
            del measurement
            msg = "the disk is full"
            raise OSError(msg)

    with farm(tmp_path, ["fake:1"]) as running, pytest.raises(OSError, match="full"):
        running.engine.measure(jobs, Full(), Silent())
    parcels = list((tmp_path / "farm" / "depot" / "files").iterdir())
    assert parcels
    for parcel in parcels:
        if damage == "removed":
            parcel.unlink()
        else:
            parcel.write_bytes(parcel.read_bytes()[:-1])
    with farm(tmp_path, ["fake:1"]) as running:
        # As often as a cell may be lost, from the first cell that is queued again.
        running.engine._post = Busy(running.depot, first=1, times=MOST_ATTEMPTS)  # type: ignore[assignment]
        (losses,) = running.engine.measure(jobs, stored, Silent())
    assert (sorted(stored.cells), losses.cells) == (sorted(job.cell.key for job in jobs), 0)
    assert ends(tmp_path / "log")[jobs[0].cell.key] == 2


def test_a_file_that_the_depot_has_lost_is_sent_again(tmp_path: Path) -> None:
    class Forgetful:
        """The depot, which loses every file that it gets for the first time."""

        def __init__(self, depot: Depot) -> None:
            self._depot, self._lost = depot, set[str]()

        def offer(self, path: Path, sha256: str) -> None:
            if sha256 in self._lost:
                self._depot.offer(path, sha256)
            self._lost.add(sha256)

        def __getattr__(self, name: str) -> object:
            return getattr(self._depot, name)

    jobs, stored = short_jobs(tmp_path, ["fake:1"], 1), Stored()
    with farm(tmp_path, ["fake:1"]) as running:
        running.engine._post = Forgetful(running.depot)  # type: ignore[assignment]
        (losses,) = running.engine.measure(jobs, stored, Silent())
    assert (len(stored.cells), losses.cells) == (1, 0)


def test_a_cell_that_is_lost_every_time_is_given_up_with_its_reason(tmp_path: Path) -> None:
    jobs, stored = short_jobs(tmp_path, ["fake:1", "fake:full-2"], 1), Stored()
    with farm(tmp_path, ["fake:1", "fake:full-2"], patience_s=3) as running:
        healthy, full = running.engine.measure(jobs, stored, Silent())
    assert stored.cells == [jobs[0].cell.key]
    assert (healthy.cells, full.cells) == (0, 1)
    assert "no space" in full.in_a_row[-1]
    assert [what for what, *_ in launches(tmp_path / "log") if what == "start"] == ["start"]
    assert MOST_ATTEMPTS == 3


def test_cells_of_a_device_that_never_comes_are_given_up(tmp_path: Path) -> None:
    jobs, stored = short_jobs(tmp_path, ["fake:1", "fake:2"], 1), Stored()
    with farm(tmp_path, ["fake:1"], patience_s=0.1) as running:
        _, absent = running.engine.measure(jobs, stored, Silent())
    assert stored.cells == [jobs[0].cell.key]
    assert absent.in_a_row == ["device 'fake:2' is away: no agent has it"]


def test_a_run_goes_on_when_the_depot_has_forgotten_everything(tmp_path: Path) -> None:
    jobs, stored = short_jobs(tmp_path, units(2), 4), Stored()

    class Emptied:
        """The depot, which says once that its journal has gone."""

        def __init__(self, depot: Depot) -> None:
            self._depot, self.lost = depot, 0

        def events(self, since: Since) -> tuple[Event, ...]:
            if len(stored.measurements) >= 2 and not self.lost:
                self.lost += 1
                self._depot._runs.clear()
                self._depot._board.forget("night")
                msg = "the journal has gone"
                raise JournalLostError(msg)
            return self._depot.events(since)

        def __getattr__(self, name: str) -> object:
            return getattr(self._depot, name)

    with farm(tmp_path, units(2)) as running:
        emptied = Emptied(running.depot)
        running.engine._post = emptied  # type: ignore[assignment]
        losses = running.engine.measure(jobs, stored, Silent())
    assert emptied.lost == 1
    assert (sorted(stored.cells), sum(lost.cells for lost in losses)) == (sorted(job.cell.key for job in jobs), 0)


def test_a_cell_that_is_wanted_again_is_measured_again(tmp_path: Path) -> None:
    jobs, stored = short_jobs(tmp_path, ["fake:1"], 1), Stored()
    key = jobs[0].cell.key
    with farm(tmp_path, ["fake:1"]) as running:
        running.engine.measure(jobs, stored, Silent())
    with farm(tmp_path, ["fake:1"], measured=frozenset({key})) as running:
        running.engine.measure(jobs, stored, Silent())
    assert stored.cells == [key, key]
    assert ends(tmp_path / "log") == {key: 2}
