"""``getprop``, ``setprop``, ``getconf``, ``date`` and ``reboot``: what is there before the system is up."""

from __future__ import annotations

import time

from tests.vphone.calls import Call
from tests.vphone.state import PhoneState
from tests.vphone.system import System


def properties(state: PhoneState) -> dict[str, str]:
    """Every property of the phone by its name."""
    made = {
        "ro.build.fingerprint": state.build_fingerprint,
        "ro.build.version.release": state.release,
        "ro.build.version.sdk": str(state.api),
        "ro.build.version.security_patch": state.security_patch,
        "ro.debuggable": "0",
        "ro.hardware": state.device,
        "ro.product.brand": state.manufacturer,
        "ro.product.cpu.abi": state.abi,
        "ro.product.cpu.abilist": ",".join(state.all_abis),
        "ro.product.device": state.device,
        "ro.product.manufacturer": state.manufacturer,
        "ro.product.model": state.model,
        "ro.product.name": state.product,
        "ro.serialno": state.serial,
        "ro.soc.manufacturer": state.soc_manufacturer,
        "ro.soc.model": state.soc_model,
        "sys.boot_completed": "1" if state.booted else "",
    }
    return {key: value for key, value in {**made, **state.properties}.items() if value}


def getprop(system: System, call: Call) -> int:
    """Print one property, or the given default, or all of them."""
    found = properties(system.state)
    if call.args:
        default = call.args[1] if len(call.args) > 1 else ""
        call.out(found.get(call.args[0], default) + "\n")
    else:
        call.out("".join(f"[{key}]: [{found[key]}]\n" for key in sorted(found)))
    return 0


def setprop(system: System, call: Call) -> int:
    """Change a property that may be changed."""
    if len(call.args) != 2:
        call.err("usage: setprop NAME VALUE\n")
        return 1
    key, value = call.args
    if key.startswith("ro."):
        call.err(f"Failed to set property '{key}' to '{value}'.\nSee dmesg for error reason.\n")
        return 1
    system.state.properties = {**system.state.properties, key: value}
    return 0


def getconf(system: System, call: Call) -> int:
    """Print the size of a page, by either of its names."""
    if call.args not in (["PAGE_SIZE"], ["PAGESIZE"]):
        call.err(f"getconf: bad '{' '.join(call.args)}'\n")
        return 1
    call.out(f"{system.state.page_bytes}\n")
    return 0


def date(system: System, call: Call) -> int:
    """Print the phone's wall clock in the requested format."""
    shown = next((arg[1:] for arg in call.args if arg.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    now = system.now_s()
    call.out(time.strftime(shown.replace("%N", f"{int(now % 1 * 1e9):09d}"), time.gmtime(now)) + "\n")
    return 0


def reboot(system: System, call: Call) -> int:
    """Restart the phone."""
    call.out("")
    system.reboot()
    return 0
