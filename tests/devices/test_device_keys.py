"""Keys of devices, and the list of them."""

from __future__ import annotations

import pytest

from harness.devices.registry import DEVICES, DeviceKey, DeviceKind, list_devices, open_device, parse_device_key
from harness.errors import DeviceError, UnknownNameError


@pytest.mark.parametrize(
    ("key", "kind", "name"),
    [("host", DeviceKind.HOST, ""), ("fake", DeviceKind.FAKE, ""), ("fake:hot", DeviceKind.FAKE, "hot")],
)
def test_a_key_is_a_kind_and_a_name(key: str, kind: DeviceKind, name: str) -> None:
    assert parse_device_key(key) == DeviceKey(kind=kind, name=name)


@pytest.mark.parametrize(
    ("key", "said"),
    [("hots", "did you mean 'host'"), ("fake:hott", "did you mean 'hot'"), ("", "host"), ("fake:", "hot")],
)
def test_an_unknown_name_is_answered_with_the_nearest(key: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        open_device(key)


def test_there_is_one_host() -> None:
    with pytest.raises(DeviceError, match="host:foo"):
        parse_device_key("host:foo")


def test_every_kind_can_be_opened_and_says_what_it_is() -> None:
    assert set(DEVICES) == set(DeviceKind)
    for kind in set(DeviceKind) - {DeviceKind.ANDROID}:
        with open_device(kind.value) as device:
            assert (device.info.key, device.info.kind) == (kind.value, kind.value)


def test_the_list_holds_what_can_be_opened() -> None:
    assert [info.key for info in list_devices()] == ["host", "fake"]
