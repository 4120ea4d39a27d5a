"""The question to usbmuxd that needs no driver: which iPhones are connected."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.ios.kind import IOS
from harness.devices.ios.usbmux import ListedPhone, choose_phone, expand_key, has_usbmuxd, list_phones
from harness.errors import IosError, IosTrouble
from tests.devices.ios.small_usbmuxd import HEADER, Answer, entry, listening, listing, whole

ONE, TWO = "00008120-0000AA0000000001", "00008030-0000AA0000000002"


def phones(*udids: str) -> tuple[ListedPhone, ...]:
    return tuple(ListedPhone(udid=udid) for udid in udids)


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
    ],
)
def test_a_daemon_that_does_not_answer_properly_is_an_error(answer: Answer, words: str) -> None:
    with listening(answer) as environment, pytest.raises(IosError, match=words) as raised:
        list_phones(environment)
    assert raised.value.trouble is IosTrouble.NO_USBMUXD


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
