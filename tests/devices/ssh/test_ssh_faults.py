"""Everything that can be wrong with a board: each fault is made for real, in namespaces with a cable of their own.

Each has its sentence, its next step and its exit code, and costs no more than it must.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from harness.devices.registry import kind_of
from harness.devices.ssh.board_device import SshBoard
from harness.errors import BoardError, BoardTrouble, DeviceError
from harness.spec.phone_settings import DEFAULT_SETTINGS, Cores, PhoneSettings
from harness.wire import ReplyStatus
from tests.conftest import call_phonebench
from tests.devices.android.jobs import Work, make_work
from tests.devices.ssh.lab import Lab, NamespaceBoard, need_namespaces

# Python as it looks to programs when it is older: the loader asks for these two facts.
_OLD_PYTHON = """#!/bin/sh
while [ "$1" != -c ]; do shift; done
exec {python} -c 'import platform, sys
sys.version_info = (3, 9, 2, "final", 0)
platform.python_version = lambda: "3.9.2"
exec(sys.argv[1])' "$2"
"""
# A machine whose processor no runtime has wheels for: the agent asks the kernel.
_OTHER_MACHINE = """#!/bin/sh
while [ "$1" != -c ]; do shift; done
exec {python} -c 'import platform, sys
platform.machine = lambda: "armv7l"
exec(sys.argv[1])' "$2"
"""


@pytest.fixture(scope="module")
def board(lab: Lab) -> Generator[NamespaceBoard]:
    """A board that is on."""
    need_namespaces()
    made = NamespaceBoard(lab, "pi", 1)
    try:
        made.build()
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


def opened(lab: Lab, name: str, *, back_s: float = 60.0, settings: PhoneSettings = DEFAULT_SETTINGS) -> SshBoard:
    """A board that this test cleans by itself; it waits for a lost board for ``back_s``."""
    device = SshBoard(f"ssh:{name}", settings, lab.folder / "cache" / "phonebench", back_s=back_s)
    try:
        device.prepare()
    except BaseException:
        device.clean()
        raise
    return device


def refused(lab: Lab, name: str, settings: PhoneSettings = DEFAULT_SETTINGS) -> BoardError:
    with pytest.raises(BoardError) as caught:
        opened(lab, name, settings=settings)
    assert caught.value.exit_code == 3
    checkup = kind_of(f"ssh:{name}").checkup
    assert checkup is not None
    # The check of the device finds the same trouble, where it does not depend on settings.
    assert settings is not DEFAULT_SETTINGS or not checkup(f"ssh:{name}").ok
    return caught.value


FAULTS: dict[str, tuple[str, dict[str, str], BoardTrouble, str, str]] = {
    # Name of the board: how it differs, and the trouble with what is said and what to do.
    "silent": ("{nobody}", {}, BoardTrouble.UNREACHABLE, "cannot be reached (", "check that it is switched on"),
    "closed": ("127.0.0.1", {"port": "1"}, BoardTrouble.CLOSED_PORT, "refuses connections (", "start the ssh server"),
    "nowhere": ("no-such-board.invalid", {}, BoardTrouble.NAME, "neither ~/.ssh/config nor the network", "HostName"),
    "renewed": ("{address}", {"key": "other_host_key"}, BoardTrouble.KEY_CHANGED, "another host key", "ssh-keygen -R"),
    "unknown": ("{address}", {"key": ""}, BoardTrouble.KEY_UNKNOWN, "does not know yet", "log in once by hand"),
    "stranger": ("{address}", {"id": "stranger"}, BoardTrouble.NOT_ALLOWED, "let this user in", "ssh-copy-id stranger"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_what_keeps_ssh_from_connecting_is_said_with_a_next_step(lab: Lab, board: NamespaceBoard, name: str) -> None:
    address, differs, trouble, said, todo = FAULTS[name]
    known = lab.folder / f"known_{name}"
    key = differs.get("key", "host_key")
    known.write_text(f"{board.address} {(lab.keys / f'{key}.pub').read_text()}" if key else "")
    # The first value that ssh reads of an option counts, so these come before the usual entry.
    usual = lab.config.copy()
    lab.config.insert(
        0,
        f"Host {name}\n  IdentityFile {lab.keys}/{differs.get('id', 'id')}\n  UserKnownHostsFile {known}\n"
        f"  IdentitiesOnly yes\n  HostName {address.format(nobody=board.nobody, address=board.address)}\n"
        f"  Port {differs.get('port', '22')}\n  User root\n  GlobalKnownHostsFile /dev/null\n",
    )
    (lab.folder / "ssh_config").write_text("".join(lab.config))
    error = refused(lab, name)
    lab.config[:] = usual
    assert error.trouble is trouble, error
    assert said in str(error)
    assert todo in str(error)


def with_python(board: NamespaceBoard, name: str, script: str | None) -> Path:
    """A folder of programs for the board's path, in which ``python3`` is ``script``, or missing."""
    folder = board.root / name
    folder.mkdir()
    if script is not None:
        program = folder / "python3"
        program.write_text(script.format(python=f"{sys.base_prefix}/bin/python3"))
        program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("name", "script", "trouble", "said"),
    [
        ("none", None, BoardTrouble.NO_PYTHON, "has no python3; install Python 3.11 or newer"),
        ("old", _OLD_PYTHON, BoardTrouble.OLD_PYTHON, "has Python 3.9.2, and phonebench needs 3.11 or newer; install"),
        ("arm32", _OTHER_MACHINE, BoardTrouble.MACHINE, "is a armv7l machine, for which the runtimes have no wheels"),
    ],
)
def test_a_board_that_cannot_run_the_runner_says_why(
    lab: Lab, name: str, script: str | None, trouble: BoardTrouble, said: str
) -> None:
    need_namespaces()
    own = NamespaceBoard(lab, f"python-{name}", 2)
    try:
        own.build()
        own.start(environment={"PATH": str(with_python(own, name, script))})
        error = refused(lab, own.name)
        assert error.trouble is trouble, error
        assert said in str(error)
    finally:
        own.remove()


def test_settings_that_the_board_does_not_allow_are_refused(lab: Lab, board: NamespaceBoard) -> None:
    error = refused(lab, board.name, PhoneSettings(cores=Cores.BIG))
    assert "does not report the clocks of its cores, so --cores big cannot be used; leave out --cores" in str(error)


def test_a_full_disk_is_foreseen_and_costs_the_cell(lab: Lab, work: Work, outside: Path) -> None:
    need_namespaces()
    own = NamespaceBoard(lab, "full", 3)
    try:
        own.build()
        own.start(setup=[f"mkdir -p {own.root}/cache", f"mount -t tmpfs -o size=66m tmpfs {own.root}/cache"])
        model = work.model.rename(outside / "net.onnx")
        done = call_phonebench("run", str(model), "-d", "ssh:full", "--json", cwd=outside, env=lab.environment())
        assert done.code == 20
        assert "board 'full' has too little space: " in done.err
        assert "MiB are needed; free some space on the board" in done.err
        assert "to resume: phonebench run --resume=" in done.err
    finally:
        own.remove()


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_cable_that_is_out_for_18_seconds_costs_nothing(lab: Lab, board: NamespaceBoard, work: Work) -> None:
    device = opened(lab, board.name)
    try:
        device.push(work.model, work.sha256)
        before = device.execute(work.lasting(1.0), work.inputs, 60.0)
        assert before.reply.status is ReplyStatus.OK

        def interrupt() -> None:
            until(lambda: list((board.root / "cache/phonebench/jobs").glob("*/runner.log")))
            board.pull_cable()
            time.sleep(18)
            board.plug_in()

        thread = in_background(interrupt)
        done = device.execute(work.lasting(24.0), work.inputs, 60.0)
        thread.join()
        assert done.reply.status is ReplyStatus.OK, done.reply.failure
        assert done.reply.latency is not None
        assert done.reply.latency.at_ns[-1] > 20e9
        # The board's state was recorded meanwhile, too.
        assert len(done.watch) >= 20
    finally:
        device.clean()


def test_a_cable_that_stays_out_costs_the_cell(lab: Lab, board: NamespaceBoard, work: Work) -> None:
    device = opened(lab, board.name, back_s=5.0)
    try:
        device.push(work.model, work.sha256)
        board.pull_cable()
        with pytest.raises(DeviceError, match="run again with --resume") as caught:
            device.execute(work.request, work.inputs, 60.0)
        assert caught.value.exit_code == 3
        assert not caught.value.one_cell
    finally:
        board.plug_in()
        device.clean()
    # The agent of the lost session does not keep the board to itself for long.
    opened(lab, board.name).clean()


def test_a_launch_is_made_again_on_a_board_that_restarts(lab: Lab, board: NamespaceBoard, work: Work) -> None:
    device = opened(lab, board.name)
    try:
        device.push(work.model, work.sha256)

        def restart() -> None:
            until(lambda: list((board.root / "cache/phonebench/jobs").glob("*/runner.log")))
            board.stop()
            board.start()

        thread = in_background(restart)
        done = device.execute(work.lasting(3.0), work.inputs, 60.0)
        thread.join()
        assert done.reply.status is ReplyStatus.OK, done.reply.failure
        assert not list((board.root / "cache/phonebench/jobs").iterdir())
    finally:
        device.clean()


def until(holds: Callable[[], object]) -> None:
    """Wait until ``holds`` is true, for a few seconds at most."""
    ends_at = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends_at, "it did not happen within 30 s"
        time.sleep(0.05)
