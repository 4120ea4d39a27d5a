"""Running apps: each is a real process of the phone, under the app's name, and its end is recorded."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path

from tests.vphone.jail import Jail, JailError, Pipes
from tests.vphone.logs import Log
from tests.vphone.packages import Package

# Bears the app's name from its first moment, says its number, and becomes the program.
START = 'exec -a "$0" bash -c \'echo "$$"; exec -a "$0" "$@"\' "$0" "$@"'


class Reason(IntEnum):
    """Why a process ended, as ``android.app.ApplicationExitInfo`` numbers it."""

    EXIT_SELF = 1
    SIGNALED = 2
    LOW_MEMORY = 3
    CRASH = 4
    CRASH_NATIVE = 5
    USER_REQUESTED = 10


class Fate(StrEnum):
    """What a test can make happen to an app."""

    OUT_OF_MEMORY = "out-of-memory"
    JAVA_CRASH = "java-crash"
    NATIVE_CRASH = "native-crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What ``am start`` passed to an app; the folders are the phone's, as seen from this computer."""

    package: Package
    activity: str
    extras: dict[str, str]
    files: Path
    root: Path


# Makes the command line, of a program of this computer, that is the app while it runs.
Program = Callable[[Launch], list[str]]


def idle_program(_: Launch) -> list[str]:
    """An app that does nothing until it is stopped."""
    return ["sleep", "3600"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How an app's process ended."""

    package: Package
    pid: int
    at_s: float
    reason: Reason
    status: int


@dataclass(slots=True, kw_only=True)
class Running:
    """A process of an app; ``reason`` is set before something ends it."""

    package: Package
    pid: int
    process: subprocess.Popen[bytes]
    reason: Reason | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Apps:
    """The running apps of one phone."""

    def __init__(self, jail: Jail, log: Log, clock: Callable[[], float]) -> None:
        self._jail, self._log, self._clock = jail, log, clock
        self._lock = threading.Lock()
        self._running: list[Running] = []
        self._exits: list[Exit] = []
        self._fates: list[tuple[Fate, float]] = []
        self.program: Program = idle_program

    def start(self, package: Package, activity: str, extras: dict[str, str]) -> int:
        """Start an app and return its process id on the phone. A pending fault then happens to it."""
        files = self._jail.outer / package.files.lstrip("/")
        launch = Launch(package=package, activity=activity, extras=extras, files=files, root=self._jail.outer)
        running = self._spawn(package, self.program(launch))
        with self._lock:
            self._running.append(running)
            fates, self._fates = self._fates, []
        self._log.add("I", "ActivityManager", f"Start proc {running.pid}:{package.name}/u0a{package.uid - 10000}")
        threading.Thread(target=self._watch, args=(running,), name=package.name, daemon=True).start()
        for fate, after_s in fates:
            threading.Timer(after_s, self._meet, (running, fate)).start() if after_s else self._meet(running, fate)
        return running.pid

    def running(self, name: str) -> tuple[Running, ...]:
        """The processes of an app."""
        with self._lock:
            return tuple(one for one in self._running if one.package.name == name)

    def exits(self, name: str) -> tuple[Exit, ...]:
        """How the processes of an app ended, newest first."""
        with self._lock:
            return tuple(one for one in reversed(self._exits) if one.package.name == name)

    def stop(self, name: str) -> None:
        """End an app, as ``am force-stop`` does, and wait until it is gone."""
        for running in self.running(name):
            self._kill(running, Reason.USER_REQUESTED, 9)

    def afflict(self, fate: Fate, *, after_s: float = 0.0) -> None:
        """Make something happen to the running app, or else to the next one, this long after its start."""
        with self._lock:
            running = tuple(self._running)
            if not running:
                self._fates.append((fate, after_s))
        for one in running:
            self._meet(one, fate)

    def forget(self) -> None:
        """Wait until all have ended, as they do when the phone reboots."""
        with self._lock:
            running = tuple(self._running)
        for one in running:
            one.over.wait(10)

    def _meet(self, running: Running, fate: Fate) -> None:
        name, pid, uid = running.package.name, running.pid, running.package.uid
        match fate:
            case Fate.OUT_OF_MEMORY:
                text = f"Kill '{name}' ({pid}), uid {uid}, oom_score_adj 0 to free 1843200kB rss, 512000kB swap"
                self._log.add("I", "lowmemorykiller", f"{text}; reason: device is low on swap and thrashing", pid=412)
                self._kill(running, Reason.LOW_MEMORY, 9)
            case Fate.JAVA_CRASH:
                text = f"FATAL EXCEPTION: main\nProcess: {name}, PID: {pid}\n{JAVA_TRACE}"
                self._log.add("E", "AndroidRuntime", text, pid=pid, buffer="crash")
                self._kill(running, Reason.CRASH, 9)
            case Fate.NATIVE_CRASH:
                text = (
                    f"Fatal signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x0 in tid {pid} (runner), pid {pid}"
                )
                self._log.add("F", "libc", text, pid=pid, buffer="crash")
                self._log.add("F", "DEBUG", f"pid: {pid}, tid: {pid}, name: runner  >>> {name} <<<\n{NATIVE_TRACE}")
                self._kill(running, Reason.CRASH_NATIVE, 11)

    def _kill(self, running: Running, reason: Reason, signal: int) -> None:
        running.reason = running.reason or reason
        with suppress(JailError):  # It may have ended by itself.
            self._jail.run(f"kill -{signal} {running.pid}")
        if not running.over.wait(2):
            with suppress(JailError):
                self._jail.run(f"kill -9 {running.pid}")
            running.over.wait(10)

    def _spawn(self, package: Package, command: list[str]) -> Running:
        pipes = Pipes(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        process = self._jail.spawn_outside(["bash", "-c", START, package.name, *command], pipes)
        assert process.stdout is not None
        number = process.stdout.readline()
        if not number:
            process.communicate()
            msg = f"{package.name!r} did not start; the phone is being switched off"
            raise JailError(msg)
        return Running(package=package, pid=int(number), process=process)

    def _watch(self, running: Running) -> None:
        """Write the process's output to the log and, at the end, how it ended."""
        process, package = running.process, running.package
        assert process.stdout is not None
        with process.stdout as printed:
            for line in printed:
                self._log.add("W", "System.err", line.decode(errors="replace"), pid=running.pid)
        code = process.wait()
        ended = Reason.SIGNALED if code < 0 or code > 128 else Reason.EXIT_SELF
        reason = running.reason or ended
        status = abs(code) if code < 0 else code
        with self._lock:
            self._running.remove(running)
            self._exits.append(Exit(package=package, pid=running.pid, at_s=self._clock(), reason=reason, status=status))
        if reason is not Reason.EXIT_SELF:
            self._log.add("I", "Zygote", f"Process {running.pid} exited due to signal {status}", buffer="main")
        gone = f"Process {package.name} (pid {running.pid}) has died: fg  TOP"
        self._log.add("I", "ActivityManager", gone, buffer="system")
        running.over.set()


JAVA_TRACE = """java.lang.IllegalStateException: the test asked for a crash
\tat org.phonebench.runner.RunnerActivity.onCreate(RunnerActivity.java:61)
\tat android.app.Activity.performCreate(Activity.java:8305)"""
NATIVE_TRACE = """signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x0000000000000000
Cause: null pointer dereference
backtrace:
      #00 pc 000000000001f2c4  /data/app/base.apk!libruntime.so (run+36)"""
