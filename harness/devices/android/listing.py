"""Every phone that the adb server lists: what it is, its state, and what to do if it cannot be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.android.adb.server import READY, ListedPhone, ensure_server, list_phones, phone_key, server_of
from harness.devices.android.advice import advice_for
from harness.devices.android.facts import check_facts, read_facts
from harness.devices.android.state import PhoneState, read_state
from harness.errors import PhoneError, PhoneTrouble
from harness.records.device import DeviceInfo

# A phone that hangs must not delay the list for long.
LOOK_S = 8.0


def phone_infos(environment: Mapping[str, str] = os.environ) -> tuple[DeviceInfo, ...]:
    """Return every phone of the adb server, queried in parallel.

    ``details`` has the phone's ``state`` and ``action``, which is empty if nothing needs to be done. For a phone that
    takes commands it also has ``battery_percent``, ``temperature_c`` and ``thermal_status``. Raises `PhoneError` if
    there is no adb or no server.
    """
    server = server_of(environment)
    ensure_server(server, environment)
    phones = list_phones(server)
    if not phones:
        return ()
    with ThreadPoolExecutor(len(phones)) as pool:
        return tuple(pool.map(lambda phone: _look(server, phone), phones))


def _look(server: Server, phone: ListedPhone) -> DeviceInfo:
    if phone.trouble is not None:
        return _silent(phone, phone.state, phone.trouble)
    cable = Cable(server, phone.serial)
    try:
        facts = read_facts(cable, seconds=LOOK_S)
        info = facts.info(phone_key(phone.serial))
        state = read_state(cable, seconds=LOOK_S)
    except PhoneError as error:
        return _silent(phone, error.trouble.value, error.trouble)
    try:
        check_facts(facts)
    except PhoneError as error:
        return _with(info, state, error.trouble.value, advice_for(error.trouble, phone.serial))
    # The phone answers, but a run would fail: the runner app cannot come to the foreground.
    if state.window.locked:
        return _with(info, state, PhoneTrouble.LOCKED.value, advice_for(PhoneTrouble.LOCKED))
    return _with(info, state, READY, "")


def _with(info: DeviceInfo, state: PhoneState, summary: str, action: str) -> DeviceInfo:
    battery = state.battery
    details = {
        "state": summary,
        "action": action,
        "battery_percent": "" if battery.percent is None else f"{battery.percent:g}",
        "temperature_c": "" if battery.temperature_c is None else f"{battery.temperature_c:g}",
        "thermal_status": state.thermal.status or "",
    }
    return replace(info, details=info.details | details)


def _silent(phone: ListedPhone, summary: str, trouble: PhoneTrouble) -> DeviceInfo:
    """Describe a phone that does not answer by what the server's list says."""
    return DeviceInfo(
        key=phone_key(phone.serial),
        kind="android",
        model=phone.model or "unknown",
        os="unknown",
        cpu="unknown",
        cores=0,
        memory_bytes=0,
        abi="unknown",
        details={"serial": phone.serial, "state": summary, "action": advice_for(trouble, phone.serial)},
    )
