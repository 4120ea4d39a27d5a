"""A device kind that is added by a row in this file alone works in every command."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.devices.fake.fake import FakePhone
from harness.devices.kind import CheckStep, Checkup, DeviceKind, InstalledRunner, name_in
from harness.devices.registry import DEVICE_KINDS
from harness.errors import DeviceError, UsageError
from harness.records.device import DeviceInfo
from harness.spec.phone_settings import Clocks, PhoneSettings
from harness.wire import Delegate, Format
from tests.devices.android.jobs import make_work


class Board(FakePhone):
    """A scripted phone under the key of a board."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._info = board_info(key)


def board_info(key: str = "board") -> DeviceInfo:
    return replace(FakePhone().info, key=key, kind="board", model="Board 5", os="Linux 6.6")


def check_board_key(key: str) -> None:
    if name_in(key) == "":
        msg = f"device {key!r} has no address: write 'board:ADDRESS'"
        raise DeviceError(msg)


class Shed:
    """Boards that record the settings they are opened with."""

    def __init__(self) -> None:
        self.settings: list[PhoneSettings] = []

    @contextmanager
    def open(self, key: str, settings: PhoneSettings) -> Iterator[Board]:
        self.settings.append(settings)
        yield Board(key)


@pytest.fixture
def shed() -> Generator[Shed]:
    """The row of kind ``board``, in the registry for as long as a test lasts."""
    boards = Shed()
    DEVICE_KINDS["board"] = DeviceKind(
        name="board",
        examples=("board", "board:ADDRESS"),
        group_examples=("board:all",),
        check_key=check_board_key,
        open=boards.open,
        infos=lambda: (board_info(),),
        delegates=lambda _key: (Delegate.CPU,),
        expand=lambda key: ("board:1", "board:2") if name_in(key) == "all" else (key,),
        concurrent=True,
        settings=frozenset({"clocks"}),
        packages=(("boards", "no-such-package", "boards"),),
        checkup=lambda key: Checkup(
            key=key, serial="1", steps=(CheckStep(name="power", ok=False, detail="the board is off"),)
        ),
        install_runners=lambda key, runtimes, _folder: tuple(
            InstalledRunner(runtime=runtime, version=f"1.0 on {key}") for runtime in runtimes
        ),
    )
    yield boards
    del DEVICE_KINDS["board"]


def phonebench(*args: str) -> Result:
    return CliRunner().invoke(cli, args, standalone_mode=False)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for this file, so that the ready-made model is prepared once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def measured(tmp_path: Path, cache: Path) -> Any:
    """``phonebench run`` on a ready-made ``.onnx`` file; returns its JSON."""
    model = make_work(tmp_path).model.rename(tmp_path / "net.onnx")
    places = ("--results", str(tmp_path / "results"), "--cache-dir", str(cache))

    def run(*args: str) -> Any:
        done = phonebench("run", str(model), *places, "--json", *args)
        assert done.return_value == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    return run


def test_a_model_runs_on_it(shed: Shed, measured: Any) -> None:
    shown = measured("--device", "board:7", "--clocks", "fixed")
    (cell,) = shown["cells"]
    assert (cell["status"], cell["device"]) == ("ok", "board:7")
    assert [(info["kind"], info["model"]) for info in shown["run"]["devices"]] == [("board", "Board 5")]
    assert [settings.clocks for settings in shed.settings] == [Clocks.FIXED]


def test_a_key_of_several_becomes_one_device_each(shed: Shed, measured: Any) -> None:
    cells = measured("--device", "board:all")["cells"]
    assert sorted((cell["device"], cell["status"]) for cell in cells) == [("board:1", "ok"), ("board:2", "ok")]
    assert len(shed.settings) == 2


@pytest.mark.usefixtures("shed")
def test_its_delegates_leave_holes_in_the_plan() -> None:
    done = phonebench(
        "run", "-d", "board", "-f", "tflite", "-v", "fp32", "--delegate", "cpu,gpu", "--dry-run", "--json"
    )
    plan = json.loads(done.stdout)
    assert [cell["delegate"] for cell in plan["cells"]] == ["cpu"]
    assert [hole["reason"] for hole in plan["holes"]] == ["device 'board' has no gpu (it has: cpu)"]


def test_its_own_runtimes_decide_what_is_planned(shed: Shed) -> None:
    """A kind may lack the runtime of a format, and run another on a delegate that it has nowhere else."""
    assert shed.settings == []
    own: dict[Format, tuple[Delegate, ...] | str] = {Format.ONNX: (Delegate.GPU,), Format.PTE: "nobody has built one"}
    DEVICE_KINDS["board"] = replace(
        DEVICE_KINDS["board"], delegates=lambda _key: (Delegate.CPU, Delegate.GPU), formats=lambda _key: own
    )
    done = phonebench(
        "run", "-d", "board", "-f", "onnx,pte,ptl", "-v", "fp32", "--delegate", "gpu,cpu", "--dry-run", "--json"
    )
    plan = json.loads(done.stdout)
    assert [(cell["format"], cell["delegate"]) for cell in plan["cells"]] == [("onnx", "gpu")]
    assert {hole["reason"] for hole in plan["holes"]} == {
        "onnx has no delegate 'cpu' on device 'board' (it has: gpu)",
        "device 'board' does not run pte: nobody has built one",
        "device 'board' does not run ptl: there is no runtime for it",
    }


@pytest.mark.usefixtures("shed")
def test_a_setting_that_it_does_not_have_is_refused() -> None:
    done = phonebench("run", "-d", "board", "--clocks", "fixed", "--cores", "big", "--dry-run")
    assert isinstance(done.exception, UsageError)
    assert "device 'board' has no setting cores" in str(done.exception)
    assert "run on devices that have it: android" in str(done.exception)


@pytest.mark.usefixtures("shed")
def test_a_key_that_no_board_can_have_is_refused() -> None:
    done = phonebench("run", "-d", "board:", "--dry-run")
    assert "write 'board:ADDRESS'" in str(done.exception)


@pytest.mark.usefixtures("shed")
@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("run", "board, board:ADDRESS, board:all"),
        ("search", "board, board:ADDRESS, board:all"),
        ("ab", "board, board:ADDRESS."),
    ],
)
def test_help_lists_its_example_keys(command: str, keys: str) -> None:
    assert keys in " ".join(phonebench(command, "--help").stdout.split())


@pytest.mark.usefixtures("shed")
def test_it_is_listed_with_the_devices() -> None:
    assert "Board 5" in phonebench("devices").stdout
    assert "board" in {info["kind"] for info in json.loads(phonebench("devices", "--json").stdout)}


@pytest.mark.usefixtures("shed")
def test_doctor_names_its_package_and_checks_it() -> None:
    assert "no-such-package" in phonebench("doctor").stdout
    done = phonebench("doctor", "--device", "board:7")
    assert done.return_value == 3
    assert "the board is off" in done.stdout
    assert "phonebench doctor --device board:7 --json" in done.stdout


@pytest.mark.usefixtures("shed")
def test_runners_are_installed_on_it() -> None:
    done = phonebench("runner", "install", "board", "--runtime", "tflite", "--json")
    assert json.loads(done.stdout)["apps"] == [{"runtime": "tflite", "version": "1.0 on board", "error": None}]


def test_without_its_row_nothing_knows_the_kind() -> None:
    for args in (("run", "-d", "board", "--dry-run"), ("doctor", "-d", "board"), ("runner", "install", "board")):
        done = phonebench(*args)
        assert isinstance(done.exception, UsageError)
        assert "unknown" in str(done.exception)
