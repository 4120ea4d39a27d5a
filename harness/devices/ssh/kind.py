"""Device kind ``ssh``: Linux boards, by the name that the OpenSSH client knows them by."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.devices.kind import Checkup, DeviceKind, InstalledRunner, name_in
from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.devices.device import Device
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate


def _check_key(key: str) -> None:
    from harness.devices.ssh.destination import parse_destination

    name = name_in(key)
    if not name:
        msg = f"device {key!r} names no board: write ssh:HOST, ssh:USER@HOST or ssh:USER@HOST:PORT"
        raise UsageError(msg)
    parse_destination(name)


def _open(key: str, settings: PhoneSettings) -> AbstractContextManager[Device]:
    from harness.devices.ssh.board_device import open_board

    return open_board(key, settings)


def _infos() -> tuple[DeviceInfo, ...]:
    from harness.devices.ssh.known import boards_there

    return boards_there()


def _delegates(key: str) -> tuple[Delegate, ...]:  # noqa: ARG001  the wheels for boards compute on the processor
    from harness.wire import Delegate

    return Delegate.CPU, Delegate.XNNPACK


def _checkup(key: str) -> Checkup:
    from harness.devices.ssh.checkup import check_board

    return check_board(key)


def _install_runners(key: str, runtimes: tuple[str, ...], folder: Path | None) -> tuple[InstalledRunner, ...]:
    from harness.devices.ssh.install import install_runtimes

    return install_runtimes(key, runtimes, folder)


SSH = DeviceKind(
    name="ssh",
    examples=("ssh:HOST",),
    check_key=_check_key,
    open=_open,
    infos=_infos,
    delegates=_delegates,
    # Every board has a processor of its own; the work left to this computer is to wait for them.
    concurrent=True,
    settings=frozenset({"clocks", "cores", "wheels"}),
    checkup=_checkup,
    install_runners=_install_runners,
)
