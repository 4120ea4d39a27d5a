"""Fetches what an app left on the phone: through its provider, from shared storage, or from the log.

Some makers keep an app from starting in the background, and with it the provider's process. The app itself was in
front, so it also left its reply in its folder on shared storage, which the shell can read. The log is the last resort:
it has no outputs, and the app writes the reply into it only if it is asked to, or could write no file at all.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re

from harness.devices.android.adb.cable import Cable
from harness.devices.android.app.job import TOOL_S, AppJob, Ways, read_log
from harness.devices.android.app.loglines import TAG, parse_log
from harness.devices.android.phone_store import FOLDER
from harness.system.packed import unpacked
from harness.wire import REPLY_FILE

# A reply with every call of half an hour.
MOST_REPLY_BYTES = 64 << 20

log = logging.getLogger(__name__)


def read_result(cable: Cable, job: AppJob, file: str, ways: Ways) -> bytes | None:
    """Return a file that the app left, None if there is none. Raises `PhoneError`."""
    # Where the provider does not start, Android waits for it for 20 s, so it is asked last.
    commands = sorted(_commands(job, file), key=lambda command: command.startswith("content") and not ways.door)
    for command in commands:
        result = cable.run(command, seconds=TOOL_S)
        # `content` prints errors to standard output and may exit with 0.
        if result.stdout and not result.exit_code and not result.stdout.startswith(b"[ERROR]"):
            return result.stdout
    return logged_reply(read_log(cable), job.name) if file == REPLY_FILE else None


def _commands(job: AppJob, file: str) -> tuple[str, ...]:
    user = f" --user {job.user}" if job.user else ""
    # The files of a debuggable app can also be read directly.
    direct = (f"run-as {job.app_id}{user} cat files/jobs/{job.name}/{file}",) if job.debuggable else ()
    return f"content read --user {job.user} --uri {job.uri(file)}", *direct, f"cat {job.shared}/{file}"


def logged_reply(text: str, name: str) -> bytes | None:
    """Return the reply to a job that is in a log, None if it is not there, or not whole."""
    line = re.compile(rf"reply {re.escape(name)} (\d{{1,9}})/(\d{{1,9}}) ([0-9a-f]{{64}}) (\S+)")
    matches = [match for one in parse_log(text) if one.tag == TAG and (match := line.fullmatch(one.text))]
    parts = {int(match[1]): match[4] for match in matches}
    # Whether these are all of them; the stated number can be anything.
    if not matches or sorted(parts) != list(range(1, len(parts) + 1)) or len(parts) != int(matches[0][2]):
        return None
    try:
        packed = base64.b64decode("".join(parts[number] for number in sorted(parts)), validate=True)
        data = unpacked(packed, MOST_REPLY_BYTES)
    except ValueError as error:
        log.info("the reply to %s in the log cannot be read: %s", name, error)
        return None
    return data if hashlib.sha256(data).hexdigest() == matches[0][3] else None


def remove_job(cable: Cable, job: AppJob, ways: Ways, *, keep_data: bool = False) -> None:
    """Remove the job's folders, and its files in the store. Raises `PhoneError`.

    Where the app's provider does not start, everything that the app stores is removed with the job, its key included.
    With ``keep_data``, the job's folder inside the app stays there instead.
    """
    commands = [f"rm -rf {job.shared}", f"rm -f {FOLDER}/{job.name}.*"]
    if ways.door:
        commands.insert(0, f"content delete --user {job.user} --uri {job.uri()}")
    elif not keep_data:
        commands.insert(0, clearing(job.app_id, job.user))
    cable.run("; ".join(commands), seconds=TOOL_S)


def clearing(app_id: str, user: int) -> str:
    """Return a shell command that removes everything an app stores, which needs no process of the app."""
    return f"pm clear --user {user} {app_id}"
