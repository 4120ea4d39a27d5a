"""A file of another program, as far as it can be read before anybody knows what it is.

Such a file may be truncated or hostile, so its size is limited and nothing in it is run, followed or expanded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.exchange.fields import clean
from harness.system.small_files import read_small

# A result file holds figures. JSON takes up to twenty times its size in memory.
MOST_BYTES = 32 << 20
# Files of lines are recognised by the first ones.
_HEAD_CHARACTERS = 1 << 16
PACKED = "it is packed"
# A file in which a larger share of the characters is not text counts as binary.
_STRAY = 0.01
_PACKERS = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of a file: its bytes, and as text, as one JSON value and as JSON lines where it is such a thing.

    ``name`` has no folder. ``document`` and ``lines`` are None and empty if the file is not JSON; ``problem`` then says
    why, if the file looks as if it should be. ``cut_off``: the last line is incomplete. NaN and infinite
    numbers are read as null.
    """

    name: str
    data: bytes
    text: str
    document: Any = None
    lines: tuple[dict[str, Any], ...] = ()
    cut_off: bool = False
    problem: str = ""

    @property
    def sha256(self) -> str:
        """The digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def stem(self) -> str:
        """The name without its suffix, for formats that do not name the model."""
        return Path(self.name).stem or "unknown"

    @property
    def head(self) -> str:
        """The beginning of the text."""
        return self.text[:_HEAD_CHARACTERS]

    @property
    def object(self) -> dict[str, Any]:
        """The JSON value if it is an object, else an empty one."""
        return self.document if isinstance(self.document, dict) else {}

    @property
    def records(self) -> tuple[dict[str, Any], ...]:
        """The objects of a JSON array or of JSON lines; a single object is one record."""
        if isinstance(self.document, list):
            return tuple(item for item in self.document if isinstance(item, dict))
        return (self.document,) if isinstance(self.document, dict) else self.lines


def read_content(path: Path) -> Content:
    """Read the file at ``path``. Raises `UsageError` if there is none, or if it is too large or empty."""
    if path.is_dir():
        msg = f"{str(path)!r} is a folder: name the result files in it"
        raise UsageError(msg)
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            size = path.stat().st_size / (1 << 20)
            msg = f"{str(path)!r} has {size:.0f} MiB, and at most {MOST_BYTES >> 20} are read: import a part of it"
            raise UsageError(msg)
        data = read_small(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"cannot read {str(path)!r}: {reason}; check the path"
        raise UsageError(msg) from error
    if not data.strip():
        msg = f"{str(path)!r} is empty: there is nothing to import"
        raise UsageError(msg)
    return content_of(path.name, data)


def content_of(name: str, data: bytes) -> Content:
    """Return what can be said of ``data`` without knowing its format."""
    text = _text_of(data)
    shown = clean(Path(name).name) or "file"
    document, problem = _document(text)
    lines, cut_off = ((), False) if document is not None else _lines(text)
    problem = "" if lines else problem or _packed(data)
    return Content(name=shown, data=data, text=text, document=document, lines=lines, cut_off=cut_off, problem=problem)


def _text_of(data: bytes) -> str:
    """The text, or nothing for a binary file.

    Logs of phones may hold stray bytes, and names the letters of another encoding, so a few of them are replaced.
    """
    # PowerShell writes UTF-16 when the output of a program is redirected to a file.
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = data.decode(encoding, errors="replace")
    return "" if "\0" in text or text.count("\ufffd") > len(text) * _STRAY else text


def _packed(data: bytes) -> str:
    """What a compressed file is packed with, as a problem."""
    kind = next((kind for mark, kind in _PACKERS.items() if data.startswith(mark)), "")
    return f"{PACKED} ({kind})" if kind else ""


def _document(text: str) -> tuple[Any, str]:
    if not text.lstrip().startswith(("{", "[")):
        return None, ""
    try:
        return json.loads(text, parse_constant=lambda _: None), ""
    except RecursionError:
        return None, "its JSON is nested too deeply"
    except ValueError as error:
        return None, f"its JSON is damaged or cut off ({error})"


def _lines(text: str) -> tuple[tuple[dict[str, Any], ...], bool]:
    """The objects of JSON lines, and whether the last line was cut off. Other damage means that there are none."""
    listed = [line for line in text.splitlines() if line.strip()]
    objects = []
    for number, line in enumerate(listed, 1):
        value, _ = _document(line)
        if isinstance(value, dict):
            objects.append(value)
        elif number < len(listed) or number == 1:
            return (), False
    return tuple(objects), len(objects) < len(listed)
