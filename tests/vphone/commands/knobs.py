"""``settings``, ``svc``, ``input`` and ``wm``: what a hand on the phone could do as well."""

from __future__ import annotations

from tests.vphone.calls import Call
from tests.vphone.system import System

WAKE, SLEEP, POWER_KEY, MENU = {"224", "KEYCODE_WAKEUP"}, {"223", "KEYCODE_SLEEP"}, {"26", "KEYCODE_POWER"}, {"82"}
STAY_ON = "global/stay_on_while_plugged_in"
LOW_POWER = "global/low_power"
CHARGERS = {"true": 15, "false": 0, "ac": 1, "usb": 2, "wireless": 4}


def settings(system: System, call: Call) -> int:
    """Read, write, delete or list settings; those that belong to the state are kept there."""
    match call.args:
        case ["get", space, key]:
            call.out(_settings_of(system).get(f"{space}/{key}", "null") + "\n")
        case ["put", space, key, value]:
            _put(system, f"{space}/{key}", value)
        case ["delete", space, key]:
            known = f"{space}/{key}" in _settings_of(system)
            _put(system, f"{space}/{key}", None)
            call.out(f"Deleted {int(known)} rows\n")
        case ["list", space]:
            found = _settings_of(system).items()
            call.out("".join(f"{key.split('/', 1)[1]}={value}\n" for key, value in found if key.startswith(space)))
        case _:
            call.err("Settings provider (settings) commands: get, put, delete, list\n")
            return 255
    return 0


def _settings_of(system: System) -> dict[str, str]:
    facts = {STAY_ON: str(system.state.stay_on), LOW_POWER: str(int(system.state.battery_saver))}
    return {**system.state.settings, **facts}


def _put(system: System, key: str, value: str | None) -> None:
    if key == STAY_ON:
        system.state.stay_on = int(value or 0)
    elif key == LOW_POWER:
        system.state.battery_saver = value == "1"
    else:
        others = {name: old for name, old in system.state.settings.items() if name != key}
        system.state.settings = others if value is None else {**others, key: value}


def svc(system: System, call: Call) -> int:
    """Keep the screen on while the phone is plugged in."""
    match call.args:
        case ["power", "stayon", which] if which in CHARGERS:
            system.state.stay_on = CHARGERS[which]
            # The service also wakes the phone up, or there would be nothing to keep on.
            system.state.screen_on = system.state.screen_on or which != "false"
        case ["power", "reboot", *_]:
            system.reboot()
        case _:
            call.err("Available commands: power\n")
            return 255
    return 0


def input_(system: System, call: Call) -> int:
    """Press a key; touches are taken and do nothing."""
    if call.args[:1] == ["keyevent"]:
        key = call.args[-1]
        if key in WAKE:
            system.state.screen_on = True
        elif key in SLEEP:
            system.state.screen_on = False
        elif key in POWER_KEY:
            system.state.screen_on = not system.state.screen_on
        elif key in MENU and not system.state.secure_lock:
            system.state.locked = False
    return 0


def wm(system: System, call: Call) -> int:
    """Dismiss the lock screen, which works if no code is set, or print the screen's size."""
    match call.args:
        case ["dismiss-keyguard"]:
            system.state.locked = system.state.locked and system.state.secure_lock
        case ["size"]:
            call.out("Physical size: 1080x2400\n")
        case ["density"]:
            call.out("Physical density: 420\n")
        case _:
            call.err(f"Error: unknown command '{' '.join(call.args)}'\n")
            return 255
    return 0
