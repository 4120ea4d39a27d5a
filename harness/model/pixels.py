"""The pixels of an image file as grey or RGB values from 0 to 255, whatever kind of image the file holds.

Values of more than 8 bits are scaled by the largest value that their depth can hold, and never clipped. What cannot be
scaled for certain is refused, because a wrong picture gives a wrong accuracy without an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
# Formats whose 32-bit grey images in Pillow are images of 16 bits: it scales PGM to them.
_SIXTEEN_BITS = ("PNG", "PPM")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def read_pixels(file: Path, channels: int, background: tuple[float, ...] | None) -> Image.Image:
    """Return the first picture in ``file``, upright: mode L or RGB, or F (grey, 0 to 255) for more than 8 bits.

    ``channels`` is 1 or 3; a picture of mode F stands for three equal channels as well. Transparent pixels are laid on
    ``background``, one value from 0 to 255 or one per channel. Raises `UsageError` with the file's name.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            opened.load()
            deep = _deep_grey(file, opened)
            upright: Image.Image = ImageOps.exif_transpose(deep or opened)
            return upright if deep else _shallow(file, upright, channels, background)
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError) as error:
        msg = f"cannot read the image {str(file)!r}: {error}; remove or replace it"
        raise UsageError(msg) from error


def _deep_grey(file: Path, image: Image.Image) -> Image.Image | None:
    """A grey image of more than 8 bits as mode F, from 0 to 255, with its EXIF; None for all others."""
    from PIL import Image

    if image.mode in _DEEP_GREY or (image.mode == "I" and image.format in _SIXTEEN_BITS):
        values = np.asarray(image).astype(np.float64) * (255 / _largest(file, image))
    elif image.mode == "F":
        values = _unit_range(file, np.asarray(image, dtype=np.float64)) * 255
    elif image.mode == "I":
        msg = (
            f"the image {str(file)!r} has 32-bit integers, and nothing says which value is white; convert it to 8 or "
            "16 bits"
        )
        raise UsageError(msg)
    else:
        return None
    if image.has_transparency_data:
        msg = f"the image {str(file)!r} has more than 8 bits and transparent pixels; remove its transparency first"
        raise UsageError(msg)
    deep = Image.fromarray(values.astype(np.float32))
    deep.info = dict(image.info)
    return deep


def _largest(file: Path, image: Image.Image) -> int:
    """The value of white in a deep image: a TIFF states how many bits it uses."""
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        msg = f"the TIFF {str(file)!r} has more than 8 bits and counts from white to black; save it as black to white"
        raise UsageError(msg)
    bits = tags.get(_BITS_PER_SAMPLE, 16)
    return int(2 ** (bits[0] if isinstance(bits, tuple) else bits) - 1)


def _unit_range(file: Path, values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):
        msg = (
            f"the image {str(file)!r} has floating-point values from {low:g} to {high:g}, and nothing says which value "
            'is white; scale them to 0…1, or load the data in Python (source = "module:function")'
        )
        raise UsageError(msg)
    return values


def _shallow(file: Path, image: Image.Image, channels: int, background: tuple[float, ...] | None) -> Image.Image:
    """An image of at most 8 bits per channel as L or RGB."""
    mode = "RGB" if channels == 3 else "L"
    if not image.has_transparency_data:
        # A palette holds colours: straight to L, Pillow would take the shortest way, which may be its indices.
        return (image.convert("RGB") if image.mode == "P" else image).convert(mode)
    colours = image.convert("RGBA")
    if colours.getchannel("A").getextrema()[0] == 255:
        return colours.convert("RGB").convert(mode)
    if background is None:
        msg = (
            f"the image {str(file)!r} has transparent pixels, and nothing says what is behind them; give their colour "
            "as background in [data], such as [255, 255, 255], or flatten the image"
        )
        raise UsageError(msg)
    return _laid_on(colours, background).convert(mode)


def _laid_on(colours: Image.Image, background: tuple[float, ...]) -> Image.Image:
    from PIL import Image

    below = tuple(round(value) for value in (background if len(background) == 3 else background * 3))
    return Image.alpha_composite(Image.new("RGBA", colours.size, (*below, 255)), colours).convert("RGB")
