"""``am``: starting an app's activity and stopping apps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.vphone.calls import Call
from tests.vphone.state import HOME_SCREEN
from tests.vphone.system import System

EXTRA_KINDS = {"--es", "--ei", "--el", "--ez", "--ef", "-e", "--eu"}
VALUED = {"-a", "-c", "-d", "-t", "-f", "--user", "--display", "-P", "--windowingMode"}


@dataclass(slots=True, kw_only=True)
class Intent:
    """The arguments of ``am start``."""

    component: str = ""
    wait: bool = False
    stop_first: bool = False
    extras: dict[str, str] = field(default_factory=dict)


def am(system: System, call: Call) -> int:
    """Run a command of the activity manager."""
    verb, *args = call.args or [""]
    match verb:
        case "start" | "start-activity":
            return _start(system, call, _read(args))
        case "force-stop" | "kill":
            system.apps.stop(args[-1] if args else "")
            if args and system.state.foreground.startswith(f"{args[-1]}/"):
                system.state.foreground = HOME_SCREEN
            return 0
        case "get-current-user":
            call.out("0\n")
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
    began = time.monotonic()
    system.apps.start(package, full, intent.extras)
    system.state.foreground = f"{name}/{full}"
    if intent.wait:
        taken_ms = round((time.monotonic() - began) * 1000)
        launched = "LaunchState: COLD\n" if system.state.api >= 29 else ""
        times = f"TotalTime: {taken_ms}\nWaitTime: {taken_ms + 4}\n"
        call.out(f"Status: ok\n{launched}Activity: {name}/{full}\n{times}Complete\n")
    return 0


def _read(args: list[str]) -> Intent:
    intent, rest = Intent(), list(args)
    while rest:
        word = rest.pop(0)
        if word == "-n":
            intent.component = rest.pop(0)
        elif word == "-W":
            intent.wait = True
        elif word == "-S":
            intent.stop_first = True
        elif word in EXTRA_KINDS:
            key, value = rest.pop(0), rest.pop(0)
            intent.extras[key] = value
        elif word in VALUED:
            rest.pop(0)
        elif not word.startswith("-") and not intent.component:
            intent.component = word
    return intent
