"""Commands and files through real adb servers, and the errors when they fail."""

from __future__ import annotations

import os
import shlex
import threading
import time
from pathlib import Path

import pytest

from harness.devices.android.adb import sync
from harness.devices.android.adb.cable import Cable, printed
from harness.devices.android.adb.link import Server
from harness.devices.android.adb.network import revived_phones
from harness.errors import PhoneError, PhoneTrouble
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer
from tests.vphone.state import MODERN

THERE = "/data/local/tmp/it's a file"


@pytest.mark.parametrize("code", [0, 5, 255])
def test_a_command_has_its_exit_code_and_its_streams_apart(cable: Cable, code: int) -> None:
    done = cable.run(f"echo out; echo err >&2; exit {code}")
    assert (done.exit_code, done.stdout, done.complaint) == (code, b"out\n", "err")


def test_what_a_command_reads_reaches_it_whole_and_ends(cable: Cable) -> None:
    data = os.urandom(200_000)
    assert cable.run("cat", stdin=data).stdout == data


def test_a_command_that_must_succeed_and_does_not_is_an_error_with_its_words(cable: Cable) -> None:
    with pytest.raises(PhoneError, match="exit code 3") as caught:
        cable.check("echo 'no such thing' >&2; exit 3")
    assert (caught.value.trouble, caught.value.output) == (PhoneTrouble.REFUSED, "no such thing")


def test_what_is_followed_comes_as_it_is_printed_and_ends_with_the_link(cable: Cable) -> None:
    with cable.start("while :; do echo tick; sleep 0.05; done", seconds=20, idle_s=5) as link:
        stream = printed(link)
        assert b"tick" in next(stream) + next(stream)
    with pytest.raises(PhoneError):
        list(stream)


@pytest.mark.parametrize("features", [MODERN, ("shell_v2", "cmd"), ("shell_v2", "stat_v2")])
@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_a_file_goes_there_and_back(
    adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path, size: int, features: tuple[str, ...]
) -> None:
    cable = with_features(adb_server, phone, features)
    source, target = tmp_path / "a file", tmp_path / "back"
    source.write_bytes(os.urandom(size))
    cable.push(source, THERE)
    assert cable.size(THERE) == size
    assert cable.pull(THERE, target) == size
    assert target.read_bytes() == source.read_bytes()
    assert cable.check(f"stat -c %a {shlex.quote(THERE)}") == "644\n"


def test_more_pieces_than_a_system_writes_at_once_are_all_written(tmp_path: Path) -> None:
    data = os.urandom(5_000)
    with (tmp_path / "f").open("wb") as file:
        assert sync._write(file.fileno(), [memoryview(data)[n : n + 1] for n in range(len(data))]) == len(data)
    assert (tmp_path / "f").read_bytes() == data


def test_a_file_that_is_not_there_has_no_size_and_cannot_be_fetched(cable: Cable, tmp_path: Path) -> None:
    assert cable.size("/data/local/tmp/none") is None
    with pytest.raises(PhoneError, match="has no file '/data/local/tmp/none'"):
        cable.pull("/data/local/tmp/none", tmp_path / "x")


def test_a_folder_that_takes_no_files_is_reported_with_the_phones_reason(cable: Cable, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(300_000))
    with pytest.raises(PhoneError, match=r"/sys/none/f.*") as caught:
        cable.push(tmp_path / "f", "/sys/none/f")
    assert caught.value.trouble is PhoneTrouble.REFUSED
    assert caught.value.output


def test_a_phone_that_hangs_is_noticed_by_the_deadline_although_its_state_says_device(
    cable: Cable, phone: VirtualPhone
) -> None:
    cable.features()
    phone.cable.hang = True
    started = time.monotonic()
    with pytest.raises(PhoneError, match=r"gave no answer to 'echo here' within 1 s") as caught:
        cable.run("echo here", seconds=1)
    phone.cable.hang = False
    assert caught.value.trouble is PhoneTrouble.HUNG
    assert time.monotonic() - started < 20


def test_a_cable_that_is_pulled_in_the_middle_of_a_command_is_a_loss_and_no_result(
    cable: Cable, phone: VirtualPhone
) -> None:
    threading.Timer(0.3, phone.unplug).start()
    with pytest.raises(PhoneError, match="went away during .*run: adb connect") as caught:
        cable.run("echo begin; sleep 20")
    assert caught.value.trouble is PhoneTrouble.GONE


def test_the_error_for_a_phone_that_is_not_connected_names_its_serial(cable: Cable) -> None:
    with pytest.raises(PhoneError, match="'no such phone' is not connected") as caught:
        Cable(cable.server, "no such phone").run("ls")
    assert caught.value.trouble is PhoneTrouble.GONE


def test_a_phone_without_exit_codes_is_too_old(adb_server: AdbServer, phone: VirtualPhone) -> None:
    with pytest.raises(PhoneError, match="older than Android 7"):
        with_features(adb_server, phone, ()).run("ls")


def test_where_no_server_answers_the_sentence_says_so() -> None:
    with pytest.raises(PhoneError, match=r"no adb server answers at 127.0.0.1:1\b") as caught:
        Cable(Server(port=1), "any").run("ls")
    assert caught.value.trouble is PhoneTrouble.NO_SERVER


def with_features(adb_server: AdbServer, phone: VirtualPhone, features: tuple[str, ...]) -> Cable:
    """Reconnect to the phone, whose adb daemon has only these features."""
    phone.state.features = features
    adb_server.connect(phone)
    assert adb_server.wait_state(phone, "device")
    return Cable(Server(port=adb_server.port), phone.address)


def test_a_phone_on_the_network_that_was_offline_is_ready_when_it_answers(
    adb_server: AdbServer, phone: VirtualPhone
) -> None:
    phone.faults.offline()
    assert adb_server.wait_state(phone, "offline"), adb_server.states()
    phone.faults.hang(False)
    found = revived_phones(Server(port=adb_server.port), phone.address)
    assert [listed.state for listed in found if listed.serial == phone.address] == ["device"]


def test_a_phone_on_the_network_that_is_not_listed_is_connected(adb_server: AdbServer, phone: VirtualPhone) -> None:
    adb_server.adb("disconnect", phone.address)
    found = revived_phones(Server(port=adb_server.port), phone.address)
    assert [listed.state for listed in found if listed.serial == phone.address] == ["device"]
