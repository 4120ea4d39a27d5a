"""What a native library prints on standard error while something is done; some facts are told nowhere else."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

_ERROR_STREAM = 2


@dataclass(slots=True)
class Heard:
    """``text`` is complete when the block has ended."""

    text: str = ""


@contextlib.contextmanager
def heard() -> Iterator[Heard]:
    """Collect what the process writes to standard error in this block, and pass it on at its end."""
    result = Heard()
    with tempfile.TemporaryFile() as kept:
        original = os.dup(_ERROR_STREAM)
        os.dup2(kept.fileno(), _ERROR_STREAM)
        try:
            yield result
        finally:
            os.dup2(original, _ERROR_STREAM)
            os.close(original)
            kept.seek(0)
            data = kept.read()
            result.text = data.decode("utf-8", errors="replace")
            os.write(_ERROR_STREAM, data)
