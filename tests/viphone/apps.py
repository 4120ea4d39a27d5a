"""Installed and running apps: each running one is a real process of this computer, and its end is recorded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.viphone import reports
from tests.viphone.installer import has_expired, unpack
from tests.viphone.ipa import Ipa

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

FIRST_PID = 500
CONTAINER = ("Documents", "Library/Caches", "Library/Preferences", "tmp", "SystemData")
# As FrontBoard and RunningBoard say it; the numbers are FBSOpenApplicationErrorDomain's.
LOCKED = (7, "Locked", "the device was not, or could not be, unlocked")
SECURITY = (
    3,
    "Security",
    "it has an invalid code signature, inadequate entitlements or its profile has not been "
    "explicitly trusted by the user",
)
UNKNOWN_APP = (4, "InvalidRequest", "The request was denied by service delegate (SBMainWorkspace)")
UNSPECIFIED = (1, "Unspecified", "The operation couldn’t be completed")
LAUNCHES_UNTIL_STUCK = 188


class LaunchError(Exception):
    """The app did not start; ``code`` is the number in FBSOpenApplicationErrorDomain."""

    def __init__(self, reason: tuple[int, str, str], bundle: str) -> None:
        self.code, self.reason, why = reason
        super().__init__(f"Unable to launch {bundle} because {why}")


class Fate(StrEnum):
    """What a test can make happen to an app."""

    JETSAM = "jetsam"
    CRASH = "crash"
    SILENT_END = "silent-end"


@dataclass(slots=True, kw_only=True)
class App:
    """An installed app; ``data`` is its container, ``bundle`` its own folder."""

    ipa: Ipa
    uuid: str
    bundle: Path
    data: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What an app is started with; the folders are this computer's."""

    app: App
    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def documents(self) -> Path:
        """The app's Documents."""
        return self.app.data / "Documents"


# Makes the command line, of a program of this computer, that is the app while it runs.
Program = Callable[[Launch], list[str]]


def idle_program(_: Launch) -> list[str]:
    """An app that does nothing until it is stopped."""
    return ["sleep", "3600"]


@dataclass(slots=True, kw_only=True)
class Running:
    """A process of an app. ``code`` and ``signal_number`` are None until it has ended."""

    app: App
    pid: int
    process: subprocess.Popen[bytes]
    began_s: float
    code: int | None = None
    signal_number: int | None = None
    over: threading.Event = field(default_factory=threading.Event)
    said: list[str] = field(default_factory=list)


class Apps:
    """The apps of one phone."""

    def __init__(self, phone: VirtualIPhone) -> None:
        self._phone = phone
        self._lock = threading.Lock()
        self._running: dict[int, Running] = {}
        self._next_pid = FIRST_PID
        self._fates: list[tuple[Fate, float]] = []
        self._listeners: list[Callable[[Running, str | None], None]] = []
        self.installed: dict[str, App] = {}
        self.program: Program = idle_program
        self.ended: list[Running] = []
        self.unclosed_launches = 0

    def install(self, ipa: Ipa, file: Path) -> App:
        """Install a checked app, or a new version of one, which keeps its data."""
        storage, bundle_id = self._phone.storage, ipa.bundle_id
        self.stop_all(bundle_id)
        bundle, data = storage.bundles / bundle_id, storage.data / bundle_id
        shutil.rmtree(bundle, ignore_errors=True)
        unpack(file, bundle)
        for name in CONTAINER:
            (data / name).mkdir(parents=True, exist_ok=True)
        app = App(ipa=ipa, uuid=str(uuid.uuid4()).upper(), bundle=bundle, data=data)
        self.installed[bundle_id] = app
        return app

    def uninstall(self, bundle_id: str) -> None:
        """Remove an app with its data; nothing happens if there is none."""
        self.stop_all(bundle_id)
        self.installed.pop(bundle_id, None)
        self._phone.storage.remove_app(bundle_id)

    def start(
        self,
        bundle_id: str,
        arguments: list[str],
        environment: Mapping[str, str],
        *,
        began: Callable[[int], None] = lambda _: None,
    ) -> Running:
        """Start an app; raises `LaunchError`. A pending fault then happens to it.

        ``began`` gets the number of the process before it prints anything.
        """
        app = self.installed.get(bundle_id)
        self._refuse(app, bundle_id)
        assert app is not None
        launch = Launch(app=app, arguments=tuple(arguments), environment=dict(environment))
        process = subprocess.Popen(
            self.program(launch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment),
            start_new_session=True,
        )
        with self._lock:
            pid, self._next_pid = self._next_pid, self._next_pid + 1
            running = Running(app=app, pid=pid, process=process, began_s=self._phone.now_s())
            self._running[pid] = running
            self.unclosed_launches += 1
            fates, self._fates = self._fates, []
        began(pid)
        threading.Thread(target=self._watch, args=(running,), name=f"app {pid}", daemon=True).start()
        for fate, after_s in fates:
            timer = threading.Timer(after_s, self._meet, (running, fate))
            timer.daemon = True
            timer.start()
        return running

    def watch(self, listener: Callable[[Running, str | None], None]) -> None:
        """Call this with every line that an app prints, and with None when one has ended."""
        with self._lock:
            self._listeners.append(listener)

    def unwatch(self, listener: Callable[[Running, str | None], None]) -> None:
        """Call it no more."""
        with self._lock, suppress(ValueError):
            self._listeners.remove(listener)

    def running(self, bundle_id: str | None = None) -> tuple[Running, ...]:
        """The processes that run, of one app or of all."""
        with self._lock:
            rows = tuple(self._running.values())
        return tuple(one for one in rows if bundle_id is None or one.app.ipa.bundle_id == bundle_id)

    def by_pid(self, pid: int) -> Running | None:
        """The process of that number, None if it does not run."""
        with self._lock:
            return self._running.get(pid)

    def stop(self, pid: int) -> bool:
        """End a process, as `killPid:` does; False if it does not run."""
        running = self.by_pid(pid)
        self.unclosed_launches = max(self.unclosed_launches - 1, 0)
        if running is None:
            return False
        self._kill(running, signal.SIGKILL)
        return True

    def stop_all(self, bundle_id: str | None = None) -> None:
        """End every process of an app, or of all."""
        for running in self.running(bundle_id):
            self._kill(running, signal.SIGKILL)

    def send_signal(self, pid: int, number: int) -> bool:
        """Send a signal to a process; False if it does not run."""
        running = self.by_pid(pid)
        if running is not None:
            with suppress(ProcessLookupError):
                os.killpg(running.process.pid, number)
        return running is not None

    def afflict(self, fate: Fate, *, after_s: float = 0.0) -> None:
        """Make something happen to the running app, or else to the next one, this long after its start."""
        running = self.running()
        if not running:
            with self._lock:
                self._fates.append((fate, after_s))
        for one in running:
            self._meet(one, fate)

    def forget(self) -> None:
        """End all, as switching the phone off does, and wait until they are gone."""
        self.stop_all()
        with self._lock:
            self._fates.clear()
            self.unclosed_launches = 0

    def _refuse(self, app: App | None, bundle_id: str) -> None:
        state = self._phone.state
        if app is None:
            raise LaunchError(UNKNOWN_APP, bundle_id)
        if state.locked or state.before_first_unlock:
            raise LaunchError(LOCKED, bundle_id)
        if has_expired(self._phone, app.ipa) or not state.developer_trusted or not app.ipa.debuggable:
            raise LaunchError(SECURITY, bundle_id)
        if self._phone.faults.start_nothing or self.unclosed_launches >= LAUNCHES_UNTIL_STUCK:
            raise LaunchError(UNSPECIFIED, bundle_id)

    def _meet(self, running: Running, fate: Fate) -> None:
        if running.over.is_set():
            return
        match fate:
            case Fate.JETSAM:
                self._write(reports.jetsam(self._phone, running))
                self._kill(running, signal.SIGKILL)
            case Fate.CRASH:
                self._kill(running, signal.SIGSEGV)
            case Fate.SILENT_END:
                self._kill(running, signal.SIGKILL)

    def _kill(self, running: Running, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(running.process.pid, number)
        running.over.wait(10)

    def _watch(self, running: Running) -> None:
        """Pass on what the process prints and, at the end, how it ended."""
        process = running.process
        assert process.stdout is not None
        with process.stdout as printed:
            for raw in printed:
                line = raw.decode(errors="replace")
                running.said.append(line)
                self._phone.log.add(running.pid, running.app.ipa.info["CFBundleExecutable"], line.rstrip("\n"))
                self._notify(running, line)
        code = process.wait()
        running.code, running.signal_number = (code, None) if code >= 0 else (None, -code)
        if running.signal_number not in (None, signal.SIGKILL, signal.SIGTERM):
            self._write(reports.crash(self._phone, running))
        with self._lock:
            del self._running[running.pid]
            self.ended.append(running)
        running.over.set()
        self._notify(running, None)

    def _write(self, report: tuple[str, bytes]) -> None:
        name, data = report
        (self._phone.storage.crashes / name).write_bytes(data)

    def _notify(self, running: Running, line: str | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(running, line)


def process_rows(phone: VirtualIPhone) -> list[dict[str, Any]]:
    """The processes as Instruments lists them: a few of the system, and the running apps."""
    rows = [
        {"pid": 1, "name": "launchd", "realAppName": "/sbin/launchd", "isApplication": False},
        {"pid": 56, "name": "backboardd", "realAppName": "/usr/libexec/backboardd", "isApplication": False},
    ]
    for one in phone.apps.running():
        name = one.app.ipa.info["CFBundleExecutable"]
        path = f"/private/var/containers/Bundle/Application/{one.app.uuid}/Runner.app/{name}"
        rows.append({"pid": one.pid, "name": name, "realAppName": path, "isApplication": True})
    return rows


def wait_until(holds: Callable[[], bool], timeout_s: float = 10) -> bool:
    """Wait until a condition holds; False if it does not in time."""
    ends = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True
