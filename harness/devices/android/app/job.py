"""One launch of a runner app: the request goes in, the app is started and waited for, reply and outputs come out.

The one decision: the app's end is what is waited for, by a loop in the phone's shell that costs a fork in a fifth of a
second. Asking for the reply over and over would start a Java process each time, beside the model that is measured.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from harness.devices.android.adb.cable import Cable, printed
from harness.devices.android.adb.deadline import Deadline
from harness.devices.android.advice import named, phone_error
from harness.devices.android.phone_store import FOLDER
from harness.errors import PhoneError, PhoneTrouble
from harness.wire import REPLY_FILE, REQUEST_FILE

ACTIVITY = "org.phonebench.runner.RunnerActivity"
# `content`, `am` and their like are Java programs; a busy phone takes seconds to start one.
TOOL_S = 60.0
BEAT_S = 0.2
# The waiting loop prints five times a second. A phone that is silent for so long hangs.
SILENCE_S = 15.0
_PID_TRIES = 10
_COMPLAINTS = re.compile(r"error|exception|unsupported|usage:|could not find provider", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppJob:
    """A launch: which app, the job's name (new for each attempt), and what the activity is told."""

    app_id: str
    name: str = ""
    request: bytes
    inputs_sha256: str
    mask: str | None = None
    debuggable: bool = False

    def uri(self, file: str = "") -> str:
        """Return the address of the job's folder or of a file in it at the app's provider."""
        return f"content://{self.app_id}.jobs/{self.name}" + (f"/{file}" if file else "")


class Ended(StrEnum):
    """Why the wait for an app ended."""

    APP = "app"
    DEADLINE = "deadline"


def write_request(cable: Cable, job: AppJob) -> str:
    """Give the request to the app; return the extra options that the activity then needs. Raises `PhoneError`.

    Phones without ``content write`` get it as a file that the activity is told of.
    """
    done = cable.run(f"content write --uri {job.uri(REQUEST_FILE)}", stdin=job.request, seconds=TOOL_S)
    if not done.exit_code and not _COMPLAINTS.search(done.complaint):
        return ""
    path = f"{FOLDER}/{job.name}.request.json"
    cable.check(f"cat > {path} && chmod 644 {path}", stdin=job.request, seconds=TOOL_S)
    return f" --es request {path}"


def start_app(cable: Cable, job: AppJob, extras: str) -> int | None:
    """Start the app on the job and return its process, None when it is not there (any more). Raises `PhoneError`."""
    mask = f" --es mask {shlex.quote(job.mask)}" if job.mask else ""
    told = f"--es job {job.name} --es store {FOLDER} --es inputs {job.inputs_sha256}{mask}{extras}"
    done = cable.run(
        f"am start -S -W -n {job.app_id}/{ACTIVITY} {told}; echo @@pid; pidof {job.app_id}", seconds=TOOL_S
    )
    said, _, pid = done.text.partition("@@pid")
    if re.search(r"^Error|Exception|does not exist", f"{said}\n{done.complaint}", re.MULTILINE):
        what = f"{named(cable.serial)} did not start {job.app_id!r}"
        output = f"{said} {done.complaint}".strip()[-300:]
        raise phone_error(PhoneTrouble.APP, what, serial=cable.serial, command="am start", output=output)
    first = pid.split()[:1]
    return int(first[0]) if first and first[0].isdecimal() else None


def find_pid(cable: Cable, job: AppJob) -> int | None:
    """Return the process of an app that may not have appeared yet, None when it has come and gone, or never came."""
    for _ in range(_PID_TRIES):
        first = cable.run(f"pidof {job.app_id}").text.split()[:1]
        if first and first[0].isdecimal():
            return int(first[0])
        if read_result(cable, job, REPLY_FILE) is not None:
            return None
        time.sleep(BEAT_S)
    return None


def wait_for_end(cable: Cable, job: AppJob, pid: int, deadline: Deadline, *, closing: threading.Event) -> Ended:
    """Wait until the app has ended, or the deadline came. Raises `PhoneError` when the phone goes away or hangs."""
    return follow(cable, _waiting(job.app_id, pid), job.app_id, deadline, closing=closing)


def follow(cable: Cable, beats: str, name: str, deadline: Deadline, *, closing: threading.Event) -> Ended:
    """Run ``beats``, which prints five times a second while ``name`` runs, to its end or to the deadline.

    Raises `PhoneError` when the phone goes away or hangs, or when it is closed, of which ``closing`` tells.
    """
    try:
        left = deadline.wait_s()
        with cable.start(beats, seconds=left, idle_s=SILENCE_S) as link:
            for _ in printed(link):
                deadline.wait_s()
                if closing.is_set():
                    what = f"{named(cable.serial)} was closed while {name!r} ran"
                    raise phone_error(PhoneTrouble.BUSY, what, serial=cable.serial)
    except TimeoutError:
        return Ended.DEADLINE
    except PhoneError as error:
        if error.trouble is PhoneTrouble.HUNG and _is_over(deadline):
            return Ended.DEADLINE
        raise
    return Ended.APP


def read_result(cable: Cable, job: AppJob, file: str) -> bytes | None:
    """Return a file that the app left in the job's folder, None when there is none. Raises `PhoneError`."""
    ways: list[Callable[[], str]] = [lambda: f"content read --uri {job.uri(file)}"]
    if job.debuggable:
        ways.append(lambda: f"run-as {job.app_id} cat files/jobs/{job.name}/{file}")
    for way in ways:
        done = cable.run(way(), seconds=TOOL_S)
        if done.stdout and not done.exit_code and not done.stdout.startswith(b"[ERROR]"):
            return done.stdout
    return None


def remove_job(cable: Cable, job: AppJob) -> None:
    """Remove the job's folder from the app, and a request that went as a file. Raises `PhoneError`."""
    cable.run(f"content delete --uri {job.uri()}; rm -f {FOLDER}/{job.name}.request.json", seconds=TOOL_S)


def stop_app(cable: Cable, app_id: str) -> None:
    """End an app with all its processes. Raises `PhoneError`."""
    cable.run(f"am force-stop {app_id}", seconds=TOOL_S)


def read_log(cable: Cable) -> str:
    """Return the end of the phone's log. Raises `PhoneError`."""
    return cable.run("logcat -d -b main,system,crash -t 3000", seconds=TOOL_S).text


def read_exit_info(cable: Cable, app_id: str) -> str:
    """Return what the phone wrote down of the app's last ends (Android 11 and later). Raises `PhoneError`."""
    return cable.run(f"dumpsys activity exit-info {app_id}", seconds=TOOL_S).text


def _waiting(app_id: str, pid: int) -> str:
    """A loop that prints while the process is there; looking into /proc needs no process, pidof is the way back."""
    there = f"[ -d /proc/{pid} ]"
    by_name = f'[ "$(pidof {app_id})" = {pid} ]'
    loop = f"do echo; sleep {BEAT_S}; done"
    return f"if {there}; then while {there}; {loop}; else while {by_name}; {loop}; fi"


def _is_over(deadline: Deadline) -> bool:
    try:
        deadline.wait_s()
    except TimeoutError:
        return True
    return False
