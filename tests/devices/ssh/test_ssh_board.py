"""Launches on a board that is this computer behind a real ssh server: results, what stays there, and who may use it."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.devices.registry import kind_of, open_device
from harness.devices.ssh.board.store import FullError, Store
from harness.devices.ssh.board_device import SshBoard
from harness.errors import BoardError, BoardTrouble, DeviceError
from harness.spec.phone_settings import DEFAULT_SETTINGS, PhoneSettings
from harness.wire import FailureKind, Format, ReplyStatus
from tests.conftest import call_phonebench
from tests.devices.android.jobs import INPUTS, OPERAND, Work, make_work
from tests.devices.ssh.lab import Lab

EIGHT = tuple(f"board{number}" for number in range(8))


@pytest.fixture(scope="module")
def boards(lab: Lab) -> Generator[dict[str, Path]]:
    """Eight boards by name, each with the folder that holds its files."""
    folders = {name: lab.folder / name for name in EIGHT}
    with lab.loopback(folders):
        yield folders


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


@contextmanager
def opened(name: str, settings: PhoneSettings = DEFAULT_SETTINGS) -> Iterator[SshBoard]:
    with open_device(f"ssh:{name}", settings) as board:
        assert isinstance(board, SshBoard)
        yield board


def jobs_of(boards: dict[str, Path], name: str) -> list[Path]:
    return list((boards[name] / "phonebench" / "jobs").iterdir())


def test_the_outputs_of_a_launch_are_those_of_the_model(boards: dict[str, Path], work: Work) -> None:
    with opened("board0") as board:
        assert board.push(work.model, work.sha256)
        done = board.execute(work.request, work.inputs, 60.0)
        assert done.reply.status is ReplyStatus.OK, done.reply.failure
        assert done.outputs is not None
        outputs = np.fromfile(done.outputs, dtype=np.float32).reshape(INPUTS.shape)
        assert np.array_equal(outputs, INPUTS * OPERAND)
        assert done.reply.latency is not None
        assert len(done.reply.latency.samples_ns) >= 20
        assert not jobs_of(boards, "board0")
        assert (board.info.kind, board.info.key) == ("ssh", "ssh:board0")


def test_what_was_sent_stays_for_the_next_session(boards: dict[str, Path], work: Work) -> None:
    with opened("board1") as board:
        board.push(work.model, work.sha256)
    with opened("board1") as board:
        assert not board.push(work.model, work.sha256)
    # A file that no longer has its digest is sent again: the artifact is never taken for whole.
    (boards["board1"] / "phonebench" / "files" / work.sha256).write_bytes(b"half")
    with opened("board1") as board:
        assert board.push(work.model, work.sha256)


def test_halves_and_jobs_that_an_earlier_session_left_are_swept(boards: dict[str, Path]) -> None:
    with opened("board2"):
        pass
    store = boards["board2"] / "phonebench"
    (store / "files" / "abc.tmp").write_bytes(b"half a file")
    for left in (store / "trees" / "def.tmp", store / "jobs" / "left"):
        left.mkdir()
    with opened("board2"):
        assert not list(store.rglob("*.tmp"))
        assert not jobs_of(boards, "board2")


def test_the_oldest_files_make_room_within_the_budget(tmp_path: Path) -> None:
    store = Store(tmp_path, budget_bytes=1000)
    store.sweep()
    for age, name in enumerate(("new", "middle", "old")):
        (store.files / name).write_bytes(bytes(400))
        # Older by an hour each.
        os.utime(store.files / name, (1e9 - 3600 * age, 1e9 - 3600 * age))
    store.make_room(500)
    assert {path.name for path in store.files.iterdir()} == {"new"}
    with pytest.raises(FullError, match="MiB are needed"):
        store.make_room(1 << 60)


def test_a_launch_that_hangs_ends_at_its_deadline(boards: dict[str, Path], work: Work) -> None:
    with opened("board0") as board:
        board.push(work.model, work.sha256)
        done = board.execute(work.lasting(60.0), work.inputs, 3.0)
    assert done.reply.failure is not None
    assert done.reply.failure.kind is FailureKind.TIMEOUT
    assert "no reply within 3 s" in done.reply.failure.message
    assert done.watch
    assert not jobs_of(boards, "board0")


def test_closing_from_another_thread_ends_the_launch(boards: dict[str, Path], work: Work) -> None:
    with opened("board3") as board:
        board.push(work.model, work.sha256)
        failures: list[BoardError] = []

        def launch() -> None:
            try:
                board.execute(work.lasting(60.0), work.inputs, 90.0)
            except BoardError as error:
                failures.append(error)

        thread = threading.Thread(target=launch)
        thread.start()
        until(lambda: any((job / "runner.log").exists() for job in jobs_of(boards, "board3")))
        board.clean()
        thread.join(timeout=30)
        assert not thread.is_alive()
        assert [error.trouble for error in failures] == [BoardTrouble.BUSY]
    until(lambda: not jobs_of(boards, "board3"))


def test_a_second_phonebench_is_told_who_measures(boards: dict[str, Path]) -> None:
    with (
        opened("board0") as board,
        pytest.raises(BoardError, match="is being measured by phonebench of ") as caught,
        opened("board0"),
    ):
        pytest.fail(f"two sessions own {board.name}")
    assert (caught.value.exit_code, caught.value.trouble) == (3, BoardTrouble.BUSY)
    assert "wait until it has finished, or use another board" in str(caught.value)
    assert boards


def test_an_artifact_that_was_not_pushed_is_refused(boards: dict[str, Path], work: Work) -> None:
    with opened("board0") as board, pytest.raises(DeviceError, match="push it before the launch"):
        board.execute(work.request, work.inputs, 60.0)
    assert boards


def test_a_runtime_that_needs_pytorch_is_a_hole_until_it_is_asked_for(boards: dict[str, Path], work: Work) -> None:
    artifact = replace(work.request.artifact, format=Format.PTE)
    with opened("board0") as board:
        done = board.execute(replace(work.request, artifact=artifact), work.inputs, 60.0)
    assert done.reply.status is ReplyStatus.UNSUPPORTED
    assert done.reply.failure is not None
    assert "phonebench runner install ssh --device ssh:board0 --runtime executorch" in done.reply.failure.message
    assert boards


def test_a_folder_of_wheels_serves_a_board_without_a_network(
    boards: dict[str, Path], work: Work, lab: Lab, tmp_path: Path
) -> None:
    with opened("board0") as board:
        board.push(work.model, work.sha256)
        board.execute(work.request, work.inputs, 60.0)
    fetched = next((lab.folder / "cache/phonebench/board-wheels").glob("onnxruntime-x86_64-*/index.json")).parent
    wheels = shutil.copytree(fetched, tmp_path / "wheels")
    with opened("board4", replace(DEFAULT_SETTINGS, wheels=wheels)) as board:
        board.push(work.model, work.sha256)
        assert board.execute(work.request, work.inputs, 60.0).reply.status is ReplyStatus.OK
    next(wheels.glob("onnxruntime-*.whl")).unlink()
    with opened("board4", replace(DEFAULT_SETTINGS, wheels=wheels)) as board:
        board.push(work.model, work.sha256)
        with pytest.raises(BoardError) as caught:
            board.execute(work.request, work.inputs, 60.0)
    assert caught.value.trouble is BoardTrouble.WHEELS
    assert caught.value.one_cell
    assert f"add them to {str(wheels)!r}: pip download --dest WHEELS --only-binary=:all:" in str(caught.value)
    assert boards


def test_eight_boards_measure_side_by_side(boards: dict[str, Path], work: Work, lab: Lab, outside: Path) -> None:
    model = work.model.rename(outside / "net.onnx")
    done = call_phonebench(
        "run", str(model), "--device", ",".join(f"ssh:{name}" for name in boards), "--json", cwd=outside,
        env=lab.environment(),
    )  # fmt: skip
    assert done.code == 0, done.err
    cells = done.json()["cells"]
    assert sorted((cell["device"], cell["status"]) for cell in cells) == [(f"ssh:{name}", "ok") for name in EIGHT]
    listed = json.loads(call_phonebench("devices", "--json", cwd=outside, env=lab.environment()).out)
    assert [info["key"] for info in listed if info["kind"] == "ssh"] == [f"ssh:{name}" for name in EIGHT]


@pytest.mark.parametrize(
    "key", ["ssh", "ssh:", "ssh:-oProxyCommand=x", "ssh:a b", "ssh:pi:99999", "ssh:x;reboot", "ssh:a@-b"]
)
def test_a_name_that_no_board_can_have_is_refused(key: str) -> None:
    with pytest.raises(Exception, match=r"write ssh:HOST, ssh:USER@HOST or ssh:USER@HOST:PORT") as caught:
        kind_of(key)
    assert getattr(caught.value, "exit_code", None) == 2


@pytest.mark.parametrize(
    "key", ["ssh:pi5", "ssh:me@pi5", "ssh:me@192.168.0.9:2222", "ssh:[fe80::1%eth0]:22", "ssh:a_b.local"]
)
def test_a_name_that_a_board_can_have_is_taken(key: str) -> None:
    assert kind_of(key).name == "ssh"


def until(holds: Callable[[], object]) -> None:
    """Wait until ``holds`` is true, for a few seconds at most."""
    ends_at = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends_at, "it did not happen within 20 s"
        time.sleep(0.05)
