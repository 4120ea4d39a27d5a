"""The way to a board: the user's own OpenSSH client, one control connection, and the agent at the other end.

Whatever ``ssh HOST`` knows works here as well: the configuration, the key agent, jump hosts and known hosts.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from harness.devices.ssh.answers import MOST_BYTES, read_answer, too_long
from harness.devices.ssh.destination import Destination
from harness.devices.ssh.payload import agent_source
from harness.devices.ssh.troubles import board_error, refusal_of
from harness.errors import BoardError, BoardTrouble

GREETING = b"phonebench-agent 1\n"
CONNECT_S = 10
BEAT_S = 5.0
_NO_PYTHON, _OLD_PYTHON = 127, 93
_CHUNK = 1 << 20
# What login scripts print before the greeting; more than this is no board of ours.
_MOST_NOISE = 1 << 20
# The connection outlives a command, so that the next one finds it open.
_PERSIST_S = 300
# The path of a socket has 104 bytes on some systems; ssh's own part of it takes 57.
_LONGEST_PARENT = 24

# Reads the agent's source, of a known length, from standard input, and runs it. It must not read a byte too many.
_LOADER = (
    "import sys; sys.version_info >= (3, 11) or sys.exit({old}); b = bytearray(); f = open(0, 'rb', 0, closefd=False); "
    "list(iter(lambda: (lambda d: (b.extend(d), bool(d) and len(b) < {size})[1])(f.read({size} - len(b))), False)); "
    "len(b) == {size} or sys.exit(0); exec(compile(bytes(b), 'phonebench agent', 'exec'))"
)
# The first Python that is new enough; a board may have a newer one beside its own.
_SCRIPT = (
    "for p in python3 python3.14 python3.13 python3.12 python3.11; do "
    "command -v $p >/dev/null 2>&1 || continue; $p -I -c {loader}; rc=$?; [ $rc = {old} ] || exit $rc; "
    "old=$($p -c 'import platform; print(platform.python_version())'); done; "
    '[ -z "$old" ] && exit {none}; echo "Python $old" >&2; exit {old}'
)


class Connection:
    """One agent on a board. `call` may be used by one thread; `say_bye` and `close` by any."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._writing = threading.RLock()
        self._stop_beating = threading.Event()
        self._rest = b""
        # A file and not a pipe: the control connection, which stays behind, may keep it open.
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        source = agent_source()
        self._command = _command(destination, _remote_command(len(source)))
        self._process = self._start(self._command)
        try:
            self._send(source)
            self._greet()
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._beat, daemon=True).start()

    def call(self, request: dict[str, Any], *, seconds: float = 60.0) -> dict[str, Any]:
        """Send a request and return its answer. Raises `BoardError`, also for one that the board refuses."""
        self._send(json.dumps(request).encode() + b"\n")
        return self._answer(request["do"], seconds)

    def put(self, request: dict[str, Any], path: Path) -> None:
        """Send the file at ``path``, once the board has said that it has room. Raises `BoardError`, `OSError`."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # Held from the request to the last byte: a sign of life in between would become part of the file.
            with self._writing:
                self.call(request | {"do": "put", "size": size})
                while data := file.read(_CHUNK):
                    self._write(data)
        # The board writes the file to its disk and may unpack it: on a card that takes minutes.
        self._answer("put", 900.0)

    def get(self, job: str, name: str, target: Path) -> bool:
        """Fetch a file of a job; return False if there is none. ``target`` appears only when it is whole."""
        answer = self.call({"do": "read", "job": job, "name": name})
        if answer["size"] is None:
            return False
        half = target.with_name(f"{target.name}.part")
        left: int = answer["size"]
        with half.open("wb") as file:
            while left:
                data = self._take(left, time.monotonic() + 60.0)
                file.write(data)
                left -= len(data)
        half.replace(target)
        return True

    def say_bye(self) -> None:
        """Tell the agent to end its launches and go. It may be gone already."""
        with contextlib.suppress(BoardError):
            self._send(b'{"do": "bye"}\n')
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10.0)

    def close(self) -> None:
        """Drop the connection; a launch on the board continues."""
        self._stop_beating.set()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                # Larger pipes wake both sides less often.
                pipesize=_CHUNK,
                # The complaints are read in English; Ctrl-C reaches only phonebench, which then says goodbye.
                env=os.environ | {"LC_ALL": "C"},
                start_new_session=True,
            )
        except OSError as error:
            what = f"cannot be reached: ssh does not start ({error.strerror})"
            raise board_error(BoardTrouble.NO_SSH, self.destination.name, what) from error

    def _greet(self) -> None:
        """Skip what login scripts print, up to the agent's greeting."""
        ends_at = time.monotonic() + 60.0
        while GREETING not in self._rest:
            if len(self._rest) > _MOST_NOISE:
                raise board_error(BoardTrouble.REFUSED, self.destination.name, "prints without end when one logs in")
            self._rest += self._more(ends_at)
        self._rest = self._rest.partition(GREETING)[2]

    def _answer(self, question: str, seconds: float) -> dict[str, Any]:
        ends_at = time.monotonic() + seconds
        received = bytearray(self._rest)
        while b"\n" not in received:
            if len(received) > MOST_BYTES:
                raise too_long(self.destination.name)
            received += self._more(ends_at)
        line, _, self._rest = bytes(received).partition(b"\n")
        return read_answer(self.destination.name, line, question)

    def _take(self, most: int, ends_at: float) -> bytes:
        data = self._rest or self._more(ends_at)
        self._rest = data[most:]
        return data if not self._rest else data[:most]

    def _more(self, ends_at: float) -> bytes:
        """Return what came in. Raises `BoardError` at the end of the stream and when nothing comes in time."""
        out = self._process.stdout
        if out is None:
            raise self._broken()
        try:
            ready, _, _ = select.select([out], [], [], max(0.0, ends_at - time.monotonic()))
            data = os.read(out.fileno(), _CHUNK) if ready else b""
        except (OSError, ValueError):
            data = b""
        if data:
            return data
        raise self._broken()

    def _send(self, data: bytes) -> None:
        with self._writing:
            self._write(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view and self._process.stdin:
                view = view[self._process.stdin.write(view) or 0 :]
        except (OSError, ValueError) as error:
            raise self._broken() from error

    def _beat(self) -> None:
        """Let the agent know that this side lives, even while it computes."""
        while not self._stop_beating.wait(BEAT_S):
            try:
                self._send(b'{"do": "beat"}\n')
            except BoardError:
                return

    def _broken(self) -> BoardError:
        """Return the error for a stream that ended: what ssh says, or that the board no longer answers."""
        board = self.destination.name
        try:
            code: int | None = self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ValueError):
            self._complaints.seek(0)
        output = b"" if self._complaints.closed else self._complaints.read()
        text = output.decode("utf-8", errors="replace")
        command = shlex.join(self._command[:-1])
        if code == _NO_PYTHON:
            return board_error(BoardTrouble.NO_PYTHON, board, "has no python3", command=command)
        if code == _OLD_PYTHON:
            version = text.strip().splitlines()[-1] if text.strip() else "an older Python"
            what = f"has {version}, and phonebench needs 3.11 or newer"
            return board_error(BoardTrouble.OLD_PYTHON, board, what, command=command)
        if code is None:
            return board_error(BoardTrouble.LOST, board, "no longer answers", command=command)
        if code not in (0, 255) and text.strip():
            return board_error(BoardTrouble.REFUSED, board, "cannot run the agent", command=command, output=text)
        return refusal_of(board, text, command=command)


def _remote_command(size: int) -> str:
    loader = shlex.quote(_LOADER.format(size=size, old=_OLD_PYTHON))
    script = _SCRIPT.format(loader=loader, old=_OLD_PYTHON, none=_NO_PYTHON)
    # Whatever shell the user has there, it only starts this one.
    return f"exec /bin/sh -c {shlex.quote(script)}"


def ssh_options() -> list[str]:
    """Return the options of every connection: it never asks, notices a dead link, and is shared."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_S,
        "ServerAliveInterval": 2,
        "ServerAliveCountMax": 3,
        "ControlMaster": "auto",
        "ControlPersist": _PERSIST_S,
        "ControlPath": _control_folder() / "%C",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
    }
    return [part for name, value in options.items() for part in ("-o", f"{name}={value}")]


def _command(destination: Destination, remote: str) -> list[str]:
    return ["ssh", "-T", *ssh_options(), *destination.arguments(), remote]


def _control_folder() -> Path:
    """The folder of the control sockets: private, and with a short name, because a socket's path is limited."""
    usual, short = Path(tempfile.gettempdir()), Path("/tmp")
    parent = short if len(str(usual)) > _LONGEST_PARENT and short.is_dir() else usual
    folder = parent / f"phonebench-ssh-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        folder = Path(tempfile.mkdtemp(prefix="phonebench-ssh-", dir=parent))
    return folder
