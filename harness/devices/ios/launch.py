"""One launch of the runner app: written, started, waited for, fetched, and always ended.

The reply is believed, whatever became of the process. Without one, the end of the process and the iPhone's own reports
say why. A launch that was cut off is waited for again, and started again only if it never began.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.devices.device import Execution
from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.deaths import JETSAM, Death, Ending, Report, classify_death
from harness.devices.ios.hold import LOSSES, Tether
from harness.devices.ios.runner_app import InstalledApp, installed_app
from harness.devices.replies import failed, missing_reply, read_reply
from harness.errors import IosError, IosTrouble
from harness.wire import OUTPUTS_FILE, REPLY_FILE, REQUEST_FILE, RunRequest, encode

LOG_FILE = "log.txt"
# One call of the worker waits so long, so that closing a phone never takes longer.
_TURN_S = 5.0
_START_S = 90.0
_FETCH_S = 300.0
# An iPhone writes a report some seconds after it has ended a process.
_REPORT_S, _REPORT_EVERY_S = 6.0, 0.5
_LOG_BYTES = 4000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A launch that is ready to start.

    ``folder`` is a scratch folder on this computer for what the app leaves. ``reports_before`` are the paths of the
    iPhone's reports from before this session, which say nothing about it.
    """

    name: str
    request: RunRequest
    inputs_sha256: str
    app: InstalledApp
    folder: Path
    reports_before: tuple[str, ...]


def new_job_name() -> str:
    """Return a name that no other attempt has."""
    return f"j{uuid.uuid4().hex[:16]}"


def write_job(tether: Tether, job: Job) -> None:
    """Write the request into the job's folder on the iPhone, and remove other jobs. Raises `IosError`."""
    tether.call("trim", job=job.name)
    tether.call("write", job=job.name, file=REQUEST_FILE, text=encode(job.request).decode())


def run_launch(tether: Tether, job: Job, deadline_s: float) -> Execution:
    """Run a job that has been written. Raises `IosError` if the iPhone is lost or cannot start the app."""
    loss, began_ns = tether.last_loss, time.monotonic_ns()
    ends_at = time.monotonic() + deadline_s
    pid = 0
    try:
        pid = _start(tether, job)
        end = _wait(tether, job, pid, ends_at)
        if end is None:
            return _timed_out(tether, job, deadline_s)
        execution = _fetch(tether, job, time.monotonic_ns() - began_ns)
        if execution is not None:
            return execution
        return _dead(tether, job, Ending(pid=pid, code=end["code"], signal=end["signal"]), loss)
    finally:
        _close(tether, pid)


def _start(tether: Tether, job: Job) -> int:
    """Start the app and return its process id; 0 if it has begun before and ended since."""
    tries = 0

    def work() -> int:
        nonlocal tries
        tries += 1
        if tries > 1:
            # The cable was pulled out during the start: the iPhone may have started the app all the same.
            pid = tether.once("running", seconds=_START_S)
            if pid or _read(tether, job, LOG_FILE) is not None or _read(tether, job, REPLY_FILE) is not None:
                return int(pid)
        arguments = ["--job", job.name, "--inputs", job.inputs_sha256]
        return int(tether.once("start", seconds=_START_S, arguments=arguments)["pid"])

    return tether.again(work, keep=True)


def _wait(tether: Tether, job: Job, pid: int, ends_at: float) -> dict[str, Any] | None:
    """Wait for the end of the process, None if it still runs at the deadline."""
    unknown = {"ended": True, "code": None, "signal": None}
    if not pid:
        return unknown
    while True:
        left_s = max(0.0, min(_TURN_S, ends_at - time.monotonic()))
        end: dict[str, Any] = tether.call("wait", seconds=left_s + 60, keep=True, job=job.name, pid=pid, for_s=left_s)
        if end["ended"]:
            return end
        if time.monotonic() >= ends_at:
            return None


def _fetch(tether: Tether, job: Job, took_ns: int) -> Execution | None:
    """Return what the reply says, None if there is none."""
    data = tether.again(lambda: _read(tether, job, REPLY_FILE), keep=True)
    if data is None:
        return None
    outputs = job.folder / OUTPUTS_FILE
    outputs.unlink(missing_ok=True)
    size = tether.call("fetch", seconds=_FETCH_S, keep=True, job=job.name, file=OUTPUTS_FILE, path=str(outputs))
    return read_reply(data, job.request, None if size is None else outputs, took_ns=took_ns)


def _timed_out(tether: Tether, job: Job, deadline_s: float) -> Execution:
    """End an app that gave no reply in time. Raises `IosError` if the iPhone is to blame, because it was locked."""
    detail = _log_tail(tether, job)
    if tether.call("locked"):
        what = f"{named(tether.udid)} was locked during the launch, which stops the runner app"
        raise ios_error(IosTrouble.LOCKED, what, udid=tether.udid)
    kind, message = missing_reply(None, deadline_s, who="the runner app")
    return failed(job.request, kind, message, detail=detail)


def _dead(tether: Tether, job: Job, ending: Ending, loss: IosError | None) -> Execution:
    """Return the failure of an app that ended without a reply.

    Raises the loss if the iPhone was away meanwhile and nothing else explains the end, and an error if somebody removed
    or replaced the app, which ends it.
    """
    death = _explained(tether, job, ending)
    if not death.evidence:
        _check_app(tether, job)
    if not death.explained and tether.last_loss is not loss and tether.last_loss is not None:
        raise tether.last_loss
    return failed(job.request, death.kind, death.message, detail=death.evidence or _log_tail(tether, job))


def _check_app(tether: Tether, job: Job) -> None:
    values = tether.call("app", bundle_id=job.app.bundle_id)
    if values and installed_app(values) == job.app:
        return
    what = f"the runner app on {named(tether.udid)} was {'replaced' if values else 'removed'} during the launch"
    raise ios_error(IosTrouble.APP, what, udid=tether.udid)


def _explained(tether: Tether, job: Job, ending: Ending) -> Death:
    """Look for a report of the iPhone's, for some seconds where one is to be expected."""
    prefixes = [JETSAM, f"{job.app.executable or job.app.bundle_id}-"]
    # A program that ended by itself has none.
    ends_at = time.monotonic() + (_REPORT_S if ending.code is None else 0)
    while True:
        rows = tether.call("reports", prefixes=prefixes, before=job.reports_before)
        reports = tuple(Report(**row) for row in rows)
        death = classify_death(
            Ending(pid=ending.pid, code=ending.code, signal=ending.signal, reports=reports),
        )
        if death.evidence or time.monotonic() >= ends_at:
            return death
        tether.closing.wait(_REPORT_EVERY_S)


def _read(tether: Tether, job: Job, file: str) -> bytes | None:
    path = job.folder / file
    path.unlink(missing_ok=True)
    size = tether.once("fetch", seconds=_FETCH_S, job=job.name, file=file, path=str(path))
    return None if size is None else path.read_bytes()


def _log_tail(tether: Tether, job: Job) -> str:
    try:
        data = _read(tether, job, LOG_FILE)
    except IosError as error:
        return f"the app's log could not be read: {error.what}"
    return (data or b"")[-_LOG_BYTES:].decode("utf-8", errors="replace").strip()


def _close(tether: Tether, pid: int) -> None:
    """End the app if it still runs, and remove jobs: an iPhone starts no more apps after some 190 that stayed."""
    if tether.closing.is_set():
        return
    try:
        tether.once("stop", pid=pid)
        tether.once("trim")
    except IosError as error:
        # A lost iPhone is waited for by the next step, which also stops what runs there.
        level = logging.INFO if error.trouble in LOSSES else logging.WARNING
        log.log(level, "the runner app on %s could not be closed: %s", named(tether.udid), error.what)
