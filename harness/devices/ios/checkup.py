"""A short check of one iPhone, step by step: what works, what does not, and what to do about it.

Each step uses the driver in the same way as a run. After a failed step the next ones are still tried, unless the iPhone
cannot be reached at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import __version__
from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.environment import driver_python, driver_version
from harness.devices.ios.facts import check_facts, check_tunneld, info_of, needs_tunneld, numbers_of, version_of
from harness.devices.ios.hold import IosOptions, Tether
from harness.devices.ios.phone_store import PhoneStore
from harness.devices.ios.runner_app import RunnerApp
from harness.devices.ios.usbmux import choose_phone, list_phones, usbmuxd_address
from harness.devices.kind import CheckStep, Checkup, name_in
from harness.errors import IosError, IosTrouble

# Enough to measure the speed of a cable within a second.
_TRIAL_BYTES = 8 << 20
# Long enough to take the iPhone into the hand and read the dialog.
_TRUST_S = 20.0
_MOUNT_S = 300.0


def check_iphone(key: str) -> Checkup:
    """Check the iPhone of ``ios:UDID``, or the only one. Problems become failed steps; nothing is raised."""
    steps: list[CheckStep] = []
    ready = _step(steps, "driver", lambda: f"{driver_version()}, {driver_python()}")
    if not _step(steps, "usbmuxd", lambda: f"{len(list_phones())} connected, {usbmuxd_address()}"):
        return Checkup(key=key, serial="", steps=tuple(steps))
    udids: list[str] = []

    def choose() -> str:
        udids.append(choose_phone(list_phones(), name_in(key) or "").udid)
        return udids[0]

    if _step(steps, "iPhone", choose) and ready:
        _check_held(steps, udids[0])
    udid = udids[0] if udids else ""
    return Checkup(key=f"ios:{udid}" if udid else key, serial=udid, steps=tuple(steps))


def _check_held(steps: list[CheckStep], udid: str) -> None:
    held: list[Tether] = []

    def trust() -> str:
        held.append(Tether(udid, driver_python(), IosOptions(trust_s=_TRUST_S, back_s=5.0)))
        return "trusts this computer"

    if not _step(steps, "trust", trust):
        return
    with contextlib.closing(held[0]) as tether:
        store = PhoneStore(tether)
        fit = _step(steps, "system", lambda: _describe(udid, tether))
        _step(steps, "lock", lambda: _check_lock(udid, tether))
        _step(steps, "developer mode", lambda: _check_developer_mode(udid, tether))
        _step(steps, "tunnel", lambda: _check_tunnel(udid, tether))
        _step(steps, "developer image", lambda: _check_image(tether))
        _step(steps, "space", lambda: _check_space(tether))
        _step(steps, "battery", lambda: _describe_battery(tether))
        # An iPhone that cannot be measured needs no app.
        if fit and _step(steps, "runner app", lambda: _check_app(udid, tether)):
            _step(steps, "files", lambda: _check_files(udid, tether, store))
        _step(steps, "process control", lambda: _check_control(tether))


def _step(steps: list[CheckStep], name: str, work: Callable[[], str]) -> bool:
    try:
        steps.append(CheckStep(name=name, ok=True, detail=work()))
    except IosError as error:
        steps.append(CheckStep(name=name, ok=False, detail=str(error)))
    return steps[-1].ok


def _describe(udid: str, tether: Tether) -> str:
    check_facts(udid, tether.facts)
    info = info_of("", tether.facts)
    return f"{info.model}, {info.os} ({info.details['build']}), {info.abi}, {info.cpu}"


def _check_lock(udid: str, tether: Tether) -> str:
    if tether.call("locked"):
        raise ios_error(IosTrouble.LOCKED, f"{named(udid)} is locked", udid=udid)
    return "unlocked"


def _check_developer_mode(udid: str, tether: Tether) -> str:
    on = tether.call("developer_mode")
    if on is None:
        return "not needed before iOS 16"
    if on:
        return "on"
    # The settings hide the entry until a computer asks for it.
    with contextlib.suppress(IosError):
        tether.call("reveal")
    raise ios_error(IosTrouble.DEVELOPER_MODE, f"{named(udid)} has developer mode switched off", udid=udid)


def _check_tunnel(udid: str, tether: Tether) -> str:
    check_tunneld(udid, tether.facts)
    if needs_tunneld(tether.facts):
        return "tunneld runs"
    return "in user space, without root" if numbers_of(version_of(tether.facts)) >= (17, 0) else "not needed"


def _check_image(tether: Tether) -> str:
    if tether.call("mounted"):
        return "mounted"
    tether.call("mount", seconds=_MOUNT_S)
    return "mounted now"


def _check_space(tether: Tether) -> str:
    disk = tether.call("disk")
    free, total = disk["free_bytes"], disk["total_bytes"]
    return "not reported" if free is None else f"{free / 1e9:.1f} GB free of {(total or 0) / 1e9:.0f} GB"


def _describe_battery(tether: Tether) -> str:
    now = tether.call("battery")
    values = {
        "charge": _with_unit(now["percent"], "%"),
        "temperature": _with_unit(now["temperature_c"], "°C"),
        "charger": "not reported" if now["powered"] is None else "yes" if now["powered"] else "no",
    }
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _with_unit(value: Any, unit: str) -> str:
    return "not reported" if value is None else f"{value:g} {unit}"


def _check_app(udid: str, tether: Tether) -> str:
    app = RunnerApp(tether).find()
    if app is None:
        raise ios_error(IosTrouble.APP, f"{named(udid)} does not have the runner app", udid=udid)
    if app.version != __version__:
        what = f"{named(udid)} has runner app {app.version or 'without a version'}, phonebench is {__version__}"
        raise ios_error(IosTrouble.APP, what, udid=udid)
    tether.use(app.bundle_id)
    return f"{app.bundle_id} {app.version}, runs {', '.join(app.runtimes) or 'formats that it does not name'}"


def _check_files(udid: str, tether: Tether, store: PhoneStore) -> str:
    """Store a file, fetch it again, and compare."""
    data = os.urandom(_TRIAL_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "there", Path(folder) / "back"
        source.write_bytes(data)
        started = time.monotonic()
        store.put(source, digest)
        sent = time.monotonic()
        try:
            size = tether.call("pull", sha256=digest, path=str(target))
            fetched = time.monotonic()
        finally:
            store.remove(digest)
        same = size is not None and target.read_bytes() == data
    if not same:
        what = f"a file sent to {named(udid)} came back changed"
        raise ios_error(IosTrouble.REFUSED, what, udid=udid)
    push_mbs, pull_mbs = (_TRIAL_BYTES / 1e6 / max(s, 1e-9) for s in (sent - started, fetched - sent))
    return f"{push_mbs:.0f} MB/s to the iPhone, {pull_mbs:.0f} MB/s back"


def _check_control(tether: Tether) -> str:
    started = time.monotonic()
    pid = tether.call("running", seconds=90.0)
    took_s = time.monotonic() - started
    return f"answers after {took_s:.1f} s; the runner app {'runs' if pid else 'does not run'}"
