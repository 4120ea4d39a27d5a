"""Mean average precision of boxes as COCO defines it: AP over IoU 0.50 to 0.95, all areas, 100 detections per input."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.scoring.corpus import Corpus, Times

# One input's boxes, by key: "boxes" [n, 4] as x1, y1, x2, y2; "labels" [n]; "scores" [n] for predictions.
Boxes = Mapping[str, Any]
_RECALLS = np.linspace(0.0, 1.0, 101)


def mean_average_precision(predictions: Sequence[Boxes], truth: Sequence[Boxes]) -> Corpus:
    """Return COCO's mean average precision; the matching of boxes is that of pycocotools.

    The keys of an input's ``truth`` are ``boxes`` and ``labels``, and optionally ``iscrowd``; its predictions also have
    ``scores``. Areas are those of the boxes. Raises `KeyError` for a missing key, ValueError for wrong shapes.
    """
    classes = _matched(predictions, truth)

    def value(times: Times) -> float:
        precisions = [found for one in classes if (found := one.precision(times)) is not None]
        return float(np.mean(precisions)) if precisions else float("nan")

    return Corpus(count=len(truth), value=value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ClassMatches:
    """All detections of one class, best score first: ``image`` of each, and whether it is right and wrong per IoU.

    ``right`` and ``wrong`` have shape (IoU thresholds, detections). ``objects`` counts the true boxes of each input.
    """

    image: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    wrong: npt.NDArray[np.bool_]
    objects: npt.NDArray[np.int64]

    def precision(self, times: Times) -> float | None:
        """Return the average precision if input i counts ``times[i]`` times; None without a true box."""
        objects = int(times @ self.objects)
        if not objects:
            return None
        if not len(self.image):
            return 0.0
        weights = times[self.image]
        right, wrong = np.cumsum(self.right * weights, axis=1), np.cumsum(self.wrong * weights, axis=1)
        precision = right / np.maximum(right + wrong, 1)
        # The best precision at this recall or a higher one.
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        return float(np.mean([_at_recalls(r / objects, p) for r, p in zip(right, precision, strict=True)]))


def _at_recalls(recall: npt.NDArray[np.float64], precision: npt.NDArray[np.float64]) -> float:
    first = np.searchsorted(recall, _RECALLS, side="left")
    reached = first < len(recall)
    return float(precision[first[reached]].sum() / len(_RECALLS))


def _matched(predictions: Sequence[Boxes], truth: Sequence[Boxes]) -> list[_ClassMatches]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    dataset = _dataset(truth)
    detections = [one for image, boxes in enumerate(predictions) for one in _annotations(boxes, image, scored=True)]
    known = {category["id"] for category in dataset["categories"]}
    # A class without a true box has no precision in COCO's mean.
    detections = [one for one in detections if one["category_id"] in known]
    # pycocotools reports its progress with print.
    with contextlib.redirect_stdout(io.StringIO()):
        expected = COCO()
        expected.dataset = dataset
        expected.createIndex()
        found = COCO()
        found.dataset = {**dataset, "annotations": [{**one, "id": n} for n, one in enumerate(detections, 1)]}
        found.createIndex()
        evaluation = COCOeval(expected, found, "bbox")
        evaluation.evaluate()
    return _by_class(evaluation, len(truth))


def _by_class(evaluation: Any, count: int) -> list[_ClassMatches]:
    """The matches that ``evaluation`` made, for all areas, which come first among the areas of each class."""
    areas = len(evaluation.params.areaRng)
    most = evaluation.params.maxDets[-1]
    return [
        _class_matches(evaluation.evalImgs[start : start + count], most)
        for start in range(0, len(evaluation.evalImgs), areas * count)
    ]


def _class_matches(images: Sequence[dict[str, Any] | None], most: int) -> _ClassMatches:
    objects = np.zeros(len(images), dtype=np.int64)
    scores, image, right, wrong = [], [], [], []
    for index, one in enumerate(images):
        if one is None:
            continue
        objects[index] = np.count_nonzero(np.asarray(one["gtIgnore"]) == 0)
        ignored = np.asarray(one["dtIgnore"], dtype=bool)[:, :most]
        matched = np.asarray(one["dtMatches"])[:, :most] != 0
        scores.append(np.asarray(one["dtScores"])[:most])
        image.append(np.full(matched.shape[1], index))
        right.append(matched & ~ignored)
        wrong.append(~matched & ~ignored)
    if not scores:
        empty = np.zeros((1, 0), dtype=bool)
        return _ClassMatches(image=np.zeros(0, dtype=np.int64), right=empty, wrong=empty, objects=objects)
    # The stable sort that pycocotools uses, so that ties keep their order.
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    return _ClassMatches(
        image=np.concatenate(image)[order],
        right=np.concatenate(right, axis=1)[:, order],
        wrong=np.concatenate(wrong, axis=1)[:, order],
        objects=objects,
    )


def _dataset(truth: Sequence[Boxes]) -> dict[str, Any]:
    annotations = [one for image, boxes in enumerate(truth) for one in _annotations(boxes, image, scored=False)]
    return {
        "info": {},
        "images": [{"id": image} for image in range(len(truth))],
        # pycocotools stores the id of the match, and 0 for none.
        "annotations": [{**one, "id": number} for number, one in enumerate(annotations, 1)],
        "categories": [{"id": label} for label in sorted({one["category_id"] for one in annotations})],
    }


def _annotations(boxes: Boxes, image: int, *, scored: bool) -> list[dict[str, Any]]:
    corners = np.asarray(boxes["boxes"], dtype=np.float64).reshape(-1, 4)
    labels = np.asarray(boxes["labels"]).reshape(-1)
    scores = np.asarray(boxes["scores"], dtype=np.float64).reshape(-1) if scored else np.zeros(len(labels))
    crowds = np.zeros(len(labels)) if scored or "iscrowd" not in boxes else np.asarray(boxes["iscrowd"]).reshape(-1)
    if not len(corners) == len(labels) == len(scores) == len(crowds):
        msg = f"input {image} has {len(corners)} boxes, {len(labels)} labels and {len(scores)} scores; give one per box"
        raise ValueError(msg)
    return [
        {
            "image_id": image,
            "category_id": int(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "score": float(score),
            "iscrowd": int(crowd),
        }
        for (x1, y1, x2, y2), label, score, crowd in zip(corners.tolist(), labels, scores, crowds, strict=True)
    ]
