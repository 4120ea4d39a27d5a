"""Listing phones and choosing one; each trouble has one next step."""

from __future__ import annotations

import pytest

from harness.devices.android.adb.groups import expand_key
from harness.devices.android.adb.link import Server, refusal
from harness.devices.android.adb.server import (
    ListedPhone,
    choose_phone,
    parse_phones,
    server_of,
)
from harness.errors import PhoneError, PhoneTrouble, UsageError

LIST = """R58M1234567            device usb:1-1 product:a model:Pixel_8 device:shiba transport_id:3
127.0.0.1:5555         unauthorized transport_id:1
adb-1A (2)._adb-tls-connect._tcp device product:b model:B device:d transport_id:2
emulator-5554          offline transport_id:4
????????????           no permissions (user in plugdev group; are your udev rules wrong?); see [x] usb:1-2
FA6                    recovery transport_id:7
"""


def test_every_phone_of_the_list_has_a_serial_and_a_state() -> None:
    found = [(phone.serial, phone.state) for phone in parse_phones(LIST)]
    assert found == [
        ("R58M1234567", "device"),
        ("127.0.0.1:5555", "unauthorized"),
        ("adb-1A (2)._adb-tls-connect._tcp", "device"),
        ("emulator-5554", "offline"),
        ("????????????", "no permissions"),
        ("FA6", "recovery"),
    ]
    assert parse_phones(LIST)[0].model == "Pixel 8"


@pytest.mark.parametrize(
    ("state", "trouble", "action"),
    [
        ("offline", PhoneTrouble.OFFLINE, "plug it in again"),
        ("unauthorized", PhoneTrouble.UNAUTHORISED, "allow USB debugging"),
        ("no permissions", PhoneTrouble.NO_RIGHTS, "udev rule"),
        ("recovery", PhoneTrouble.WRONG_MODE, "restart the phone into Android"),
    ],
)
def test_a_phone_in_a_bad_state_is_refused_with_the_one_action(state: str, trouble: PhoneTrouble, action: str) -> None:
    phone = ListedPhone(serial="S", state=state)
    with pytest.raises(PhoneError, match=action) as caught:
        choose_phone((phone,), "")
    assert caught.value.trouble is trouble


@pytest.mark.parametrize("state", ["offline", "connecting"])
def test_a_phone_on_the_network_has_no_cable_to_plug_in(state: str) -> None:
    with pytest.raises(PhoneError, match=r"adb disconnect 10.0.0.7:5555; adb connect 10.0.0.7:5555") as caught:
        choose_phone((ListedPhone(serial="10.0.0.7:5555", state=state),), "")
    assert "cable" not in str(caught.value)
    assert "cable" not in caught.value.what


def test_no_phone_and_several_phones_are_different_troubles() -> None:
    with pytest.raises(PhoneError, match="connect a phone by cable"):
        choose_phone((), "")
    with pytest.raises(PhoneError, match=r"6 phones are connected \(R58M1234567, .*android:SERIAL"):
        choose_phone(parse_phones(LIST), "")


def test_a_phone_that_is_named_is_chosen_among_several() -> None:
    assert choose_phone(parse_phones(LIST), "R58M1234567").model == "Pixel 8"
    with pytest.raises(PhoneError, match="'R58' is not connected"):
        choose_phone(parse_phones(LIST), "R58")


@pytest.mark.parametrize(
    ("environment", "server"),
    [
        ({}, Server()),
        ({"ANDROID_ADB_SERVER_PORT": "6000"}, Server(port=6000)),
        ({"ANDROID_ADB_SERVER_PORT": "6000", "PHONEBENCH_ADB_PORT": "7000"}, Server(port=7000)),
        ({"PHONEBENCH_ADB_HOST": "phones.lab"}, Server(host="phones.lab")),
    ],
)
def test_the_environment_says_where_the_server_is(environment: dict[str, str], server: Server) -> None:
    assert server_of(environment) == server


@pytest.mark.parametrize("port", ["0", "66000", "five", "-1"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="PHONEBENCH_ADB_PORT"):
        server_of({"PHONEBENCH_ADB_PORT": port})


@pytest.mark.parametrize(
    ("reason", "trouble"),
    [
        ("device 'S' not found", PhoneTrouble.GONE),
        ("device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", PhoneTrouble.UNAUTHORISED),
        ("device offline", PhoneTrouble.OFFLINE),
        ("device still connecting", PhoneTrouble.OFFLINE),
        ("device still authorizing", PhoneTrouble.UNAUTHORISED),
        ("insufficient permissions for device: user in plugdev group", PhoneTrouble.NO_RIGHTS),
        ("closed", PhoneTrouble.GONE),
        ("something new", PhoneTrouble.REFUSED),
    ],
)
def test_the_servers_reason_says_which_trouble_it_is(reason: str, trouble: PhoneTrouble) -> None:
    error = refusal(reason, serial="S", purpose="ls")
    assert error.trouble is trouble
    assert error.output == reason


def test_a_serial_is_never_expanded() -> None:
    assert expand_key("android:R58M1234567") == ("android:R58M1234567",)
