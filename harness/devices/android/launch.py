"""A launch from its start to its reply, through whatever happens to the phone or to the app meanwhile."""

from __future__ import annotations

import logging
from pathlib import Path

from harness.devices.android.deadline import Deadline
from harness.devices.android.deaths import classify_death
from harness.devices.android.job import (
    AppJob,
    Ended,
    find_pid,
    read_exit_info,
    read_log,
    read_result,
    remove_job,
    start_app,
    stop_app,
    wait_for_end,
    write_request,
)
from harness.devices.android.tether import Tether
from harness.devices.device import Execution
from harness.devices.replies import believed, failed
from harness.errors import PhoneError
from harness.wire import OUTPUTS_FILE, REPLY_FILE, FailureKind, RunRequest

_READS = 3
_LOG_LINES = 30

log = logging.getLogger(__name__)


def run_launch(tether: Tether, job: AppJob, request: RunRequest, deadline: Deadline, folder: Path) -> Execution:
    """Start the app, wait for its end, and return what it left; outputs come into ``folder``.

    Whatever the app does is a reply. Raises `PhoneError` when the phone is away for too long.
    """
    cable = tether.cable
    pid = tether.again(lambda: start_app(cable, job, write_request(cable, job)))
    boot_id = tether.facts.boot_id
    ended = tether.again(lambda: _wait(tether, job, pid, boot_id, deadline), keep=job.app_id)
    if tether.facts.boot_id != boot_id:
        return failed(request, FailureKind.LOST, "the phone restarted during the launch")
    execution = _read(tether, job, request, folder)
    if execution is not None:
        return execution
    if ended is Ended.DEADLINE:
        tether.again(lambda: stop_app(cable, job.app_id))
        message = f"the runner gave no reply within {deadline.seconds:g} s and was stopped"
        return failed(request, FailureKind.TIMEOUT, message, detail=_log_tail(tether))
    return _dead(tether, job, request, pid)


def tidy(tether: Tether, job: AppJob) -> None:
    """Remove the job from the phone; one that stays there does no harm, since each launch has a new name."""
    try:
        remove_job(tether.cable, job)
    except PhoneError as error:
        log.info("job %s stays on %s: %s", job.name, tether.cable.serial, error)


def _wait(tether: Tether, job: AppJob, pid: int | None, boot_id: str, deadline: Deadline) -> Ended:
    # After a restart the number may be that of a stranger.
    if tether.facts.boot_id != boot_id:
        return Ended.APP
    present = pid or find_pid(tether.cable, job)
    if present is None:
        return Ended.APP
    return wait_for_end(tether.cable, job, present, deadline, closing=tether.closing)


def _read(tether: Tether, job: AppJob, request: RunRequest, folder: Path) -> Execution | None:
    """Fetch what the app left, None when there is no reply. What came over half is fetched again: it was whole."""
    execution: Execution | None = None
    for _ in range(_READS):
        data = tether.again(lambda: read_result(tether.cable, job, REPLY_FILE), keep=job.app_id)
        if data is None:
            return execution
        execution = believed(data, request, _outputs(tether, job, folder))
        if execution.reply_bytes == data:
            break
    return execution


def _outputs(tether: Tether, job: AppJob, folder: Path) -> Path | None:
    """Fetch the outputs, which are whole before the reply is there."""
    data = tether.again(lambda: read_result(tether.cable, job, OUTPUTS_FILE), keep=job.app_id)
    if data is None:
        return None
    path = folder / OUTPUTS_FILE
    path.write_bytes(data)
    return path


def _dead(tether: Tether, job: AppJob, request: RunRequest, pid: int | None) -> Execution:
    """Say why the app ended without a reply."""
    log_text = tether.again(lambda: read_log(tether.cable))
    exit_info = tether.again(lambda: read_exit_info(tether.cable, job.app_id))
    death = classify_death(log_text, exit_info, app_id=job.app_id, pid=pid)
    return failed(request, death.kind, death.message, detail=death.evidence)


def _log_tail(tether: Tether) -> str:
    try:
        return "\n".join(read_log(tether.cable).splitlines()[-_LOG_LINES:])
    except PhoneError as error:
        return f"the phone's log could not be read: {error}"
