"""The steps of one launch of a runner app: write the request, start the app, wait for its end, read the results.

A loop in the phone's shell waits for the app to end; it costs a fork every half second. Polling for the reply instead
would start a Java process each time, next to the model being measured.
"""

from __future__ import annotations

import re
import shlex
import threading
from dataclasses import dataclass
from enum import StrEnum

from harness.devices.android.adb.cable import Cable, printed
from harness.devices.android.adb.deadline import Deadline
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app.loglines import TAG, launch_mark
from harness.devices.android.phone_store import FOLDER
from harness.errors import PhoneError, PhoneTrouble
from harness.system.text import whole_number
from harness.wire import REQUEST_FILE

ACTIVITY = "org.phonebench.runner.RunnerActivity"
# `content`, `am` and similar tools are Java programs; a busy phone takes seconds to start one.
TOOL_S = 60.0
BEAT_S = 0.2
_BEATS, _LATER_S = 25, 0.5
# How long `am` may take, and how long after it the app's process may take to appear.
_START_S, _APPEAR_S = 30, 5
# The waiting loop prints twice a second or more. A phone that is silent for this long has hung.
SILENCE_S = 15.0
# What `content` prints to standard error when it fails; it may still exit with 0.
_COMPLAINTS = re.compile(r"error|exception|unsupported|usage:|could not find provider", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppJob:
    """A launch: the app, the job's name, which is new for every attempt, and what the activity is passed.

    ``user`` is the phone's user in front. `am` would choose that one by itself and `content` the first user, whose app
    has other files. ``log`` asks the app to write its reply into the log as well.
    """

    app_id: str
    name: str = ""
    request: bytes
    inputs_sha256: str
    mask: str | None = None
    debuggable: bool = False
    user: int = 0
    log: bool = False

    @property
    def shared(self) -> str:
        """The job's folder on shared storage, where the app leaves its reply, too."""
        return f"/storage/emulated/{self.user}/Android/data/{self.app_id}/files/jobs/{self.name}"

    def uri(self, file: str = "") -> str:
        """Return the URI of the job's folder, or of a file in it, at the app's content provider."""
        return f"content://{self.app_id}.jobs/{self.name}" + (f"/{file}" if file else "")


@dataclass(slots=True, kw_only=True)
class Ways:
    """What works on one phone, as far as it is known: the app's provider, and whether replies must go to the log."""

    door: bool = True
    log: bool = False


class Ended(StrEnum):
    """What ended the wait for an app: the app itself, or the deadline."""

    APP = "app"
    DEADLINE = "deadline"


def write_request(cable: Cable, job: AppJob, ways: Ways) -> str:
    """Pass the request to the app, and return the extra options that the activity then needs. Raises `PhoneError`.

    Phones without ``content write``, and phones that do not let an app start in the background, get it as a file, whose
    path is passed to the activity. ``ways`` learns that the provider does not start, and it is then not tried again.
    """
    return "" if ways.door and _write_through_provider(cable, job, ways) else _write_file(cable, job)


def _write_through_provider(cable: Cable, job: AppJob, ways: Ways) -> bool:
    command = f"content write --user {job.user} --uri {job.uri(REQUEST_FILE)}"
    result = cable.run(command, stdin=job.request, seconds=TOOL_S)
    ways.door = "could not find provider" not in result.complaint.lower()
    return not result.exit_code and not _COMPLAINTS.search(result.complaint)


def _write_file(cable: Cable, job: AppJob) -> str:
    # World-readable, because the app runs as another user than the shell.
    path = f"{FOLDER}/{job.name}.request.json"
    cable.check(f"cat > {path} && chmod 644 {path}", stdin=job.request, seconds=TOOL_S)
    return f" --es request {path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What came of starting the app: its process id, None if it was not seen, the phone's time before, the output."""

    pid: int | None
    since: str = ""
    output: str = ""


def start_app(cable: Cable, job: AppJob, extras: str) -> Start:
    """Start the app and wait for its process. Raises `PhoneError`."""
    mask = f" --es mask {shlex.quote(job.mask)}" if job.mask else ""
    options = f"--es job {job.name} --es store {FOLDER} --es inputs {job.inputs_sha256}{mask}{extras}"
    options += " --ez log true" if job.log else ""
    text = cable.run(_starting(job, options), seconds=TOOL_S).text
    since, _, rest = text.partition("@@pid")
    pid, _, output = rest.partition("@@am\n")
    # `am` exits with 0 even if it could not start the activity.
    if not pid.strip() and re.search(_REFUSED_START, output):
        what = f"{named(cable.serial)} did not start {job.app_id!r}"
        raise phone_error(PhoneTrouble.APP, what, serial=cable.serial, command="am start", output=output.strip()[-300:])
    return Start(pid=whole_number(pid), since=since.strip(), output=output.strip())


_REFUSED_START = "Error|Exception|does not exist"


def _starting(job: AppJob, options: str) -> str:
    """Return a shell command that starts the app and prints the time, the process id and what ``am`` printed.

    ``am`` runs in the background, and without ``-W``: on Android 8 to 11 that option never returns if the activity ends
    before its first frame, as it does for a file that cannot be loaded. A process that was there before is not this
    launch's: ``-S`` ends it, but it takes a moment to go.
    """
    app, out = job.app_id, f"{FOLDER}/{job.name}.am"
    start = f"am start -S --user {job.user} -n {app}/{ACTIVITY} {options}"
    return f"""log -p i -t {TAG} '{launch_mark(job.name)}'
date '+%Y-%m-%d %H:%M:%S'
old=" $(pidof {app}) " pid= end=$((SECONDS+{_START_S}))
{{ {start} > {out} 2>&1; : > {out}.done; }} < /dev/null > /dev/null 2>&1 &
while [ -z "$pid" ] && [ $SECONDS -lt $end ]; do
  for one in $(pidof {app}); do case "$old" in *" $one "*) ;; *) pid=$one;; esac; done
  [ -n "$pid" ] && break
  if [ -f {out}.done ]; then
    grep -qE '{_REFUSED_START}' {out} && break
    [ $end -gt $((SECONDS+{_APPEAR_S})) ] && end=$((SECONDS+{_APPEAR_S}))
    pid=$({_logged(job)})
  fi
  sleep 0.1
done
echo "@@pid $pid"
echo @@am
cat {out}
rm -f {out} {out}.done"""


def _logged(job: AppJob) -> str:
    """Return a shell command that prints the process that the log names: a short launch is over before it is seen."""
    started = rf"s/.*Start proc \([0-9]*\):{job.app_id}\/.*/\1/p"
    after = f"/{launch_mark(job.name)}/,$p"
    return f"logcat -d -v threadtime -b main,system -t 500 | sed -n '{after}' | sed -n '{started}' | head -n 1"


def wait_for_end(cable: Cable, job: AppJob, pid: int, deadline: Deadline, *, closing: threading.Event) -> Ended:
    """Wait until the app ends or the deadline passes. Raises `PhoneError` if the phone goes away or hangs."""
    return follow(cable, _waiting(job.app_id, pid), job.app_id, deadline, closing=closing)


def beating(condition: str) -> str:
    """Return a shell loop that prints while ``condition`` holds: often at first, for launches that end soon.

    Each beat starts a process next to the model, so a longer launch has fewer of them.
    """
    return (
        f"n=0; while {condition}; do echo; n=$((n+1)); [ $n -lt {_BEATS} ] && sleep {BEAT_S} || sleep {_LATER_S}; done"
    )


def follow(cable: Cable, heartbeat: str, name: str, deadline: Deadline, *, closing: threading.Event) -> Ended:
    """Run ``heartbeat``, which prints several times a second while ``name`` runs, until it ends or the deadline passes.

    Raises `PhoneError` if the phone goes away or hangs, or if ``closing`` is set.
    """
    try:
        left_s = deadline.wait_s()
        with cable.start(heartbeat, seconds=left_s, idle_s=SILENCE_S) as link:
            for _ in printed(link):
                deadline.wait_s()
                if closing.is_set():
                    what = f"{named(cable.serial)} was closed while {name!r} ran"
                    raise phone_error(PhoneTrouble.BUSY, what, serial=cable.serial)
    except TimeoutError:
        return Ended.DEADLINE
    except PhoneError as error:
        # The connection has the same deadline, so it may report the silence first.
        if error.trouble is PhoneTrouble.HUNG and _is_over(deadline):
            return Ended.DEADLINE
        raise
    return Ended.APP


def stop_app(cable: Cable, app_id: str) -> None:
    """Stop an app with all its processes. Raises `PhoneError`."""
    cable.run(f"am force-stop {app_id}", seconds=TOOL_S)


def read_log(cable: Cable) -> str:
    """Return the end of the phone's log. Raises `PhoneError`."""
    return cable.run("logcat -d -v threadtime -b main,system,crash -t 8000", seconds=TOOL_S).text


def read_exit_info(cable: Cable, app_id: str) -> str:
    """Return the phone's records of why the app last exited (Android 11 and later). Raises `PhoneError`."""
    return cable.run(f"dumpsys activity exit-info {app_id}", seconds=TOOL_S).text


def _waiting(app_id: str, pid: int) -> str:
    """Return a loop that prints while the process exists.

    Testing /proc starts no process. `pidof` is the fallback where the shell cannot see the app's entry there.
    """
    there = f"[ -d /proc/{pid} ]"
    by_name = f'[ "$(pidof {app_id})" = {pid} ]'
    return f"if {there}; then {beating(there)}; else {beating(by_name)}; fi"


def _is_over(deadline: Deadline) -> bool:
    try:
        deadline.wait_s()
    except TimeoutError:
        return True
    return False
