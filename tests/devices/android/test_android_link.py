"""The server's port: an adb server, one that has to be started, another program, or nothing."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.devices.android.adb.deadline import within
from harness.devices.android.adb.link import Link, Server
from harness.devices.android.adb.server import ensure_server, server_version
from harness.errors import PhoneError, PhoneTrouble
from tests.vphone.server import Adb, AdbServer, adb_binary


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> Generator[Server]:
    """A server that is not adb: it sends the bytes the test gives it, or nothing if there are none."""
    said: bytes = request.param
    ending = threading.Event()

    def answer(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                link, _ = listener.accept()
                with link:
                    link.recv(100)
                    link.sendall(said)
                    if not said:
                        ending.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        yield Server(port=listener.getsockname()[1])
        ending.set()


@pytest.mark.parametrize(
    ("stranger", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not an adb server: it answered b'HTTP'"),
        (b"OKAYwhat", "instead of a length (protocol fault)"),
        (b"OKAY0004zzzz", "reports the version 'zzzz'"),
        (b"OKAY0004", "ended during 'host:version'"),
        (b"FAIL0007no such", "refused 'host:version': no such"),
    ],
    indirect=["stranger"],
)
def test_a_port_of_another_program_is_reported_and_no_server_is_started_there(stranger: Server, words: str) -> None:
    with pytest.raises(PhoneError) as caught:
        ensure_server(stranger)
    assert words in str(caught.value)


@pytest.mark.parametrize("stranger", [b""], indirect=True)
def test_a_server_that_says_nothing_is_not_waited_for_past_the_deadline(stranger: Server) -> None:
    with Link(stranger, within(0.3), purpose="host:version") as link, pytest.raises(PhoneError) as caught:
        link.request("host:version")
    assert caught.value.trouble is PhoneTrouble.HUNG
    assert "gave no answer to 'host:version' within 0.3 s" in str(caught.value)


@pytest.fixture
def unstarted(tmp_path: Path) -> Generator[AdbServer]:
    """The address of an adb server that is not running; one started there is stopped afterwards."""
    binary = adb_binary(Adb.WHEEL)
    assert binary is not None
    place = AdbServer(tmp_path, binary)
    yield place
    subprocess.run([binary, "-P", str(place.port), "kill-server"], env=place.env, capture_output=True, check=False)


def test_a_server_is_started_where_none_answers(unstarted: AdbServer) -> None:
    server = Server(port=unstarted.port)
    assert ensure_server(server, unstarted.env) == 41
    assert server_version(server) == 41


def test_no_server_is_started_where_that_is_forbidden(unstarted: AdbServer) -> None:
    with pytest.raises(PhoneError, match="no adb server answers"):
        ensure_server(Server(port=unstarted.port), unstarted.env | {"PHONEBENCH_ADB_START": "never"})


def test_an_adb_that_cannot_be_run_is_reported(unstarted: AdbServer, tmp_path: Path) -> None:
    broken = tmp_path / "adb"
    broken.write_text("#!/bin/sh\necho 'cannot bind' >&2\nexit 1\n")
    broken.chmod(0o755)
    environment = unstarted.env | {"ADBUTILS_ADB_PATH": str(broken)}
    with pytest.raises(PhoneError, match=r"could not start a server on port \d+ \(cannot bind\)"):
        ensure_server(Server(port=unstarted.port), environment)
