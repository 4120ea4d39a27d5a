"""A reader under test, and what its rows in the tables share."""

from __future__ import annotations

import atexit
import base64
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader under test.

    ``read`` gets the bytes of a file. ``refuses`` are the errors that its callers expect; anything else is a bug, as is
    a read of more than `SECONDS`. ``seeds`` are examples that it accepts.
    """

    name: str
    read: Callable[[bytes], object]
    refuses: tuple[type[BaseException], ...]
    seeds: Callable[[], Iterable[bytes]]


def as_certificate(data: bytes) -> bytes:
    """The PEM text of a certificate."""
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE-----\n"


def on_file(
    suffix: str, read: Callable[[Path], object], *, wrap: Callable[[bytes], bytes] = bytes
) -> Callable[[bytes], object]:
    """A reader of a path, as one of bytes. Each read replaces the file, with ``wrap`` around the bytes."""
    path = new_folder() / f"input{suffix}"

    def on_bytes(data: bytes) -> object:
        path.write_bytes(wrap(data))
        return read(path)

    return on_bytes


def new_folder() -> Path:
    """A new folder, removed at the end. libFuzzer ends its process at once: its caller removes what is left."""
    made = tempfile.mkdtemp(prefix="phonebench-fuzz-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def files(*patterns: str) -> Callable[[], list[bytes]]:
    return lambda: [file.read_bytes() for pattern in patterns for file in sorted(ROOT.glob(pattern)) if file.is_file()]
