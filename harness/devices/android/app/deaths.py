"""Finds out why an app ended without a reply: out of memory, a crash, or something else.

There are two sources, both read afterwards: ``dumpsys activity exit-info`` (Android 11 and later), which has a reason
code, and the log, where the memory killer, the crash dumper, the Java runtime and the app itself each write a line.
Both also hold earlier launches and the app's other processes, so only what names this launch's process counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.devices.android.app.loglines import TAG, LogLine, parse_log, process_of, since_launch
from harness.wire import FailureKind, RunReply

_SIGKILL = "9"
_LINES = 40
_STOPPED = "the runner app was stopped by something else"
_KILLED = "the runner app was killed, most likely because memory ran out"
_UNREAD = "the runner app replied, but its reply could not be read"
_MEMORY = "the phone ran out of memory and ended the runner app"
_NO_SPACE = re.compile(r"ENOSPC|No space left", re.IGNORECASE)

_Cause = tuple[FailureKind, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the phone says after an app ended: the end of its log, and its records of exits.

    ``pid`` is the app's process, None if it was never seen; ``launch`` the name under which the launch is in the log,
    and ``since`` the phone's date and time before it, as the records write it. Both may be empty.
    """

    log: str
    exits: str
    app_id: str
    pid: int | None
    launch: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How an app ended: the kind of failure, a sentence, and the lines of evidence.

    ``explained`` is False if neither source gives a reason, or the reason is that the app was stopped.
    """

    kind: FailureKind
    message: str
    evidence: str
    explained: bool = True


def is_unread(reply: RunReply) -> bool:
    """Return whether this stands for a reply that exists on the phone, as the app's log says, but cannot be read."""
    return reply.failure is not None and reply.failure.message == _UNREAD


def classify_death(ending: Ending) -> Death:
    """Return why an app ended."""
    lines = parse_log(ending.log)
    pid = ending.pid if ending.pid is not None else process_of(lines, ending.launch, ending.app_id)
    own = _own_lines(since_launch(lines, ending.launch), pid)
    record = _record(ending, pid)
    cause = _in_log(own, pid) or (_exit_cause(record) if record else None) or _signal(own, pid)
    kind, message = cause or (FailureKind.CRASH, "the runner app ended without a reply")
    evidence = "\n".join(line.whole for line in own[-_LINES:])
    return Death(
        kind=kind,
        message=message,
        evidence=evidence or record.strip()[:2000],
        explained=cause is not None and message != _STOPPED,
    )


def _own_lines(lines: Sequence[LogLine], pid: int | None) -> tuple[LogLine, ...]:
    """Return what a process wrote and what was written about it, with the whole dump of a native crash."""
    if pid is None:
        return ()
    # As ActivityManager, Zygote, the memory killers, the crash dumper and the Java runtime write a process id.
    about = re.compile(rf"\(pid {pid}\)|\({pid}\)|\b[Pp](?:id|ID)[: =]+{pid}\b|\b{pid}:|\bProcess {pid}\b")
    own: list[LogLine] = []
    dumper: int | None = None
    for line in lines:
        if line.pid == pid or about.search(line.text):
            own.append(line)
            # The dump is written by a process of its own, in lines of which only the first names the one that crashed.
            dumper = line.pid if line.tag == "DEBUG" else dumper
        elif line.tag == "DEBUG" and line.pid == dumper:
            own.append(line)
    return tuple(own)


def _in_log(lines: Sequence[LogLine], pid: int | None) -> _Cause | None:
    """Return the failure that a line states, None if none does. Memory comes first: it explains a signal later on."""
    killer = rf"[Kk]ill(?:ing|ed)? '[^']*' \({pid}\)|[Kk]illed process {pid}\b"
    if any(re.search(killer, line.text) for line in lines):
        return FailureKind.OOM, _MEMORY
    java = [line.text for line in lines if line.pid == pid and line.tag == "AndroidRuntime"]
    if any("OutOfMemoryError" in text for text in java):
        return FailureKind.OOM, "the runner app ran out of memory"
    return _native_crash(lines) or _java_crash(java) or _confession(lines, pid) or _killing(lines, pid)


def _native_crash(lines: Sequence[LogLine]) -> _Cause | None:
    for line in lines:
        signal = re.search(r"Fatal signal \d+ \((\w+)\)|^signal \d+ \((\w+)\), code", line.text)
        if signal is not None:
            return FailureKind.CRASH, f"the runner app crashed ({signal[1] or signal[2]})"
    return None


def _java_crash(texts: Sequence[str]) -> _Cause | None:
    if not any("FATAL EXCEPTION" in text for text in texts):
        return None
    # The line after "Process: APP, PID: N": a class, and usually a message. Classes need not end in "Exception".
    thrown = next((text for text in texts if re.match(r"(?:[\w$]+\.)+[A-Z][\w$]*(?::|$)", text)), "")
    return FailureKind.CRASH, f"the runner app crashed ({thrown})" if thrown else "the runner app crashed"


def _confession(lines: Sequence[LogLine], pid: int | None) -> _Cause | None:
    """Return what the app itself logged before it ended. It always ends itself by SIGKILL, like one out of memory."""
    said = [line for line in lines if line.pid == pid and line.tag == TAG]
    errors = [line.text for line in said if line.level in "EF" and not line.text.startswith("\t")]
    if errors:
        kind = FailureKind.STORAGE if any(_NO_SPACE.search(text) for text in errors) else FailureKind.CRASH
        return kind, f"the runner app could not reply ({': '.join(errors[:2])})"
    if any(line.text.startswith("replied to ") for line in said):
        return FailureKind.REPLY, _UNREAD
    return None


def _killing(lines: Sequence[LogLine], pid: int | None) -> _Cause | None:
    """Return the reason for which ActivityManager ended the process, None if it did not."""
    for line in lines:
        killing = re.search(rf"Killing {pid}:\S+ \(adj -?\d+\): (.*)", line.text)
        if killing is None:
            continue
        if killing[1].startswith(("stop ", "kill background", "remove task")):
            return FailureKind.CRASH, _STOPPED
        return FailureKind.CRASH, f"the phone ended the runner app ({killing[1].strip()})"
    return None


def _signal(lines: Sequence[LogLine], pid: int | None) -> _Cause | None:
    """Return what Zygote says. It is asked last: one that crashed in Java, or was stopped, ends by a signal as well."""
    for line in lines:
        # Android 8 and 9 write "signal (9)", later versions "signal 9 (Killed)".
        ended = re.search(rf"Process {pid} exited (?:due to signal \(?(\d+)|cleanly \((\d+)\))", line.text)
        if ended is None:
            continue
        if ended[2] is not None:
            return FailureKind.CRASH, f"the runner app ended by itself with exit code {ended[2]}, without a reply"
        if ended[1] == _SIGKILL:
            return FailureKind.OOM, _KILLED
        return FailureKind.CRASH, f"the runner app was ended by a signal ({ended[1]})"
    return None


def _record(ending: Ending, pid: int | None) -> str:
    """Return the record of this launch's exit, empty if there is none. Records come newest first, of many launches."""
    for record in ending.exits.split("ApplicationExitInfo")[1:]:
        if pid is not None and re.search(rf"\bpid={pid}\b", record):
            return record
        # A process that nobody saw is the newest of the app itself, if it ended after the launch began.
        at = re.search(r"\btimestamp=(\d{4}-\d\d-\d\d [\d:]{8})", record)
        if pid is None and ending.since and at is not None and at[1] >= ending.since:
            name = re.search(r"\bprocess=(\S+)", record)
            if name is not None and name[1] == ending.app_id:
                return record
    return ""


# android.app.ApplicationExitInfo.REASON_* of ends that are neither memory, nor a crash, nor a stop.
_REASONS = {
    6: "because it did not respond",
    7: "because its process could not be started",
    8: "because its permissions were changed",
    9: "because it used too much of the processor",
    12: "because something that it depends on ended",
    13: "for a reason of its own",
    14: "while it was frozen",
    15: "because the app was changed",
    16: "because the app was updated",
}


def _exit_cause(record: str) -> _Cause | None:
    """Return the failure in a record of an exit."""
    reason = re.search(r"\breason=(\d{1,9})\b", record)
    status = re.search(r"\bstatus=(\d+)", record)
    number, code = int(reason[1]) if reason else 0, status[1] if status else ""
    match number:
        case 1:
            return FailureKind.CRASH, f"the runner app ended by itself with exit code {code}, without a reply"
        case 2 if code == _SIGKILL:
            return FailureKind.OOM, _KILLED
        case 3:
            return FailureKind.OOM, _MEMORY
        case 2:
            return FailureKind.CRASH, f"the runner app was ended by a signal ({code})"
        case 4 | 5:
            return FailureKind.CRASH, "the runner app crashed"
        case 10 | 11:
            return FailureKind.CRASH, _STOPPED
    return (FailureKind.CRASH, f"the phone ended the runner app {_REASONS[number]}") if number in _REASONS else None
