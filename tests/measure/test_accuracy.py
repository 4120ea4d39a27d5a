"""The outputs of a device become accuracy, fidelity and targets; garbage is reported as garbage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.sources.prepared_model import PreparedModel
from harness.measure.job import Job
from harness.model.card import Task
from harness.records.measurement import CellStatus, Passed
from tests.artifacts.builders import CARD, Floats, make_prepared
from tests.measure.cells import (
    FLOAT,
    LABELS,
    Kept,
    Scripted,
    job,
    ok,
    outputs_file,
    run,
    with_outputs,
)


def test_accuracy_is_counted_from_the_outputs_of_the_device(tmp_path: Path) -> None:
    scores = FLOAT.copy()
    scores[2] = [0, 1, 9]
    scores[1] = [9, 1, 0]
    accuracy = with_outputs(tmp_path, scores).accuracy
    assert accuracy is not None
    assert (accuracy.correct, accuracy.count, accuracy.value) == (4, 5, 0.8)
    # Input 1 alone is wrong: 10111, padded on the right to 1011 1000.
    assert accuracy.correct_bits == "b8"
    # Wilson's interval of 4 in 5, by hand: centre 0.6697, half width 0.2941.
    assert (accuracy.low, accuracy.high) == pytest.approx((0.3755, 0.9638), abs=1e-4)


def test_outputs_that_are_not_finite_are_wrong(tmp_path: Path) -> None:
    found = with_outputs(tmp_path, np.full_like(FLOAT, np.nan))
    assert found.accuracy is not None
    assert (found.accuracy.correct, found.accuracy.correct_bits) == (0, "00")
    assert found.fidelity is not None
    assert found.fidelity.agreement == 0


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.where(FLOAT.max() == FLOAT, np.nan, FLOAT), "NaN or infinite"),
        (-FLOAT, "dB signal to noise"),
        (np.roll(FLOAT, 1, axis=1), "dB signal to noise"),
        # What kernels that ignore the scales of a layer's channels give.
        (FLOAT * 500, "dB signal to noise"),
        (FLOAT * 0 + [0.1, -0.2, 0.3], "is the same for every input"),
    ],
    ids=["nan", "negated", "shifted", "scales-taken-for-one", "scales-taken-for-nought"],
)
def test_garbage_from_a_device_is_broken_whatever_the_gate_said(tmp_path: Path, scores: Floats, words: str) -> None:
    found = with_outputs(tmp_path, scores.astype(np.float32))
    assert found.status is CellStatus.BROKEN
    assert found.reason is not None
    assert "on the device" in found.reason
    assert words in found.reason
    assert found.latency is not None, "the figures are kept beside the reason"


def test_fidelity_compares_with_the_float_network(tmp_path: Path) -> None:
    fidelity = with_outputs(tmp_path, FLOAT * np.float32(1.1)).fidelity
    assert fidelity is not None
    assert fidelity.sqnr_db == pytest.approx(20, abs=1e-4)
    assert (fidelity.agreement, fidelity.count) == (1.0, 5)
    assert fidelity.max_error == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("changes", "accuracy", "agreement"),
    [
        ({}, True, True),
        ({"card": replace(CARD, random_weights=True)}, False, True),
        ({"card": replace(CARD, task=Task.REGRESSION)}, False, False),
    ],
)
def test_accuracy_is_measured_where_it_means_something(
    tmp_path: Path, changes: dict[str, Any], accuracy: bool, agreement: bool
) -> None:
    found = with_outputs(tmp_path, FLOAT, job(tmp_path, **changes))
    assert (found.accuracy is not None) is accuracy
    assert found.fidelity is not None
    assert (found.fidelity.agreement is not None) is agreement


@pytest.mark.parametrize(("outputs", "labels", "seen"), [(True, None, (None, 1.0)), (False, LABELS, (1.0, None))])
def test_without_labels_there_is_fidelity_and_without_a_float_network_accuracy(
    tmp_path: Path, outputs: bool, labels: list[int] | None, seen: tuple[float | None, float | None]
) -> None:
    model = make_prepared(tmp_path / "other", FLOAT[[0, 1, 3, 4]], [0, 1, 0, 1] if labels else None)
    facts = model.facts if outputs else replace(model.facts, outputs=())
    work = job(tmp_path, model=PreparedModel(facts=facts, folder=model.folder))
    found = with_outputs(tmp_path, FLOAT[[0, 1, 3, 4]], work)
    value = found.accuracy.value if found.accuracy else None
    assert (value, found.fidelity.agreement if found.fidelity else None) == seen


def test_outputs_are_kept_and_asked_for_once(tmp_path: Path) -> None:
    keeper = Kept()
    path, ref = outputs_file(tmp_path, FLOAT)
    device = Scripted(ok(outputs=ref), outputs=path)
    found = run(job(tmp_path), device, keeper)
    assert keeper.data[f"{found.outputs_sha256}.bin"] == FLOAT.tobytes()
    assert [request.passes.outputs is not None for request in device.requests] == [True, False, False, False, False]


def test_top5_and_classes_come_with_the_accuracy(tmp_path: Path) -> None:
    found = with_outputs(tmp_path, FLOAT)
    assert found.accuracy is not None
    assert found.accuracy.top5 is None, "three classes have no top-5"
    assert [(c.label, c.share.correct, c.share.count) for c in found.accuracy.classes] == [
        (0, 2, 2), (1, 2, 2), (2, 0, 1),
    ]  # fmt: skip


# Four answers lost of four can still be chance: p = 0.125 in McNemar's test.
@pytest.mark.parametrize(("scores", "passed"), [(FLOAT, Passed.UNDECIDED), (FLOAT[:, [1, 0, 2]], Passed.UNDECIDED)])
def test_a_target_of_the_folder_is_judged_on_the_same_inputs(tmp_path: Path, scores: Floats, passed: Passed) -> None:
    work = job(tmp_path, card=replace(CARD, target="mlperf-classification"))
    target = with_outputs(tmp_path, scores, work).target
    assert target is not None
    assert target.passed is passed
    assert target.wanted == pytest.approx(0.98 * 0.8)


def batch_job(folder: Path, labels: list[list[int]]) -> Job:
    """A model with a batch of two per call and three classes, in shape [2, 3]."""
    model = make_prepared(folder / "batch", FLOAT[:4].reshape(2, 6), labels)
    shape = (replace(model.facts.outputs[0], shape=(2, 3)),)
    return job(folder, model=PreparedModel(facts=replace(model.facts, outputs=shape), folder=model.folder))


def test_every_row_of_a_batch_is_an_answer(tmp_path: Path) -> None:
    scores = FLOAT[:4].copy()
    scores[1] = [9, 0, 0]
    found = with_outputs(tmp_path, scores.reshape(2, 6), batch_job(tmp_path, [[0, 1], [2, 0]]))
    assert found.accuracy is not None
    # The float model answers 0 1 1 0, this file 0 0 1 0; the labels are 0 1 2 0.
    assert (found.accuracy.correct, found.accuracy.count) == (2, 4)
    assert (found.accuracy.right, found.accuracy.float_right, found.accuracy.asked) == ((1, 1), (2, 1), (2, 2))
    assert (found.accuracy.correct_bits, found.accuracy.float_bits) == ("", "")
    assert found.fidelity is not None
    assert found.fidelity.agreement == 0.75
