"""The launches on a board. Each has a folder, and a process in a session of its own that outlives the connection.

That process starts the runner, reads the board's state once a second, stops the runner at the deadline, and leaves the
exit code in a file that is complete if it exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from harness.devices.ssh.board.facts import Powers
from harness.devices.ssh.board.store import Store
from harness.runners.host.readings import read_state

WATCH_S = 1.0
_PAUSE_S = 0.2
_LOG_BYTES = 8_000
# Held under a lock for as long as a job runs.
_ALIVE = "alive"


class Input(Protocol):
    """What a wait is interrupted by."""

    @property
    def descriptor(self) -> int: ...
    @property
    def pending(self) -> bool: ...
    def line(self) -> bytes | None: ...


class Jobs:
    """The launches below one folder, which use the files of ``store``."""

    def __init__(self, root: Path, store: Store) -> None:
        self._root, self._store = root, store

    def folder(self, job: str) -> Path:
        """Return the folder of a job."""
        return self._root / job

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the folder of a job and start it; nothing happens if it was started before the connection broke."""
        folder = self.folder(request["job"])
        if folder.exists():
            return {}
        half = folder.with_name(f"{folder.name}.tmp")
        half.mkdir(parents=True)
        (half / "request.json").write_text(request["request"], encoding="utf-8")
        for name, sha256 in request["files"].items():
            os.link(self._store.files / sha256, half / name)
        (half / "job.json").write_text(json.dumps({"token": request["token"]}), encoding="utf-8")
        half.rename(folder)
        self._fork(folder, request)
        return {}

    def wait(self, job: str, seconds: float, line: Input) -> dict[str, Any]:
        """Wait for the end of a job, at most so long or until the next request: ``code``, ``gone`` or ``running``."""
        ends_at = time.monotonic() + seconds
        folder = self.folder(job)
        while True:
            alive = is_alive(folder)
            # Read after the look at the process: it writes the code right before it ends.
            if (folder / "rc").exists():
                return self._end_of(folder)
            if not alive:
                return {"gone": True}
            left = ends_at - time.monotonic()
            if left <= 0 or line.pending or _interrupted(line, _facts_of(folder)["pid"], min(left, 5.0)):
                return {"running": True}

    def drop(self, job: str) -> dict[str, Any]:
        """End a job and remove its folder."""
        folder = self.folder(job)
        _end(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return {}

    def sweep(self, token: str) -> None:
        """Drop every job that is not of the session ``token``; one of this session may still be waited for."""
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in self._root.iterdir():
            if folder.suffix == ".tmp" or _facts_of(folder).get("token") != token:
                self.drop(folder.name)

    def running(self) -> bool:
        """Return whether a launch is in flight."""
        return self._root.is_dir() and any(is_alive(folder) for folder in self._root.iterdir())

    def _end_of(self, folder: Path) -> dict[str, Any]:
        end = json.loads((folder / "rc").read_text(encoding="utf-8"))
        with contextlib.suppress(OSError), (folder / "runner.log").open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_BYTES))
            end["log"] = log.read().decode("utf-8", errors="replace")
        return dict(end)

    def _fork(self, folder: Path, request: dict[str, Any]) -> None:
        """Start the process that watches over the launch: a grandchild, which belongs to nobody."""
        ready, says_ready = os.pipe()
        child = os.fork()
        if child:
            os.close(says_ready)
            os.waitpid(child, 0)
            # Ends when the grandchild holds its lock and has left its number.
            os.read(ready, 1)
            os.close(ready)
            return
        try:
            os.setsid()
            if os.fork():
                os._exit(0)
            lock = os.open(folder / _ALIVE, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            _note(folder, pid=os.getpid())
            # The connection and the lock of the board would otherwise stay open for as long as the launch.
            _close_all_but(lock)
            _watch_over(folder, request, [str(self._store.trees / name) for name in request["trees"]])
        finally:
            # Whatever happened: this copy of the agent must not go on to answer requests.
            os._exit(0)


def _close_all_but(kept: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for descriptor in range(3, 256):
        if descriptor != kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _watch_over(folder: Path, request: dict[str, Any], trees: list[str]) -> None:
    """Run the launch and leave its watch, its exit code and, last, ``rc``."""
    powers = Powers()
    watch: list[dict[str, Any]] = []
    code, problem = None, ""
    began_ns = time.monotonic_ns()
    try:
        with (folder / "runner.log").open("wb") as log:
            process = _started(folder, request, trees, log.fileno())
        _note(folder, runner=process.pid)
        code = _watched(process, request["deadline_s"], watch, powers)
    except OSError as error:
        problem = error.strerror or str(error)
    took_ns = time.monotonic_ns() - began_ns
    (folder / "watch.json").write_text(json.dumps(watch), encoding="utf-8")
    _add_power(folder, watch, powers.definition)
    half = folder / "rc.tmp"
    half.write_text(json.dumps({"code": code, "problem": problem, "took_ns": took_ns}), encoding="utf-8")
    half.rename(folder / "rc")


def _started(folder: Path, request: dict[str, Any], trees: list[str], log: int) -> subprocess.Popen[bytes]:
    cores = request["cores"]
    environment = os.environ | request["environment"] | {"PYTHONPATH": os.pathsep.join(trees)}
    return subprocess.Popen(
        [sys.executable, "-s", "-P", "-m", "harness.runners.host", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
        start_new_session=True,
        # This process has one thread. Only the runner is bound to the cores, not what reads the state.
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )


def _watched(
    process: subprocess.Popen[bytes], deadline_s: float, watch: list[dict[str, Any]], powers: Powers
) -> int | None:
    """Wait for the runner, reading the state once a second. Return its exit code, None at the deadline."""
    ends_at = time.monotonic() + deadline_s
    try:
        while (left := ends_at - time.monotonic()) > 0:
            if _ended(process, min(WATCH_S, left)):
                return process.returncode
            watch.append(read_state() | {"power_w": powers.watts()})
        return process.poll()
    finally:
        # Even after a normal exit: whatever the runner started belongs to its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait without waking up meanwhile, where the kernel can (Linux 5.3)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        return process.returncode is not None
    try:
        select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    return process.poll() is not None


def _add_power(folder: Path, watch: list[dict[str, Any]], definition: str | None) -> None:
    """Put the power readings into the reply, where the energy of the calls is computed from them."""
    reply = folder / "reply.json"
    if definition is None or not watch or not reply.is_file():
        return
    facts = json.loads(reply.read_text(encoding="utf-8"))
    state = facts.get("state")
    if not isinstance(state, dict):
        return
    first_ns, last_ns = state["before"]["at_ns"], state["after"]["at_ns"]
    state["series"] = [sample for sample in watch if first_ns <= sample["at_ns"] <= last_ns]
    state["power_definition"] = definition
    half = folder / "reply.json.tmp"
    half.write_text(json.dumps(facts), encoding="utf-8")
    half.rename(reply)


def _interrupted(line: Input, pid: int, seconds: float) -> bool:
    """Wait for the process ``pid`` to end; return True if a request came first. A sign of life is none."""
    try:
        watched = [line.descriptor, os.pidfd_open(pid)]
    except OSError:
        watched, seconds = [line.descriptor], min(seconds, _PAUSE_S)
    try:
        ready, _, _ = select.select(watched, [], [], seconds)
    finally:
        for descriptor in watched[1:]:
            os.close(descriptor)
    return line.descriptor in ready


def _note(folder: Path, **facts: Any) -> None:
    half = folder / "job.json.tmp"
    half.write_text(json.dumps(_facts_of(folder) | facts), encoding="utf-8")
    half.rename(folder / "job.json")


def _facts_of(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _end(folder: Path) -> None:
    """Kill a launch: first what watches over it, then the runner, which ends with it in any case."""
    facts = _facts_of(folder)
    if not is_alive(folder) or "pid" not in facts:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(facts["pid"], signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError, KeyError):
        os.killpg(facts["runner"], signal.SIGKILL)


def is_alive(folder: Path) -> bool:
    """Return whether what watches over a job still runs: it holds a lock, which the kernel frees when it ends."""
    try:
        descriptor = os.open(folder / _ALIVE, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
