"""A pinned baseline: what it may be, what is refused before anything runs, and how a night is compared with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.manifest import Artifact
from harness.errors import PhonebenchError, SignatureError, StoreError, UsageError
from harness.history.database import open_history
from harness.history.records import Decision
from harness.progress import Silent
from harness.signing.bundle import sign
from harness.signing.keys import create_key
from harness.spec.spec import Spec
from harness.store.records import MEASUREMENTS_FILE, RUN_FILE
from harness.workflows.nightly.artifacts import ARTIFACTS_FOLDER
from harness.workflows.nightly.baseline import BaselineTools, read_baseline
from harness.workflows.nightly.night import NightOptions, nightly
from harness.workflows.nightly.record import FOLDER, NightRecord, SeriesNight, State, Trigger
from harness.workflows.run import run_spec
from tests.workflows.nightly.conftest import CELL, SPEC, Farm

LATENCY = f"{CELL.key}/latency"
INT8 = replace(SPEC, variant=("int8",))


def of(record: NightRecord) -> SeriesNight:
    """The latency of the night."""
    return next(night for night in record.series or () if night.series == LATENCY)


@pytest.fixture
def tools(farm: Farm) -> Iterator[BaselineTools]:
    """A history to look up kept artifacts in."""
    with open_history(farm.tools.history, create=True) as history:
        yield BaselineTools(history=history, places=farm.tools.places, progress=Silent())


def test_a_run_is_a_baseline_and_its_artifacts_are_kept(farm: Farm, tools: BaselineTools) -> None:
    run = run_spec(SPEC, farm.tools.places, Silent())
    for name in (run.head.id, run.head.id[:17], "latest", str(run.directory), str(run.directory / RUN_FILE)):
        baseline = read_baseline(name, SPEC, tools)
        assert [cell.cell for cell in baseline.cells] == [CELL.key]
        assert baseline.cells[0].latency_ns == run.measurements[0].latency.median_ns  # type: ignore[union-attr]
        assert baseline.missing == ""
    kept = list((farm.results / FOLDER / ARTIFACTS_FOLDER).iterdir())
    assert [path.name for path in kept] == [f"{baseline.cells[0].sha256}.onnx"]


def test_a_night_is_a_baseline_by_its_record(farm: Farm, tools: BaselineTools) -> None:
    night = nightly(SPEC, farm.tools)
    path = farm.results / FOLDER / night.id / "night.json"
    assert [cell.cell for cell in read_baseline(str(path), SPEC, tools).cells] == [CELL.key]


def test_the_whole_run_of_a_baseline_must_be_signed(farm: Farm, tools: BaselineTools, tmp_path: Path) -> None:
    key = create_key(tmp_path / "mine", days=30)
    spec = replace(SPEC, require_signature=str(key.public))
    run = run_spec(SPEC, farm.tools.places, Silent())
    head = run.directory / RUN_FILE
    # This file names the run, and says nothing about the measurements beside it.
    sign(head, key.private)
    with pytest.raises(SignatureError, match="has no signature"):
        read_baseline(str(head), spec, tools)
    sign(run.directory, key.private)
    assert [cell.cell for cell in read_baseline(str(head), spec, tools).cells] == [CELL.key]
    with (run.directory / MEASUREMENTS_FILE).open("a") as file:
        file.write("{}\n")
    with pytest.raises(SignatureError, match=r"'measurements\.jsonl' changed"):
        read_baseline("latest", spec, tools)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            replace(SPEC, model=("squeezenet1_1",), random_weights=True),
            "has model digits, but tonight has squeezenet1_1",
        ),
        (replace(SPEC, device=("fake:hot",)), "has device fake, but tonight has fake:hot"),
        (INT8, "has variant fp32, but tonight has int8"),
    ],
)
def test_a_run_of_other_cells_is_refused_by_what_differs(
    farm: Farm, tools: BaselineTools, spec: Spec, words: str
) -> None:
    run = run_spec(SPEC, farm.tools.places, Silent())
    with pytest.raises(UsageError, match=words):
        read_baseline(run.head.id, spec, tools)


def test_a_run_whose_artifacts_are_gone_is_refused(farm: Farm, tools: BaselineTools, tmp_path: Path) -> None:
    run = run_spec(SPEC, farm.tools.places, Silent())
    empty = replace(tools, places=replace(farm.tools.places, cache=tmp_path / "other-cache"))
    with pytest.raises(UsageError, match="no artifact of the baseline .* is here any more"):
        read_baseline(run.head.id, SPEC, empty)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("20200101", UsageError, "--baseline: .*no runs"),
        ("nowhere.onnx", UsageError, "there is no baseline 'nowhere.onnx'"),
    ],
)
def test_what_does_not_exist_is_refused(
    tools: BaselineTools, name: str, error: type[PhonebenchError], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_baseline(name, SPEC, tools)


def test_a_damaged_run_is_refused(farm: Farm, tools: BaselineTools) -> None:
    run = run_spec(SPEC, farm.tools.places, Silent())
    path = run.directory / RUN_FILE
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError, match="cannot be read"):
        read_baseline(run.head.id, SPEC, tools)


def test_a_run_that_stopped_before_its_first_cell_is_refused(farm: Farm, tools: BaselineTools) -> None:
    run = run_spec(SPEC, farm.tools.places, Silent())
    (run.directory / MEASUREMENTS_FILE).unlink()
    with pytest.raises(UsageError, match="no measured cell of tonight"):
        read_baseline(run.head.id, SPEC, tools)


def test_a_file_is_a_baseline_of_the_cells_of_its_format(
    tools: BaselineTools, smaller: Artifact, tmp_path: Path
) -> None:
    assert smaller.path is not None
    path = tmp_path / "release.onnx"
    shutil.copy(smaller.path, path)
    baseline = read_baseline(str(path), SPEC, tools)
    assert [(cell.cell, cell.sha256, cell.latency_ns) for cell in baseline.cells] == [
        (CELL.key, smaller.manifest.sha256, None)
    ]
    with pytest.raises(UsageError, match="must stand for one model and variant"):
        read_baseline(str(path), replace(SPEC, variant=("fp32", "int8")), tools)


@pytest.mark.parametrize("bytes_left", [0, 500])
def test_half_a_file_is_refused(tools: BaselineTools, smaller: Artifact, tmp_path: Path, bytes_left: int) -> None:
    assert smaller.path is not None
    path = tmp_path / "release.onnx"
    path.write_bytes(smaller.path.read_bytes()[:bytes_left])
    with pytest.raises(PhonebenchError, match="release.onnx"):
        read_baseline(str(path), SPEC, tools)


def test_a_night_slower_than_its_baseline_is_reported_once(farm: Farm, smaller: Artifact, tmp_path: Path) -> None:
    """Last night's file is tonight's, so only the baseline shows that it is slower than the release."""
    assert smaller.path is not None
    path = tmp_path / "release.onnx"
    shutil.copy(smaller.path, path)
    farm.fill(3)
    options = NightOptions(baseline=str(path))
    night = of(nightly(SPEC, farm.tools, options))
    assert night.state is State.REGRESSION
    assert night.suspect is not None
    assert night.suspect.trigger is Trigger.BASELINE
    assert night.confirmation is not None
    assert night.confirmation.decision is Decision.CONFIRMED
    # Once reported, it is compared again only when it is due, and then nothing is new about it.
    for _ in range(2):
        assert of(nightly(SPEC, farm.tools, options)).state in (State.INSUFFICIENT, State.NONE)
