"""Quality targets by preset name: the metric and the limit of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Preset(StrEnum):
    """The targets of the MLPerf Mobile rules."""

    CLASSIFICATION = "mlperf-classification"
    DETECTION = "mlperf-detection"
    SEGMENTATION = "mlperf-segmentation"
    SUPER_RESOLUTION = "mlperf-super-resolution"
    LANGUAGE = "mlperf-language"
    SSD = "mlperf-ssd"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetFacts:
    """The target: ``relative`` to the float model's value of ``metric``, or ``absolute`` in the metric's unit."""

    metric: str
    relative: float | None = None
    absolute: float | None = None


PRESETS: dict[Preset, PresetFacts] = {
    Preset.CLASSIFICATION: PresetFacts(metric="top-1", relative=0.98),
    Preset.DETECTION: PresetFacts(metric="mAP", relative=0.95),
    Preset.SEGMENTATION: PresetFacts(metric="mIoU", relative=0.96),
    Preset.SUPER_RESOLUTION: PresetFacts(metric="PSNR in dB", absolute=33.0),
    Preset.LANGUAGE: PresetFacts(metric="F1", relative=0.93),
    Preset.SSD: PresetFacts(metric="mAP", relative=0.93),
}
