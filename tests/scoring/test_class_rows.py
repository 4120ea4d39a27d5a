"""Labels of a batch, a sequence and a picture: where the classes are, and what does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UsageError
from harness.scoring.class_rows import check_labels, class_agreement, class_rows
from harness.scoring.marks import mark
from tests.artifacts.builders import CARD


@pytest.mark.parametrize(
    ("shape", "labels", "axis"),
    [
        ((1, 10), (), 1),
        ((1, 10), (1,), 1),
        ((1, 10, 1, 1), (), 1),
        ((10,), (), 0),
        ((4, 4), (4,), 1),
        ((1, 7, 30), (7,), 2),
        ((1, 7, 30), (1, 7), 2),
        ((1, 48, 64, 5), (48, 64), 3),
        ((1, 5, 48, 64), (48, 64), 1),
        ((2, 5, 8, 8), (2, 8, 8), 1),
        ((), (), 0),
    ],
)
def test_the_axis_of_the_classes_follows_from_the_labels(
    shape: tuple[int, ...], labels: tuple[int, ...], axis: int
) -> None:
    assert class_rows(CARD, shape, labels).axis == axis


def test_the_last_axis_holds_the_classes_unless_the_card_names_one() -> None:
    assert class_rows(CARD, (1, 5, 48, 64)).axis == 3
    assert class_rows(replace(CARD, class_axis=1), (1, 5, 48, 64)).axis == 1
    assert class_rows(replace(CARD, class_axis=-3), (1, 5, 48, 64)).axis == 1


@pytest.mark.parametrize(
    ("shape", "labels", "card", "says"),
    [
        ((4, 5), (), CARD, r"shape \[count\], its first output has \[count, 4, 5\].*shape \[count, 4\]"),
        ((1, 10), (3,), CARD, r"\[count, 3\], its first output has \[count, 1, 10\]"),
        ((1, 5, 5, 7), (5, 7), replace(CARD, class_axis=3), r"axis 3 of a call, give labels of shape \[count, 5, 5\]"),
        ((1, 5, 5, 7), (5, 7), CARD, "axis 1 or 2 of a call; name one as class_axis"),
        ((1, 10), (), replace(CARD, class_axis=2), "class_axis is 2 .* 2 axes"),
    ],
)
def test_labels_of_another_shape_are_refused_with_both_shapes(
    shape: tuple[int, ...], labels: tuple[int, ...], card: object, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        class_rows(card, shape, labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([1, 2, 3], "the label 3, but the classes of its first output are 0 to 2"),
        ([0, -1, 2], "the label -1"),
        ([0, 255, 2], "the label 255"),
    ],
)
def test_labels_that_no_output_can_mean_are_refused(labels: list[int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_labels(CARD, (1, 3), np.array(labels), split="test")


def test_a_declared_label_is_left_out() -> None:
    card = replace(CARD, ignore_index=255)
    output = np.eye(4, dtype=np.float32)[[[0, 1], [2, 3]]]
    marks = mark(card, output, np.array([[0, 255], [1, 3]]))
    assert marks.right.tolist() == [[True, False], [False, True]]
    assert marks.asked.tolist() == [[True, False], [True, True]]
    with pytest.raises(UsageError, match="no label other than the ignored 255"):
        check_labels(card, (1, 3), np.array([255, 255]), split="test")


def test_one_value_per_answer_is_no_class() -> None:
    with pytest.raises(UsageError, match="one value per answer"):
        check_labels(CARD, (1, 1), np.array([0, 1]), split="test")


def test_pictures_of_classes_have_an_agreement_where_the_axis_is_known() -> None:
    reference = np.zeros((2, 1, 3, 4, 5), dtype=np.float32)
    reference[:, :, 1] = 1
    assert class_agreement(CARD, reference, reference) is None
    assert class_agreement(CARD, reference, reference, (4, 5)) == 1
    assert class_agreement(replace(CARD, class_axis=1), reference, reference) == 1
    assert class_agreement(CARD, reference[..., 0, 0], reference[..., 0, 0]) == 1


def test_agreement_of_a_batch_is_that_of_its_rows() -> None:
    # Two calls of a batch of 4, 4 classes: one of eight answers differs. Flattened, argmax would see one per call.
    reference = np.stack([np.eye(4), 2 * np.eye(4)]).astype(np.float32)
    outputs = reference.copy()
    outputs[0, 0] = [0, 3, 0, 0]
    assert class_agreement(CARD, reference, outputs.reshape(2, 16), (4,)) == 7 / 8
