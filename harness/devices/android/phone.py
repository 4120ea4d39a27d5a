"""An Android phone as a device: its file store, what runs models on it, and its state."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.deadline import within
from harness.devices.android.adb.leased import adb_name
from harness.devices.android.adb.network import revived_phones
from harness.devices.android.adb.server import ALL, choose_phone, ensure_server, server_of
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app.apprunner import AppRunner
from harness.devices.android.app.apps import Apps, built_here
from harness.devices.android.app_ids import APP_IDS
from harness.devices.android.clusters import read_mask
from harness.devices.android.energy.meter import EnergyMeter
from harness.devices.android.facts import PhoneFacts, check_facts, emulator_condition, page_condition, read_facts
from harness.devices.android.hold.tether import PhoneOptions, Tether
from harness.devices.android.hold.upkeep import keep_ready, put_back
from harness.devices.android.orphans import stop_orphans
from harness.devices.android.phone_store import PhoneStore
from harness.devices.android.shell.shellrunner import ShellRunner
from harness.devices.android.state import read_state, state_conditions
from harness.devices.android.watch import Watch, watch_condition
from harness.devices.android.work import Launcher, PhoneWork
from harness.devices.device import Execution
from harness.devices.encrypted_store import EncryptedStore
from harness.devices.energy import with_counter
from harness.devices.kind import name_in
from harness.devices.occupied import occupied
from harness.errors import PhoneError, PhoneTrouble, UsageError
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.spec.phone_settings import DEFAULT_SETTINGS, PhoneRunner, PhoneSettings
from harness.system.scratch import make_scratch, remove_scratch
from harness.wire import RunRequest

log = logging.getLogger(__name__)


LAUNCHERS: dict[PhoneRunner, Callable[[Tether, PhoneStore], Launcher]] = {
    PhoneRunner.APP: AppRunner,
    PhoneRunner.SHELL: ShellRunner,
}


@contextlib.contextmanager
def open_android(
    key: str = "android", settings: PhoneSettings = DEFAULT_SETTINGS, *, apks: Path | None = None
) -> Iterator[AndroidPhone]:
    """Open the phone of ``android:SERIAL``, or the only one. Raises `PhoneError` if it cannot be used.

    ``apks`` is the folder with the runner apps, None for the default one.
    """
    serial = name_in(key) or ""
    if serial == ALL:
        msg = f"{key!r} stands for every connected phone, but one is needed here: write android:SERIAL"
        raise UsageError(msg)
    serial = adb_name(serial)
    server = server_of()
    ensure_server(server)
    listed = choose_phone(revived_phones(server, serial), serial)
    options = PhoneOptions(apks=built_here(apks), settings=settings)
    with open_phone(Cable(server, listed.serial), key=key, options=options) as phone:
        yield phone


@contextlib.contextmanager
def open_phone(cable: Cable, *, key: str, options: PhoneOptions | None = None) -> Iterator[AndroidPhone]:
    """Prepare a phone for launches, and restore it afterwards. Raises `PhoneError`."""
    # Locked before the first command: a phone that another run measures must not even be queried.
    with held(cable.serial):
        facts = read_facts(cable)
        check_facts(facts)
        phone = AndroidPhone(Tether(cable, facts, options or PhoneOptions()), key=key)
        try:
            phone.prepare()
            yield phone
        finally:
            phone.clean()


class AndroidPhone:
    """An open phone. Methods wait for a phone that goes away, and raise `PhoneError` if it does not come back in time.

    `clean` may be called from another thread; it ends a launch in flight.
    """

    def __init__(self, tether: Tether, *, key: str) -> None:
        self._tether, self._cable = tether, tether.cable
        self._facts: PhoneFacts = tether.facts
        self._info = tether.facts.info(key)
        self._store = PhoneStore(tether.cable)
        settings = tether.options.settings
        self._encrypted = EncryptedStore(self._store) if settings.encrypt else None
        self._launcher: Launcher = (
            LAUNCHERS[settings.runner](tether, self._store)
            if self._encrypted is None
            else AppRunner(tether, self._store, self._encrypted)
        )
        self._pushed: dict[str, Path] = {}
        self._folder: Path | None = None
        self._front: str | None = None
        tether.on_return(self._store.forget)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return True

    def prepare(self) -> None:
        """Create the store, stop what an earlier session left running, and keep the screen on."""
        settings = self._tether.options.settings
        self._store.prepare()
        stop_orphans(self._cable, APP_IDS)
        keep_ready(self._cable, settings.clocks)
        mask = read_mask(self._cable, settings.cores)
        self._launcher.prepare(mask)
        details = {
            "clock_regime": settings.clocks.value,
            "cores": settings.cores.value,
            "mask": mask or "",
            "runner": settings.runner.value,
        }
        self._info = replace(self._info, details=self._info.details | details)

    def conditions(self) -> tuple[Condition, ...]:
        state = self._tether.again(lambda: read_state(self._cable))
        candidates = (emulator_condition(self._facts), *state_conditions(state))
        return tuple(condition for condition in candidates if condition is not None)

    def readiness(self) -> Readiness:
        """Return the state. A runner app in front does not count as a change of the foreground app.

        Nor does the moment after it ends, when no app is in front.
        """
        now = self._tether.again(lambda: read_state(self._cable)).readiness()
        # The gate discards a launch during which the foreground changed, and our own app must not cause that.
        if now.foreground in (None, *APP_IDS):
            return replace(now, foreground=self._front)
        self._front = now.foreground
        return now

    def rest(self, seconds: float) -> None:
        """Wait, or raise at once if the phone is closed meanwhile."""
        if self._tether.closing.wait(seconds):
            self._tether.check_open()

    def install(self, runtime: str) -> str:
        """Install a runtime's app if it is missing or differs from the one built here, and return its version."""
        apps = Apps(self._cable, self._store, self._tether.options.apks, self._facts.abis)
        return self._tether.again(lambda: apps.ensure(runtime)).version

    def push(self, path: Path, sha256: str) -> bool:
        self._pushed[sha256] = path
        store = self._encrypted or self._store
        return self._tether.again(lambda: store.put(path, sha256))

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        self._folder = self._folder or make_scratch("android")
        artifact = self._pushed.get(request.artifact.sha256)
        work = PhoneWork(request=request, artifact=artifact, inputs=inputs, folder=self._folder)
        launch = self._launcher.make_ready(work)
        if self._encrypted is not None:
            deadline_s += self._encrypted.extra_s(request.artifact)
        # Installing the app and sending inputs, which `make_ready` did, count neither for the deadline nor the watch.
        counted_s = deadline_s + 60 if request.passes.energy is not None else 0.0
        with Watch(self._cable, deadline_s + 60) as watch, EnergyMeter(self._tether, counted_s) as meter:
            execution = launch(within(deadline_s))
        if counted_s:
            execution = with_counter(execution, meter.counter(watch.samples))
        own = (page_condition(self._facts, execution.reply.runner), watch_condition(watch.samples))
        conditions = (*execution.conditions, *(condition for condition in own if condition is not None))
        return replace(execution, watch=watch.samples, conditions=conditions)

    def clean(self) -> None:
        """Restore the phone. Files in the store remain, within its budget, so that they need not be sent again."""
        # First, so that a launch in another thread stops waiting instead of starting a recovery.
        self._tether.closing.set()
        steps: tuple[Callable[[], None], ...] = (
            lambda: stop_orphans(self._cable, APP_IDS),
            self._launcher.clean,
            lambda: put_back(self._cable),
        )
        for step in steps:
            try:
                step()
            except PhoneError as error:
                log.warning("%s could not be restored; the next session will do it: %s", self._cable.serial, error)
                if error.trouble is PhoneTrouble.HUNG:
                    # The other steps would each wait as long for an answer.
                    break
        if self._folder is not None:
            remove_scratch(self._folder)
            self._folder = None


def held(serial: str) -> AbstractContextManager[None]:
    """Lock a phone, so that two runs on this computer never measure on it at the same time. Raises `PhoneError`."""
    what = f"{named(serial)} is being measured by another phonebench"
    return occupied(serial, phone_error(PhoneTrouble.BUSY, what, serial=serial))
