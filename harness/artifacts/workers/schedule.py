"""What the build workers do next: groups of tasks that depend on one another, divided so that no worker is idle.

A worker stays with a group, because the tasks of a group share one conversion. It helps with the group of another
worker only if no new group is ready, and only if that group's tasks share little.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from harness.artifacts.workers.tasks import WorkerTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tasks that one worker does in order, once the groups named in ``after`` are done.

    ``seconds`` is roughly the duration of one task. The group that takes longest, together with all groups that wait
    for it, starts first. ``shared``: several workers may take tasks from it.
    """

    name: str
    tasks: tuple[WorkerTask, ...]
    after: tuple[str, ...] = ()
    seconds: float = 1.0
    shared: bool = False


class Schedule:
    """The groups of one build stage. Several threads ask it for tasks."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = {group.name: group for group in groups}
        self._left = {group.name: deque(group.tasks) for group in groups}
        self._open = {group.name: len(group.tasks) for group in groups}
        self._begun: set[str] = set()
        self._stopped = False
        self._changed = threading.Condition()

    def take(self, worker: WorkerState) -> WorkerTask | None:
        """Return the next task of ``worker``, waiting until one is ready. Returns None when there are no more."""
        with self._changed:
            while not self._stopped and any(self._left.values()):
                name = self._choose(worker)
                if name is not None:
                    worker.group = name
                    self._begun.add(name)
                    return self._left[name].popleft()
                # Nothing is ready, but a task that another worker is doing may make something ready.
                self._changed.wait()
            return None

    def done(self, worker: WorkerState) -> None:
        """Record that the last task of ``worker`` is finished, successfully or not."""
        with self._changed:
            self._open[worker.group] -= 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out no more tasks."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def _choose(self, worker: WorkerState) -> str | None:
        """The worker's own group, else the longest that nobody has started, else one that may be shared."""
        if self._left.get(worker.group):
            return worker.group
        ready = [name for name in self._left if self._left[name] and self._is_ready(name)]
        fresh = [name for name in ready if name not in self._begun]
        shared = [name for name in ready if self._groups[name].shared]
        return max(fresh or shared, key=self._weight, default=None)

    def _is_ready(self, name: str) -> bool:
        return all(not self._open.get(before) for before in self._groups[name].after)

    def _weight(self, name: str) -> float:
        """The seconds left in a group and in those that wait for it."""
        waiting = [other for other, group in self._groups.items() if name in group.after]
        return len(self._left[name]) * self._groups[name].seconds + sum(self._weight(other) for other in waiting)


@dataclass(slots=True)
class WorkerState:
    """What the schedule knows about a worker: the group of its last task."""

    group: str = ""
