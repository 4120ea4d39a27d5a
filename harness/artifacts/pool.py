"""The parent's side of the build workers: one process a group of tasks, at most two at once.

A worker that dies or hangs costs the task in its hands; a new one goes on with the next.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.tasks import TaskFailure, WorkerResult, WorkerTask, decode_result, encode_line

# The longest export measured is minutes; past this a converter hangs.
TASK_SECONDS = 1800.0
MAX_WORKERS = 2

Report = Callable[[WorkerTask, WorkerResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tasks that one worker does in order. ``warm`` names what it may import while it waits for the first."""

    name: str
    warm: str
    log: Path
    tasks: tuple[WorkerTask, ...]


def run_groups(first: Sequence[WorkerTask], groups: Sequence[Group], report: Report) -> None:
    """Do the tasks of ``first`` in the first group's worker, then every group's own; groups run side by side.

    ``report`` gets each task with its result, from any of the threads. Workers of other groups start at once and
    import meanwhile. On an interrupt all workers are killed and the interrupt goes on.
    """
    gate = threading.Event()
    workers: list[_Worker] = []
    stopped = threading.Event()

    def work(index: int, group: Group) -> None:
        worker = _Worker(group)
        workers.append(worker)
        try:
            if index == 0:
                try:
                    _do_all(worker, first, report, stopped)
                finally:
                    gate.set()
            gate.wait()
            _do_all(worker, group.tasks, report, stopped)
        finally:
            worker.close()

    with ThreadPoolExecutor(max_workers=min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(work, index, group) for index, group in enumerate(groups)]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stopped.set()
            gate.set()
            for future in futures:
                future.cancel()
            for worker in workers:
                worker.kill()
            raise


def _do_all(worker: _Worker, tasks: Sequence[WorkerTask], report: Report, stopped: threading.Event) -> None:
    for task in tasks:
        if stopped.is_set():
            return
        result = worker.do(task)
        if not stopped.is_set():
            report(task, result)


class _Worker:
    """One child process, started anew when it died."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._timed_out = False
        self._process = self._start()

    def do(self, task: WorkerTask) -> WorkerResult:
        """Send ``task`` and wait for its result; a dead or hung process becomes a failure."""
        if self._process.poll() is not None:
            self._process = self._start()
        self._timed_out = False
        timer = threading.Timer(TASK_SECONDS, self._give_up)
        timer.start()
        try:
            line = self._exchange(encode_line(task))
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            return self._death()
        return decode_result(line)

    def close(self) -> None:
        """Let the process end by itself, which it does when its input ends."""
        if self._process.stdin is not None:
            # A process that died has closed the other end already.
            try:
                self._process.stdin.close()
            except OSError:
                self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        return subprocess.Popen(
            [sys.executable, "-m", "harness.artifacts.worker", str(self._group.log), self._group.warm],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | threads,
            # Ctrl-C is the parent's to handle.
            start_new_session=True,
        )

    def _exchange(self, request: bytes) -> bytes:
        if self._process.stdin is None or self._process.stdout is None:
            return b""
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError:
            return b""
        return self._process.stdout.readline()

    def _give_up(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _death(self) -> WorkerResult:
        code = self._process.wait()
        if self._timed_out:
            message = f"it took longer than {TASK_SECONDS:.0f} s and was stopped"
        elif code < 0:
            message = f"the {self._group.name} exporter died with {signal.Signals(-code).name}"
        else:
            message = f"the {self._group.name} exporter ended with exit code {code} without an answer"
        return WorkerResult(failure=TaskFailure(message=message, log=str(self._group.log)))
