"""Finds out why the app ended without a reply: out of memory, a crash, or something else.

There are two sources. The instruments server says how the process ended, on most systems. And the iPhone writes
reports: one for each crash, and one for each time that it ended processes for want of memory (jetsam), with all of
them in it. Reports are matched by the id of the process.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from harness.devices.replies import missing_reply
from harness.system.decoding import plain_json
from harness.wire import FailureKind

JETSAM = "JetsamEvent-"
_WHO = "the runner app"
# Codes of SpringBoard and the kernel in the termination of a crash report.
_WATCHDOG = 0x8BADF00D

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of the iPhone: the name of its file, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the process ended, as far as the instruments server says so, and the reports that are new since."""

    pid: int
    code: int | None
    signal: int | None
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """Why an app ended: the kind of failure, a sentence, and the evidence. ``explained``: something gave a reason."""

    kind: FailureKind
    message: str
    evidence: str = ""
    explained: bool = True


def classify_death(ending: Ending) -> Death:
    """Return why an app ended."""
    for report in ending.reports:
        death = _in_report(report, ending.pid)
        if death is not None:
            return death
    if ending.signal:
        kind, message = missing_reply(-ending.signal, 0, who=_WHO)
        return Death(kind=kind, message=message.replace("the machine", "the iPhone"))
    if ending.code is not None:
        kind, message = missing_reply(ending.code, 0, who=_WHO)
        return Death(kind=kind, message=message)
    return Death(kind=FailureKind.CRASH, message=f"{_WHO} ended without a reply", explained=False)


def _in_report(report: Report, pid: int) -> Death | None:
    try:
        return _in_jetsam(report, pid) if report.name.startswith(JETSAM) else _in_crash(report, pid)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        # Apple describes the format of these files and changes it all the same.
        log.info("the report %s cannot be read: %s", report.name, error)
        return None


def _in_jetsam(report: Report, pid: int) -> Death | None:
    body = _body(report.text)
    pages = body.get("memoryStatus", {}).get("pageSize", 16384)
    for process in body.get("processes", ()):
        if process.get("pid") != pid or not process.get("reason"):
            continue
        used = f", with {int(process['rpages']) * int(pages) >> 20} MiB in memory" if "rpages" in process else ""
        message = f"the iPhone ran out of memory and ended {_WHO} ({process['reason']}{used})"
        return Death(kind=FailureKind.OOM, message=message, evidence=f"{report.name}: {json.dumps(process)[:2000]}")
    return None


def _in_crash(report: Report, pid: int) -> Death | None:
    body = _body(report.text)
    if body.get("pid") != pid:
        return None
    exception, end = body.get("exception", {}), body.get("termination", {})
    evidence = f"{report.name}: {json.dumps({'exception': exception, 'termination': end})[:2000]}"
    if "MEMORY" in str(exception.get("subtype", "")).upper() or end.get("namespace") == "JETSAM":
        message = f"{_WHO} used more memory than the iPhone allows an app, and was ended"
        return Death(kind=FailureKind.OOM, message=message, evidence=evidence)
    if end.get("code") == _WATCHDOG:
        message = f"the iPhone ended {_WHO}, because it did not answer in time (0x8badf00d)"
        return Death(kind=FailureKind.CRASH, message=message, evidence=evidence)
    what = exception.get("signal") or exception.get("type") or end.get("indicator") or "an error"
    return Death(kind=FailureKind.CRASH, message=f"{_WHO} crashed with {what}{_where(body)}", evidence=evidence)


def _where(body: dict[str, Any]) -> str:
    """The library in which a process crashed, which is often the runtime or a delegate."""
    threads, images = body.get("threads", ()), body.get("usedImages", ())
    frames = next((thread.get("frames", ()) for thread in threads if thread.get("triggered")), ())
    # A frame that belongs to no library has no index.
    indices = [frame.get("imageIndex", -1) for frame in frames[:8]]
    names = [images[index].get("name") for index in indices if 0 <= index < len(images)]
    own = [name for name in names if name and not name.startswith(("libsystem_", "libdyld", "libc++"))]
    return f" in {own[0]}" if own else ""


def _body(text: str) -> dict[str, Any]:
    """The second part of a report: a line of JSON comes before it."""
    _, _, rest = text.partition("\n")
    for part in (rest, text):
        try:
            body = plain_json(part)
        except ValueError:
            continue
        if isinstance(body, dict):
            return body
    return {}
