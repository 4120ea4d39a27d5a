"""A short check of one phone, step by step: what works, what does not, and what to do about it.

Each step uses the driver in the same way as a run. After a failed step the next ones are still tried, unless the phone
cannot be reached at all.
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
from harness.devices.android.adb.network import revived_phones
from harness.devices.android.adb.server import choose_phone, ensure_server, phone_key, server_of
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

# Enough to measure the speed of a cable within a second.
_TRIAL_BYTES = 8 << 20


def check_phone(key: str, environment: Mapping[str, str] = os.environ) -> Checkup:
    """Check the phone of ``android:SERIAL``, or the only one. Problems become failed steps; nothing is raised."""
    steps: list[CheckStep] = []
    server = server_of(environment)
    if not _step(steps, "adb server", lambda: f"version {ensure_server(server, environment)}, port {server.port}"):
        return Checkup(key=key, serial="", steps=tuple(steps))
    serials: list[str] = []

    def choose() -> str:
        name = name_in(key) or ""
        serials.append(choose_phone(revived_phones(server, name), name).serial)
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
    result = cable.run("echo out; echo err >&2; exit 7")
    took_s = time.monotonic() - started
    if (result.exit_code, result.text.strip(), result.complaint) != (7, "out", "err"):
        answer = f"{result.exit_code}, {result.text!r}, {result.complaint!r}"
        what = f"{named(cable.serial)} answered {answer}, expected 7, 'out', 'err'"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial)
    return f"{1000 * took_s:.0f} ms per command"


def _describe(facts: PhoneFacts) -> str:
    check_facts(facts)
    pages = f", pages of {facts.page_bytes} bytes" if facts.page_bytes else ""
    return (
        f"{facts.manufacturer} {facts.model}, {facts.soc}, Android {facts.release} (API {facts.api}), "
        f"{' '.join(facts.abis)}, {facts.cores} cores{pages}"
    )


def _check_files(cable: Cable, store: PhoneStore) -> str:
    """Push a file into the store, pull it back, and compare."""
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
        what = f"a file pushed to {named(cable.serial)} came back changed"
        raise phone_error(PhoneTrouble.REFUSED, what, serial=cable.serial)
    push_mbs, pull_mbs = (_TRIAL_BYTES / 1e6 / max(s, 1e-9) for s in (sent - started, fetched - sent))
    return f"{push_mbs:.0f} MB/s to the phone including the digest check, {pull_mbs:.0f} MB/s back"


def _check_space(store: PhoneStore) -> str:
    free, kept = store.free_bytes(), store.kept()
    space = "unknown" if free is None else f"{free / 1e9:.1f} GB"
    return f"{space} free, {sum(file.bytes for file in kept) / 1e6:.0f} MB in {len(kept)} phonebench files"


def _describe_state(cable: Cable) -> str:
    now = read_state(cable).readiness()
    values = {
        "thermal status": now.thermal_status,
        "battery": None if now.battery_percent is None else f"{now.battery_percent:g} %",
        "battery temperature": None if now.battery_c is None else f"{now.battery_c:g} °C",
        "charging": now.charging,
        "power saving": now.power_save,
        "governor": now.governor,
        "screen": now.screen,
        "in front": now.foreground,
    }
    return ", ".join(f"{name} {_word(value)}" for name, value in values.items())


def _word(value: str | bool | None) -> str:
    if value is None:
        return "not reported"
    return value if isinstance(value, str) else "yes" if value else "no"


def _check_screen(cable: Cable) -> str:
    check_unlocked(cable)
    return "unlocked"


def _check_app(cable: Cable, apps: Apps, runtime: str) -> str:
    app_id = app_id_of(runtime)
    package = apps.find(app_id)
    if package is None:
        return "not installed: a run installs it if its APK has been built"
    # This job does not exist. The answer shows whether the shell can reach the app's provider at all.
    uri = f"content://{app_id}.jobs/checkup/reply.json"
    result = cable.run(f'content read --user "$(am get-current-user)" --uri {uri}', seconds=TOOL_S)
    kind = "debuggable" if package.debuggable else "not debuggable"
    return f"version {package.version}, {kind}; {_provider(result.complaint or result.text.strip())}"


def _provider(answer: str) -> str:
    """Say what an app's provider answered when it was asked for a file that does not exist."""
    if "FileNotFoundException" in answer:
        return "its provider works"
    if "could not find provider" in answer.lower():
        return "its provider does not start, so replies will be read from shared storage"
    # The line before the exception only names the provider.
    lines = [line for line in answer.splitlines() if "Exception" in line] or answer.splitlines()
    return f"its provider answers: {lines[0].strip() if lines else 'nothing'}"
