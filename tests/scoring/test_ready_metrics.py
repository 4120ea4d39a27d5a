"""The metrics that a card can name: values from the libraries, called directly, or counted by hand."""

from __future__ import annotations

import contextlib
import io
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import BuildError, MissingPackageError, UsageError
from harness.model.card import MetricOptions, ModelCard, Task
from harness.model.truth import as_truth
from harness.scoring.score import Scored, score_outputs
from tests.artifacts.builders import CARD

Array = np.ndarray[Any, Any]


def card(metric: str, folder: Path | None = None, **options: Any) -> ModelCard:
    return replace(CARD, task=Task.OTHER, metric=metric, metric_options=MetricOptions(**options), folder=folder)


def scored(metric: str, output: Array, truth: Any, **changes: Any) -> Scored:
    found = score_outputs(replace(card(metric), **changes), (output,), as_truth(truth))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def pixels() -> tuple[Array, Array]:
    """Logits [20, 1, 5, 12, 9] and labels [20, 12, 9] with 255 where nothing counts; class 4 never occurs."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (20, 12, 9))
    logits = rng.standard_normal((20, 1, 5, 12, 9)).astype(np.float32)
    logits[:, :, 4] = -9
    # Right twice as often as by chance.
    np.put_along_axis(logits[:, 0], labels[:, None], rng.random((20, 1, 12, 9)).astype(np.float32) + 1, axis=1)
    labels[rng.random(labels.shape) < 0.1] = 255
    return logits, labels


def kept(pixels: tuple[Array, Array]) -> tuple[Array, Array]:
    answers, labels = pixels[0][:, 0].argmax(1), pixels[1]
    return answers[labels != 255], labels[labels != 255]


@pytest.mark.parametrize("ignored", [255, None])
def test_mean_iou_is_pooled_over_all_pixels(pixels: tuple[Array, Array], ignored: int | None) -> None:
    from sklearn.metrics import jaccard_score

    logits, labels = pixels
    answers, truth = kept(pixels)
    if ignored is None:
        labels = np.where(labels == 255, 0, labels)
        answers, truth = logits[:, 0].argmax(1).ravel(), labels.ravel()
    found = scored("mIoU", logits, labels, ignore_index=ignored)
    present = sorted({*truth.tolist(), *answers.tolist()})
    assert found.value == pytest.approx(jaccard_score(truth, answers, average="macro", labels=present))
    per_picture = [jaccard_score(labels[i].ravel(), logits[i, 0].argmax(0).ravel(), average="macro") for i in range(20)]
    assert found.value != pytest.approx(np.mean(per_picture), abs=1e-4)


@pytest.mark.parametrize(("metric", "average"), [("F1-macro", "macro"), ("F1-micro", "micro")])
def test_f1_is_that_of_scikit_learn(pixels: tuple[Array, Array], metric: str, average: str) -> None:
    from sklearn.metrics import f1_score

    answers, truth = kept(pixels)
    found = scored(metric, *pixels, ignore_index=255)
    assert found.value == pytest.approx(f1_score(truth, answers, average=average))


def test_binary_f1_is_that_of_class_1() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(1)
    logits, labels = rng.standard_normal((50, 1, 2)).astype(np.float32), rng.integers(0, 2, 50)
    expected = f1_score(labels, logits[:, 0].argmax(1))
    assert scored("F1-binary", logits, labels).value == pytest.approx(expected)


def test_top_1_and_top_5_are_scores_of_inputs() -> None:
    from sklearn.metrics import top_k_accuracy_score

    rng = np.random.default_rng(2)
    logits, labels = rng.standard_normal((60, 1, 9)).astype(np.float32), rng.integers(0, 9, 60)
    for name, k in (("top-1", 1), ("top-5", 5)):
        found = scored(name, logits, labels)
        expected = top_k_accuracy_score(labels, logits[:, 0], k=k, labels=range(9))
        assert found.value == pytest.approx(expected)
        assert len(found.by_input) == 60


def test_top_1_of_pixels_leaves_out_the_ignored_ones(pixels: tuple[Array, Array]) -> None:
    answers, truth = kept(pixels)
    found = scored("top-1", *pixels, ignore_index=255)
    assert found.value == pytest.approx((answers == truth).mean())
    assert len(found.by_input) == 20


REFERENCES = ["the cat sat on the mat", "hello world", "one two three four", "a"]
HEARD = ["the cat sat on mat", "hello word", "one too three four five", "a"]


@pytest.mark.parametrize(
    ("metric", "expected"),
    # Words: 1 deletion, 1 substitution, 1 substitution and 1 insertion, of 6 + 2 + 4 + 1. Characters: 4 deletions
    # ("the "), 1 deletion, 1 substitution and 5 insertions, of 22 + 11 + 18 + 1.
    [("WER", 4 / 13), ("CER", 11 / 52)],
)
def test_error_rates_are_edits_of_all_texts_over_the_words_of_all(tmp_path: Path, metric: str, expected: float) -> None:
    (tmp_path / "text.py").write_text(f"def decode(outputs):\n    return {HEARD!r}\n")
    outputs = (np.zeros((4, 1, 8), dtype=np.float32),)
    found = score_outputs(card(metric, tmp_path, decode="text:decode"), outputs, as_truth(REFERENCES))
    assert found is not None
    assert found.value == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["Pearson", "Spearman"])
def test_correlations_are_those_of_scipy(metric: str) -> None:
    from scipy import stats

    rng = np.random.default_rng(3)
    truth = rng.standard_normal((40, 3))
    outputs = (truth + rng.standard_normal((40, 3))).astype(np.float32)
    function: Callable[..., Any] = {"Pearson": stats.pearsonr, "Spearman": stats.spearmanr}[metric]
    expected = np.mean([function(outputs[:, i], truth[:, i]).statistic for i in range(3)])
    assert scored(metric, outputs.reshape(40, 1, 3), truth).value == pytest.approx(expected)


def test_equal_error_rate_by_hand() -> None:
    # Accepting all scores above 0.45 takes 1 of 4 others, and rejects 1 of 4 genuine ones.
    scores = np.array([0.9, 0.8, 0.7, 0.4, 0.6, 0.3, 0.2, 0.1], dtype=np.float32)
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    assert scored("EER", scores.reshape(8, 1, 1), labels).value == pytest.approx(0.25)
    two = np.stack([-scores, scores], axis=1).reshape(8, 1, 2)
    assert scored("EER", two, labels).value == pytest.approx(0.25)
    assert scored("EER", -scores.reshape(8, 1), labels).value == pytest.approx(0.75)


@pytest.mark.parametrize("shape", [(1, 3, 24, 32), (1, 24, 32, 3), (1, 1, 24, 32)])
def test_psnr_and_ssim_are_those_of_scikit_image(shape: tuple[int, ...]) -> None:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    rng = np.random.default_rng(4)
    truth = rng.random((5, *shape)).astype(np.float32)
    outputs = np.clip(truth + 0.1 * rng.standard_normal(truth.shape), 0, 1).astype(np.float32)
    psnr, ssim = scored("PSNR", outputs, truth), scored("SSIM", outputs, truth)
    axis = {3: 0, 24: -1, 1: None}[shape[1]]
    for i in range(5):
        pair = truth[i].squeeze().astype(float), outputs[i].squeeze().astype(float)
        assert psnr.by_input[i] == pytest.approx(peak_signal_noise_ratio(*pair, data_range=1))
        expected = structural_similarity(
            *pair, data_range=1, channel_axis=axis, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim.by_input[i] == pytest.approx(expected)
    assert scored("PSNR", truth, truth).value == 100
    scaled = replace(card("PSNR", data_range=255.0))
    found = score_outputs(scaled, (outputs * 255,), truth * 255)
    assert found is not None
    assert found.value == pytest.approx(psnr.value)


def boxes(count: int, seed: int, *, crowds: bool = False) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Random boxes of three classes, some of them crowds if asked; detections of most, moved a little; false ones."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(count):
        n = int(rng.integers(0, 5))
        corner, size = rng.random((n, 2)) * 80, 5 + rng.random((n, 2)) * 30
        own = np.concatenate([corner, corner + size], axis=1)
        labels = rng.integers(0, 3, n)
        seen = rng.random(n) < 0.8
        false = np.concatenate([np.full((2, 2), 5.0), rng.random((2, 2)) * 40 + 10], axis=1)
        moved = own[seen] + rng.normal(0, 1.5, (int(seen.sum()), 4))
        truth.append({"boxes": own.tolist(), "labels": labels.tolist()})
        if crowds:
            truth[-1]["iscrowd"] = (np.arange(n) % 3 == 0).tolist()
        found.append(
            {
                "boxes": np.concatenate([moved, false]),
                "labels": np.concatenate([labels[seen], rng.integers(0, 4, 2)]),
                "scores": np.concatenate([0.3 + 0.7 * rng.random(len(moved)), rng.random(2)]),
            }
        )
    return truth, found


def coco_map(truth: list[dict[str, Any]], found: list[dict[str, Any]]) -> float:
    """The first figure that pycocotools summarises: AP @ IoU=0.50:0.95, area all, maxDets 100."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def annotation(image: int, box: Any, label: Any, *, crowd: bool = False) -> dict[str, Any]:
        x1, y1, x2, y2 = map(float, box)
        rectangle = [x1, y1, x2 - x1, y2 - y1]
        return {"image_id": image + 1, "category_id": int(label) + 1, "bbox": rectangle, "iscrowd": int(crowd)}

    own = [
        annotation(i, b, c, crowd=crowd)
        for i, one in enumerate(truth)
        for b, c, crowd in zip(
            one["boxes"], one["labels"], one.get("iscrowd", [False] * len(one["boxes"])), strict=True
        )
    ]
    for number, one in enumerate(own, 1):
        one |= {"id": number, "area": one["bbox"][2] * one["bbox"][3]}
    seen = [
        annotation(i, b, c) | {"score": float(s)}
        for i, one in enumerate(found)
        for b, c, s in zip(one["boxes"], one["labels"], one["scores"], strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": i + 1} for i in range(len(truth))],
            "annotations": own,
            "categories": [{"id": i + 1} for i in range(4)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(seen), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def detector(folder: Path, found: list[dict[str, Any]]) -> ModelCard:
    plain = [{key: np.asarray(value).tolist() for key, value in one.items()} for one in found]
    (folder / "boxes.py").write_text(f"def decode(outputs):\n    return {plain!r}\n")
    return card("mAP", folder, decode="boxes:decode")


@pytest.mark.parametrize("crowds", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_mean_average_precision_is_that_of_pycocotools(tmp_path: Path, seed: int, crowds: bool) -> None:
    truth, found = boxes(40, seed, crowds=crowds)
    outputs = (np.zeros((40, 1, 4), dtype=np.float32),)
    result = score_outputs(detector(tmp_path, found), outputs, as_truth(truth))
    assert result is not None
    assert result.value == pytest.approx(coco_map(truth, found), abs=1e-9)
    # Inputs drawn twice or not at all count as if they were there twice or not at all.
    assert result.corpus is not None
    times = np.random.default_rng(seed).integers(0, 3, 40)
    drawn = np.repeat(np.arange(40), times)
    expected = coco_map([truth[i] for i in drawn], [found[i] for i in drawn])
    assert result.corpus.value(times) == pytest.approx(expected, abs=2e-3)


def test_a_detector_that_finds_nothing_has_no_precision(tmp_path: Path) -> None:
    truth, found = boxes(5, 2)
    nothing: list[dict[str, Any]] = [{"boxes": [], "labels": [], "scores": []} for _ in found]
    result = score_outputs(detector(tmp_path, nothing), (np.zeros((5, 1)),), as_truth(truth))
    assert result is not None
    assert result.value == 0


@pytest.mark.parametrize(
    ("metric", "truth", "says"),
    [
        ("mIoU", np.zeros((4, 3), dtype=int), r"shape \[count, 3\], its first output has \[count, 1, 8\]"),
        ("mIoU", np.full(4, 8), "the label 8, but the classes of its first output are 0 to 7"),
        ("mIoU", np.full(4, 0.5), "labels are of type float64"),
        ("Pearson", np.zeros((4, 3)), r"shape \[4, 1, 8\] with labels of shape \[4, 3\]"),
        ("PSNR", np.zeros((4, 1, 8)), "two or three axes"),
        ("EER", np.zeros(4, dtype=int), "it gets 8"),
        ("top-1", np.zeros(3, dtype=int), "3 labels for 4 inputs"),
        ("F1-macro", ["a", "b", "c", "d"], "labels are of type str"),
    ],
)
def test_labels_that_do_not_fit_are_refused(metric: str, truth: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        scored(metric, np.zeros((4, 1, 8), dtype=np.float32), truth)


@pytest.mark.parametrize(
    ("classes", "labels", "says"),
    [
        ([0, 1, 1, 0], [0, 1, -100, 1], "labels hold -100"),
        ([0, -5, 1, 0], [0, 1, 0, 1], "decoded outputs hold -5"),
        ([0.7, 1, 1, 0], [0, 1, 0, 1], "decoded outputs hold 0.7"),
        (["a", "b", "b", "a"], [0, 1, 0, 1], "decoded outputs hold 'a'"),
    ],
)
def test_decoded_classes_must_be_classes(tmp_path: Path, classes: list[Any], labels: list[int], says: str) -> None:
    (tmp_path / "own.py").write_text(f"def decode(outputs):\n    return {classes!r}\n")
    with pytest.raises(UsageError, match=says):
        score_outputs(card("F1-macro", tmp_path, decode="own:decode"), (np.zeros((4, 1, 2)),), as_truth(labels))


@pytest.mark.parametrize("metric", ["Pearson", "PSNR", "EER"])
def test_texts_are_no_numbers(tmp_path: Path, metric: str) -> None:
    (tmp_path / "own.py").write_text("def decode(outputs):\n    return ['a', 'b']\n")
    with pytest.raises(UsageError, match="compares numbers, and its decoded outputs are of type text"):
        score_outputs(card(metric, tmp_path, decode="own:decode"), (np.zeros((2, 1, 2)),), np.array([0, 1]))


def test_decoded_classes_are_counted_and_minus_1_is_no_answer(tmp_path: Path) -> None:
    from sklearn.metrics import f1_score

    (tmp_path / "own.py").write_text("def decode(outputs):\n    return [0.0, -1.0, 1.0, 0.0, 2.0]\n")
    of = replace(card("F1-macro", tmp_path, decode="own:decode"), ignore_index=-100)
    found = score_outputs(of, (np.zeros((5, 1, 2)),), as_truth([0, 1, 0, 1, -100]))
    assert found is not None
    assert found.value == pytest.approx(f1_score([0, 1, 0, 1], [0, 2, 1, 0], labels=[0, 1], average="macro"))


def test_a_metric_without_labels_asks_for_them() -> None:
    with pytest.raises(UsageError, match="needs labels"):
        score_outputs(card("mIoU"), (np.zeros((4, 1, 8)),), None)


OWN = """
import numpy as np

def one_number(outputs, split):
    return float(outputs[0].max())

def ratio(outputs, split):
    parts = outputs[0].reshape(len(outputs[0]), 2)
    return parts, lambda chosen: chosen[:, 0].sum() / chosen[:, 1].sum()

def lists(outputs, split):
    return [row.ravel().tolist() for row in outputs[0]], lambda chosen: sum(row[0] for row in chosen)

def fails(outputs, split):
    def combine(chosen):
        raise KeyError("weights")
    return outputs[0], combine

def short(outputs, split):
    return outputs[0][:1], len
"""


def test_a_folder_may_score_all_inputs_at_once(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    outputs = (np.array([[[1.0, 2.0]], [[3.0, 8.0]]], dtype=np.float32),)

    def of(name: str) -> Scored:
        found = score_outputs(card(f"own:{name}", tmp_path), outputs, None)
        assert found is not None
        return found

    assert (of("one_number").value, of("one_number").by_input) == (8, ())
    assert of("ratio").value == pytest.approx(4 / 10)
    corpus = of("ratio").corpus
    assert corpus is not None
    assert corpus.value(np.array([2, 0])) == pytest.approx(1 / 2)
    assert corpus.of_some(np.array([False, True])) == pytest.approx(3 / 8)
    assert of("lists").value == 4
    with pytest.raises(BuildError, match=r"KeyError.*weights"):
        of("fails")
    with pytest.raises(BuildError, match="1 parts for 2 inputs"):
        of("short")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("metric", "shape", "where"),
    [("EER", (1,), "on the test split"), ("PSNR", (12, 12), "for input 2"), ("SSIM", (12, 12), "for input 2")],
)
def test_an_output_that_is_not_finite_leaves_the_score_undefined(
    metric: str, shape: tuple[int, ...], where: str, value: float
) -> None:
    truth = np.random.default_rng(5).random((4, *shape))
    outputs = truth.astype(np.float32)
    outputs[2] = value
    with pytest.raises(BuildError, match=f"is not defined {where}"):
        scored(metric, outputs, np.arange(4) % 2 if metric == "EER" else truth)


@pytest.mark.parametrize("shape", [(10, 12), (3, 12, 10), (12, 10, 3)])
def test_pictures_smaller_than_the_window_are_refused(shape: tuple[int, ...]) -> None:
    truth = np.zeros((2, *shape), dtype=np.float32)
    with pytest.raises(UsageError, match=r"SSIM.*at least 11x11 pixels; its labels have shape"):
        scored("SSIM", truth, truth)


def test_a_score_that_is_not_defined_says_so() -> None:
    with pytest.raises(BuildError, match="is not defined"):
        scored("Pearson", np.zeros((4, 1, 1), dtype=np.float32), np.arange(4.0))


@pytest.mark.parametrize(
    ("metric", "package", "shape"),
    [("EER", "sklearn", (4, 1, 1)), ("Pearson", "scipy", (4, 1, 1)), ("PSNR", "skimage", (4, 1, 8, 8))],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, metric: str, package: str, shape: tuple[int, ...]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    # Python's own way to say that a package cannot be imported.
    monkeypatch.setitem(sys.modules, package, None)
    output = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    truth = np.arange(4) % 2 if metric == "EER" else output
    with pytest.raises(MissingPackageError, match=rf"{package}.*pip install 'phonebench\[metrics\]'"):
        scored(metric, output, truth)
