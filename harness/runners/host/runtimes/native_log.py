"""What a native library prints on standard error while something is done; some facts are told nowhere else."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ERROR_STREAM = 2
# The same open file under a name, on Linux.
_AS_A_FILE = Path("/proc/self/fd/2")


@dataclass(slots=True)
class Heard:
    """``text`` is complete when the block has ended."""

    text: str = ""


@contextlib.contextmanager
def heard() -> Iterator[Heard]:
    """Collect what the process writes to standard error in this block.

    It still gets there: at once if standard error is a file, so that the file has the last words of a library that
    crashes, and otherwise at the end of the block.
    """
    result = Heard()
    in_a_file = stat.S_ISREG(os.fstat(_ERROR_STREAM).st_mode) and _AS_A_FILE.exists()
    with _read_back(result) if in_a_file else _caught(result):
        yield result


@contextlib.contextmanager
def _read_back(result: Heard) -> Iterator[None]:
    start = os.lseek(_ERROR_STREAM, 0, os.SEEK_END)
    try:
        yield
    finally:
        with _AS_A_FILE.open("rb") as file:
            file.seek(start)
            result.text = file.read().decode("utf-8", errors="replace")


@contextlib.contextmanager
def _caught(result: Heard) -> Iterator[None]:
    with tempfile.TemporaryFile() as kept:
        original = os.dup(_ERROR_STREAM)
        os.dup2(kept.fileno(), _ERROR_STREAM)
        try:
            yield
        finally:
            os.dup2(original, _ERROR_STREAM)
            os.close(original)
            kept.seek(0)
            data = kept.read()
            result.text = data.decode("utf-8", errors="replace")
            os.write(_ERROR_STREAM, data)
