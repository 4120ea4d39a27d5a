"""Metrics of pictures, one score per input: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# PSNR of equal pictures is infinite; 100 dB is beyond what 16-bit pictures can differ by.
MOST_DB = 100.0
# Pixels that the Gaussian window of `ssim` covers along each side.
SSIM_WINDOW = 11

Pictures = npt.NDArray[Any]

# A picture with a value that is not finite has no score, which the caller reports.
_NO_WARNINGS = np.errstate(invalid="ignore", divide="ignore", over="ignore")


@_NO_WARNINGS
def psnr(pictures: Pictures, truth: Pictures, data_range: float) -> list[float]:
    """Return the peak signal-to-noise ratio of each picture in dB, at most `MOST_DB`."""
    from skimage.metrics import peak_signal_noise_ratio

    values: list[float] = []
    for mine, true in zip(pictures, truth, strict=True):
        # skimage divides by zero for equal pictures.
        equal = np.array_equal(mine, true)
        values.append(MOST_DB if equal else float(peak_signal_noise_ratio(true, mine, data_range=data_range)))
    return [min(value, MOST_DB) for value in values]


@_NO_WARNINGS
def ssim(pictures: Pictures, truth: Pictures, data_range: float, channels: int | None) -> list[float]:
    """Return the structural similarity of each picture, with the Gaussian window of Wang et al. (2004).

    Its width is `SSIM_WINDOW`. ``channels`` is the axis of the colours in one picture, None for grey pictures. Raises
    ValueError for a picture that is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    return [
        float(
            structural_similarity(
                true,
                mine,
                data_range=data_range,
                channel_axis=channels,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )
        for mine, true in zip(pictures, truth, strict=True)
    ]
