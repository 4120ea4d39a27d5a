"""Finds out why an app ended without a reply: out of memory, a crash, or something else.

There are two sources, both read afterwards: ``dumpsys activity exit-info`` (Android 11 and later), which has a reason
code, and the log, where the memory killer, the crash dumper and the Java runtime each write a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.wire import FailureKind

_SIGKILL = "9"
_LINES = 40
_STOPPED = "the runner app was stopped by something else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How an app ended: the kind of failure, a sentence, and the lines of evidence.

    ``explained`` is False if neither source gives a reason, or the reason is that the app was stopped.
    """

    kind: FailureKind
    message: str
    evidence: str
    explained: bool = True


def classify_death(log_text: str, exit_info: str, *, app_id: str, pid: int | None) -> Death:
    """Return why ``app_id`` ended; ``pid`` is its process id, None if it was never seen."""
    lines = _lines_of(log_text, app_id, pid)
    evidence = "\n".join(lines[-_LINES:])
    cause = _marked(lines, _MARKS) or _exit_reason(exit_info, pid) or _marked(lines, _SIGNALS)
    kind, message = cause or (FailureKind.CRASH, "the runner app ended without a reply")
    explained = cause is not None and message != _STOPPED
    return Death(kind=kind, message=message, evidence=evidence or exit_info.strip()[:2000], explained=explained)


_Marks = tuple[tuple[str, FailureKind, str], ...]


def _marked(lines: list[str], marks: _Marks) -> tuple[FailureKind, str] | None:
    """Return the failure for the first of ``marks`` that occurs in a line, None if none does."""
    for pattern, kind, message in marks:
        match = next((m for line in lines if (m := re.search(pattern, line))), None)
        if match is not None:
            return kind, message + (f" ({match[1]})" if match.lastindex and match[1] else "")
    return None


# Memory first: the killer's line explains a signal that a later line reports.
_MARKS: _Marks = (
    (r"lowmemorykiller.*[Kk]ill", FailureKind.OOM, "the phone ran out of memory and ended the runner app"),
    (r"\blmkd?\b.*[Kk]ill", FailureKind.OOM, "the phone ran out of memory and ended the runner app"),
    (r"OutOfMemoryError", FailureKind.OOM, "the runner app ran out of memory"),
    (r"Fatal signal \d+ \((\w+)\)", FailureKind.CRASH, "the runner app crashed"),
    (r"signal \d+ \((\w+)\), code", FailureKind.CRASH, "the runner app crashed"),
    (r"AndroidRuntime: ((?:[\w$]+\.)+[\w$]*(?:Exception|Error)\b.*)", FailureKind.CRASH, "the runner app crashed"),
    (r"FATAL EXCEPTION", FailureKind.CRASH, "the runner app crashed"),
)
# Tried last: an app that crashed in Java, or was stopped by a person, ends by a signal as well.
_SIGNALS: _Marks = (
    (r"exited due to signal 9\b", FailureKind.OOM, "the runner app was killed, most likely because memory ran out"),
    (r"exited due to signal (\d+)", FailureKind.CRASH, "the runner app was ended by a signal"),
)


def _lines_of(text: str, app_id: str, pid: int | None) -> list[str]:
    """Return the log lines that name the app or its process, and those of a native crash dump that follow one."""
    number = rf"(?<!\d){pid}(?!\d)" if pid is not None else None
    relevant: list[str] = []
    dump = False
    for line in text.splitlines():
        if app_id in line or (number is not None and re.search(number, line)):
            relevant.append(line)
            dump = "DEBUG" in line
        elif dump and re.search(r"\bDEBUG\b", line):
            relevant.append(line)
        else:
            dump = False
    return relevant


def _exit_reason(text: str, pid: int | None) -> tuple[FailureKind, str] | None:
    """Return the failure in the newest exit record of this process, None if there is none."""
    # Records are printed newest first, and may be of earlier launches.
    for record in text.split("ApplicationExitInfo")[1:]:
        if pid is not None and not re.search(rf"\bpid={pid}\b", record):
            continue
        reason = re.search(r"\breason=(\d+)", record)
        status = re.search(r"\bstatus=(\d+)", record)
        # The numbers are android.app.ApplicationExitInfo.REASON_*.
        match int(reason[1]) if reason else None:
            case 3:
                return FailureKind.OOM, "the phone ran out of memory and ended the runner app"
            case 2 if status is not None and status[1] == _SIGKILL:
                return FailureKind.OOM, "the runner app was killed, most likely because memory ran out"
            case 2 | 4 | 5:
                return FailureKind.CRASH, "the runner app crashed"
            case 10 | 11:
                return FailureKind.CRASH, _STOPPED
            case 6:
                return FailureKind.CRASH, "the phone ended the runner app because it did not respond"
    return None
