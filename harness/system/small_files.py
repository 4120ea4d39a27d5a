"""Reads small files that a user names. Commands that only show a run load this, so it imports little."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_PIECE_BYTES = 1 << 20


def read_small(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file of at most ``most_bytes``. Raises `OSError`, with a reason, for any other.

    A pipe may never end, and a device such as ``/dev/zero`` never does. Neither has a size that could be asked for.
    """
    # Opening a pipe would wait for somebody who writes into it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        data = bytearray()
        # Piece by piece: a call for all that a file may have would set aside so much memory for each.
        while len(data) <= most_bytes and (piece := file.read(min(_PIECE_BYTES, most_bytes + 1 - len(data)))):
            data += piece
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes} bytes", str(path))
    return bytes(data)
