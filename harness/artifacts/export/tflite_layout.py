"""A float network that takes images with their channels last, like cameras and LiteRT's kernels."""

from __future__ import annotations

from dataclasses import replace

from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.artifacts.layout import channels_last, is_image, to_channels_last
from harness.spec.recipe import CalibrationFrom
from harness.wire.tensors import Array


def channels_last_source(source: FloatModel) -> FloatModel:
    """Return ``source`` with the channels of its images last. Raises `UnsupportedError` if it takes no image."""
    import litert_torch

    images = [place for place, spec in enumerate(source.inputs) if is_image(spec)]
    if not images:
        msg = "no input of this network has the four dimensions of an image (batch, channels, height, width)"
        raise UnsupportedError(msg)

    def calibration(origin: CalibrationFrom) -> tuple[Array, ...]:
        return to_channels_last(source.calibration(origin), source.inputs)

    return replace(
        source,
        network=litert_torch.to_channel_last_io(source.exportable(), args=images).eval(),
        inputs=channels_last(source.inputs),
        calibration=calibration,
        scripted=False,
    )
