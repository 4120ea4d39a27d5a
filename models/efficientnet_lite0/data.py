"""Photos that come inside packages: 20 labelled ones to test, unlabelled ones to calibrate.

Test: the ImageNet samples of ``foolbox``, whose file names end in the class. Calibration: photos of ``scikit-image``
and ``scikit-learn``, four crops of each. The packages are found, not imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Pixels = NDArray[np.float32]

SHORT_SIDE, SIZE = 256, 224
PHOTOS = {
    "skimage/data": (
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "motorcycle_left.png",
        "retina.jpg",
        "rocket.jpg",
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
}


def load(split: str) -> tuple[Pixels, NDArray[np.int64] | None] | None:
    """Return inputs of shape (count, 1, 3, 224, 224), and for ``test`` the ImageNet classes 0 … 999."""
    match split:
        case "test":
            files = sorted(folder("foolbox/data").glob("imagenet_*.jpg"))
            labels = np.array([int(file.stem.rpartition("_")[2]) for file in files], dtype=np.int64)
            return np.stack([tensor(crop(opened(file), 0.5, 0.5)) for file in files]), labels
        case "calibration":
            photos = [folder(place) / name for place, names in PHOTOS.items() for name in names]
            return np.stack([tensor(image) for file in photos for image in crops(opened(file))]), None
        case _:
            return None


def folder(place: str) -> Path:
    """Return a folder inside an installed package."""
    package, _, inner = place.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        msg = f"No module named {package!r}"
        raise ModuleNotFoundError(msg, name=package)
    return Path(spec.origin).parent / inner


def opened(file: Path) -> Image.Image:
    """Return the image in RGB, its short side 256 pixels."""
    with Image.open(file) as stored:
        image = stored.convert("RGB")
    scale = SHORT_SIDE / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def crop(image: Image.Image, across: float, down: float) -> Image.Image:
    """Cut 224x224 pixels out; ``across`` and ``down`` are 0 at the left and top, 1 at the right and bottom."""
    left, top = round((image.width - SIZE) * across), round((image.height - SIZE) * down)
    return image.crop((left, top, left + SIZE, top + SIZE))


def crops(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the centre, two corners, and the mirrored centre."""
    yield from (crop(image, 0.5, 0.5), crop(image, 0.0, 0.0), crop(image, 1.0, 1.0))
    yield ImageOps.mirror(crop(image, 0.5, 0.5))


def tensor(image: Image.Image) -> Pixels:
    """Return the pixels as (1, 3, 224, 224), about -1 … 1, as the weights were trained on."""
    pixels = (np.asarray(image, dtype=np.float32) - 127) / 128
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
