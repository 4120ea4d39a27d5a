"""``logcat``: the log so far, and, unless asked to stop there, all that comes."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.vphone.calls import Call
from tests.vphone.logs import LEVELS, LogLine
from tests.vphone.system import System

USUAL = frozenset({"main", "system", "crash"})
POLL_S = 0.1


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What was asked for on the command line."""

    dump: bool = False
    clear: bool = False
    last: int | None = None
    buffers: frozenset[str] = USUAL
    pid: int | None = None
    least: dict[str, str] = field(default_factory=dict)

    def takes(self, line: LogLine) -> bool:
        """Whether a line is to be shown."""
        least = self.least.get(line.tag, self.least.get("*", "V"))
        loud = least in LEVELS and LEVELS.index(line.level) >= LEVELS.index(least)
        return loud and line.buffer in self.buffers and self.pid in (None, line.pid)


def logcat(system: System, call: Call) -> int:
    """Print the log, and go on until nobody reads it any more unless ``-d`` or ``-t`` was given."""
    wanted = _read(call.args)
    if wanted.clear:
        system.log.clear()
        return 0
    lines, seen = system.log.since(0)
    shown = [line for line in lines if wanted.takes(line)]
    _print(call, shown[-wanted.last :] if wanted.last else shown)
    while not wanted.dump and call.waits:
        system.log.wait(seen, POLL_S)
        lines, seen = system.log.since(seen)
        _print(call, [line for line in lines if wanted.takes(line)])
    return 0


def _print(call: Call, lines: list[LogLine]) -> None:
    call.out("".join(f"{line}\n" for line in lines))


def _read(args: list[str]) -> Wanted:
    wanted, rest = Wanted(), list(args)
    while rest:
        word = rest.pop(0)
        match word:
            case "-d":
                wanted.dump = True
            case "-c":
                wanted.clear = True
            case "-t" | "-T":
                wanted.last, wanted.dump = int(rest.pop(0)), wanted.dump or word == "-t"
            case "-b":
                named = rest.pop(0)
                wanted.buffers = USUAL | {"events", "radio"} if named == "all" else frozenset(named.split(","))
            case "-s":
                wanted.least["*"] = "S"
            case "-v":
                rest.pop(0)
            case _ if word.startswith("--pid"):
                wanted.pid = int(word.partition("=")[2] or rest.pop(0))
            case _ if not word.startswith("-"):
                tag, _, level = word.partition(":")
                wanted.least[tag] = level or "V"
    return wanted
