"""The commands of the phone's shell that query its services, by name."""

from __future__ import annotations

from collections.abc import Callable

from tests.vphone.calls import Call
from tests.vphone.commands.activities import am
from tests.vphone.commands.apks import pm, run_as
from tests.vphone.commands.content import content
from tests.vphone.commands.dumps import dumpsys
from tests.vphone.commands.knobs import input_, settings, svc, wm
from tests.vphone.commands.logcat import liblog, log, logcat
from tests.vphone.commands.perfetto import perfetto
from tests.vphone.commands.power import cmd_power, cmd_thermal
from tests.vphone.commands.properties import date, getconf, getprop, reboot, setprop
from tests.vphone.system import System

Command = Callable[[System, Call], int]

NOT_FOUND = 20

COMMANDS: dict[str, Command] = {
    "am": am,
    "content": content,
    "date": date,
    "dumpsys": dumpsys,
    "getconf": getconf,
    "getprop": getprop,
    "input": input_,
    "liblog": liblog,
    "log": log,
    "logcat": logcat,
    "perfetto": perfetto,
    "pm": pm,
    "reboot": reboot,
    "run-as": run_as,
    "setprop": setprop,
    "settings": settings,
    "svc": svc,
    "wm": wm,
}
# What "cmd SERVICE" reaches, by the name of the service.
SERVICES: dict[str, Command] = {
    "activity": am,
    "package": pm,
    "power": cmd_power,
    "settings": settings,
    "thermalservice": cmd_thermal,
    "window": wm,
}
# The commands that are there before the system is up.
EARLY = frozenset({"date", "getconf", "getprop", "logcat", "reboot", "setprop"})


def answer(system: System, call: Call) -> int:
    """Run a command and return its exit code."""
    if call.name == "cmd":
        return _cmd(system, call)
    if call.name not in EARLY and not system.state.booted:
        call.err(f"cmd: Can't find service: {call.name}\n")
        return NOT_FOUND
    code = COMMANDS[call.name](system, call)
    return 1 if call.name in system.state.failing else code


def _cmd(system: System, call: Call) -> int:
    if call.args[:1] == ["-l"]:
        call.out("Currently running services:\n" + "".join(f"  {name}\n" for name in SERVICES))
        return 0
    name, *call.args = call.args or [""]
    found = SERVICES.get(name) if system.state.booted else None
    if found is None:
        call.err(f"cmd: Can't find service: {name}\n")
        return NOT_FOUND
    return found(system, call)
