"""Device kind ``runner``: this computer, measured by a program of the user's own that keeps to ``docs/wire.md``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.devices.kind import DeviceKind, name_in
from harness.errors import DeviceError

if TYPE_CHECKING:
    from harness.devices.device import Device
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate


def _check_key(key: str) -> None:
    if not name_in(key):
        msg = f"device {key!r} names no program: write 'runner:PROGRAM', the file of the runner to start"
        raise DeviceError(msg)


def _open(key: str, settings: PhoneSettings) -> AbstractContextManager[Device]:  # noqa: ARG001  nothing to set
    from harness.devices.own.own import open_own

    return open_own(key)


def _infos() -> tuple[DeviceInfo, ...]:
    return ()


def _delegates(key: str) -> tuple[Delegate, ...]:  # noqa: ARG001  the program answers `unsupported` for what it lacks
    from harness.wire import Delegate

    return tuple(Delegate)


def _expand(key: str) -> tuple[str, ...]:
    from harness.devices.own.own import whole_key

    return (whole_key(key),)


OWN = DeviceKind(
    name="runner",
    examples=("runner:PROGRAM",),
    check_key=_check_key,
    open=_open,
    infos=_infos,
    delegates=_delegates,
    expand=_expand,
)
