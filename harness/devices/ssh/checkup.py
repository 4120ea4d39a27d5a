"""What a board lacks, found in one connection: whether it can be reached, its Python, its system, space and sensors."""

from __future__ import annotations

from typing import Any

from harness.devices.kind import CheckStep, Checkup, name_in
from harness.devices.ssh.connection import Connection
from harness.devices.ssh.destination import parse_destination
from harness.devices.ssh.facts import check_facts, has_fan, info_of, throttling_of
from harness.errors import BoardError, BoardTrouble

# An unpacked runtime, the artifacts and the outputs of a run.
_ENOUGH_BYTES = 500 << 20
# Troubles that are met only after ssh itself has worked.
_AFTER_LOGIN = {BoardTrouble.NO_PYTHON, BoardTrouble.OLD_PYTHON}


def check_board(key: str) -> Checkup:
    """Check the board of ``ssh:HOST`` step by step. Problems become failed steps; nothing is raised."""
    destination = parse_destination(name_in(key) or "")
    try:
        connection = Connection(destination)
    except BoardError as error:
        reached = error.trouble in _AFTER_LOGIN
        steps = [CheckStep(name="ssh", ok=reached, detail="ssh lets this user in" if reached else str(error))]
        if reached:
            steps.append(CheckStep(name="python", ok=False, detail=str(error)))
        return Checkup(key=key, serial="", steps=tuple(steps))
    try:
        facts = connection.call({"do": "look"})["facts"]
        connection.say_bye()
    except BoardError as error:
        return Checkup(key=key, serial="", steps=(CheckStep(name="agent", ok=False, detail=str(error)),))
    finally:
        connection.close()
    return Checkup(key=key, serial=destination.name, steps=tuple(_steps(destination.name, key, facts)))


def _steps(board: str, key: str, facts: dict[str, Any]) -> list[CheckStep]:
    info = info_of(key, facts, {})
    memory = facts["memory_bytes"] / (1 << 30)
    return [
        CheckStep(name="ssh", ok=True, detail=f"user {facts['user']}, without a question"),
        CheckStep(name="python", ok=True, detail=f"{facts['python']}, {facts['libc']}"),
        _system(board, facts, f"{info.model}, {info.os}, {info.abi}, {info.cores} cores {info.cpu}, {memory:.1f} GiB"),
        _space(facts),
        CheckStep(name="clocks", ok=True, detail=_clocks(facts)),
        _supply(facts),
        CheckStep(name="cooling", ok=True, detail=_cooling(facts)),
        CheckStep(name="power", ok=True, detail=facts["power"] or "no sensor that phonebench reads: no energy figures"),
    ]


def _system(board: str, facts: dict[str, Any], described: str) -> CheckStep:
    try:
        check_facts(board, facts)
    except BoardError as error:
        return CheckStep(name="system", ok=False, detail=str(error))
    return CheckStep(name="system", ok=True, detail=described)


def _space(facts: dict[str, Any]) -> CheckStep:
    free = facts["free_bytes"]
    words = f"{free >> 20} MiB free for {facts['store']!r}"
    if free < _ENOUGH_BYTES:
        return CheckStep(name="space", ok=False, detail=f"{words}, {_ENOUGH_BYTES >> 20} MiB are needed: free some")
    return CheckStep(name="space", ok=True, detail=words)


def _clocks(facts: dict[str, Any]) -> str:
    clocks = sorted({khz for khz in facts["max_khz"].values()})
    speeds = " and ".join(f"{khz / 1e6:.1f} GHz" for khz in clocks) or "not reported, so --cores cannot be used"
    mode = f", power mode {facts['power_mode']}" if facts["power_mode"] else ""
    return f"at most {speeds}{mode}" if clocks else f"{speeds}{mode}"


def _supply(facts: dict[str, Any]) -> CheckStep:
    now = facts["throttled"]
    if now is None:
        return CheckStep(name="supply", ok=True, detail="not reported")
    troubles = [condition for condition in throttling_of(now, 0) if condition is not None]
    if not troubles:
        return CheckStep(name="supply", ok=True, detail="never too weak and never too hot since the start")
    words = "; ".join(f"{condition.summary} ({condition.detail})" for condition in troubles)
    return CheckStep(name="supply", ok=False, detail=f"{words}: use a stronger supply, cool it, and restart it")


def _cooling(facts: dict[str, Any]) -> str:
    return "cooled actively" if has_fan(facts) else "no fan listed: launches wait until the board is cool"
