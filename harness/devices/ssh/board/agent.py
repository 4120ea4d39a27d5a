"""The program that phonebench sends to a board over ssh: it answers requests until the connection ends.

A request is a line of JSON on standard input, and so is its answer on standard output; files follow their line as plain
bytes. One agent at a time owns a board. It leaves when its phonebench says so, or is not heard for a minute; a launch
that it started runs on, because the next agent of the same session asks for it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from harness.devices.ssh.board.clocks import fix_clocks, put_back_clocks
from harness.devices.ssh.board.facts import read_facts, read_ready
from harness.devices.ssh.board.jobs import Jobs
from harness.devices.ssh.board.store import ChangedError, FullError, Store

# The line before the first answer: what a login script prints comes before it.
GREETING = b"phonebench-agent 1\n"
# phonebench sends a line at least every five seconds. A session that is silent for longer than the first of these may
# be replaced by another one; after the second its agent leaves by itself.
LOST_S = 20.0
SILENCE_S = 60.0
_ECHO_S = 3.0
_CHUNK = 1 << 20
# An agent that was killed is gone within this time.
_GONE_S = 5.0

Request = dict[str, Any]
Answer = dict[str, Any]


class BoardRefusal(Exception):  # noqa: N818  an answer, not a fault of this program
    """Something that the board cannot do; ``kind`` is a trouble that phonebench knows."""

    def __init__(self, what: str, *, kind: str) -> None:
        self.kind = kind
        super().__init__(what)


class Incoming:
    """Standard input: lines and files. It buffers by itself, so that waiting for it never misses what was read."""

    def __init__(self, descriptor: int = 0) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def line(self) -> bytes | None:
        """Return the next line, or None at the end of the input or after a minute without any."""
        while b"\n" not in self._rest:
            data = self._more()
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def copy(self, size: int, write: Callable[[bytes], None]) -> bool:
        """Pass the next ``size`` bytes on to ``write``; return False if the input ended before."""
        left = size
        while left:
            data = self._rest or self._more()
            if not data:
                return False
            self._rest = data[left:]
            part = data if not self._rest else data[:left]
            left -= len(part)
            write(part)
        return True

    @property
    def pending(self) -> bool:
        """Whether something was read that nobody has asked for yet."""
        return bool(self._rest)

    def _more(self) -> bytes:
        ready, _, _ = select.select([self.descriptor], [], [], SILENCE_S)
        return os.read(self.descriptor, _CHUNK) if ready else b""


class Agent:
    """One session on the board: the lock, the store and the launches."""

    def __init__(self, incoming: Incoming, out: BinaryIO) -> None:
        self._in, self._out = incoming, out
        self._root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phonebench"
        self._lock: int | None = None
        self._store = Store(self._root)
        self._jobs = Jobs(self._root / "jobs", self._store)
        self._work: dict[str, Callable[[Request], Answer | None]] = {
            "open": self._open,
            "look": lambda _: {"facts": read_facts(self._root)},
            "ready": lambda request: read_ready(probe=request["probe"]),
            "have": lambda request: {"missing": self._store.missing(request["files"], request["trees"])},
            "put": self._put,
            "start": self._jobs.start,
            "wait": lambda request: self._jobs.wait(request["job"], request["seconds"], self._in),
            "read": self._read,
            "drop": lambda request: self._jobs.drop(request["job"]),
        }

    def serve(self) -> None:
        """Answer requests until the end of the input, a minute of silence, or ``bye``."""
        while (line := self._in.line()) is not None:
            request = json.loads(line)
            if self._lock is not None:
                # Its time says when this session was last heard.
                os.utime(self._lock)
            if request["do"] == "beat":
                continue
            if request["do"] == "bye":
                self._leave()
                return
            answer = self._answered(request)
            if answer is not None:
                self._say(answer)
        # The launch in flight, if there is one, is still waited for: its session may come back.
        if not self._jobs.running():
            put_back_clocks(self._root)

    def _answered(self, request: Request) -> Answer | None:
        try:
            return self._work[request["do"]](request)
        except (BoardRefusal, FullError, ChangedError) as error:
            return {"error": error.kind, "what": str(error)}
        except OSError as error:
            kind = "full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "refused"
            return {"error": kind, "what": f"{error.strerror or error}: {error.filename or self._root}"}

    def _say(self, answer: Answer) -> None:
        self._out.write(json.dumps(answer).encode() + b"\n")
        self._out.flush()

    def _open(self, request: Request) -> Answer:
        """Take the board, sweep what earlier sessions left, and set the clocks."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._take(request["token"], request["owner"])
        self._store.sweep()
        self._jobs.sweep(request["token"])
        put_back_clocks(self._root)
        if request["fixed"]:
            refusal = fix_clocks(self._root)
            if refusal is not None:
                raise BoardRefusal(refusal, kind="clocks")
        return {"facts": read_facts(self._root)}

    def _take(self, token: str, owner: str) -> None:
        """Lock the board. An agent of the same session, whose connection was lost, is ended first."""
        descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        ends_at = time.monotonic() + LOST_S + _GONE_S
        while not _locked(descriptor):
            holder = _holder(descriptor)
            if holder.get("token") != token and not _is_lost(descriptor):
                os.close(descriptor)
                raise BoardRefusal(holder.get("owner") or "another phonebench", kind="busy")
            with contextlib.suppress(ProcessLookupError, KeyError):
                os.kill(holder["pid"], signal.SIGKILL)
            if time.monotonic() > ends_at:
                msg = "an earlier connection of this session, which does not end"
                raise BoardRefusal(msg, kind="busy")
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        mine = {"token": token, "owner": owner, "pid": os.getpid()}
        os.pwrite(descriptor, json.dumps(mine).encode(), 0)
        self._lock = descriptor

    def _put(self, request: Request) -> Answer | None:
        """Store a file that follows once the board has said that there is room; unpack it if asked to."""
        size, unpacked = request["size"], request.get("unpacked", 0)
        self._store.make_room(size + unpacked)
        self._say({"go": True})
        if not self._store.receive(request["sha256"], size, self._in.copy):
            return None
        if unpacked:
            self._store.unpack(request["sha256"])
        return {}

    def _read(self, request: Request) -> Answer | None:
        """Send a file of a job: its size, then its bytes."""
        path = self._jobs.folder(request["job"]) / request["name"]
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return {"size": None}
        with file:
            size = os.fstat(file.fileno()).st_size
            self._say({"size": size})
            sent = 0
            while sent < size:
                sent += os.sendfile(self._out.fileno(), file.fileno(), sent, size - sent)
        return None

    def _leave(self) -> None:
        """End what this session started and put back what it changed."""
        self._jobs.sweep("")
        put_back_clocks(self._root)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_lost(descriptor: int) -> bool:
    """Whether the holder of the lock is no longer heard by its phonebench; waits until that is sure."""
    heard, looked_at = os.fstat(descriptor).st_mtime_ns, time.monotonic()
    while True:
        time.sleep(0.2)
        if _locked(descriptor):
            # It ended meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            return True
        waited_s, last = time.monotonic() - looked_at, os.fstat(descriptor).st_mtime_ns
        if last == heard and waited_s > LOST_S:
            return True
        # When a cable is plugged in again, what a dead session had said last arrives at once, and then its end.
        if last != heard and waited_s > _ECHO_S:
            return False
        heard = last if waited_s <= _ECHO_S else heard


def _holder(descriptor: int) -> dict[str, Any]:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def main() -> None:
    """Serve the requests on standard input. A connection that breaks ends the agent without a word."""
    for stream in (0, 1):
        # Larger pipes wake both sides less often; where the server uses sockets there is nothing to set.
        with contextlib.suppress(OSError):
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _CHUNK)
    out = os.fdopen(os.dup(1), "wb")
    # A child that printed to standard output would break the answers.
    os.dup2(2, 1)
    out.write(GREETING)
    out.flush()
    with contextlib.suppress(BrokenPipeError):
        Agent(Incoming(), out).serve()
    # Not a normal exit: flushing a broken pipe would print a traceback.
    sys.stderr.flush()
    os._exit(0)
