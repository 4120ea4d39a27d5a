"""Device kind ``host``: this computer."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.devices.kind import DeviceKind, name_in
from harness.errors import DeviceError

if TYPE_CHECKING:
    from harness.devices.device import Device
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate, Format


def _check_key(key: str) -> None:
    if name_in(key) is not None:
        msg = f"device {key!r} does not exist: there is only one host; write 'host'"
        raise DeviceError(msg)


def _open(key: str, settings: PhoneSettings) -> AbstractContextManager[Device]:  # noqa: ARG001  one host, nothing to set
    from harness.devices.host.host import open_host

    return open_host()


def _infos() -> tuple[DeviceInfo, ...]:
    from harness.devices.host.facts import host_info

    return (host_info(),)


def _delegates(key: str) -> tuple[Delegate, ...]:  # noqa: ARG001  there is one host
    from harness.wire import Delegate

    return Delegate.CPU, Delegate.XNNPACK, Delegate.GPU


def _formats(key: str) -> dict[Format, tuple[Delegate, ...] | str]:  # noqa: ARG001  there is one host
    from harness.spec.formats import FORMATS
    from harness.wire import Delegate, Format

    # ExecuTorch's package for computers has no backend for a GPU.
    return {
        **{format_: row.delegates for format_, row in FORMATS.items()},
        Format.PTE: (Delegate.XNNPACK, Delegate.CPU),
    }


HOST = DeviceKind(
    name="host",
    examples=("host",),
    check_key=_check_key,
    open=_open,
    infos=_infos,
    delegates=_delegates,
    formats=_formats,
    language=lambda _: True,
)
