"""``cmd power`` and ``cmd thermalservice``: the mode for benchmarks, and heat that is only claimed."""

from __future__ import annotations

from tests.vphone.calls import Call
from tests.vphone.system import System

UNKNOWN = 255


def cmd_power(system: System, call: Call) -> int:
    """Switch fixed-performance mode or power saving on or off."""
    match call.args:
        case ["set-fixed-performance-mode-enabled", flag] if system.state.api >= 30:
            if not system.state.has_fixed_performance:
                call.err("Failed to set FIXED_PERFORMANCE mode\nThis is likely because it is not supported\n")
                return UNKNOWN
            system.state.fixed_performance = flag == "true"
        case ["set-mode", mode]:
            system.state.battery_saver = mode == "1"
        case _:
            call.err(f"Unknown command: {' '.join(call.args)}\n")
            return UNKNOWN
    return 0


def cmd_thermal(system: System, call: Call) -> int:
    """Override the thermal status, or reset it."""
    match call.args:
        case ["override-status", status] if status.isdecimal():
            system.state.thermal_override = int(status)
        case ["reset"]:
            system.state.thermal_override = None
        case ["headroom", seconds] if system.state.api >= 35:
            call.out(f"Headroom in {seconds} seconds: {system.state.thermal_headroom}\n")
        case _:
            call.err(f"Unknown command: {' '.join(call.args)}\n")
            return UNKNOWN
    return 0
