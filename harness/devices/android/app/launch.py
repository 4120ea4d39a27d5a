"""One launch of a runner app, from its start to its reply, whatever happens to the phone or the app meanwhile."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.deadline import Deadline
from harness.devices.android.advice import named, phone_error, restarted
from harness.devices.android.app.deaths import Ending, classify_death
from harness.devices.android.app.job import (
    AppJob,
    Ended,
    Start,
    Ways,
    read_exit_info,
    read_log,
    start_app,
    stop_app,
    wait_for_end,
    write_request,
)
from harness.devices.android.app.loglines import mark_index, parse_log, process_of, since_launch
from harness.devices.android.app.results import read_result, remove_job
from harness.devices.android.hold.tether import Tether
from harness.devices.device import Execution
from harness.devices.replies import failed, read_reply
from harness.errors import PhoneError, PhoneTrouble
from harness.system.clock import Stopwatch
from harness.wire import OUTPUTS_FILE, REPLY_FILE, FailureKind, RunRequest

# How often results are fetched when they arrive damaged.
_READS = 3
_LOG_LINES = 30

log = logging.getLogger(__name__)


def run_launch(tether: Tether, job: AppJob, order: LaunchOrder) -> Execution:
    """Start the app, wait for it to end, and return its results. ``job`` has no name yet.

    Anything the app does becomes a reply. Raises `PhoneError` if the phone stays away too long, or has restarted.
    """
    loss = tether.last_loss
    attempts: list[AppJob] = []
    keep_data = False
    try:
        start = tether.again(lambda: _start(tether.cable, job, attempts, order.ways))
        started = Started(job=attempts[-1], start=start, boot_id=tether.facts.boot_id, loss=loss)
        execution = _end(tether, started, order)
        # Only the last reply of a launch with an encrypted artifact states a key. By then the app has deleted the plain
        # files, and the next launch needs the key.
        keep_data = execution.reply.encryption_key is not None
        return execution
    finally:
        for attempt in attempts:
            _tidy(tether, attempt, order.ways, keep_data=keep_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """A request, the deadline of its reply, and the local folder for its outputs; made right before the start.

    ``ways`` is what is known of the phone, and learns more.
    """

    request: RunRequest
    deadline: Deadline
    folder: Path
    ways: Ways = field(default_factory=Ways)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A started app: how it started, the ``boot_id`` of the phone, and the last loss before the start."""

    job: AppJob
    start: Start
    boot_id: str
    loss: PhoneError | None


def _start(cable: Cable, job: AppJob, attempts: list[AppJob], ways: Ways) -> Start:
    """Start the app on a job with a new name.

    A command of an earlier attempt may still run on a phone that was away, and must not touch the files of this one.
    """
    attempts.append(replace(job, name=f"j{secrets.token_hex(8)}"))
    return start_app(cable, attempts[-1], write_request(cable, attempts[-1], ways))


def _end(tether: Tether, started: Started, order: LaunchOrder) -> Execution:
    """Wait for the app to end and return the outcome."""
    job, request = started.job, order.request
    ended = tether.again(lambda: _wait(tether, started, order.deadline), keep=job.app_id)
    # The restart has ended the app, so there is nothing to wait for.
    if tether.facts.boot_id != started.boot_id:
        raise restarted(tether.cable.serial)
    execution = _read(tether, job, order)
    if execution is not None:
        return execution
    if ended is Ended.APP:
        return _dead(tether, started, request)
    # At the deadline the app may have just replied, which is why the reply is read before the app is stopped.
    tether.again(lambda: stop_app(tether.cable, job.app_id))
    message = f"the runner gave no reply within {order.deadline.seconds:g} s and was stopped"
    return failed(request, FailureKind.TIMEOUT, message, detail=_log_tail(tether, started))


def _tidy(tether: Tether, job: AppJob, ways: Ways, *, keep_data: bool) -> None:
    """Remove the job from the phone. One that stays does no harm, since every launch has a new name."""
    try:
        remove_job(tether.cable, job, ways, keep_data=keep_data)
    except PhoneError as error:
        log.info("job %s stays on %s: %s", job.name, tether.cable.serial, error)


def _wait(tether: Tether, started: Started, deadline: Deadline) -> Ended:
    # After a restart of the phone, another process may have this id.
    if tether.facts.boot_id != started.boot_id:
        return Ended.APP
    # A short launch may be over before its process was seen. The reply must not be asked for meanwhile: reading it
    # starts a process of the app, which would then be taken for the launch.
    pid = started.start.pid if started.start.pid is not None else _logged_pid(tether.cable, started.job)
    if pid is None:
        return Ended.APP
    return wait_for_end(tether.cable, started.job, pid, deadline, closing=tether.closing)


def _logged_pid(cable: Cable, job: AppJob) -> int | None:
    """Return the process that the phone's log names for this launch, None if it names none."""
    lines = parse_log(read_log(cable))
    return process_of(lines, job.name, job.app_id) if mark_index(lines, job.name) is not None else None


def _read(tether: Tether, job: AppJob, order: LaunchOrder) -> Execution | None:
    """Fetch the app's reply and outputs; None if there is no reply. A damaged copy is fetched again.

    The app renames its reply into place once it is complete, so damage comes from the transfer.
    """
    execution: Execution | None = None
    for _ in range(_READS):
        data = tether.again(lambda: read_result(tether.cable, job, REPLY_FILE, order.ways), keep=job.app_id)
        if data is None:
            return execution
        took_ns = order.stopwatch.passed_ns()
        execution = read_reply(data, order.request, _outputs(tether, job, order), took_ns=took_ns)
        # An execution that keeps the bytes has accepted them; a rejected reply is replaced by one of our own.
        if execution.reply_bytes == data:
            break
    return execution


def _outputs(tether: Tether, job: AppJob, order: LaunchOrder) -> Path | None:
    """Fetch the outputs, which the app completes before it writes the reply."""
    data = tether.again(lambda: read_result(tether.cable, job, OUTPUTS_FILE, order.ways), keep=job.app_id)
    if data is None:
        return None
    path = order.folder / OUTPUTS_FILE
    path.write_bytes(data)
    return path


def _dead(tether: Tether, started: Started, request: RunRequest) -> Execution:
    """Return the failure of an app that ended without a reply.

    Raises the loss if the phone was away during the launch and nothing else explains the end. An app that was started
    twice or stopped by mistake because of a cable must not look like a crash of the model.
    """
    job, start, loss = started.job, started.start, tether.last_loss
    log_text = tether.again(lambda: read_log(tether.cable))
    exit_info = tether.again(lambda: read_exit_info(tether.cable, job.app_id))
    death = classify_death(
        Ending(log=log_text, exits=exit_info, app_id=job.app_id, pid=start.pid, launch=job.name, since=start.since)
    )
    if not death.explained and loss is not started.loss and loss is not None:
        raise loss
    if not death.explained and _never_ran(log_text, started):
        raise _not_started(tether, started)
    return failed(request, death.kind, death.message, detail=death.evidence)


def _never_ran(log_text: str, started: Started) -> bool:
    """Whether the log has the mark of the launch and yet no process of the app."""
    lines, job = parse_log(log_text), started.job
    marked = mark_index(lines, job.name) is not None
    return started.start.pid is None and marked and process_of(lines, job.name, job.app_id) is None


def _not_started(tether: Tether, started: Started) -> PhoneError:
    serial, app_id = tether.cable.serial, started.job.app_id
    what = f"{named(serial)} took the command to start {app_id!r}, but started no process of it"
    return phone_error(PhoneTrouble.REFUSED, what, serial=serial, command="am start", output=started.start.output)


def _log_tail(tether: Tether, started: Started) -> str:
    """Return what the app logged last, or without any line of it what the phone did."""
    try:
        lines = since_launch(parse_log(read_log(tether.cable)), started.job.name)
    except PhoneError as error:
        return f"the phone's log could not be read: {error}"
    own = [line for line in lines if line.pid == started.start.pid]
    return "\n".join(line.whole for line in (own or lines)[-_LOG_LINES:])
