"""Running apps: each is a real process of the phone, under the app's name, and its end is recorded."""

from __future__ import annotations

import re
import signal
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
from tests.vphone.state import HOME_SCREEN, PhoneState

PROVIDER = "org.phonebench.runner.JobProvider"
IDLE = ["sleep", "3600"]
ZYGOTE = 711
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
    """What ``am start`` passed to an app; the folders are the phone's, as seen from this computer.

    ``shared`` is the app's folder that the shell may read as well, None if the phone has none.
    """

    package: Package
    activity: str
    extras: dict[str, str]
    files: Path
    shared: Path | None
    root: Path


# Makes the command line, of a program of this computer, that is the app while it runs.
Program = Callable[[Launch], list[str]]


def idle_program(_: Launch) -> list[str]:
    """An app that does nothing until it is stopped."""
    return IDLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process of an app ended; ``process`` is its name."""

    package: Package
    process: str
    pid: int
    at_s: float
    reason: Reason
    status: int


@dataclass(slots=True, kw_only=True)
class Running:
    """A process of an app; ``name`` is the app's, or that of a part with a process of its own.

    ``activity`` says that it was started for an activity. ``reason`` is set before something ends it.
    """

    package: Package
    name: str
    pid: int
    process: subprocess.Popen[bytes]
    activity: bool
    reason: Reason | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Apps:
    """The running apps of one phone."""

    def __init__(self, jail: Jail, log: Log, state: PhoneState) -> None:
        self._jail, self._log, self._state = jail, log, state
        self._lock = threading.Lock()
        self._door_lock = threading.Lock()
        self._running: list[Running] = []
        self._exits: list[Exit] = []
        self._fates: list[tuple[Fate, float]] = []
        self.program: Program = idle_program

    def start(self, package: Package, activity: str, extras: dict[str, str], user: int = 0) -> Running:
        """Start an app and return its process. A pending fault then happens to it."""
        outer = self._jail.outer
        launch = Launch(
            package=package,
            activity=activity,
            extras=extras,
            files=outer / package.files_of(user).lstrip("/"),
            shared=outer / package.shared_of(user).lstrip("/") if self._state.shares_files else None,
            root=outer,
        )
        # As Android 11 and later call it: the activity is not in front yet.
        kind = "pre-top-activity" if self._state.api >= 30 else "activity"
        running = self._spawn(package, package.name, self.program(launch), activity=True)
        with self._lock:
            fates, self._fates = self._fates, []
        self._began(running, f"{kind} {{{package.name}/{activity}}}", user)
        for fate, after_s in fates:
            threading.Timer(after_s, self._meet, (running, fate)).start() if after_s else self._meet(running, fate)
        return running

    def open_door(self, package: Package, user: int = 0) -> None:
        """Start the process of an app's provider if it does not run, as the system does for whoever asks for it.

        It stays, idle, until something ends it.
        """
        with self._door_lock:
            if not self.running(package.apk.door):
                running = self._spawn(package, package.apk.door, IDLE, activity=False)
                self._began(running, f"content provider {{{package.name}/{PROVIDER}}}", user)

    def in_front(self, name: str) -> bool:
        """Whether an activity of the app runs."""
        return any(one.activity for one in self.running(name))

    def running(self, name: str) -> tuple[Running, ...]:
        """The processes of that name, which is an app's or that of a part of one."""
        with self._lock:
            return tuple(one for one in self._running if one.name == name)

    def exits(self, name: str) -> tuple[Exit, ...]:
        """How the processes of that name ended, newest first."""
        return tuple(one for one in self.all_exits() if one.process == name)

    def all_exits(self) -> tuple[Exit, ...]:
        """How the processes of all apps ended, newest first."""
        with self._lock:
            return tuple(reversed(self._exits))

    def stop(self, name: str) -> None:
        """End an app with all its processes, as ``am force-stop`` does, and wait until they are gone."""
        with self._lock:
            all_of_it = tuple(one for one in self._running if one.package.name == name)
        for running in all_of_it:
            why = f"stop {name}" + (" due to from pid 4242" if self._state.api >= 30 else "")
            text = f"Killing {running.pid}:{running.name}/u0a{running.package.uid - 10000} (adj 0): {why}"
            self._log.add("I", "ActivityManager", text, buffer="system")
            self._kill(running, Reason.USER_REQUESTED, 9)

    def afflict(self, fate: Fate, *, after_s: float = 0.0) -> None:
        """Make something happen to the running app, or else to the next one, this long after its start."""
        with self._lock:
            running = tuple(one for one in self._running if one.activity)
            if not running:
                self._fates.append((fate, after_s))
        for one in running:
            self._meet(one, fate)

    def reclaim(self, process: str) -> None:
        """Let the memory killer end the process of that name, such as one that is idle."""
        for running in self.running(process):
            self._meet(running, Fate.OUT_OF_MEMORY)

    def forget(self) -> None:
        """Wait until all have ended, as they do when the phone reboots."""
        with self._lock:
            running = tuple(self._running)
        for one in running:
            one.over.wait(10)

    def _meet(self, running: Running, fate: Fate) -> None:
        name, pid, uid = running.name, running.pid, running.package.uid
        match fate:
            case Fate.OUT_OF_MEMORY:
                text = f"Kill '{name}' ({pid}), uid {uid}, oom_score_adj 0 to free 1843200kB rss, 512000kB swap"
                text += "; reason: device is low on swap and thrashing"
                if self._state.api <= 28:
                    text = f"Killing '{name}' ({pid}), uid {uid}, adj 0\n   to free 1843200kB because system is under"
                    text += " critical memory pressure oom_adj 0"
                self._log.add("I", "lowmemorykiller", text, pid=412)
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

    def _kill(self, running: Running, reason: Reason, number: int) -> None:
        running.reason = running.reason or reason
        with suppress(JailError):  # It may have ended by itself.
            self._jail.run(f"kill -{number} {running.pid}")
        if not running.over.wait(2):
            with suppress(JailError):
                self._jail.run(f"kill -9 {running.pid}")
            running.over.wait(10)

    def _spawn(self, package: Package, name: str, command: list[str], *, activity: bool) -> Running:
        pipes = Pipes(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        process = self._jail.spawn_outside(["bash", "-c", START, name, *command], pipes)
        assert process.stdout is not None
        number = process.stdout.readline()
        if not number:
            process.communicate()
            msg = f"{name!r} did not start; the phone is being switched off"
            raise JailError(msg)
        running = Running(package=package, name=name, pid=int(number), process=process, activity=activity)
        with self._lock:
            self._running.append(running)
        return running

    def _began(self, running: Running, what: str, user: int) -> None:
        """Log that a process has started, and watch it."""
        who = f"{running.pid}:{running.name}/u{user}a{running.package.uid - 10000}"
        self._log.add("I", "ActivityManager", f"Start proc {who} for {what}", buffer="system")
        threading.Thread(target=self._watch, args=(running,), name=running.name, daemon=True).start()

    def _watch(self, running: Running) -> None:
        """Write the process's output to the log and, at the end, how it ended."""
        process = running.process
        assert process.stdout is not None
        with process.stdout as printed:
            for line in printed:
                self._say(running.pid, line.decode(errors="replace").rstrip("\n"))
        code = process.wait()
        ended = Reason.SIGNALED if code < 0 or code > 128 else Reason.EXIT_SELF
        reason = running.reason or ended
        status = abs(code) if code < 0 else code
        one = Exit(
            package=running.package,
            process=running.name,
            pid=running.pid,
            at_s=self._log.now_s(),
            reason=reason,
            status=status,
        )
        with self._lock:
            self._running.remove(running)
            self._exits.append(one)
        if self._state.foreground.startswith(f"{running.name}/") and not self.running(running.name):
            self._state.foreground = HOME_SCREEN
        self._obituary(running, signal_number=0 if reason is Reason.EXIT_SELF else status, code=status)
        running.over.set()

    def _say(self, pid: int, line: str) -> None:
        """Log a line that an app printed: under the level and tag that it names, or else as Java's error stream."""
        said = re.fullmatch(r"([VDIWEF])/(\w+): (.*)", line)
        level, tag, text = said.groups() if said else ("W", "System.err", line)
        self._log.add(level, tag, text, pid=pid)

    def _obituary(self, running: Running, *, signal_number: int, code: int) -> None:
        """Log the end of a process as Zygote and the activity manager do."""
        if not signal_number:
            how = f"cleanly ({code})"
        elif self._state.api < 29:
            how = f"due to signal ({signal_number})"
        else:
            how = f"due to signal {signal_number} ({signal.strsignal(signal_number)})"
        self._log.add("I", "Zygote", f"Process {running.pid} exited {how}", pid=ZYGOTE)
        # Of a process that it ended itself it has written that before.
        if running.reason is Reason.USER_REQUESTED:
            return
        state = "fg  TOP" if running.activity else "cch  CEM"
        gone = f"Process {running.name} (pid {running.pid}) has died: {state}"
        self._log.add("I", "ActivityManager", gone, buffer="system")


JAVA_TRACE = """java.lang.IllegalStateException: the test asked for a crash
\tat org.phonebench.runner.RunnerActivity.onCreate(RunnerActivity.java:61)
\tat android.app.Activity.performCreate(Activity.java:8305)"""
NATIVE_TRACE = """signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x0000000000000000
Cause: null pointer dereference
backtrace:
      #00 pc 000000000001f2c4  /data/app/base.apk!libruntime.so (run+36)"""
