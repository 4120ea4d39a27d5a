"""The services that run commands: ``shell:`` on a terminal, ``shell,v2`` with separate streams, ``exec:`` on pipes."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import assert_never

from tests.vphone.jail import Jail, Pipes
from tests.vphone.stream import Stream, StreamClosedError

FRAME = struct.Struct("<BI")
CHUNK_BYTES = 64 * 1024


class Frame(IntEnum):
    """What a frame of shell v2 carries."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    EXIT = 3
    CLOSE_STDIN = 4
    WINDOW = 5


class Means(StrEnum):
    """What a command's standard streams are."""

    PIPES = "pipes"
    TERMINAL = "terminal"
    RAW_TERMINAL = "raw-terminal"


Send = Callable[[Frame, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A running command: its process, its input, and its outputs."""

    process: subprocess.Popen[bytes]
    stdin: int
    outputs: dict[int, Frame]
    terminal: bool


def run_shell(jail: Jail, stream: Stream, *, command: str, framed: bool, means: Means) -> None:
    """Run a command for a client until it ends and its output is sent; an empty command is an interactive shell."""
    shell = ["/system/bin/sh", "-c", command] if command else ["/system/bin/sh", "-i"]
    match means:
        case Means.PIPES:
            child = _on_pipes(jail, shell, split=framed)
        case Means.TERMINAL | Means.RAW_TERMINAL:
            child = _on_terminal(jail, shell, raw=means is Means.RAW_TERMINAL)
        case _:
            assert_never(means)
    stream.accept()

    def send(frame: Frame, data: bytes) -> None:
        stream.write(FRAME.pack(frame, len(data)) + data if framed else data)

    left, wake = os.pipe()
    feeder = threading.Thread(target=_feed, args=(stream, child, framed, wake), name="stdin of a command", daemon=True)
    feeder.start()
    try:
        _pump(child, send, left)
        if framed:
            code = child.process.wait()
            send(Frame.EXIT, bytes([code if code >= 0 else 128 - code]))
    except StreamClosedError:
        pass  # The client went away. The command keeps running until it writes to a closed pipe or loses its terminal.
    finally:
        for output in child.outputs:
            _close(output)
        stream.close()
        feeder.join()
        _close(left)
        _close(wake)
        # Nobody waits for a command that keeps running; this only keeps it from staying a zombie afterwards.
        threading.Thread(target=child.process.wait, name="end of a command", daemon=True).start()


def _on_pipes(jail: Jail, shell: list[str], *, split: bool) -> Child:
    stdin, feed = os.pipe()
    out, stdout = os.pipe()
    err, stderr = os.pipe() if split else (-1, stdout)
    process = jail.spawn(shell, Pipes(stdin=stdin, stdout=stdout, stderr=stderr))
    for end in {stdin, stdout, stderr}:
        os.close(end)
    outputs = {out: Frame.STDOUT, err: Frame.STDERR} if split else {out: Frame.STDOUT}
    return Child(process=process, stdin=feed, outputs=outputs, terminal=False)


def _on_terminal(jail: Jail, shell: list[str], *, raw: bool) -> Child:
    master, slave = os.openpty()
    if raw:
        tty.setraw(slave)
    process = jail.spawn(shell, Pipes(stdin=slave, stdout=slave, stderr=slave), terminal=True)
    os.close(slave)
    return Child(process=process, stdin=os.dup(master), outputs={master: Frame.STDOUT}, terminal=True)


def _pump(child: Child, send: Send, left: int) -> None:
    """Send what the command prints until all its outputs are closed, or until the client has left."""
    waiting = select.poll()
    for source in (*child.outputs, left):
        waiting.register(source, select.POLLIN)
    running = set(child.outputs)
    while running:
        for source, _ in waiting.poll():
            if source == left:
                msg = "the client left"
                raise StreamClosedError(msg)
            try:
                data = os.read(source, CHUNK_BYTES)
            except OSError:
                data = b""  # A terminal whose last program has ended says so with an error.
            if data:
                send(child.outputs[source], data)
            else:
                waiting.unregister(source)
                running.discard(source)


def _feed(stream: Stream, child: Child, framed: bool, wake: int) -> None:
    """Pass what the client sends to the command; then close its input and wake the pump."""
    open_stdin = True
    try:
        while True:
            if not framed:
                frame, data = Frame.STDIN, stream.read()
                if not data:
                    break
            else:
                kind, size = FRAME.unpack(stream.read_exactly(FRAME.size))
                frame, data = Frame(kind), stream.read_exactly(size)
            if frame is Frame.WINDOW and child.terminal:
                _set_window(child.stdin, data)
            elif frame is Frame.CLOSE_STDIN and not child.terminal:
                open_stdin = _close(child.stdin)
            elif frame is Frame.STDIN and open_stdin:
                open_stdin = _write_all(child.stdin, data)
    except StreamClosedError:
        pass  # The end of the stream, in the framed form.
    finally:
        if open_stdin:
            _close(child.stdin)
        os.write(wake, b"x")


def _write_all(target: int, data: bytes) -> bool:
    """Write everything; False, with the end closed, when the command reads no more."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(target, view) :]
    except OSError:
        return _close(target)
    return True


def _close(end: int) -> bool:
    with suppress(OSError):
        os.close(end)
    return False


def _set_window(terminal: int, size: bytes) -> None:
    """Take ``ROWSxCOLUMNS,WIDTHxHEIGHT`` as the size of the terminal's window."""
    cells, _, pixels = size.rstrip(b"\0").partition(b",")
    rows, columns = (int(n) for n in cells.split(b"x"))
    width, height = (int(n) for n in (pixels or b"0x0").split(b"x"))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))
