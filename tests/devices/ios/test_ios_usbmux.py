"""The question to usbmuxd that needs no driver: which iPhones are connected."""

from __future__ import annotations

import contextlib
import os
import plistlib
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from harness.devices.ios.kind import IOS
from harness.devices.ios.link import Worker
from harness.devices.ios.usbmux import ListedPhone, choose_phone, expand_key, has_usbmuxd, list_phones
from harness.devices.ios.worker.address import Address, read_address
from harness.errors import IosError, IosTrouble
from tests.devices.ios.small_usbmuxd import HEADER, Answer, entry, listening, listing, whole
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.trust import DeviceKey
from tests.viphone.usbmuxd import Usbmuxd

ONE, TWO = "00008120-0000AA0000000001", "00008030-0000AA0000000002"


def phones(*udids: str) -> tuple[ListedPhone, ...]:
    return tuple(ListedPhone(udid=udid) for udid in udids)


def drip(link: socket.socket) -> None:
    """Send an answer so slowly that it takes minutes, none of its bytes late."""
    with contextlib.suppress(OSError):
        for byte in HEADER.pack(HEADER.size + 1000, 1, 8, 1) + bytes(1000):
            link.sendall(bytes([byte]))
            time.sleep(0.5)


def test_iphones_on_a_cable_are_listed_once_and_those_in_the_network_are_not() -> None:
    answer = listing(entry(ONE), entry(ONE, number=2), entry(TWO, "Network", 3), entry(TWO, "USB", 4))
    with listening(answer) as environment:
        assert list_phones(environment) == phones(ONE, TWO)


def test_a_daemon_without_iphones_has_none() -> None:
    with listening(listing()) as environment:
        assert list_phones(environment) == ()


def test_without_a_socket_there_is_no_daemon(tmp_path: Path) -> None:
    environment = {"USBMUXD_SOCKET_ADDRESS": str(tmp_path / "usbmuxd")}
    assert not has_usbmuxd(environment)
    with pytest.raises(IosError, match="apt install usbmuxd") as raised:
        list_phones(environment)
    assert raised.value.trouble is IosTrouble.NO_USBMUXD
    assert "No such file" in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(lambda link: link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "something other", id="http"),
        pytest.param(whole(b"not a property list"), "something other", id="no plist"),
        pytest.param(lambda link: link.sendall(HEADER.pack(9000, 1, 8, 1) + b"<?xml"), "does not answer", id="cut"),
        pytest.param(lambda link: link.sendall(b"\x10"), "does not answer", id="half a header"),
        pytest.param(lambda link: None, "does not answer", id="nothing"),  # noqa: ARG005  an `Answer`
        pytest.param(lambda link: drip(link), "timed out", id="a byte now and then"),
        pytest.param(whole(plistlib.dumps({"Number": 1})), "without a list of devices", id="a refusal"),
        pytest.param(whole(plistlib.dumps({"DeviceList": {}})), "without a list of devices", id="no list"),
        pytest.param(whole(plistlib.dumps([])), "without a list of devices", id="a list alone"),
    ],
)
def test_a_daemon_that_does_not_answer_properly_is_an_error(answer: Answer, words: str) -> None:
    with listening(answer) as environment, pytest.raises(IosError, match=words) as raised:
        list_phones(environment)
    assert raised.value.trouble is IosTrouble.NO_USBMUXD


@pytest.mark.parametrize(
    "odd",
    [
        "text",
        {},
        {"Properties": [ONE]},
        {"Properties": {"ConnectionType": "USB"}},
        {"Properties": {"ConnectionType": "USB", "SerialNumber": 5}},
        {"Properties": {"ConnectionType": "USB", "SerialNumber": ""}},
        {"Properties": {"ConnectionType": "USB", "SerialNumber": "0000\n8120"}},
        {"Properties": {"SerialNumber": TWO}},
    ],
)
def test_an_entry_that_names_no_iphone_hides_no_other(odd: Any) -> None:
    with listening(listing(odd, entry(ONE))) as environment:
        assert list_phones(environment) == phones(ONE)


# As libusbmuxd reads them: its source (socket.c, usbmuxd.c) takes UNIX:PATH, HOST:PORT and [IPV6]:PORT.
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:27015", Address(host="127.0.0.1", port=27015)),
        ("a-mac.local:27015", Address(host="a-mac.local", port=27015)),
        ("[::1]:27015", Address(host="::1", port=27015)),
        ("UNIX:/run/usbmuxd", Address(path="/run/usbmuxd")),
        ("/run/usbmuxd", Address(path="/run/usbmuxd")),
        ("/run/my:1/usbmuxd:2", Address(path="/run/my:1/usbmuxd:2")),
    ],
)
def test_addresses_of_usbmuxd(text: str, address: Address) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize("text", ["/" + "a" * 5000, "a" * 300, "host:port", "localhost:99999", "UNIX:"])
def test_an_address_that_leads_nowhere_has_no_daemon(text: str) -> None:
    environment = {"USBMUXD_SOCKET_ADDRESS": text}
    assert not has_usbmuxd(environment)
    with pytest.raises(IosError, match="usbmuxd does not answer"):
        list_phones(environment)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this computer has no IPv6")
def test_a_daemon_at_an_ipv6_address() -> None:
    with listening(listing(entry(ONE)), host="::1") as environment:
        assert list_phones(environment) == phones(ONE)


@pytest.mark.parametrize("form", ["./{}", "UNIX:{}"])
def test_the_driver_finds_the_daemon_where_the_list_does(
    form: str, device_key: DeviceKey, tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = IPhoneState(udid=own_udid(0x3A))
    with Usbmuxd(Path("mux:1")) as daemon, VirtualIPhone(tmp_path / "phone", daemon, device_key, state):
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", form.format(daemon.address))
        assert list_phones() == phones(state.udid)
        with contextlib.closing(Worker(python)) as worker:
            assert worker.call("look", serial=state.udid)["ProductVersion"] == state.ios


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take rights from itself")
def test_a_socket_that_this_user_may_not_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Usbmuxd(Path("mux")):
        Path("mux").chmod(0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(IosError, match="may not connect to usbmuxd .* right to read and write that socket"):
                list_phones({"USBMUXD_SOCKET_ADDRESS": "mux"})
        finally:
            os.seteuid(0)


def test_the_only_iphone_needs_no_name() -> None:
    assert choose_phone(phones(ONE), "") == ListedPhone(udid=ONE)


@pytest.mark.parametrize("name", [ONE, ONE.lower(), ONE.replace("-", "")])
def test_a_udid_may_be_written_in_any_way(name: str) -> None:
    assert choose_phone(phones(TWO, ONE), name).udid == ONE


@pytest.mark.parametrize(
    ("there", "name", "trouble", "words"),
    [
        ((), "", IosTrouble.NO_PHONE, "no iPhone is connected; connect an iPhone by cable"),
        ((), ONE, IosTrouble.NO_PHONE, f"iPhone '{ONE}' is not connected"),
        ((TWO,), ONE, IosTrouble.NO_PHONE, f"connected: {TWO}"),
        ((ONE, TWO, "3"), "", IosTrouble.SEVERAL, "3 iPhones are connected: .*--device ios:UDID"),
    ],
)
def test_what_cannot_be_chosen_says_what_to_do(
    there: tuple[str, ...], name: str, trouble: IosTrouble, words: str
) -> None:
    with pytest.raises(IosError, match=words) as raised:
        choose_phone(phones(*there), name)
    assert (raised.value.trouble, raised.value.exit_code) == (trouble, 3)


def test_all_stands_for_every_iphone(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(listing(entry(ONE), entry(TWO, number=2))) as environment:
        monkeypatch.setenv(*environment.popitem())
        assert expand_key("ios:all") == (f"ios:{ONE}", f"ios:{TWO}")
        assert expand_key(f"ios:{TWO}") == (f"ios:{TWO}",)
        with pytest.raises(IosError, match="2 iPhones"):
            expand_key("ios")


@pytest.mark.parametrize("there", [True, False], ids=["a daemon without iPhones", "no daemon"])
def test_the_list_starts_no_driver_without_an_iphone(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An empty cache has no driver, so a list that needed one would say so.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with listening(listing()) as environment:
        address = environment["USBMUXD_SOCKET_ADDRESS"] if there else str(tmp_path / "usbmuxd")
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", address)
        assert IOS.infos() == ()


def test_an_iphone_without_the_driver_is_listed_with_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with listening(listing(entry(ONE))) as environment:
        monkeypatch.setenv(*environment.popitem())
        (info,) = IOS.infos()
    assert (info.key, info.details["state"]) == (f"ios:{ONE}", "no-driver")
    assert "phonebench runner install ios --runtime driver" in info.details["action"]
