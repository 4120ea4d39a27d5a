"""Device keys, and the list of devices."""

from __future__ import annotations

import pytest

from harness.devices.kind import name_in
from harness.devices.registry import DEVICE_KINDS, delegates_of, expand_devices, kind_of, list_devices, open_device
from harness.errors import DeviceError, UnknownNameError


@pytest.mark.parametrize(
    ("key", "kind", "name"),
    [
        ("host", "host", None),
        ("fake", "fake", None),
        ("fake:hot", "fake", "hot"),
        ("android:10.0.0.7:5555", "android", "10.0.0.7:5555"),
    ],
)
def test_a_key_is_a_kind_and_a_name(key: str, kind: str, name: str | None) -> None:
    assert (kind_of(key).name, name_in(key)) == (kind, name)


@pytest.mark.parametrize(
    ("key", "said"),
    [("hots", "did you mean 'host'"), ("fake:hott", "did you mean 'hot'"), ("", "host"), ("fake:", "hot")],
)
def test_an_unknown_name_is_answered_with_the_nearest(key: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        open_device(key)


@pytest.mark.parametrize(("key", "said"), [("host:foo", "only one host"), ("android: ", "no serial")])
def test_a_name_that_no_device_of_the_kind_has_is_refused(key: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        kind_of(key)


def test_every_row_is_listed_under_its_name_and_takes_its_own_examples() -> None:
    for name, kind in DEVICE_KINDS.items():
        assert kind.name == name
        assert kind.examples[0].partition(":")[0] == name
        for key in (*kind.examples, *kind.group_examples):
            assert kind_of(key.replace("NAME", "hot")) is kind
        assert delegates_of(kind.examples[0])


def test_what_is_always_there_can_be_opened_and_says_what_it_is() -> None:
    for key in ("host", "fake"):
        with open_device(key) as device:
            assert (device.info.key, device.info.kind) == (key, key)


def test_a_key_of_one_device_stands_for_itself_once() -> None:
    assert expand_devices(("fake:hot", "host", "fake:hot")) == ("fake:hot", "host")


def test_the_list_begins_with_what_can_always_be_opened() -> None:
    assert [info.key for listing in list_devices() for info in listing.infos][:2] == ["host", "fake"]
