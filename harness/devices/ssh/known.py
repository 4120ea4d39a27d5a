"""The boards that were used before, so that ``phonebench devices`` can list them without logging in anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import platformdirs

from harness.devices.kind import name_in
from harness.devices.ssh.destination import parse_destination
from harness.errors import UsageError
from harness.records.device import DeviceInfo
from harness.system.decoding import decode_json
from harness.system.files import write_whole

# A board on the same network answers within milliseconds.
_ANSWER_S = 0.3
_MOST = 32


def remember(info: DeviceInfo) -> None:
    """Keep what a board is. A cache that cannot be written is no reason to stop."""
    folder = _folder()
    name = hashlib.sha256(info.key.encode()).hexdigest()[:16]
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{name}.json", msgspec.json.encode(info))


def boards_there() -> tuple[DeviceInfo, ...]:
    """Return the boards that were used before and whose ssh server answers now, without logging in."""
    infos = _remembered()
    if not infos:
        return ()
    with ThreadPoolExecutor(min(_MOST, len(infos))) as pool:
        there = list(pool.map(_answers, infos))
    return tuple(info for info, is_there in zip(infos, there, strict=True) if is_there)


def _folder() -> Path:
    return platformdirs.user_cache_path("phonebench") / "boards"


def _remembered() -> list[DeviceInfo]:
    infos = []
    for path in sorted(_folder().glob("*.json")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            infos.append(decode_json(path.read_bytes(), DeviceInfo))
    return sorted(infos, key=lambda info: info.key)


def _answers(info: DeviceInfo) -> bool:
    """Whether a server accepts connections where ssh would go; a board behind a jump host is taken on trust."""
    try:
        arguments = parse_destination(name_in(info.key) or "").arguments()
        done = subprocess.run(["ssh", "-G", *arguments], capture_output=True, text=True, timeout=2.0, check=True)
        options = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        if {"proxyjump", "proxycommand"} & options.keys():
            return True
        with socket.create_connection((options["hostname"], int(options["port"])), timeout=_ANSWER_S):
            return True
    except (OSError, ValueError, KeyError, UsageError, subprocess.SubprocessError):
        return False
