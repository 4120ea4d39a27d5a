"""Loads photos that ship in packages: 20 labelled ones for testing, unlabelled ones for calibration.

Test: the ImageNet samples of ``foolbox``, whose file names end in the class. Calibration: four crops of each of some
photos from ``scikit-image`` and ``scikit-learn``. The packages are located without importing them.
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
    """Return inputs of shape (count, 1, 3, 224, 224) and, for ``test``, the ImageNet classes 0 … 999."""
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
    """Return the image in RGB, scaled to 256 pixels on its short side."""
    with Image.open(file) as stored:
        image = stored.convert("RGB")
    scale = SHORT_SIDE / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def crop(image: Image.Image, across: float, down: float) -> Image.Image:
    """Return a crop of 224x224 pixels; ``across`` and ``down`` go from 0 (left, top) to 1 (right, bottom)."""
    left, top = round((image.width - SIZE) * across), round((image.height - SIZE) * down)
    return image.crop((left, top, left + SIZE, top + SIZE))


def crops(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the centre, two corners, and the mirrored centre."""
    yield from (crop(image, 0.5, 0.5), crop(image, 0.0, 0.0), crop(image, 1.0, 1.0))
    yield ImageOps.mirror(crop(image, 0.5, 0.5))


def tensor(image: Image.Image) -> Pixels:
    """Return the pixels, shape (1, 3, 224, 224), in about -1 … 1, as in the training of the weights."""
    pixels = (np.asarray(image, dtype=np.float32) - 127) / 128
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
