"""The phone's log, line by line: which lines are of one launch, and which process the launch was.

A log also holds earlier launches of the same app, and lines about its other processes. So each launch first writes a
line of its own (`launch_mark`), and the lines after it are told apart by their process id. The time would not do: the
clock of a phone may be set while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Under which the runner app logs as well.
TAG = "phonebench"

# logcat's format `threadtime`: date, time, process, thread, level, tag, text. Some versions add the user.
_LINE = re.compile(
    r"^\d\d-\d\d [\d:.]+ +(?:\S+ +)?(?P<pid>\d{1,9}) +\d+ (?P<level>[VDIWEFA]) (?P<tag>.*?) *: (?P<text>.*)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of the log; ``whole`` is the line as printed."""

    pid: int
    level: str
    tag: str
    text: str
    whole: str


def launch_mark(name: str) -> str:
    """Return the text that marks the beginning of a launch in the log."""
    return f"launch {name}"


def parse_log(text: str) -> tuple[LogLine, ...]:
    """Return the lines of ``logcat -v threadtime``; anything else, such as the heads of buffers, is skipped."""
    matches = (_LINE.match(line) for line in text.splitlines())
    return tuple(
        LogLine(pid=int(m["pid"]), level=m["level"], tag=m["tag"], text=m["text"], whole=m.string) for m in matches if m
    )


def since_launch(lines: Sequence[LogLine], name: str) -> tuple[LogLine, ...]:
    """Return the lines after the mark of a launch; all of them if the mark is not there (any more)."""
    at = mark_index(lines, name)
    return tuple(lines if at is None else lines[at + 1 :])


def mark_index(lines: Sequence[LogLine], name: str) -> int | None:
    """Return where the mark of a launch is, None if it is not there."""
    marks = [number for number, line in enumerate(lines) if line.tag == TAG and line.text == launch_mark(name)]
    return marks[-1] if marks else None


def process_of(lines: Sequence[LogLine], name: str, app_id: str) -> int | None:
    """Return the id of the process that ran the activity of a launch, None if the log does not name it.

    Other processes of the app have names of their own, ``APP:NAME``. Before that was so, the provider's process had the
    app's name; it is started ``for content provider``. Without the mark of the launch the newest process counts. With
    it the first does: Android may start an activity again whose process it ended.
    """
    app = re.escape(app_id)
    # ActivityManager's "Start proc", its last word on a process, and the Java runtime's line about a crash.
    started = re.compile(rf"Start proc (\d{{1,9}}):{app}/\S+ for (?!content provider)")
    named = re.compile(rf"Process {app} \(pid (\d{{1,9}})\) has died|Process: {app}, PID: (\d{{1,9}})\b")
    at = mark_index(lines, name)
    ordered = lines[at + 1 :] if at is not None else lines[::-1]
    for pattern in (started, named):
        match = next((m for line in ordered if (m := pattern.search(line.text))), None)
        if match is not None:
            return int(next(filter(None, match.groups())))
    return None
