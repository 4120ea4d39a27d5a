"""From what a board's agent reports to what phonebench records: the device, its conditions and its readiness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.devices.energy import COUNTER, NO_COUNTER
from harness.devices.host.facts import FLAGS, busy_condition, desktop_condition, shared_condition
from harness.devices.ssh.troubles import board_error
from harness.devices.ssh.wheels import MACHINES
from harness.errors import BoardTrouble
from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo, Readiness
from harness.wire import EnergySource

Facts = Mapping[str, Any]

# The parts of ARM's own cores that boards have (the kernel shows them as numbers).
_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0x004": "Carmel",
}
# Bits of `vcgencmd get_throttled`: now, and the same 16 higher for "since the start".
_UNDER_VOLTAGE, _CAPPED, _SLOWED, _SOFT_LIMIT = 1, 2, 4, 8
_HEAT = _CAPPED | _SLOWED | _SOFT_LIMIT


def check_facts(board: str, facts: Facts) -> None:
    """Raise `BoardError` if no runtime has wheels for such a system."""
    system, machine, libc = facts["system"], facts["machine"], facts["libc"]
    if system != "Linux":
        what = f"runs {system}, and phonebench measures boards with Linux"
    elif facts["bits"] != 64:
        what = f"has a 32-bit system ({machine}), for which the runtimes have no wheels"
    elif machine not in MACHINES:
        what = f"is a {machine} machine, for which the runtimes have no wheels"
    elif not libc.startswith("glibc"):
        what = f"has the C library {libc or 'musl'}, for which the runtimes have no wheels"
    elif facts["implementation"] != "cpython":
        what = f"has {facts['implementation']} as its Python, and the runtimes need CPython"
    else:
        return
    raise board_error(BoardTrouble.MACHINE, board, what)


def info_of(key: str, facts: Facts, settings: Mapping[str, str]) -> DeviceInfo:
    """Return what the board is. ``settings`` are the details that the session adds, such as the cores in use."""
    clocks = settings.get("clock_regime", "default")
    # Two modes of a Jetson are as good as two devices: they are compared with the clocks.
    mode = facts["power_mode"]
    details = {
        "kernel": facts["kernel"],
        "python": facts["python"],
        "instruction_sets": " ".join(flag for flag in FLAGS if flag in _flags(facts)),
        "libc": facts["libc"],
        **settings,
        "clock_regime": f"{clocks}, power mode {mode}" if mode else clocks,
    }
    if facts["power"]:
        details[COUNTER] = EnergySource.SENSOR.value
        details["power_sensor"] = facts["power"].partition(":")[2].partition(",")[0].strip()
    else:
        details[NO_COUNTER] = "the board has no power sensor that phonebench reads"
    return DeviceInfo(
        key=key,
        kind="ssh",
        model=facts["model"] or facts["machine"],
        os=facts["os"],
        cpu=_cpu(facts),
        cores=facts["cores"],
        memory_bytes=facts["memory_bytes"],
        abi=facts["machine"],
        details=details,
    )


def has_fan(facts: Facts) -> bool:
    """Return whether the board is cooled actively: its kernel lists a fan, or it is a PC."""
    return bool(facts["fan"]) or facts["machine"] == "x86_64"


def conditions_of(facts: Facts, state: Facts) -> tuple[Condition, ...]:
    """Return the conditions that apply to what is measured now."""
    candidates = (
        desktop_condition(facts["machine"]),
        shared_condition(container=facts["container"], virtual="hypervisor" in _flags(facts)),
        busy_condition(state["load_1m"] or 0.0, facts["cores"]),
        *throttling_of(state["throttled"], facts["throttled"]),
    )
    return tuple(condition for condition in candidates if condition is not None)


def throttling_of(now: int | None, before: int | None) -> tuple[Condition | None, ...]:
    """Return the conditions in the bits of ``get_throttled``: those of now, and those that are new since ``before``."""
    if now is None:
        return ()
    # What has happened since the start counts only if it was not there when the session began.
    fresh = (now | (now & ~(before or 0)) >> 16) & 0xF
    evidence = f"vcgencmd get_throttled reports 0x{now:x}"
    weak = Condition(
        id=ConditionId.UNDER_VOLTAGE, summary="the board's supply voltage dropped too low", detail=evidence
    )
    hot = Condition(id=ConditionId.THERMAL, summary=f"the board slowed down: {_heat_words(fresh)}", detail=evidence)
    return (weak if fresh & _UNDER_VOLTAGE else None, hot if fresh & _HEAT else None)


def readiness_of(state: Facts) -> Readiness:
    """Return the state that the gate checks."""
    throttled = state["throttled"]
    return Readiness(
        thermal_status=None if throttled is None else _heat_words(throttled) or "none",
        hottest_c=max(state["temperatures_c"].values(), default=None),
        probe_ns=state.get("probe_ns"),
        busy=state.get("busy"),
        governor=state["governor"],
    )


def _heat_words(bits: int) -> str:
    words = {_CAPPED: "its clocks are capped", _SLOWED: "throttled", _SOFT_LIMIT: "at its soft temperature limit"}
    return ", ".join(word for bit, word in words.items() if bits & bit)


def _flags(facts: Facts) -> set[str]:
    cpuinfo = facts["cpuinfo"]
    return set((cpuinfo["flags"] or cpuinfo["Features"] or "").split())


def _cpu(facts: Facts) -> str:
    named = facts["cpuinfo"]["model name"]
    parts = " + ".join(_PARTS.get(part, part) for part in facts["parts"])
    return str(named or parts or facts["machine"])
