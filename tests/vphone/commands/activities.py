"""``am``: starting an app's activity and stopping apps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.vphone.apps import Running
from tests.vphone.calls import Call
from tests.vphone.packages import Package
from tests.vphone.state import HOME_SCREEN
from tests.vphone.system import System

EXTRA_KINDS = {"--es", "--ei", "--el", "--ez", "--ef", "-e", "--eu"}
VALUED = {"-a", "-c", "-t", "-f", "--display", "-P", "--windowingMode"}
# An activity shows its first frame this long after its process has started.
FIRST_FRAME_S = 0.5
# Before Android 12 nobody tells "-W" that an activity has ended without one, and nothing else ends the wait.
HANGS_UNTIL_API, HANG_S = 30, 100


@dataclass(slots=True, kw_only=True)
class Intent:
    """The arguments of ``am start``."""

    component: str = ""
    wait: bool = False
    stop_first: bool = False
    user: int = 0
    extras: dict[str, str] = field(default_factory=dict)


def am(system: System, call: Call) -> int:
    """Run a command of the activity manager."""
    verb, *args = call.args or [""]
    match verb:
        case "start" | "start-activity":
            return _start(system, call, _read(args, system.state.user))
        case "force-stop" | "kill":
            system.apps.stop(args[-1] if args else "")
            if args and system.state.foreground.startswith(f"{args[-1]}/"):
                system.state.foreground = HOME_SCREEN
            return 0
        case "get-current-user":
            call.out(f"{system.state.user}\n")
            return 0
        case _:
            call.err(f"Error: unknown command '{verb}'\n")
            return 255


def _start(system: System, call: Call, intent: Intent) -> int:
    name, _, activity = intent.component.partition("/")
    package = system.packages.find(name)
    full = name + activity if activity.startswith(".") else activity
    extras = " (has extras)" if intent.extras else ""
    call.out(f"Starting: Intent {{ cmp={intent.component}{extras} }}\n")
    if package is None or full not in package.apk.activities:
        call.err(f"Error type 3\nError: Activity class {{{name}/{full}}} does not exist.\n")
        return 1
    if intent.stop_first:
        system.apps.stop(name)
    if system.faults.no_start:
        return 0
    began = time.monotonic()
    running = _launch(system, package, full, intent)
    if intent.wait:
        if not running.over.wait(FIRST_FRAME_S) or system.state.api > HANGS_UNTIL_API:
            taken_ms = round((time.monotonic() - began) * 1000)
            launched = "LaunchState: COLD\n" if system.state.api >= 29 else ""
            times = f"TotalTime: {taken_ms}\nWaitTime: {taken_ms + 4}\n"
            call.out(f"Status: ok\n{launched}Activity: {name}/{full}\n{times}Complete\n")
            return 0
        ends = began + HANG_S
        while call.waits and time.monotonic() < ends:
            time.sleep(0.05)
    return 0


def _launch(system: System, package: Package, activity: str, intent: Intent) -> Running:
    system.state.foreground = f"{package.name}/{activity}"
    system.state.dialog = system.state.start_dialog
    return system.apps.start(package, activity, intent.extras, intent.user)


def user_in(args: list[str], default: int) -> int:
    """The user that a command names, or else the one that it means without."""
    name = args[args.index("--user") + 1] if "--user" in args[:-1] else ""
    return int(name) if name.isdecimal() else default


def _read(args: list[str], user: int) -> Intent:
    intent, rest = Intent(user=user_in(args, user)), list(args)
    while rest:
        word = rest.pop(0)
        if word == "-n":
            intent.component = rest.pop(0)
        elif word == "-W":
            intent.wait = True
        elif word == "-S":
            intent.stop_first = True
        elif word == "-d":
            # What a browser opens.
            intent.extras["data"] = rest.pop(0)
        elif word in EXTRA_KINDS:
            key, value = rest.pop(0), rest.pop(0)
            intent.extras[key] = value
        elif word in VALUED or word == "--user":
            rest.pop(0)
        elif not word.startswith("-") and not intent.component:
            intent.component = word
    return intent
