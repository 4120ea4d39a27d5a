"""Device ``runner:PROGRAM``: this computer, with ``PROGRAM`` in place of our runner.

It is started like ours, with the job's folder as its only argument, and its replies pass through the same checks.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.devices.host.facts import host_info
from harness.devices.host.host import HostDevice
from harness.devices.kind import name_in
from harness.errors import DeviceError


@contextlib.contextmanager
def open_own(key: str) -> Iterator[HostDevice]:
    """Open this machine with the runner that ``key`` names. Raises `DeviceError` if that cannot be started."""
    program = _program(key)
    # -P keeps the program's folder out of sys.path, where a file could shadow a module that it imports.
    command = (sys.executable, "-P", str(program)) if program.suffix == ".py" else (str(program),)
    info = replace(host_info(), key=key, kind="runner")
    device = HostDevice(command=command, info=replace(info, details=info.details | {"runner": program.name}))
    try:
        yield device
    finally:
        device.clean()


def whole_key(key: str) -> str:
    """Return ``key`` with the whole path of its program, so that a run can be resumed from any folder.

    Raises `DeviceError` if there is no such program.
    """
    return f"{key.partition(':')[0]}:{_program(key)}"


def _program(key: str) -> Path:
    program = Path(name_in(key) or "").expanduser().absolute()
    if not program.is_file():
        msg = f"device {key!r} names the program {str(program)!r}, which is not a file: check the path"
        raise DeviceError(msg)
    if program.suffix != ".py" and not os.access(program, os.X_OK):
        msg = f"device {key!r} names {str(program)!r}, which cannot be executed; run: chmod +x {program}"
        raise DeviceError(msg)
    return program
