"""The worker process, seen from phonebench: its deadlines, its troubles, and its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.devices.ios.environment import make_environment
from harness.devices.ios.link import PROGRAM, Worker
from harness.errors import IosError, IosTrouble

MakeWorker = Callable[[str], Worker]


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[MakeWorker]:
    """Starts a small program in the place of the worker: what it does with a request, as Python source."""
    started: list[Worker] = []

    def make(body: str) -> Worker:
        program = tmp_path / "worker.py"
        program.write_text(
            "import json, sys, time\n"
            "def say(**answer): print(json.dumps(answer), flush=True)\n"
            "say(id=0, ok={})\n"
            "for line in sys.stdin:\n"
            "    request = json.loads(line)\n"
            f"    {body}\n"
        )
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\nexec {sys.executable} {program}\n")
        python.chmod(0o755)
        started.append(Worker(python, udid="1234"))
        return started[-1]

    yield make
    for worker in started:
        worker.close()


def test_a_result_comes_back(stand_in: MakeWorker) -> None:
    worker = stand_in("say(id=request['id'], ok=[request['do'], request['serial'], request['seconds']])")
    assert worker.call("look", seconds=7, serial="x") == ["look", "x", 7]


def test_what_a_library_prints_is_no_answer(stand_in: MakeWorker) -> None:
    worker = stand_in("print('hello'); say(id=request['id'], ok=1)")
    assert worker.call("look") == 1


def test_a_trouble_becomes_an_error_with_its_evidence(stand_in: MakeWorker) -> None:
    worker = stand_in("say(id=request['id'], trouble='locked', text='PasswordRequiredError: no')")
    with pytest.raises(IosError) as raised:
        worker.call("start")
    error = raised.value
    assert (error.trouble, error.udid, error.command) == (IosTrouble.LOCKED, "1234", "start")
    assert str(error).startswith("iPhone '1234' is locked (PasswordRequiredError: no); unlock it")


def test_a_worker_that_dies_says_its_last_words(stand_in: MakeWorker) -> None:
    worker = stand_in("sys.exit('no memory left')")
    with pytest.raises(IosError, match="ended.*no memory left") as raised:
        worker.call("look")
    assert raised.value.trouble is IosTrouble.HUNG
    with pytest.raises(IosError, match="ended"):
        worker.call("look")


def test_closing_ends_a_call_that_waits_in_another_thread(stand_in: MakeWorker) -> None:
    # It reads on, so it ends when its standard input does.
    worker = stand_in("print('asked', file=sys.stderr)")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(worker.call, "wait", seconds=600)
        worker.close()
        with pytest.raises(IosError):
            waiting.result(20)


@pytest.fixture(scope="module")
def real() -> Iterator[Worker]:
    worker = Worker(make_environment(), udid="1234")
    yield worker
    worker.close()


def test_the_real_worker_says_that_there_is_no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(tmp_path / "none"))
    worker = Worker(make_environment(), udid="1234")
    try:
        with pytest.raises(IosError, match="usbmuxd does not answer") as raised:
            worker.call("open", serial="1234", bundle_id="b", trust_s=0)
        assert raised.value.trouble is IosTrouble.NO_USBMUXD
    finally:
        worker.close()


def test_the_real_worker_survives_requests_that_make_no_sense(real: Worker) -> None:
    for do, arguments in (("dance", {}), ("look", {"wrong": 1}), ("kept", {})):
        with pytest.raises(IosError) as raised:
            real.call(do, **arguments)
        assert raised.value.trouble is IosTrouble.REFUSED


def test_the_real_worker_keeps_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    # The system takes the connection, and nobody ever answers on it.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", f"127.0.0.1:{silent.getsockname()[1]}")
        worker = Worker(make_environment(), udid="1234")
        try:
            with pytest.raises(IosError, match=r"did not finish 'open' within 0\.2 s") as raised:
                worker.call("open", seconds=0.2, serial="1234", bundle_id="b", trust_s=0)
        finally:
            worker.close()
    assert raised.value.trouble is IosTrouble.HUNG


def test_ctrl_c_leaves_the_end_of_the_worker_to_phonebench() -> None:
    with subprocess.Popen(
        [make_environment(), "-I", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["id"] == 0
        process.send_signal(signal.SIGINT)
        process.stdin.write('{"id": 1, "do": "dance", "seconds": 1}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["trouble"] == "refused"
        process.stdin.close()
        assert process.wait(20) == 0
