"""What single classes and groups lost, and which inputs; all values by hand."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from harness.artifacts.sources.prepared_model import GROUPS_FILE, TRUTH_ARRAY_FILE, PreparedModel
from harness.measure.accuracy import judge_answers
from harness.measure.groups import MOST_CHANGED
from harness.measure.pictures import small_picture, with_pictures
from harness.model.card import DataCard, Task
from harness.records.measurement import ChangedInput, GroupFacts, GroupKind
from harness.stats.proportions import difference_interval
from harness.wire import DType, TensorSpec
from harness.wire.tensors import write_tensors
from tests.artifacts.builders import CARD, make_prepared
from tests.measure.cells import Kept, job, with_outputs

Array = np.ndarray[Any, Any]


def answers(classes: list[int], count: int = 3) -> Array:
    return np.eye(count, dtype=np.float32)[classes].reshape(len(classes), 1, count)


def grouped(model: PreparedModel, names: list[str]) -> PreparedModel:
    (model.folder / GROUPS_FILE).write_bytes(msgspec.json.encode(names))
    return model


LABELS = [0, 0, 0, 1, 1, 1, 1, 2]
FLOAT = [0, 0, 1, 1, 1, 1, 0, 2]
DEVICE = [0, 0, 0, 1, 0, 2, 0, 2]


def facts(folder: Path, names: list[str] | None = None) -> GroupFacts:
    model = make_prepared(folder / "model", answers(FLOAT), LABELS)
    model = model if names is None else grouped(model, names)
    found = judge_answers(CARD, model, (answers(DEVICE),)).groups
    assert found is not None
    return found


def test_classes_are_compared_with_the_float_model(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert (found.kind, found.metric, found.share) == (GroupKind.CLASS, "top-1", True)
    shown = [(g.name, g.count, round(g.float_value, 3), round(g.value, 3), round(g.drop, 3)) for g in found.groups]
    assert shown == [("1", 4, 0.75, 0.25, 0.5), ("2", 1, 1.0, 1.0, 0.0), ("0", 3, 0.667, 1.0, -0.333)]
    assert found.worst_drop == 0.5
    # Tango's interval of two lost and none won of four.
    low, high = difference_interval(2, 0, 4)
    assert (found.groups[0].low, found.groups[0].high) == (-high, -low)


def test_the_inputs_that_lost_are_named_with_their_answers(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert (found.lost, found.won) == (2, 1)
    assert found.changed == (
        ChangedInput(index=4, loss=1.0, label=1, answer=0, float_answer=1),
        ChangedInput(index=5, loss=1.0, label=1, answer=2, float_answer=1),
    )


def test_groups_of_the_data_replace_the_classes(tmp_path: Path) -> None:
    found = facts(tmp_path, ["de", "de", "fr", "de", "fr", "fr", "de", "de"])
    assert found.kind is GroupKind.GROUP
    assert [(g.name, g.count, round(g.drop, 3)) for g in found.groups] == [("fr", 3, 0.333), ("de", 5, 0.0)]


def test_pixels_of_a_group_count_as_answers_and_its_interval_is_over_inputs(tmp_path: Path) -> None:
    # 40 inputs of two answers each; the device loses one answer of every input of group b.
    floats = np.broadcast_to(np.eye(2, dtype=np.float32), (40, 2, 2)).copy()
    device = floats.copy()
    device[20:, 1] = [1, 0]
    model = make_prepared(tmp_path / "model", floats.reshape(40, 4), [[0, 1]] * 40)
    shape = (replace(model.facts.outputs[0], shape=(2, 2)),)
    model = grouped(
        PreparedModel(facts=replace(model.facts, outputs=shape), folder=model.folder), ["a"] * 20 + ["b"] * 20
    )
    found = judge_answers(CARD, model, (device,)).groups
    assert found is not None
    assert [(g.name, g.count, g.drop, g.low) for g in found.groups] == [("b", 40, 0.5, 0.5), ("a", 40, 0.0, 0.0)]
    assert (found.lost, found.changed[0].loss, found.changed[0].label) == (20, 0.5, None)


def test_a_metric_of_all_inputs_is_computed_group_by_group(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", answers(FLOAT))
    np.save(model.folder / TRUTH_ARRAY_FILE, np.array(LABELS))
    grouped(model, ["x", "x", "x", "y", "y", "y", "y", "x"])
    found = judge_answers(replace(CARD, task=Task.OTHER, metric="F1-micro"), model, (answers(DEVICE),)).groups
    assert found is not None
    # F1 of all classes together is the share of right answers: 4 of 4 in x after 3 of 4, and 1 of 4 in y after 3 of 4.
    assert [(g.name, g.value, g.float_value) for g in found.groups] == [("y", 0.25, 0.75), ("x", 1.0, 0.75)]
    assert [(one.index, one.loss) for one in found.changed] == [(4, 1.0), (5, 1.0)]
    assert (found.lost, found.won) == (2, 1)


def test_a_number_for_all_inputs_says_nothing_of_single_ones(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def total(outputs, split):\n    return outputs[0].sum()\n")
    model = make_prepared(tmp_path / "model", answers(FLOAT))
    card = replace(CARD, task=Task.OTHER, folder=tmp_path, metric="own:total")
    assert judge_answers(card, model, (answers(DEVICE),)).groups is None


def test_lower_scores_lose_where_higher_is_better_and_win_where_not(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def error(outputs, split):\n    return outputs[0][:, 0, 0]\n")
    model = make_prepared(tmp_path / "model", np.array([[1.0], [2.0], [3.0]], dtype=np.float32))
    outputs = (np.array([[[1.0]], [[2.5]], [[1.0]]], dtype=np.float32),)
    card = replace(CARD, task=Task.REGRESSION, folder=tmp_path, metric="own:error")
    up = judge_answers(card, model, outputs).groups
    down = judge_answers(
        replace(card, metric_options=replace(card.metric_options, higher_is_better=False)), model, outputs
    ).groups
    assert up is not None
    assert down is not None
    assert [(one.index, one.loss) for one in up.changed] == [(2, 2.0)]
    assert [(one.index, one.loss) for one in down.changed] == [(1, 0.5)]
    assert (up.groups, up.worst_drop) == ((), None)


def test_only_some_inputs_are_listed(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", answers([0] * 100), [0] * 100)
    found = judge_answers(CARD, model, (answers([1] * 100),)).groups
    assert found is not None
    assert (found.lost, len(found.changed)) == (100, MOST_CHANGED)


def pictured(folder: Path, spec: TensorSpec, pixels: Array) -> PreparedModel:
    model = make_prepared(folder / "model", answers([0] * len(pixels)), [0] * len(pixels))
    write_tensors(model.inputs_path, [pixels], [spec])
    return PreparedModel(facts=replace(model.facts, inputs=(spec,)), folder=model.folder)


def test_inputs_that_lost_have_a_small_picture_and_equal_ones_share_it(tmp_path: Path) -> None:
    spec = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 3, 40, 80))
    pixels = np.zeros((2, 1, 3, 40, 80), dtype=np.float32)
    pixels[:, :, 0] = 1
    changed = tuple(ChangedInput(index=i, loss=1.0) for i in range(2))
    groups = GroupFacts(kind=GroupKind.CLASS, metric="top-1", share=True, lost=2, changed=changed)
    keeper = Kept()
    found = with_pictures(CARD, pictured(tmp_path, spec, pixels), groups, keeper)
    assert found is not None
    names = {one.picture for one in found.changed}
    assert names == set(keeper.data)
    (data,) = keeper.data.values()
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (64, 32))
        red, green, blue = np.asarray(picture.convert("RGB"))[16, 32].tolist()
    assert red > 240
    assert max(green, blue) < 30


@pytest.mark.parametrize("shape", [(1, 16), (1, 3, 2, 2), (2, 3, 8, 8), (1, 5, 8, 8)])
def test_inputs_that_are_no_picture_have_none(tmp_path: Path, shape: tuple[int, ...]) -> None:
    spec = TensorSpec(name="x", dtype=DType.FLOAT32, shape=shape)
    groups = GroupFacts(kind=GroupKind.CLASS, metric="top-1", share=True, changed=(ChangedInput(index=0, loss=1.0),))
    model = pictured(tmp_path, spec, np.zeros((1, *shape), dtype=np.float32))
    assert with_pictures(CARD, model, groups, Kept()) is groups


def test_normalised_pixels_get_their_colours_back() -> None:
    data = DataCard(source="", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    pixels = np.zeros((1, 3, 8, 8), dtype=np.float32)
    pixels[0, 0] = 2.0
    with Image.open(io.BytesIO(small_picture(pixels, data))) as picture:
        colour = np.asarray(picture.convert("RGB"))[4, 4].tolist()
    assert colour == pytest.approx([255, 128, 128], abs=8)


def test_a_measured_cell_keeps_its_groups(tmp_path: Path) -> None:
    scores = np.array([[3, 1, 0], [9, 0, 1], [1, 5, 2], [6, 0, 1], [0, 2, 1]], dtype=np.float32)
    groups = with_outputs(tmp_path, scores, job(tmp_path)).groups
    assert groups is not None
    assert groups.worst is not None
    assert (groups.worst.name, groups.worst.drop, [one.index for one in groups.changed]) == ("1", 0.5, [1])


def test_the_classes_of_a_metric_that_averages_over_classes_are_its_groups(tmp_path: Path) -> None:
    model = make_prepared(tmp_path / "model", answers(FLOAT))
    np.save(model.folder / TRUTH_ARRAY_FILE, np.array(LABELS))
    found = judge_answers(replace(CARD, task=Task.OTHER, metric="mIoU"), model, (answers(DEVICE),)).groups
    assert found is not None
    assert found.kind is GroupKind.CLASS
    # Hits over hits, wrong answers and misses: class 1 has 1 of 4 after 3 of 5, class 2 has 1 of 2 after 1 of 1.
    assert [(g.name, g.value, g.float_value) for g in found.groups] == [
        ("2", 0.5, 1.0), ("1", 0.25, 0.6), ("0", 0.6, 0.5),
    ]  # fmt: skip
