"""Device kind ``fake``: scripted phones, which are always there."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.devices.kind import DeviceKind

if TYPE_CHECKING:
    from harness.devices.device import Device
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate


def _check_key(key: str) -> None:
    from harness.devices.fake.fake import check_fake_key, expand_fake_key

    for unit in expand_fake_key(key)[-1:] or (key,):
        check_fake_key(unit)


def _open(key: str, settings: PhoneSettings) -> AbstractContextManager[Device]:  # noqa: ARG001  nothing to set
    from harness.devices.fake.fake import open_fake

    return open_fake(key)


def _expand(key: str) -> tuple[str, ...]:
    from harness.devices.fake.fake import expand_fake_key

    return expand_fake_key(key)


def _infos() -> tuple[DeviceInfo, ...]:
    from harness.devices.fake.fake import fake_info

    return (fake_info("fake"),)


def _delegates(key: str) -> tuple[Delegate, ...]:  # noqa: ARG001  every scripted phone has the same
    from harness.wire import Delegate

    return Delegate.CPU, Delegate.XNNPACK, Delegate.GPU


FAKE = DeviceKind(
    name="fake",
    examples=("fake", "fake:NAME"),
    check_key=_check_key,
    open=_open,
    infos=_infos,
    delegates=_delegates,
    expand=_expand,
    # Their time is added up, not spent, so nothing disturbs them.
    concurrent=True,
)
