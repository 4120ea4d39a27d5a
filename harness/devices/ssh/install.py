"""Puts runtimes on a board ahead of a run; those that need PyTorch are put there only in this way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.devices.kind import InstalledRunner
from harness.devices.ssh.board_device import open_board
from harness.devices.ssh.wheels import ON_REQUEST, RUNTIMES, requirements
from harness.errors import BoardError, UnknownNameError, UsageError
from harness.spec.formats import FORMATS
from harness.spec.phone_settings import DEFAULT_SETTINGS

_BY_NAME = {FORMATS[format_].android_runtime or format_.value: format_ for format_ in RUNTIMES}


def install_runtimes(key: str, runtimes: tuple[str, ...], folder: Path | None) -> tuple[InstalledRunner, ...]:
    """Put the named runtimes on a board, or the two small ones; ``folder`` holds their wheels, None to fetch them.

    Raises `UnknownNameError`, `UsageError`, and `BoardError` if the board cannot be used at all.
    """
    if ":" not in key:
        msg = f"{key!r} names no board: add --device ssh:HOST"
        raise UsageError(msg)
    for name in runtimes:
        if name not in _BY_NAME:
            raise UnknownNameError(name, kind="runtime", allowed=_BY_NAME)
    names = runtimes or tuple(name for name, format_ in _BY_NAME.items() if format_ not in ON_REQUEST)
    installed = []
    with open_board(key, replace(DEFAULT_SETTINGS, wheels=folder)) as board:
        for name in names:
            try:
                board.add_runtime(_BY_NAME[name])
            except BoardError as error:
                installed.append(InstalledRunner(runtime=name, error=str(error)))
                continue
            installed.append(InstalledRunner(runtime=name, version=requirements(_BY_NAME[name])[0]))
    return tuple(installed)
