"""The metrics that a card can name: how each reads the outputs and the labels, one function per metric."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import MissingPackageError, UsageError
from harness.model.card import ModelCard
from harness.model.ready_metrics import ReadyMetric
from harness.model.truth import Truth
from harness.scoring import class_scores
from harness.scoring.class_rows import without_ones
from harness.scoring.class_scores import class_counts
from harness.scoring.corpus import Corpus
from harness.scoring.detection_scores import mean_average_precision
from harness.scoring.image_scores import SSIM_WINDOW, psnr, ssim
from harness.scoring.marks import mark
from harness.scoring.number_scores import equal_error_rate, pearson, spearman
from harness.scoring.text_scores import character_error_rate, word_error_rate
from harness.stats.answers import NO_ANSWER, Answers, in_top
from harness.stats.proportions import weighted_scores
from harness.wire.tensors import Array

# The packages of the extra ``metrics``, by the name that an import error reports.
_PACKAGES = ("jiwer", "pycocotools", "scipy", "skimage", "sklearn")
EXTRA = "metrics"

# One score per input, or a score of all.
Score = list[float] | Corpus


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Outputs to judge, shape ``(count, *shape of one call)`` each, and the labels of the same inputs.

    ``decoded``: what the card's ``decode`` made of the outputs, one entry per input; None without it.
    """

    card: ModelCard
    outputs: tuple[Array, ...]
    decoded: Truth | None
    truth: Truth

    @property
    def count(self) -> int:
        """The number of inputs."""
        return len(self.outputs[0])

    @property
    def name(self) -> str:
        """The metric and the model, for messages."""
        return f"the metric {self.card.metric!r} of model {self.card.name!r}"


def ready_score(metric: ReadyMetric, case: Case) -> Score:
    """Return the score of ``case``. Raises `UsageError` when the labels do not fit, `MissingPackageError`."""
    if len(case.truth) != case.count:
        msg = f"{case.name} has {len(case.truth)} labels for {case.count} inputs; give one per input"
        raise UsageError(msg)
    try:
        return _SCORES[metric](case)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        raise MissingPackageError(package=package, extra=EXTRA, purpose=case.name) from error


def _top(case: Case, *, top: int) -> Score:
    labels = _class_labels(case)
    if case.decoded is not None:
        msg = f"{case.name} needs the scores of the classes, and 'decode' replaces them; leave 'decode' out"
        raise UsageError(msg)
    marks = mark(case.card, case.outputs[0], labels)
    right = marks.asked & in_top(marks.scores, marks.rows.axis, marks.labels, top=top)
    return list(weighted_scores(right.sum(axis=1).tolist(), marks.asked.sum(axis=1).tolist()))


def _counted(case: Case, *, score: Callable[[class_scores.Counts], Corpus]) -> Score:
    """A score from hits, wrong answers and misses per class."""
    labels = _class_labels(case)
    if case.decoded is None:
        marks = mark(case.card, case.outputs[0], labels)
        answers, classes = marks.answers, marks.rows.classes
    else:
        answers = _decoded_classes(case, labels)
        classes = int(max(answers.max(initial=0), labels.max(initial=0))) + 1
    return score(class_counts(answers, labels.reshape(case.count, -1), max(classes, 2), case.card.ignore_index))


def _class_labels(case: Case) -> npt.NDArray[np.int64]:
    labels = case.truth
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iub":
        given = labels.dtype if isinstance(labels, np.ndarray) else type(labels[0]).__name__
        msg = f"{case.name} compares classes, and its labels are of type {given}; give integers from 0"
        raise UsageError(msg)
    return labels.astype(np.int64)


def _decoded_classes(case: Case, labels: npt.NDArray[np.int64]) -> Answers:
    """The classes that ``decode`` returned, shape ``(count, rows)``; checks them and the labels."""
    decoded = _same_shape(case, np.asarray(case.decoded), labels)
    judged = labels[labels != case.card.ignore_index] if case.card.ignore_index is not None else labels
    for what, values, least in (("labels", judged, 0), ("decoded outputs", decoded, NO_ANSWER)):
        numbers = values.dtype.kind in "iubf"
        wrong = values[(values % 1 != 0) | (values < least)] if numbers else values.ravel()
        if wrong.size:
            msg = f"{case.name} compares classes, and its {what} hold {wrong[0].item()!r}; give integers from 0"
            raise UsageError(msg)
    return decoded.reshape(case.count, -1).astype(np.int64)


def _texts(case: Case, *, score: Callable[[Sequence[str], Sequence[str]], Corpus]) -> Score:
    for what, texts in (("labels", case.truth), ("decoded outputs", case.decoded)):
        wrong = next((type(text).__name__ for text in texts or () if not isinstance(text, str)), None)
        if texts is None or wrong is not None:
            msg = f"{case.name} compares texts, and its {what} hold {wrong or 'nothing'}; give one str per input"
            raise UsageError(msg)
    return score([str(text) for text in case.decoded or ()], [str(text) for text in case.truth])


def _numbers(case: Case, *, score: Callable[[Any, Any], Corpus]) -> Score:
    return score(*(side.reshape(case.count, -1).astype(np.float64) for side in _sides(case)))


def _equal_error_rate(case: Case) -> Score:
    predictions = _predictions(case).reshape(case.count, -1).astype(np.float64)
    if predictions.shape[1] not in (1, 2):
        msg = f"{case.name} needs one score per input, or two (of class 0 and 1); it gets {predictions.shape[1]}"
        raise UsageError(msg)
    labels = _class_labels(case).reshape(-1)
    if len(labels) != case.count or not np.isin(labels, (0, 1)).all():
        msg = f"{case.name} needs one label per input, 0 or 1 (genuine); it gets {sorted(set(labels.tolist()))[:5]}"
        raise UsageError(msg)
    return equal_error_rate(predictions[:, -1] - (predictions[:, 0] if predictions.shape[1] == 2 else 0), labels)


def _boxes(case: Case) -> Score:
    for what, boxes, keys in (
        ("labels", case.truth, ("boxes", "labels")),
        ("decoded outputs", case.decoded, ("boxes", "labels", "scores")),
    ):
        if boxes is None or any(not isinstance(one, dict) or set(keys) - set(one) for one in boxes):
            msg = f"{case.name} compares boxes; give its {what} as one dict per input with the keys {', '.join(keys)}"
            raise UsageError(msg)
    try:
        return mean_average_precision(case.decoded, case.truth)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        msg = f"{case.name} cannot read the boxes: {error}"
        raise UsageError(msg) from error


def _psnr(case: Case) -> Score:
    return psnr(*_pictures(case), _data_range(case))


def _ssim(case: Case) -> Score:
    pictures, truth = _pictures(case)
    # Colours come first as PyTorch has them, or last as TensorFlow has them.
    channels = None if truth.ndim == 3 else 0 if truth.shape[1] <= 4 else -1
    sides = truth.shape[1:] if channels is None else np.delete(truth.shape[1:], channels)
    if min(sides) < SSIM_WINDOW:
        msg = (
            f"{case.name} needs pictures of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels; its labels have shape "
            f"{list(truth.shape)}"
        )
        raise UsageError(msg)
    return ssim(pictures, truth, _data_range(case), channels)


def _pictures(case: Case) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Both sides as ``(count, height, width)`` or with one more axis for the colours."""
    sides = [side.reshape(case.count, *without_ones(side.shape[1:])) for side in _sides(case)]
    if sides[1].ndim not in (3, 4):
        msg = f"{case.name} compares pictures of two or three axes; its labels have shape {list(sides[1].shape)}"
        raise UsageError(msg)
    return sides[0].astype(np.float64), sides[1].astype(np.float64)


def _data_range(case: Case) -> float:
    declared = case.card.metric_options.data_range
    if declared is not None:
        return declared
    return 255.0 if isinstance(case.truth, np.ndarray) and case.truth.dtype == np.uint8 else 1.0


def _predictions(case: Case) -> npt.NDArray[Any]:
    if case.decoded is not None:
        return _numeric(case, case.decoded, "decoded outputs")
    return _numeric(case, case.outputs[0], "outputs")


def _sides(case: Case) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    truth = _numeric(case, case.truth, "labels")
    return _same_shape(case, _predictions(case), truth), truth


def _numeric(case: Case, values: Truth, what: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "iufb":
        kind = "text" if array.dtype.kind == "U" else array.dtype
        msg = f"{case.name} compares numbers, and its {what} are of type {kind}"
        raise UsageError(msg)
    return array


def _same_shape(case: Case, predictions: npt.NDArray[Any], truth: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if without_ones(predictions.shape[1:]) != without_ones(truth.shape[1:]) or len(predictions) != len(truth):
        msg = (
            f"{case.name} compares outputs of shape {list(predictions.shape)} with labels of shape "
            f"{list(truth.shape)}; they must be the same, but for dimensions of 1"
        )
        raise UsageError(msg)
    return predictions


_SCORES: dict[ReadyMetric, Callable[[Case], Score]] = {
    ReadyMetric.TOP_1: functools.partial(_top, top=1),
    ReadyMetric.TOP_5: functools.partial(_top, top=5),
    ReadyMetric.F1_MACRO: functools.partial(_counted, score=class_scores.f1_macro),
    ReadyMetric.F1_MICRO: functools.partial(_counted, score=class_scores.f1_micro),
    ReadyMetric.F1_BINARY: functools.partial(_counted, score=class_scores.f1_binary),
    ReadyMetric.MEAN_IOU: functools.partial(_counted, score=class_scores.mean_iou),
    ReadyMetric.MEAN_AVERAGE_PRECISION: _boxes,
    ReadyMetric.WORD_ERROR_RATE: functools.partial(_texts, score=word_error_rate),
    ReadyMetric.CHARACTER_ERROR_RATE: functools.partial(_texts, score=character_error_rate),
    ReadyMetric.EQUAL_ERROR_RATE: _equal_error_rate,
    ReadyMetric.PEARSON: functools.partial(_numbers, score=pearson),
    ReadyMetric.SPEARMAN: functools.partial(_numbers, score=spearman),
    ReadyMetric.PSNR: _psnr,
    ReadyMetric.SSIM: _ssim,
}
