"""Device ``host``: this machine. Each launch runs in its own subprocess, which isolates imports, memory and crashes.

Nothing outlives the device. Jobs are kept in a temporary folder, and the runner leads its own process group, which is
killed at the deadline, on Ctrl-C, and after the runner itself has exited.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.devices.device import Execution
from harness.devices.energy import COUNTER, NO_COUNTER, with_counter
from harness.devices.host.facts import host_conditions, host_info
from harness.devices.host.powercap import Powercap
from harness.devices.host.probe import host_readiness
from harness.devices.local_jobs import LocalJobs
from harness.devices.replies import failed, missing_reply, read_reply
from harness.errors import DeviceError
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.runners.host.state import sample_state
from harness.system.child_process import child_environment
from harness.system.clock import Stopwatch
from harness.wire import OUTPUTS_FILE, REPLY_FILE, EnergyReading, EnergySource, RunRequest, StateSample

# -P keeps the current folder out of sys.path, where a user's file could shadow a module of the runner.
RUNNER = (sys.executable, "-P", "-m", "harness.runners.host")
LOG_FILE = "runner.log"
_LOG_LINES = 30
WATCH_S = 1.0


_log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_host() -> Iterator[HostDevice]:
    """Open this machine as a device. Raises `DeviceError` if there is no temporary folder to write to."""
    device = HostDevice()
    try:
        yield device
    finally:
        device.clean()


class HostDevice:
    """This machine. ``command`` starts the runner; the job's folder is appended to it. ``folder`` holds the jobs.

    ``info`` is what the device says of itself, by default that it is ``host``. ``powercap`` counts its energy.
    """

    def __init__(
        self,
        *,
        command: Sequence[str] = RUNNER,
        folder: Path | None = None,
        info: DeviceInfo | None = None,
        powercap: Powercap | None = None,
    ) -> None:
        self._command = tuple(command)
        self._jobs = LocalJobs("host", folder)
        self._powercap = powercap or Powercap()
        missing = self._powercap.missing
        counted = {NO_COUNTER: missing} if missing else {COUNTER: EnergySource.PROCESSOR.value}
        own = info or host_info()
        self._info = replace(own, details=own.details | counted)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return False

    def conditions(self) -> tuple[Condition, ...]:
        return host_conditions()

    def readiness(self) -> Readiness:
        return host_readiness()

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def push(self, path: Path, sha256: str) -> bool:
        return self._jobs.push(path, sha256)

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        job = self._jobs.job(request, inputs, device=self._info.key)
        log = job / LOG_FILE
        watch: list[StateSample] = []
        readings: list[EnergyReading] = []

        def sample() -> None:
            watch.append(sample_state())
            if request.passes.energy is not None and (reading := self._powercap.reading()) is not None:
                readings.append(reading)

        stopwatch = Stopwatch()
        code = _run([*self._command, str(job)], log=log, limits=(request.runtime.threads, deadline_s), sample=sample)
        reply = job / REPLY_FILE
        # The runner renames its reply into place once it is complete, so a reply counts even if the runner then died.
        if reply.is_file():
            took_ns = stopwatch.passed_ns()
            execution = read_reply(reply.read_bytes(), request, job / OUTPUTS_FILE, took_ns=took_ns)
            return with_counter(replace(execution, watch=tuple(watch)), self._powercap.counter(readings))
        kind, message = missing_reply(code, deadline_s)
        return failed(request, kind, message, detail=_tail(log))

    def clean(self) -> None:
        self._jobs.clean()


def _run(command: list[str], *, log: Path, limits: tuple[int, float], sample: Callable[[], None]) -> int | None:
    """Run the runner and return its exit code, or None if it was still running at the deadline.

    ``limits`` are the number of threads and the deadline in seconds. ``sample`` is called once a second.
    """
    threads, deadline_s = limits
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env=child_environment(threads),
                # Its own session, so that Ctrl-C reaches only phonebench, which then stops the runner.
                start_new_session=True,
            )
        except OSError as error:
            msg = f"cannot start the runner {command[0]!r}: {error.strerror}; check that it can be executed"
            raise DeviceError(msg) from error
    try:
        return _watched(process, deadline_s, sample)
    finally:
        # Even after a normal exit: whatever the runner started belongs to its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _watched(process: subprocess.Popen[bytes], deadline_s: float, sample: Callable[[], None]) -> int | None:
    """Wait for the exit or the deadline, calling ``sample`` once a second; a sample takes about 1 ms."""
    deadline = time.monotonic() + deadline_s
    while (left := deadline - time.monotonic()) > 0:
        try:
            return process.wait(timeout=min(WATCH_S, left))
        except subprocess.TimeoutExpired:
            sample()
    return process.poll()


def _tail(log: Path) -> str:
    """The last lines of the runner's log."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
    except OSError:
        return ""
