"""The parent's side of the build workers: at most two processes, each doing one task after another.

A worker that dies or hangs fails only its current task. A new one is started for the next.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.artifacts.cache import Cache
from harness.artifacts.workers.schedule import Group, Schedule, WorkerState
from harness.artifacts.workers.tasks import TaskFailure, WorkerResult, WorkerTask, decode_result, encode_line
from harness.model.card import SourceKind
from harness.system.child_process import child_environment
from harness.system.faults import fault_in
from harness.wire import Format

# The longest export measured took minutes. Past this limit the converter is hanging.
TASK_SECONDS = 1800.0
# How long an idle worker may take to end by itself.
CLOSE_SECONDS = 30.0
MAX_WORKERS = 2
# How often to check whether somebody wants to stop.
LOOK_S = 0.5
# A process that dies for want of memory says so near the end of its log, before a dump of its stacks.
LAST_BYTES = 64_000
# -P keeps the current folder off sys.path, where a folder called harness would shadow this package.
COMMAND = (sys.executable, "-P", "-m", "harness.artifacts.workers.worker")

# Signals that native code sends to itself. Others come from outside, such as the one that ends processes when memory
# runs out.
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


class StoppedError(Exception):
    """The work was ended from another thread."""


Report = Callable[[WorkerTask, WorkerResult], None]
Begin = Callable[[WorkerTask], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How workers are started. ``warm`` says for each worker what it may import while it waits for its first task.

    There are as many workers as entries of ``warm``, but at most one per core. ``command`` starts one; its arguments
    are the path of its log and its ``warm``. The logs are in the folder of ``cache``, and the unfinished entries that a
    killed worker leaves there are deleted. Setting ``stop`` ends the work from another thread.
    """

    warm: tuple[str, ...]
    cache: Cache
    command: tuple[str, ...] = COMMAND
    task_seconds: float = TASK_SECONDS
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def size(self) -> int:
        """The number of workers."""
        return max(1, min(len(self.warm), MAX_WORKERS, os.cpu_count() or 1))


def run_groups(groups: Sequence[Group], crew: Crew, report: Report, begin: Begin = lambda _: None) -> None:
    """Do the tasks of all groups.

    ``begin`` gets each task before it is done and ``report`` gets it with its result, from any of the threads. On an
    interrupt, or if ``report`` raises, all workers are killed and the exception is passed on. Raises `StoppedError`
    once ``crew.stop`` is set.
    """
    schedule = Schedule(groups)
    workers: list[_Worker] = []
    # Runs that share a cache at the same time must not write into each other's logs.
    stem = f"build-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"

    def work(index: int) -> None:
        worker = _Worker(crew, index, f"{stem}-{index + 1}.log")
        workers.append(worker)
        if schedule.stopped:
            worker.kill()
        try:
            _do_all(worker, schedule, report, begin)
        finally:
            worker.close()

    with ThreadPoolExecutor(max_workers=crew.size) as pool:
        futures = [pool.submit(work, index) for index in range(crew.size)]
        try:
            _wait_for(futures, crew.stop)
        # Whatever ends the build, Ctrl-C included, must leave no process behind. It is raised again.
        except BaseException:
            schedule.stop()
            for worker in workers:
                worker.kill()
            raise


def _wait_for(futures: Sequence[Future[None]], stop: threading.Event) -> None:
    """Wait for all ``futures``. Raises what the first one raises, and `StoppedError` when ``stop`` is set."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=LOOK_S, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if waiting and stop.is_set():
            raise StoppedError


def _do_all(worker: _Worker, schedule: Schedule, report: Report, begin: Begin) -> None:
    state = WorkerState()
    while (task := schedule.take(state)) is not None:
        begin(task)
        result = worker.do(task)
        if not schedule.stopped:
            report(task, result)
        # Only after the report, because waiting tasks may need what it recorded.
        schedule.done(state)


class _Worker:
    """One child process, restarted after it died."""

    def __init__(self, crew: Crew, index: int, log_name: str) -> None:
        self._crew = crew
        self._warm = crew.warm[index] if crew.warm else ""
        self._log = crew.cache.logs / log_name
        self._log_bytes = 0
        self._has_failed = False
        self._what = "build"
        self._library = _LIBRARIES.get(self._warm)
        self._timed_out = False
        self._killed = False
        self._lock = threading.Lock()
        self._process = self._start()

    def do(self, task: WorkerTask) -> WorkerResult:
        """Send ``task`` and wait for its result. If the process dies or hangs, the result is a failure."""
        result = self._do(task)
        self._has_failed |= result.failure is not None
        return result

    def _do(self, task: WorkerTask) -> WorkerResult:
        library = _library(task)
        if self._process.poll() is not None or self._library not in (None, library):
            self._restart()
        self._library = library
        self._timed_out = False
        self._what = _kind(task)
        self._log_bytes = self._log.stat().st_size if self._log.exists() else 0
        timer = threading.Timer(self._crew.task_seconds, self._give_up)
        timer.start()
        try:
            line = self._exchange(encode_line(task))
        finally:
            timer.cancel()
        # An incomplete line means that the process died while writing, or before.
        if not line.endswith(b"\n"):
            return self._death()
        try:
            return decode_result(line)
        # The worker does not follow the protocol, so nothing else that it sends can be trusted either.
        except ValueError:
            self._process.kill()
            self._process.wait()
            return self._failure(f"the {self._what} worker sent an invalid answer: {line[:80]!r}")

    def close(self) -> None:
        """Close the input of the process, which makes it end by itself."""
        if self._process.stdin is not None:
            # A process that died has already closed the other end.
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode < 0:
            self._crew.cache.discard(self._process.pid)
        if self._process.stdout is not None:
            self._process.stdout.close()
        # A failure names the log, which must then exist.
        if not self._has_failed and self._log.exists() and not self._log.stat().st_size:
            self._log.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill the process now, and start no other."""
        with self._lock:
            self._killed = True
            self._process.kill()

    def _restart(self) -> None:
        """Restart without importing anything in advance: the next task may need something else than the last one."""
        with self._lock:
            if not self._killed:
                self._warm = ""
                self.close()
                self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._crew.command, str(self._log), self._warm],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(threads=1) | self._crew.cache.environment,
            # Only the parent handles Ctrl-C.
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
        fault = fault_in(self._said())
        if self._timed_out:
            message = f"it took longer than {self._crew.task_seconds:g} s and was stopped"
        elif fault is not None:
            message = f"{fault}, and build again"
        # A negative exit code is the signal that killed the process.
        elif code < 0:
            crashed = self._crew.cache.adopt(self._process.pid) if -code in _CRASHES else None
            if crashed is not None:
                return WorkerResult(manifest=crashed)
            message = f"the {self._what} worker died with {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                message += ", most likely because this computer ran out of memory"
        else:
            message = f"the {self._what} worker ended with exit code {code} before it answered"
        return self._failure(message)

    def _said(self) -> str:
        """The end of what the process wrote to its log during the last task."""
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            log.seek(max(self._log_bytes, self._log.stat().st_size - LAST_BYTES))
            return log.read().decode(errors="replace")
        return ""

    def _failure(self, message: str) -> WorkerResult:
        return WorkerResult(failure=TaskFailure(message=message, log=str(self._log)))


# Which library `warm` loads into a process. TensorFlow and torch crash if both are loaded into one.
_LIBRARIES = {SourceKind.KERAS.value: "tensorflow", **{format_.value: "torch" for format_ in Format}}


def _library(task: WorkerTask) -> str:
    part = task.prepare or task.vary or task.scan or task.export
    return "tensorflow" if part is not None and part.card.kind is SourceKind.KERAS else "torch"


def _kind(task: WorkerTask) -> str:
    """What the worker is doing, in one word: the format that it exports, or an earlier stage."""
    if task.export is not None:
        return task.export.build.format.value
    if task.vary is not None:
        return "variant"
    return "model" if task.scan is None else "scan"
