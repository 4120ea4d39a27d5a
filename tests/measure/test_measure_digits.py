"""A scripted phone measures the bundled model's real artifact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.artifacts.build import build_artifacts
from harness.artifacts.cache import Cache
from harness.devices.fake.fake import FakePhone
from harness.errors import DeviceError
from harness.measure.job import Job
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import make_cell
from harness.progress import Silent
from harness.records.conditions import ConditionId
from harness.records.measurement import CellStatus
from harness.spec.profiles import PROFILES, ProfileName
from harness.wire import (
    Delegate,
    FailureKind,
    Format,
)
from tests.artifacts.orders import order
from tests.measure.cells import (
    Scripted,
    ids,
    ok,
    outputs_file,
    run,
)


@pytest.fixture
def digits(working_cache: Path) -> Job:
    """A cell of the real digits artifact."""
    card = resolve("digits", ModelOptions())
    cell = make_cell("digits", "int8", Format.ONNX, Delegate.CPU, 1, "fake", ProfileName.QUICK)
    outcome = build_artifacts(order([card], [cell.build]), Cache(working_cache), Silent())
    return Job(
        cell=cell,
        card=card,
        artifact=outcome.artifacts[cell.build],
        model=outcome.models["digits"],
        profile=PROFILES[ProfileName.QUICK],
    )


def test_a_scripted_phone_measures_a_real_artifact(digits: Job) -> None:
    found = run(digits, FakePhone())
    assert found.status is CellStatus.OK
    assert found.latency is not None
    assert found.memory is not None
    assert (found.latency.calls or 0) >= 50
    assert ids(found) == {ConditionId.SIMULATED, ConditionId.INDICATIVE}
    assert (found.accuracy, found.fidelity) == (None, None)
    assert found.artifact is not None
    assert found.artifact.sha256 == digits.artifact.manifest.sha256


def test_a_hot_phone_says_so_beside_its_figures(digits: Job) -> None:
    found = run(replace(digits, launches=2), FakePhone("fake:hot"))
    assert ConditionId.THERMAL in ids(found)
    first, second = found.launches
    assert second.median_ns > first.median_ns


@pytest.mark.parametrize(("name", "kind"), [("crash", FailureKind.CRASH), ("oom", FailureKind.OOM)])
def test_a_phone_that_fails_gives_a_record(digits: Job, name: str, kind: FailureKind) -> None:
    found = run(digits, FakePhone(f"fake:{name}"))
    assert found.status is CellStatus.FAILED
    assert found.failure is not None
    assert (found.failure.kind, found.failure.message) == (kind, found.reason)


def test_a_phone_that_is_lost_gives_none(digits: Job) -> None:
    with pytest.raises(DeviceError, match="is gone"):
        run(replace(digits, launches=3), FakePhone("fake:lost"))


def test_the_real_labels_and_outputs_make_a_real_accuracy(digits: Job, tmp_path: Path) -> None:
    reference = digits.model.reference()
    assert reference is not None
    scores = reference[0].reshape(len(reference[0]), -1)
    path, ref = outputs_file(tmp_path, scores)
    found = run(digits, Scripted(ok(outputs=ref), outputs=path))
    assert found.accuracy is not None
    assert found.accuracy.correct == digits.model.facts.float_correct
    assert found.accuracy.count == digits.model.facts.test_count
    assert found.accuracy.value > 0.97
    bits = f"{int(found.accuracy.correct_bits, 16):b}"
    assert bits.count("1") == found.accuracy.correct
