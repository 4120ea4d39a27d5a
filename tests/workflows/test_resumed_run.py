"""What a resumed run keeps of the run that was stopped, and which devices it opens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.errors import DeviceError, IncompleteError
from harness.progress import Silent
from harness.spec.profiles import ProfileName
from harness.spec.spec import Spec
from harness.store.reader import load_run
from harness.store.records import MEASUREMENTS_FILE, RUN_FILE, RunRecord
from harness.workflows.bench import Places
from harness.workflows.run import resume_run, run_spec

GONE = "android:gone"


@pytest.fixture
def places(tmp_path: Path, working_cache: Path) -> Places:
    return Places(results=tmp_path / "results", cache=working_cache)


@pytest.fixture
def two_models(tmp_path: Path, digits_files: Mapping[tuple[str, str], Path]) -> tuple[str, str]:
    """Two ready-made files, which are two models."""
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    shutil.copy(digits_files["onnx", "fp32"], first)
    shutil.copy(digits_files["onnx", "int8"], second)
    return str(first), str(second)


@pytest.fixture
def no_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No adb server answers, and none may be started: a phone cannot be opened."""
    monkeypatch.setenv("PHONEBENCH_ADB_PORT", "1")
    monkeypatch.setenv("PHONEBENCH_ADB_START", "never")


def stop_before(run: RunRecord, kept: int, *, more_devices: tuple[str, ...] = ()) -> None:
    """Leave the files that ``run`` has when it is killed after ``kept`` cells."""
    path = run.directory / MEASUREMENTS_FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    head = json.loads((run.directory / RUN_FILE).read_text())
    del head["finished_at"]
    head["spec"]["device"] += more_devices
    (run.directory / RUN_FILE).write_text(json.dumps(head))


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_the_models_of_finished_cells_stay_known(places: Places, two_models: tuple[str, str], kept: int) -> None:
    spec = Spec(model=two_models, device=("fake",), profile=ProfileName.QUICK)
    run = run_spec(spec, places, Silent())
    assert [facts.name for facts in run.head.models] == ["first", "second"]
    stop_before(run, kept)
    again = resume_run(run.head.id, places, Silent())
    assert again.head.models == run.head.models
    assert {m.cell for m in again.measurements} == {cell.key for cell in run.head.plan.cells}


@pytest.mark.usefixtures("no_phone")
def test_only_devices_with_cells_left_are_opened(places: Places, two_models: tuple[str, str]) -> None:
    run = run_spec(Spec(model=two_models, device=("fake",), profile=ProfileName.QUICK), places, Silent())
    stop_before(run, 1, more_devices=(GONE,))
    again = resume_run(run.head.id, places, Silent())
    assert again.head.finished_at
    assert [info.key for info in again.head.devices] == ["fake"]


@pytest.mark.usefixtures("no_phone")
def test_a_device_that_is_away_keeps_its_cells_and_costs_no_other(places: Places, two_models: tuple[str, str]) -> None:
    spec = Spec(model=two_models[:1], device=("fake", GONE), profile=ProfileName.QUICK)
    with pytest.raises(DeviceError):
        run_spec(spec, places, Silent())
    (folder,) = (path.parent for path in places.results.glob(f"*/{RUN_FILE}"))
    with pytest.raises(DeviceError):
        resume_run(folder.name, places, Silent())
    with pytest.raises(IncompleteError, match=r"the cable is out.*--resume=") as told:
        resume_run(folder.name, places, Silent(), away={GONE: "the cable is out"})
    assert told.value.lost == {GONE: "the cable is out"}
    stored = load_run(places.results, folder.name)
    assert {c.device for c in stored.head.plan.cells if c.key in {m.cell for m in stored.measurements}} == {"fake"}
    assert not stored.head.finished_at
