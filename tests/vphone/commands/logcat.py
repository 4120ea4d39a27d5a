"""``logcat``: the log so far, and, unless asked to stop there, all that comes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.vphone.calls import Call
from tests.vphone.logs import LEVELS, LogLine
from tests.vphone.system import System

USUAL = frozenset({"main", "system", "crash"})
POLL_S = 0.1
SHELL_PID = 3999


@dataclass(slots=True, kw_only=True)
class Filters:
    """The options on the command line."""

    dump: bool = False
    clear: bool = False
    last: int | None = None
    buffers: frozenset[str] = USUAL
    pid: int | None = None
    since_s: float = 0.0
    least: dict[str, str] = field(default_factory=dict)

    def takes(self, line: LogLine) -> bool:
        """Whether a line is to be shown."""
        least = self.least.get(line.tag, self.least.get("*", "V"))
        loud = least in LEVELS and LEVELS.index(line.level) >= LEVELS.index(least)
        return loud and line.buffer in self.buffers and self.pid in (None, line.pid) and line.at_s >= self.since_s


def logcat(system: System, call: Call) -> int:
    """Print the log and follow it until the reader is gone, unless ``-d`` or ``-t`` was given."""
    filters = _read(call.args)
    if filters.clear:
        system.log.clear()
        return 0
    lines, seen = system.log.since(0)
    shown = [line for line in lines if filters.takes(line)]
    _print(call, shown[-filters.last :] if filters.last else shown)
    while not filters.dump and call.waits:
        system.log.wait(seen, POLL_S)
        lines, seen = system.log.since(seen)
        _print(call, [line for line in lines if filters.takes(line)])
    return 0


def log(system: System, call: Call) -> int:
    """Write the words of the command line to the log: ``log -p i -t TAG WORDS``."""
    level, tag, rest = "I", "log", list(call.args)
    while rest[:1] and rest[0] in ("-p", "-t"):
        option, value = rest.pop(0), rest.pop(0)
        level, tag = (value.upper(), tag) if option == "-p" else (level, value)
    system.log.add(level, tag, " ".join(rest), pid=SHELL_PID)
    return 0


def liblog(system: System, call: Call) -> int:
    """Write standard input to the log, like a program that logs directly: ``liblog TAG PID``."""
    tag, pid = call.args
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        call.read(lines)
        system.log.add("I", tag, lines.read_text(errors="replace"), pid=int(pid))
    return 0


def _print(call: Call, lines: list[LogLine]) -> None:
    call.out("".join(f"{line}\n" for line in lines))


def _read_start(filters: Filters, text: str) -> None:
    """Read with how many lines to begin, or since when, such as ``11-29 07:15:00.000``."""
    if text.isdecimal():
        filters.last = int(text)
        return
    moment = datetime.strptime(f"{datetime.now(UTC).year}-{text} +0000", "%Y-%m-%d %H:%M:%S.%f %z")
    filters.since_s = moment.timestamp()


def _read(args: list[str]) -> Filters:
    filters, rest = Filters(), list(args)
    while rest:
        word = rest.pop(0)
        match word:
            case "-d":
                filters.dump = True
            case "-c":
                filters.clear = True
            case "-t" | "-T":
                _read_start(filters, rest.pop(0))
                filters.dump = filters.dump or word == "-t"
            case "-b":
                named = rest.pop(0)
                filters.buffers = USUAL | {"events", "radio"} if named == "all" else frozenset(named.split(","))
            case "-s":
                filters.least["*"] = "S"
            case "-v":
                rest.pop(0)
            case _ if word.startswith("--pid"):
                filters.pid = int(word.partition("=")[2] or rest.pop(0))
            case _ if not word.startswith("-"):
                tag, _, level = word.partition(":")
                filters.least[tag] = level or "V"
    return filters
