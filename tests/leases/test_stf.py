"""STF over REST: what is asked in which order, and each way in which a farm refuses, as a sentence."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import LeaseError, LeaseTrouble, UsageError
from harness.leases.hold import open_farm
from harness.leases.lease import Lease
from harness.leases.stf import Stf
from harness.leases.web import Place
from tests.leases.fake_stf import OTHER, OWNER, TOKEN, Answer, FakeStf, StfPhone, fake_stf

ODD = "adb-R5/ CT 1._adb-tls-connect._tcp"


@pytest.fixture
def stf() -> Iterator[FakeStf]:
    phones = (
        StfPhone(serial="AAA", address="127.0.0.1:7401"),
        StfPhone(serial="BBB", owner=OTHER),
        StfPhone(serial="CCC", present=False),
        StfPhone(serial="DDD", ready=False),
        StfPhone(serial=ODD, address="farm.example:7500"),
    )
    with fake_stf(*phones) as served:
        yield served


def client(stf: FakeStf, *, token: str = TOKEN, key: str = "", timeout_s: float = 20.0) -> Stf:
    place = Place(host="127.0.0.1", port=stf.port, secure=False, token=token, timeout_s=timeout_s)
    return Stf(place, key=key)


def test_phones_are_listed_with_who_has_them(stf: FakeStf) -> None:
    offered = {phone.serial: phone for phone in client(stf).list()}
    assert {serial: phone.taken for serial, phone in offered.items()} == {
        "AAA": "",
        "BBB": "in use by Ana",
        "CCC": "not connected to the farm",
        "DDD": "the farm is still preparing it",
        ODD: "",
    }
    assert (offered["AAA"].model, offered["AAA"].system) == ("Pixel 9", "Android 15")


@pytest.mark.parametrize("serial", ["AAA", ODD])
def test_a_phone_is_borrowed_with_an_idle_limit_and_given_back(stf: FakeStf, serial: str) -> None:
    farm, phone = client(stf, key="QAAA me@host"), stf.phones[serial]
    assert not farm.holds(serial)
    assert farm.acquire(serial, 600) == Lease(serial=serial, address=phone.address)
    assert (phone.owner, phone.open, phone.timeout_ms) == (OWNER, True, 600_000)
    assert farm.holds(serial)
    # Borrowing it again asks for nothing that is ours already, and the key is sent once.
    assert farm.acquire(serial, 600).address == phone.address
    assert stf.keys == ["QAAA me@host"]
    assert stf.asked.count("POST /user/devices") == 1
    farm.release(serial)
    assert (phone.owner, phone.open) == (None, False)
    farm.release(serial)


def test_a_phone_whose_adb_port_does_not_open_is_given_back(stf: FakeStf) -> None:
    stf.wrong["POST .*/remoteConnect"] = 504, {"success": False, "description": "Device is not responding"}
    with pytest.raises(LeaseError, match="opens no adb port for phone AAA .504, Device is not responding.: the phone"):
        client(stf).acquire("AAA", 600)
    assert stf.phones["AAA"].owner is None


@pytest.mark.parametrize(
    ("serial", "trouble", "words"),
    [
        (
            "BBB",
            LeaseTrouble.TAKEN,
            "does not lend phone BBB (403, Device is being used or not available): somebody else",
        ),
        ("CCC", LeaseTrouble.TAKEN, "does not lend phone CCC (403"),
        ("none", LeaseTrouble.NO_PHONE, "(404, Device not found): it has no such phone; phonebench devices --farm"),
    ],
)
def test_a_phone_that_is_not_lent(stf: FakeStf, serial: str, trouble: LeaseTrouble, words: str) -> None:
    with pytest.raises(LeaseError) as caught:
        client(stf).acquire(serial, 600)
    assert words in str(caught.value)
    assert (caught.value.trouble, caught.value.serial, caught.value.exit_code) == (trouble, serial, 3)


@pytest.mark.parametrize(
    ("answer", "trouble", "words"),
    [
        ((504, {"success": False}), LeaseTrouble.SILENT, "(504): the phone does not answer the farm"),
        ((503, b"<html>busy</html>"), LeaseTrouble.BUSY, "(503): it is too busy"),
        ((502, b""), LeaseTrouble.BUSY, "the proxy in front of it does not reach it"),
        ((429, {}), LeaseTrouble.BUSY, "it is asked too often"),
        ((500, {"description": "Internal\nServer Error"}), LeaseTrouble.BUSY, "(500, Internal Server Error)"),
        ((200, b"<html>log in</html>"), LeaseTrouble.ANSWER, "something other than JSON"),
        ((200, {"success": False, "description": "no"}), LeaseTrouble.ANSWER, "(200, no): see the log of the farm"),
        ((200, b'{"success": true, ...'), LeaseTrouble.UNREACHABLE, "in the middle of its answer"),
        ((418, {}), LeaseTrouble.ANSWER, "(418): see the log"),
        ((302, {}), LeaseTrouble.ANSWER, "(302): see the log"),
    ],
)
def test_what_a_farm_answers_instead_is_a_sentence(
    stf: FakeStf, answer: Answer, trouble: LeaseTrouble, words: str
) -> None:
    stf.wrong["POST /user/devices"] = answer
    with pytest.raises(LeaseError) as caught:
        client(stf).acquire("AAA", 600)
    assert words in str(caught.value)
    assert caught.value.trouble is trouble
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("address", [None, "", "no port", 7401, "host:", "host:port"])
def test_an_adb_address_that_is_none(stf: FakeStf, address: object) -> None:
    stf.wrong["POST .*/remoteConnect"] = 200, {"success": True, "remoteConnectUrl": address}
    with pytest.raises(LeaseError, match="opens no adb port"):
        client(stf).acquire("AAA", 600)
    assert stf.phones["AAA"].owner is None


@pytest.mark.parametrize("devices", [None, {}, "AAA"])
def test_a_list_that_is_none(stf: FakeStf, devices: object) -> None:
    stf.wrong["GET /devices"] = 200, {"success": True, "devices": devices}
    with pytest.raises(LeaseError, match="does not list its phones"):
        client(stf).list()


def test_a_wrong_token(stf: FakeStf) -> None:
    with pytest.raises(LeaseError, match="refuses the token .401, Bad Credentials.: make a new one") as caught:
        client(stf, token="wrong").list()
    assert caught.value.trouble is LeaseTrouble.TOKEN


def test_a_farm_that_is_not_there_or_never_answers_or_speaks_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        place = Place(host="127.0.0.1", port=port, secure=False, token=TOKEN, timeout_s=0.2)
        with pytest.raises(LeaseError, match="did not answer within 0.2 s"):
            Stf(place).list()
    with pytest.raises(LeaseError, match="cannot be reached .*refused"):
        Stf(place).list()
    with pytest.raises(LeaseError, match="the name 'no.such.host.invalid' is unknown"):
        Stf(Place(host="no.such.host.invalid", port=443, secure=True, token=TOKEN)).list()
    with fake_stf() as stf, pytest.raises(LeaseError, match="does not speak TLS there"):
        Stf(Place(host="127.0.0.1", port=stf.port, secure=True, token=TOKEN)).list()


@pytest.mark.parametrize(
    "url", ["stf://", "stf://user:secret@host", "stf://host/path", "stf://host:port", "stf://host:99999", "stf:host"]
)
def test_a_wrong_address(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_farm(url, {"PHONEBENCH_STF_TOKEN": TOKEN})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://host", "host", "tls://host", ""])
def test_a_farm_of_another_kind(url: str) -> None:
    with pytest.raises(UsageError, match="stf://HOST"):
        open_farm(url, {})


def test_the_token_comes_from_a_variable_or_a_file(tmp_path: Path, stf: FakeStf) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    home = {"HOME": str(tmp_path)}
    for environment in ({"PHONEBENCH_STF_TOKEN": TOKEN}, {"PHONEBENCH_STF_TOKEN_FILE": str(file)}):
        assert len(open_farm(stf.url, environment | home).list()) == len(stf.phones)
    for environment, words in (
        ({}, "set PHONEBENCH_STF_TOKEN"),
        ({"PHONEBENCH_STF_TOKEN": " "}, "set PHONEBENCH_STF_TOKEN"),
        ({"PHONEBENCH_STF_TOKEN": "two\nlines"}, "set PHONEBENCH_STF_TOKEN"),
        ({"PHONEBENCH_STF_TOKEN_FILE": "/none"}, "cannot be read"),
    ):
        with pytest.raises(UsageError, match=words):
            open_farm(stf.url, environment)


def test_the_key_of_this_computers_adb_is_made_known(tmp_path: Path, stf: FakeStf) -> None:
    (tmp_path / ".android").mkdir()
    (tmp_path / ".android" / "adbkey.pub").write_text("QAAAAkey me@host\n")
    open_farm(stf.url, {"PHONEBENCH_STF_TOKEN": TOKEN, "HOME": str(tmp_path)}).acquire("AAA", 60)
    assert stf.keys == ["QAAAAkey me@host"]
