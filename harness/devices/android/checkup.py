"""A short check of one phone, step by step: what works, what does not, and what to do about it.

Each step uses the driver as a run does. A step that fails does not keep the next from being tried, unless the phone is
not there at all.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.server import choose_phone, ensure_server, list_phones, phone_key, server_of
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app.apps import Apps
from harness.devices.android.app.job import TOOL_S
from harness.devices.android.app_ids import RUNTIMES, app_id_of, no_apks
from harness.devices.android.facts import PhoneFacts, check_facts, read_facts
from harness.devices.android.hold.upkeep import check_unlocked
from harness.devices.android.phone_store import FOLDER, PhoneStore
from harness.devices.android.state import read_state
from harness.devices.kind import CheckStep, Checkup, name_in
from harness.errors import PhoneError, PhoneTrouble

_TRIAL_BYTES = 8 << 20


def check_phone(key: str, environment: Mapping[str, str] = os.environ) -> Checkup:
    """Check the phone of ``android:SERIAL``, or the only one; everything that goes wrong is a step. Raises nothing."""
    steps: list[CheckStep] = []
    server = server_of(environment)
    found = _step(steps, "adb server", lambda: f"version {ensure_server(server, environment)}, port {server.port}")
    if not found:
        return Checkup(key=key, serial="", steps=tuple(steps))
    serials: list[str] = []

    def choose() -> str:
        serials.append(choose_phone(list_phones(server), name_in(key) or "").serial)
        return serials[0]

    if _step(steps, "phone", choose):
        _check_cable(steps, Cable(server, serials[0]))
    serial = serials[0] if serials else ""
    return Checkup(key=phone_key(serial) if serial else key, serial=serial, steps=tuple(steps))


def _check_cable(steps: list[CheckStep], cable: Cable) -> None:
    store = PhoneStore(cable)
    apps = Apps(cable, store, no_apks)
    if not _step(steps, "shell", lambda: _check_shell(cable)):
        return
    _step(steps, "system", lambda: _describe(read_facts(cable)))
    _step(steps, "files", lambda: _check_files(cable, store))
    _step(steps, "space", lambda: _check_space(store))
    _step(steps, "state", lambda: _describe_state(cable))
    _step(steps, "screen", lambda: _check_screen(cable))
    for runtime in RUNTIMES.values():
        _step(steps, f"app {runtime}", partial(_check_app, cable, apps, runtime))


def _step(steps: list[CheckStep], name: str, work: Callable[[], str]) -> bool:
    try:
        steps.append(CheckStep(name=name, ok=True, detail=work()))
    except PhoneError as error:
        steps.append(CheckStep(name=name, ok=False, detail=str(error)))
    return steps[-1].ok


def _check_shell(cable: Cable) -> str:
    started = time.monotonic()
    done = cable.run("echo out; echo err >&2; exit 7")
    took = time.monotonic() - started
    if (done.exit_code, done.text.strip(), done.complaint) != (7, "out", "err"):
        what = f"{named(cable.serial)} answered {done.exit_code}, {done.text!r}, {done.complaint!r} for 7, out, err"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial)
    return f"{1000 * took:.0f} ms a command"


def _describe(facts: PhoneFacts) -> str:
    check_facts(facts)
    pages = f", pages of {facts.page_bytes} bytes" if facts.page_bytes else ""
    return (
        f"{facts.manufacturer} {facts.model}, {facts.soc}, Android {facts.release} (API {facts.api}), "
        f"{' '.join(facts.abis)}, {facts.cores} cores{pages}"
    )


def _check_files(cable: Cable, store: PhoneStore) -> str:
    """Put a file into the store, fetch it, and compare."""
    store.prepare()
    data = os.urandom(_TRIAL_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "there", Path(folder) / "back"
        source.write_bytes(data)
        started = time.monotonic()
        store.put(source, digest)
        sent = time.monotonic()
        cable.pull(f"{FOLDER}/{digest}", target)
        fetched = time.monotonic()
        same = target.read_bytes() == data
    store.remove(digest)
    if not same:
        what = f"a file that was put onto {named(cable.serial)} came back changed"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial)
    there, back = (_TRIAL_BYTES / 1e6 / max(s, 1e-9) for s in (sent - started, fetched - sent))
    return f"{there:.0f} MB/s to the phone with its digest checked, {back:.0f} MB/s back"


def _check_space(store: PhoneStore) -> str:
    free, kept = store.free_bytes(), store.kept()
    told = "unknown" if free is None else f"{free / 1e9:.1f} GB"
    return f"{told} free, {sum(file.bytes for file in kept) / 1e6:.0f} MB in {len(kept)} files of phonebench"


def _describe_state(cable: Cable) -> str:
    now = read_state(cable).readiness()
    told = {
        "thermal status": now.thermal_status,
        "battery": None if now.battery_percent is None else f"{now.battery_percent:g} %",
        "battery temperature": None if now.battery_c is None else f"{now.battery_c:g} °C",
        "charging": now.charging,
        "power saving": now.power_save,
        "governor": now.governor,
        "screen": now.screen,
        "in front": now.foreground,
    }
    return ", ".join(f"{name} {_word(value)}" for name, value in told.items())


def _word(value: str | bool | None) -> str:
    if value is None:
        return "not told"
    return value if isinstance(value, str) else "yes" if value else "no"


def _check_screen(cable: Cable) -> str:
    check_unlocked(cable)
    return "unlocked"


def _check_app(cable: Cable, apps: Apps, runtime: str) -> str:
    app_id = app_id_of(runtime)
    package = apps.find(app_id)
    if package is None:
        return "not installed: a run installs it where an APK is built"
    # A job that does not exist: the answer tells whether the shell gets through to the app's provider at all.
    done = cable.run(f"content read --uri content://{app_id}.jobs/checkup/reply.json", seconds=TOOL_S)
    said = (done.complaint or done.text.strip()).splitlines()[:1]
    kind = "debuggable" if package.debuggable else "not debuggable"
    return f"version {package.version}, {kind}; its provider says: {said[0] if said else 'nothing'}"
