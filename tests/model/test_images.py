"""Images of every kind that folders hold: scaled right, or refused by name. Right values from numpy and Pillow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import UsageError
from harness.model.data import Split
from harness.wire import DType, TensorSpec
from tests.model.test_data_splits import IMAGE, image_card, loaded

GREY = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 1, 4, 4))
Save = Callable[[Path], object]


def read(folder: Path, name: str, save: Save, spec: TensorSpec = GREY, **data: Any) -> np.ndarray[Any, Any]:
    """The tensor (C, H, W) that the image ``name``, written by ``save``, becomes."""
    file = folder / "root" / "test" / "a" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    save(file)
    found: np.ndarray[Any, Any] = loaded(image_card(folder / "root", spec, **data), Split.TEST).inputs[0][0, 0]
    return found


def grey16(step: int = 4096) -> np.ndarray[Any, Any]:
    return (np.arange(16, dtype=np.uint16).reshape(4, 4) * step).astype(np.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("spec", [GREY, IMAGE], ids=["grey", "rgb"])
def test_16_bit_grey_is_scaled_by_what_16_bits_hold(tmp_path: Path, name: str, spec: TensorSpec) -> None:
    values = grey16()
    pixels = read(tmp_path, name, lambda file: Image.fromarray(values).save(file), spec)
    for channel in pixels:
        np.testing.assert_allclose(channel, values / 65535, atol=1e-6)


def test_16_bit_pgm_is_scaled_by_the_white_that_its_header_states(tmp_path: Path) -> None:
    values = grey16(64)
    body = b"P5 4 4 1023\n" + values.astype(">u2").tobytes()
    pixels = read(tmp_path, "a.ppm", lambda file: file.write_bytes(body))
    np.testing.assert_allclose(pixels[0], values / 1023, atol=2e-5)


def test_16_bit_grey_for_an_8_bit_input_is_rounded(tmp_path: Path) -> None:
    spec = TensorSpec(name="image", dtype=DType.UINT8, shape=(1, 4, 4, 3))
    pixels = read(tmp_path, "a.png", lambda file: Image.fromarray(grey16()).save(file), spec)
    assert pixels[..., 2].tolist() == np.rint(grey16() / 257).tolist()


def test_16_bit_and_8_bit_pictures_of_one_scene_give_the_same_tensor(tmp_path: Path) -> None:
    scene = np.linspace(0, 1, 144).reshape(12, 12)
    deep = (scene * 65535).astype(np.uint16)
    shallow = np.rint(scene * 255).astype(np.uint8)
    a = read(tmp_path / "a", "a.png", lambda file: Image.fromarray(deep).save(file), resize=6, crop=4)
    b = read(tmp_path / "b", "a.png", lambda file: Image.fromarray(shallow).save(file), resize=6, crop=4)
    np.testing.assert_allclose(a, b, atol=1.5 / 255)


def test_floats_from_0_to_1_are_taken_as_they_are(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    pixels = read(tmp_path, "a.tif", lambda file: Image.fromarray(values).save(file))
    np.testing.assert_allclose(pixels[0], values, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "image", "says"),
    [
        ("f.tif", Image.fromarray(np.full((4, 4), 255.0, dtype=np.float32)), "f.tif.*from 255 to 255"),
        ("f.tif", Image.fromarray(np.full((4, 4), -0.5, dtype=np.float32)), "f.tif.*from -0.5"),
        ("f.tif", Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)), "f.tif.*from nan"),
        ("i.tif", Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)), "i.tif.*32-bit integers"),
        ("t.png", Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "t.png.*transparent pixels.*background"),
        ("t.png", Image.new("LA", (4, 4), (255, 0)), "t.png.*transparent pixels"),
    ],
    ids=["float 255", "float negative", "nan", "32 bits", "half transparent", "clear"],
)
def test_what_cannot_be_scaled_for_certain_is_refused_by_name(
    tmp_path: Path, name: str, image: Image.Image, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        read(tmp_path, name, image.save, IMAGE)


def test_deep_grey_whose_white_or_transparency_is_unclear_is_refused_by_name(tmp_path: Path) -> None:
    deep, white_is_zero = Image.fromarray(grey16()), {262: 0}
    with pytest.raises(UsageError, match=r"d.png.*more than 8 bits and transparent"):
        read(tmp_path / "a", "d.png", lambda file: deep.save(file, transparency=0))
    with pytest.raises(UsageError, match=r"d.tif.*from white to black"):
        read(tmp_path / "b", "d.tif", lambda file: deep.save(file, tiffinfo=white_is_zero))


def test_a_palette_is_read_as_its_colours(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 4, (4, 4, 3)).astype(np.uint8) * 85
    palette = Image.fromarray(colours).quantize(64)
    expected = np.asarray(palette.convert("RGB"))
    pixels = read(tmp_path, "p.png", palette.save, IMAGE)
    np.testing.assert_allclose(pixels.transpose(1, 2, 0), expected / 255, atol=1e-6)
    grey = read(tmp_path / "grey", "p.png", palette.save)
    np.testing.assert_allclose(grey[0], np.asarray(Image.fromarray(expected).convert("L")) / 255, atol=1e-6)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = np.eye(4, dtype=bool)
    pixels = read(tmp_path, "b.png", lambda file: Image.fromarray(bits).save(file))
    assert pixels[0].tolist() == np.eye(4).tolist()


def test_cmyk_is_read_as_its_colours(tmp_path: Path) -> None:
    pixels = read(tmp_path, "c.tif", Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save, IMAGE)
    assert pixels[:, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_is_left_out(tmp_path: Path, mode: str) -> None:
    pixels = read(tmp_path, "o.png", Image.new(mode, (4, 4), (51,) * (len(mode) - 1) + (255,)).save, IMAGE)
    assert pixels.ravel().tolist() == pytest.approx([0.2] * 48)


@pytest.mark.parametrize(
    ("background", "expected"), [((255.0,), (1.0, 0.498, 0.498)), ((0.0, 0.0, 255.0), (0.502, 0.0, 0.498))]
)
def test_transparent_pixels_are_laid_on_the_background(
    tmp_path: Path, background: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    # Half-transparent red: 128/255 of red and 127/255 of what is behind.
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    pixels = read(tmp_path, "t.png", image.save, IMAGE, background=background)
    assert pixels[:, 0, 0].tolist() == pytest.approx(expected, abs=0.005)


def test_a_transparent_colour_of_a_palette_is_transparent(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 0)).quantize(2)
    image.info["transparency"] = image.getpixel((0, 0))
    pixels = read(tmp_path, "p.png", image.save, IMAGE, background=(0.0, 255.0, 0.0))
    assert pixels[:, 0, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["e.jpg", "e.png"])
def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path, orientation: int, name: str) -> None:
    # A bright corner, so that each of the eight orientations gives another picture.
    upright = np.zeros((16, 16, 3), dtype=np.uint8)
    upright[:8, :4] = 255
    turns: dict[int, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](upright)))
    spec = TensorSpec(name="image", dtype=DType.UINT8, shape=(1, 16, 16, 3))
    pixels = read(tmp_path, name, lambda file: stored.save(file, exif=exif, quality=95), spec)
    assert np.abs(pixels.astype(int) - upright).mean() < 6


def test_a_16_bit_picture_is_turned_as_well(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(grey16(), 1)))
    pixels = read(tmp_path, "e.png", lambda file: stored.save(file, exif=exif))
    np.testing.assert_allclose(pixels[0], grey16() / 65535, atol=1e-6)
