"""``content``: files through the runner app's provider, by the rules that its Java code has.

The command ends with 0 whether it worked or not, as the real one does; an error is a text on standard error.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tests.vphone.calls import Call
from tests.vphone.commands.activities import user_in
from tests.vphone.system import System

READABLE = {"request.json", "reply.json", "outputs.bin"}
WRITABLE = "request.json"
PLAIN = re.compile(r"[A-Za-z0-9_-]+")
WRITE_SINCE_API = 28
USAGE = "usage: adb shell content [subcommand] [options]\n"


class ProviderError(Exception):
    """The provider refuses; the message begins with the class of the Java exception."""


def content(system: System, call: Call) -> int:
    """Read, write or delete through a provider."""
    verb = call.args[0] if call.args else ""
    uri = call.args[call.args.index("--uri") + 1] if "--uri" in call.args[:-1] else ""
    known = {"read", "delete"} | ({"write"} if system.state.api >= WRITE_SINCE_API else set())
    if verb not in known or not uri:
        call.err(f"{USAGE}\n[ERROR] {f'Unsupported command: {verb}' if uri else 'Uri not specified'}\n")
        return 0
    try:
        job, name = _find(system, uri, user_in(call.args, 0))
        if verb == "read":
            call.out(_read(system, job, name, uri))
        elif verb == "write":
            _write(job, name, uri, call)
        else:
            _delete(job, name, uri)
    except ProviderError as refused:
        authority = urlsplit(uri).netloc
        call.err(f"Error while accessing provider:{authority}\n{refused}\n\tat android.content.ContentResolver\n")
    return 0


def _find(system: System, uri: str, user: int) -> tuple[Path, str]:
    """The folder of the named job, and the file name after it; the provider's process is started if necessary."""
    parts = urlsplit(uri)
    package = system.packages.of_authority(parts.netloc)
    blocked = package is not None and system.faults.no_background and not system.apps.in_front(package.name)
    if parts.scheme != "content" or package is None or blocked:
        msg = f"java.lang.IllegalStateException: Could not find provider: {parts.netloc}"
        raise ProviderError(msg)
    system.apps.open_door(package, user)
    job, _, name = parts.path.lstrip("/").partition("/")
    if not PLAIN.fullmatch(job):
        msg = f"java.io.FileNotFoundException: No such file: {uri}"
        raise ProviderError(msg)
    return system.jail.resolve(f"{package.files_of(user)}/jobs/{job}"), name


def _read(system: System, job: Path, name: str, uri: str) -> bytes:
    if name not in READABLE or system.faults.silent_provider or not (job / name).is_file():
        msg = f"java.io.FileNotFoundException: No such file or directory: {uri}"
        raise ProviderError(msg)
    data = (job / name).read_bytes()
    if system.faults.half_replies and name != WRITABLE:
        system.faults.half_replies -= 1
        return data[: len(data) // 2]
    return data


def _write(job: Path, name: str, uri: str, call: Call) -> None:
    if name != WRITABLE:
        msg = f"java.io.FileNotFoundException: only {WRITABLE} can be written, not {uri}"
        raise ProviderError(msg)
    try:
        job.mkdir(parents=True, exist_ok=True)
        call.read(job / name)
    except OSError as error:
        msg = f"java.io.IOException: write failed: {error.strerror}"
        raise ProviderError(msg) from error


def _delete(job: Path, name: str, uri: str) -> None:
    if name:
        msg = f"java.lang.IllegalArgumentException: cannot delete {uri}: name one job"
        raise ProviderError(msg)
    shutil.rmtree(job, ignore_errors=True)
