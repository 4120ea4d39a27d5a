"""A float network that takes its images with their channels last, as cameras and LiteRT's own kernels have them."""

from __future__ import annotations

from dataclasses import replace

from harness.artifacts.export.exporter import FloatModel, UnsupportedError
from harness.artifacts.layout import channels_last, is_image, to_channels_last
from harness.spec.recipe import CalibrationFrom
from harness.wire.tensors import Array


def channels_last_source(source: FloatModel) -> FloatModel:
    """Return ``source`` with its images' channels last. Raises `UnsupportedError` when it takes no image."""
    import litert_torch

    images = [place for place, spec in enumerate(source.inputs) if is_image(spec)]
    if not images:
        msg = "no input of this network has four dimensions (batch, channels, height, width) to put its channels last"
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
