"""Reads what the launches of a game loop left: one file each, which holds the reply, its outputs and what the phone is.

The same file comes by two ways, as the result of its scenario and pulled from the phone. The first whole one counts.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.devices.android.app.deaths import Death, Ending, classify_death
from harness.devices.android.app.loglines import launch_mark, mark_index, parse_log

SCHEMA = 1
_PATTERNS = ("results_scenario_*.json", "result.json")
# The outputs are most of a result. What a phone logged last says why it ended.
_MOST_BYTES, _MOST_LOG_BYTES = 256 << 20, 64 << 20

# Test Lab's own way to write a line of the log: date, time, level, tag, process, text, and no thread.
_LOG_LINE = re.compile(r"^(\d\d-\d\d [\d:.]+): ([VDIWEFA])/(.*?)\( *(\d+) *\): (.*)$", re.MULTILINE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFile:
    """The content of the file, as the app writes it (`LoopResult.java`)."""

    schema: int
    job: str
    scenario: int
    request_sha256: str
    reply: msgspec.Raw
    device: dict[str, str] = field(default_factory=dict)
    outputs_sha256: str | None = None
    outputs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReply:
    """What one launch left. ``reply`` is JSON of the wire, ``outputs`` the bytes of its outputs, None without."""

    job: str
    scenario: int
    request_sha256: str
    device: dict[str, str]
    reply: bytes
    outputs: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopLeft:
    """All that a job left: the replies by the names of the launches, what is wrong with other files, and the logs.

    ``damaged`` has the paths of those files below the folder that was read.
    """

    replies: dict[str, LoopReply]
    damaged: dict[str, str]
    logs: tuple[str, ...]

    @property
    def device(self) -> dict[str, str]:
        """What the phone is; empty if no launch left anything."""
        return next((reply.device for reply in self.replies.values()), {})

    def death(self, launch: str, app_id: str) -> Death | None:
        """Return how the process of a launch ended by the logs, None if it is in none of them."""
        for text in self.logs:
            # A log is long, and most launches are in one of several.
            if launch_mark(launch) not in text:
                continue
            lines = parse_log(text)
            at = mark_index(lines, launch)
            if at is not None:
                return classify_death(Ending(log=text, exits="", app_id=app_id, pid=lines[at].pid, launch=launch))
        return None


def launch_name(job: str, scenario: int) -> str:
    """Return the name of a launch, as the app names it."""
    return f"{job}-{scenario}"


def read_left(folder: Path) -> LoopLeft:
    """Read everything below ``folder``. A file that is damaged or too large is noted, and otherwise left out."""
    replies: dict[str, LoopReply] = {}
    damaged: dict[str, str] = {}
    for path in _files(folder):
        try:
            reply = read_loop_file(_content(path))
        except ValueError as error:
            log.info("%s: %s", path, error)
            damaged[str(path.relative_to(folder))] = str(error)
            continue
        replies.setdefault(launch_name(reply.job, reply.scenario), reply)
    logs = tuple(read_log(path) for path in sorted(folder.rglob("logcat")) if path.is_file())
    return LoopLeft(replies=replies, damaged=damaged, logs=logs)


def read_log(path: Path) -> str:
    """Return the log of a phone as ``logcat -v threadtime`` prints it; of a very long one the end."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _MOST_LOG_BYTES, 0))
        text = file.read(_MOST_LOG_BYTES).decode("utf-8", errors="replace")
    return _LOG_LINE.sub(r"\1 \4 \4 \2 \3: \5", text.replace("\r\n", "\n"))


def _content(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _MOST_BYTES:
        msg = f"it has {size >> 20} MiB, and at most {_MOST_BYTES >> 20} are read"
        raise ValueError(msg)
    return path.read_bytes()


def read_loop_file(data: bytes) -> LoopReply:
    """Return what a launch left. Raises `ValueError` for a file that is cut off, another schema, or damaged outputs."""
    try:
        file = msgspec.json.decode(data, type=LoopFile)
        outputs = None if file.outputs is None else base64.b64decode(file.outputs, validate=True)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        msg = f"it is cut off or damaged ({error})"
        raise ValueError(msg) from error
    if file.schema != SCHEMA:
        msg = f"it has schema {file.schema}, expected {SCHEMA}"
        raise ValueError(msg)
    if outputs is not None and hashlib.sha256(outputs).hexdigest() != file.outputs_sha256:
        msg = "its outputs do not have the digest that the app computed"
        raise ValueError(msg)
    return LoopReply(
        job=file.job,
        scenario=file.scenario,
        request_sha256=file.request_sha256,
        device=file.device,
        reply=bytes(file.reply),
        outputs=outputs,
    )


def _files(folder: Path) -> Iterator[Path]:
    for pattern in _PATTERNS:
        yield from (path for path in sorted(folder.rglob(pattern)) if path.is_file())
