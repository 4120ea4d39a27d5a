"""The metrics that a card can name without writing any Python: direction, unit, tolerance, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReadyMetric(StrEnum):
    """The metrics of the usual tasks. Case does not matter in cards."""

    TOP_1 = "top-1"
    TOP_5 = "top-5"
    F1_MACRO = "F1-macro"
    F1_MICRO = "F1-micro"
    F1_BINARY = "F1-binary"
    MEAN_IOU = "mIoU"
    MEAN_AVERAGE_PRECISION = "mAP"
    WORD_ERROR_RATE = "WER"
    CHARACTER_ERROR_RATE = "CER"
    EQUAL_ERROR_RATE = "EER"
    PEARSON = "Pearson"
    SPEARMAN = "Spearman"
    PSNR = "PSNR"
    SSIM = "SSIM"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """``tolerance`` is the change that matters, in the metric's own unit (shares are 0…1); None if that is not known.

    ``share``: values are shares from 0 to 1, so differences are percentage points. ``needs_decode``: it
    compares texts or boxes, so the card must name a function that turns the outputs into these.
    """

    higher_is_better: bool = True
    unit: str = ""
    tolerance: float | None = 0.01
    share: bool = True
    needs_decode: bool = False


_READY: dict[ReadyMetric, MetricFacts] = {
    ReadyMetric.TOP_1: MetricFacts(),
    ReadyMetric.TOP_5: MetricFacts(),
    ReadyMetric.F1_MACRO: MetricFacts(),
    ReadyMetric.F1_MICRO: MetricFacts(),
    ReadyMetric.F1_BINARY: MetricFacts(),
    ReadyMetric.MEAN_IOU: MetricFacts(),
    ReadyMetric.MEAN_AVERAGE_PRECISION: MetricFacts(needs_decode=True),
    ReadyMetric.WORD_ERROR_RATE: MetricFacts(higher_is_better=False, needs_decode=True),
    ReadyMetric.CHARACTER_ERROR_RATE: MetricFacts(higher_is_better=False, needs_decode=True),
    ReadyMetric.EQUAL_ERROR_RATE: MetricFacts(higher_is_better=False),
    ReadyMetric.PEARSON: MetricFacts(),
    ReadyMetric.SPEARMAN: MetricFacts(),
    ReadyMetric.PSNR: MetricFacts(unit="dB", tolerance=0.2, share=False),
    ReadyMetric.SSIM: MetricFacts(tolerance=0.005),
}


def ready_metric(name: str) -> ReadyMetric | None:
    """Return the metric that ``name`` names, whatever its case; None if it names none."""
    return {metric.value.lower(): metric for metric in ReadyMetric}.get(name.lower())


def metric_facts(name: str) -> MetricFacts:
    """Return the facts of the metric that a card names; of a folder's own function, phonebench knows only defaults."""
    ready = ready_metric(name)
    return MetricFacts(tolerance=None, share=False) if ready is None else _READY[ready]
