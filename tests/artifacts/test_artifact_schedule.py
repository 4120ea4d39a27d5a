"""What workers do next: whole groups, the longest first, helping others only if nothing else is left."""

from __future__ import annotations

import threading

from harness.artifacts.workers.schedule import Group, Schedule, WorkerState
from harness.artifacts.workers.tasks import PrepareTask, WorkerTask
from tests.artifacts.builders import CARD


def group(
    name: str, count: int = 1, *, after: tuple[str, ...] = (), seconds: float = 1.0, shared: bool = False
) -> Group:
    """A group with numbered tasks: a0, a1, …"""
    keys = [f"{name}{number}" for number in range(count)]
    tasks = tuple(WorkerTask(prepare=PrepareTask(card=CARD, key=key, cache_root="")) for key in keys)
    return Group(name=name, tasks=tasks, after=after, seconds=seconds, shared=shared)


def key(task: WorkerTask | None) -> str | None:
    return task.prepare.key if task and task.prepare else None


def all_of(schedule: Schedule, worker: WorkerState) -> list[str | None]:
    """Everything that one worker does until the end."""
    seen = []
    while (task := schedule.take(worker)) is not None:
        seen.append(key(task))
        schedule.done(worker)
    return seen


def test_a_worker_stays_with_its_group() -> None:
    schedule = Schedule([group("a", 2), group("b", 3)])
    assert all_of(schedule, WorkerState()) == ["b0", "b1", "b2", "a0", "a1"]


def test_what_takes_longest_is_begun_first() -> None:
    schedule = Schedule([group("a", 3), group("b", seconds=10)])
    assert key(schedule.take(WorkerState())) == "b0"


def test_what_others_wait_for_weighs_as_much_as_they_do() -> None:
    schedule = Schedule([group("a", seconds=5), group("network"), group("files", 2, after=("network",), seconds=10)])
    assert all_of(schedule, WorkerState()) == ["network0", "files0", "files1", "a0"]


def test_only_a_shared_group_is_helped_with() -> None:
    schedule = Schedule([group("dear", 3, seconds=10, shared=True), group("cheap", 2)])
    first, second = WorkerState(), WorkerState()
    assert key(schedule.take(first)) == "dear0"
    assert all_of(schedule, second) == ["cheap0", "cheap1", "dear1", "dear2"]
    assert schedule.take(first) is None


def test_a_group_of_one_worker_is_left_to_it() -> None:
    schedule = Schedule([group("chain", 2), group("later", after=("chain",))])
    first, second = WorkerState(), WorkerState()
    assert key(schedule.take(first)) == "chain0"
    got: list[str | None] = []
    thread = threading.Thread(target=lambda: got.extend(all_of(schedule, second)))
    thread.start()
    schedule.done(first)
    assert key(schedule.take(first)) == "chain1"
    assert got == []
    schedule.done(first)
    thread.join(timeout=30)
    assert got == ["later0"]


def test_a_stopped_schedule_hands_out_nothing() -> None:
    schedule = Schedule([group("a", 2)])
    assert schedule.take(WorkerState()) is not None
    schedule.stop()
    assert schedule.take(WorkerState()) is None
