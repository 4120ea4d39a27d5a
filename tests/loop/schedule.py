"""Which process runs which tests: the longest first, and tests that mostly wait beside tests that compute.

One process per core takes the tests that compute. Further processes take those that wait for phones, and help with the
rest at the end, because tests that compute wait too: for files, for processes that start, for measured seconds.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

from tests.loop.durations import read_durations, without_parameters

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

CORES = os.cpu_count() or 1
# A process with more tests than this waits for none.
ENOUGH = 2
# They spend their time in launches and pauses of virtual phones, and in waits for processes of a farm.
WAITING = (
    "tests/devices/android/",
    "tests/devices/ios/",
    "tests/vphone/",
    "tests/viphone/",
    "tests/farm/",
    "tests/leases/",
)
# These tests share no fixture of their module, so each may run anywhere.
APART = ("tests/e2e/", "tests/workflows/test_capability.py")
# Maven builds all of these in the folders of the checkout.
JAVA = ("tests/android_runner/", "tests/runners/android/test_apk_build.py")
_ADB = re.compile(r"\[(wheel|debian)\b")


def unit_of(test: str) -> str:
    """Return the name of the unit that a test is in; the tests of a unit run in one process, in their order."""
    file = test.partition("::")[0]
    if file.startswith(JAVA):
        return "java"
    if file.startswith(APART):
        return without_parameters(test)
    server = _ADB.search(test)
    # A process has one adb server at a time.
    return f"{file}[{server[1]}]" if server else file


class LongestFirst(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out units, the longest first. xdist's own schedulers replace the same methods, underscore or not."""

    workqueue: OrderedDict[str, dict[str, bool]]

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def schedule(self) -> None:
        """Sort the units, then hand out the first ones."""
        first = self.collection is None
        if first and self._check_nodes_have_same_collection():
            order = by_length(next(iter(self.registered_collections.values())))
            self._places = {unit: place for place, unit in enumerate(order)}
        super().schedule()

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a process that has ended, and hand on what it had left. Return the test in which it died, if any.

        That test counts as failed, and is not run again: it might end the next process too. xdist also hands on what is
        done; a process that gets nothing but that waits forever.
        """
        workload: dict[str, dict[str, bool]] = self.assigned_work.pop(node)
        crashed = next((test for tests in workload.values() for test, done in tests.items() if not done), None)
        if crashed is None:
            return None
        workload[unit_of(crashed)][crashed] = True
        self.workqueue.update({unit: tests for unit, tests in workload.items() if not all(tests.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed

    def _reschedule(self, node: WorkerController) -> None:
        """Hand out units until the process has enough: it runs a test once it knows the next, or that none follows."""
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) <= ENOUGH:
            self._assign_work_unit(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        unit = self._choose(node)
        if unit is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(unit, last=False)
        super()._assign_work_unit(node)

    def _choose(self, node: WorkerController) -> str | None:
        spare = self.nodes.index(node) >= CORES
        return min(self.workqueue, key=lambda unit: (is_waiting(unit) != spare, self._places[unit]), default=None)


def is_waiting(unit: str) -> bool:
    """Whether the tests of ``unit`` spend most of their time waiting."""
    return unit.startswith(WAITING)


def by_length(tests: list[str]) -> list[str]:
    """Return the units of ``tests``, the longest first."""
    known = read_durations()
    cases: dict[str, int] = {}
    for test in tests:
        cases[without_parameters(test)] = cases.get(without_parameters(test), 0) + 1
    seconds: dict[str, float] = {}
    for test in tests:
        name = without_parameters(test)
        seconds[unit_of(test)] = seconds.get(unit_of(test), 0) + known.get(name, 0.0) / cases[name]
    return sorted(seconds, key=lambda unit: -seconds[unit])
