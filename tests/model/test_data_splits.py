"""Splits from Python, from .npz files and from image folders: their contents, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import MissingPackageError, UsageError
from harness.model.card import DataCard, InputRange, ModelCard, ModelOptions, Task
from harness.model.data import Dataset, Split, load_split, synthetic
from harness.model.resolve import resolve
from harness.wire import DType, TensorSpec
from tests.model.folders import CARD, make_folder

IMAGE = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 3, 4, 4))


def python_card(folder: Path, body: str) -> ModelCard:
    """A folder whose ``data.py`` has ``load`` with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    text = f"import numpy as np\n\n\ndef load(split):\n{lines}\n"
    card = f'{CARD}\n[data]\nsource = "data:load"\n'
    return resolve(str(make_folder(folder, card=card, data=text)), ModelOptions())


def npz_card(folder: Path, **arrays: Any) -> ModelCard:
    """A folder with its data in ``data.npz``."""
    np.savez(folder / "data.npz", **arrays)
    return resolve(str(make_folder(folder, card=f'{CARD}\n[data]\nsource = "data.npz"\n')), ModelOptions())


def image_card(root: Path, spec: TensorSpec = IMAGE, **data: Any) -> ModelCard:
    """A ready-made model with one image input and a folder as its data."""
    file = root.parent / "net.tflite"
    file.write_bytes(b"anything")
    card = resolve(str(file), ModelOptions(data=str(root)))
    return replace(card, inputs=(spec,), data=replace(card.data or DataCard(source=""), **data))


def write_image(path: Path, colour: tuple[int, ...], size: tuple[int, int] = (4, 4)) -> None:
    """Write an image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB" if len(colour) == 3 else "L", size, colour if len(colour) == 3 else colour[0]).save(path)


def loaded(card: ModelCard, split: Split) -> Dataset:
    """The data of ``split``, which must exist."""
    found = load_split(card, split)
    assert found is not None
    return found


def test_python_source_is_asked_for_the_split(tmp_path: Path) -> None:
    card = python_card(tmp_path, "n = len(split)\nreturn np.full((n, 1, 4), n, np.float32), np.arange(n)")
    found = loaded(card, Split.TEST)
    assert (found.count, found.inputs[0].shape, found.inputs[0][0, 0, 0]) == (4, (4, 1, 4), 4)
    assert found.labels is not None
    assert (found.labels.dtype.name, found.labels.tolist()) == ("int64", [0, 1, 2, 3])


@pytest.mark.parametrize(
    "result",
    [
        "np.ones((2, 4), np.float32), [0, 1]",
        "[np.ones((2, 1, 4), np.float32)], (0, 1)",
        "{'x': np.ones((2, 1, 4), np.float32)}, np.array([0, 1], np.uint8)",
    ],
)
def test_python_source_may_give_its_inputs_in_other_ways(tmp_path: Path, result: str) -> None:
    found = loaded(python_card(tmp_path, f"return {result}"), Split.CALIBRATION)
    assert (found.inputs[0].shape, found.labels is not None and found.labels.tolist()) == ((2, 1, 4), [0, 1])


def test_split_without_data_is_none(tmp_path: Path) -> None:
    assert load_split(python_card(tmp_path, "return None"), Split.TRAIN) is None
    assert load_split(resolve(str(make_folder(tmp_path)), ModelOptions()), Split.TEST) is None


def test_labels_count_for_classification_alone(tmp_path: Path) -> None:
    card = python_card(tmp_path, "return np.ones((2, 1, 4), np.float32), np.array([0.5, 1.5])")
    assert loaded(replace(card, task=Task.REGRESSION), Split.CALIBRATION).labels is None


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("np.ones((2, 1, 4), np.float32)", "returned a ndarray; return \\(inputs, labels\\)"),
        ("np.ones((2, 1, 4)), [0, 1]", "input 'x' is float64, the model takes float32"),
        ("np.ones((2, 1, 5), np.float32), [0, 1]", r"has shape \[2, 1, 5\]; give \[count, 1, 4\]"),
        ("np.ones((2, 1, 4), np.float32), [0]", r"different lengths \(2, 1\)"),
        ("np.ones((0, 1, 4), np.float32), []", "is empty"),
        ("np.float32(1), [0]", r"different lengths \(0, 1\)"),
        ("np.ones((2, 1, 4), np.float32), [0, -1]", "the label -1"),
        ("np.ones((2, 1, 4), np.float32), [0.0, 1.0]", "labels of type float64"),
        ("np.ones((2, 1, 4), np.float32), ['a', 'b']", "labels of type <U1"),
        ("np.ones((2, 1, 4), np.float32), [[0, -100], [1, 2]]", "the label -100.*ignore_index"),
        ("np.full((2, 1, 4), np.nan, np.float32), [0, 1]", "NaN or infinite"),
        ("{'y': np.ones((2, 1, 4), np.float32)}, None", "has no array 'x'; it has y"),
        ("[np.ones(1)] * 2, None", "gives 2 inputs, the model takes 1: x"),
        ("1 / 0", r"data:load\('calibration'\) failed: ZeroDivisionError.*data.py, line 5\)"),
    ],
)
def test_wrong_data_is_reported(tmp_path: Path, result: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_split(python_card(tmp_path, f"return {result}"), Split.CALIBRATION)


def test_data_that_needs_a_missing_package_names_the_extra(tmp_path: Path) -> None:
    card = python_card(tmp_path, "raise ModuleNotFoundError('no skimage', name='skimage')")
    with pytest.raises(MissingPackageError, match=r"phonebench\[examples\]"):
        load_split(card, Split.TEST)


@pytest.mark.parametrize(
    ("split", "says"),
    [
        (Split.TEST, "2 of the 3 inputs of split 'test' .* are also in split 'calibration'"),
        (Split.TRAIN, "1 of the 1 inputs of split 'train' .* are also in split 'calibration'"),
    ],
)
def test_splits_that_share_inputs_are_refused(tmp_path: Path, split: Split, says: str) -> None:
    body = "rows = {'train': [0], 'calibration': [0, 1], 'test': [1, 0, 2]}[split]\n"
    card = python_card(tmp_path, body + "return np.eye(4, dtype=np.float32)[rows][:, None], np.array(rows)")
    with pytest.raises(UsageError, match=says):
        load_split(card, split)


def test_data_without_inputs_in_the_card_asks_for_them(tmp_path: Path) -> None:
    card = replace(python_card(tmp_path, "return None"), inputs=())
    with pytest.raises(UsageError, match="does not declare its inputs"):
        load_split(card, Split.TEST)


def rows(count: int) -> np.ndarray[Any, Any]:
    """Distinct rows; row i is filled with i."""
    return np.repeat(np.arange(count, dtype=np.float32)[:, None, None], 4, axis=2)


@pytest.mark.parametrize("key", ["inputs", "x"])
def test_npz_is_divided_without_overlap_and_without_training_data(tmp_path: Path, key: str) -> None:
    card = npz_card(tmp_path, labels=np.arange(50), **{key: rows(50)})
    test, calibration = loaded(card, Split.TEST), loaded(card, Split.CALIBRATION)
    assert (test.count, calibration.count, load_split(card, Split.TRAIN)) == (40, 10, None)
    assert test.labels is not None
    assert test.labels.tolist() == test.inputs[0][:, 0, 0].tolist()
    assert set(test.inputs[0][:, 0, 0]).isdisjoint(calibration.inputs[0][:, 0, 0])


def test_npz_calibration_is_at_most_a_hundred(tmp_path: Path) -> None:
    card = npz_card(tmp_path, inputs=rows(700), labels=np.zeros(700, np.int64))
    assert [loaded(card, s).count for s in (Split.CALIBRATION, Split.TEST)] == [100, 600]


def test_equal_rows_of_an_npz_stay_in_one_split(tmp_path: Path) -> None:
    card = npz_card(tmp_path, inputs=np.concatenate([rows(30)] * 3))
    assert loaded(card, Split.TEST).count + loaded(card, Split.CALIBRATION).count == 90


def test_npz_may_name_its_splits(tmp_path: Path) -> None:
    card = npz_card(tmp_path, train_inputs=rows(5), test_x=rows(7)[5:], test_labels=np.array([2, 1]))
    assert (loaded(card, Split.TRAIN).count, load_split(card, Split.CALIBRATION)) == (5, None)
    found = loaded(card, Split.TEST)
    assert (found.inputs[0][:, 0, 0].tolist(), found.labels is not None and found.labels.tolist()) == ([5, 6], [2, 1])


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"inptus": rows(5)}, "has no array 'x'; it has inptus"),
        ({"inputs": rows(5), "lables": np.zeros(5)}, "array 'lables' that no input takes"),
        ({"inputs": rows(5), "labels": np.zeros(4)}, r"different lengths \(5, 4\)"),
        ({"inputs": np.array([{}], dtype=object)}, "cannot read the data file"),
    ],
)
def test_wrong_npz_is_reported(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_split(npz_card(tmp_path, **arrays), Split.TEST)


def test_broken_npz_is_reported(tmp_path: Path) -> None:
    card = npz_card(tmp_path, inputs=rows(5))
    tmp_path.joinpath("data.npz").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"cannot read the data file .*data.npz"):
        load_split(card, Split.TEST)


def test_image_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    for name, colour in (("dog", (255, 0, 0)), ("cat", (0, 255, 0))):
        write_image(tmp_path / "root" / "test" / name / "a.png", colour)
    found = loaded(image_card(tmp_path / "root"), Split.TEST)
    assert (found.inputs[0].shape, found.labels is not None and found.labels.tolist()) == ((2, 1, 3, 4, 4), [0, 1])
    assert found.inputs[0][:, 0, :, 0, 0].tolist() == [[0, 1, 0], [1, 0, 0]]


def test_class_index_counts_the_classes_of_every_split(tmp_path: Path) -> None:
    write_image(tmp_path / "root/calibration/ant/a.png", (1, 1, 1))
    write_image(tmp_path / "root/test/bee/a.png", (2, 2, 2))
    labels = loaded(image_card(tmp_path / "root"), Split.TEST).labels
    assert labels is not None
    assert labels.tolist() == [1]


def test_integer_folders_are_the_classes_themselves(tmp_path: Path) -> None:
    for number in ("7", "10"):
        write_image(tmp_path / "root/test" / number / "a.png", (int(number), 0, 0))
    labels = loaded(image_card(tmp_path / "root"), Split.TEST).labels
    assert labels is not None
    assert sorted(labels.tolist()) == [7, 10]


def test_images_without_split_folders_are_divided(tmp_path: Path) -> None:
    for number in range(20):
        write_image(tmp_path / "root" / "ab"[number % 2] / f"{number}.png", (number, 0, 0))
    card = image_card(tmp_path / "root")
    assert [loaded(card, s).count for s in (Split.CALIBRATION, Split.TEST)] == [4, 16]
    assert load_split(card, Split.TRAIN) is None


def test_image_is_resized_by_its_short_side_cropped_and_normalised(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 8), (0, 0, 0))
    image.paste((255, 255, 255), (16, 0, 32, 8))
    (tmp_path / "root/test/a").mkdir(parents=True)
    image.save(tmp_path / "root/test/a/a.png")
    card = image_card(tmp_path / "root", resize=4, crop=4, mean=(0.5, 0.5, 0.0), std=(0.5, 0.25, 1.0))
    pixels = loaded(card, Split.TEST).inputs[0][0, 0]
    assert pixels[:, 0, 0].tolist() == [-1, -2, 0]
    assert pixels[:, 3, 3].tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("shape", "dtype", "first"),
    [
        ((1, 4, 4, 3), DType.FLOAT32, [1, 0, 0]),
        ((1, 1, 4, 4), DType.FLOAT16, [0.298]),
        ((1, 4, 4, 3), DType.UINT8, [255, 0, 0]),
    ],
)
def test_image_takes_the_layout_of_the_input(tmp_path: Path, shape: Any, dtype: DType, first: list[float]) -> None:
    write_image(tmp_path / "root/test/a/a.png", (255, 0, 0), size=(9, 5))
    spec = TensorSpec(name="image", dtype=dtype, shape=shape)
    item = loaded(image_card(tmp_path / "root", spec), Split.TEST).inputs[0][0]
    channels = item[0, 0, 0] if shape[3] == 3 else item[0, :, 0, 0]
    assert (item.shape, item.dtype) == (shape, np.dtype(dtype.value))
    assert channels.tolist() == pytest.approx(first, abs=1e-3)


@pytest.mark.parametrize(
    ("spec", "data", "says"),
    [
        (replace(IMAGE, shape=(1, 4)), {}, "images need one input of float32"),
        (replace(IMAGE, shape=(2, 3, 4, 4)), {}, "images need one input"),
        (replace(IMAGE, dtype=DType.INT64), {}, "images need one input"),
        (IMAGE, {"crop": 8}, "crop is 8, the input 'image' has 4x4 pixels"),
        (IMAGE, {"resize": 2}, "resize is 2, the input 'image' has 4x4"),
        (IMAGE, {"mean": (0.0, 1.0)}, "mean has 2 values, the input has 3 channels"),
    ],
)
def test_input_that_cannot_take_images_is_reported(tmp_path: Path, spec: TensorSpec, data: Any, says: str) -> None:
    write_image(tmp_path / "root/test/a/a.png", (1, 2, 3))
    with pytest.raises(UsageError, match=says):
        load_split(image_card(tmp_path / "root", spec, **data), Split.TEST)


@pytest.mark.parametrize("inside", ["", "test", "test/a", "a"])
def test_folder_without_images_is_reported(tmp_path: Path, inside: str) -> None:
    (tmp_path / "root" / inside).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"there are no images in .*one folder per class"):
        load_split(image_card(tmp_path / "root"), Split.TEST)


def test_broken_image_is_reported_by_name(tmp_path: Path) -> None:
    write_image(tmp_path / "root/test/a/a.png", (1, 2, 3))
    tmp_path.joinpath("root/test/a/b.png").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"cannot read the image .*b.png"):
        load_split(image_card(tmp_path / "root"), Split.TEST)


def test_two_folders_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("1", "01"):
        write_image(tmp_path / "root/test" / name / "a.png", (1, 2, 3))
    with pytest.raises(UsageError, match=r"have the same class number \(01, 1\)"):
        load_split(image_card(tmp_path / "root"), Split.TEST)


def test_card_may_prepare_images_that_the_option_gives(tmp_path: Path) -> None:
    write_image(tmp_path / "test" / "7" / "a.png", (255, 255, 255))
    assert load_split(resolve("resnet18", ModelOptions()), Split.TEST) is None
    found = loaded(resolve("resnet18", ModelOptions(data=str(tmp_path))), Split.TEST)
    assert found.labels is not None
    assert found.labels.tolist() == [7]
    assert found.inputs[0][0, 0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-3)


def test_synthetic_inputs_follow_their_specs_and_the_seed() -> None:
    specs = tuple(TensorSpec(name=d.value, dtype=d, shape=(2, 8)) for d in DType)
    first, again, other = (synthetic(specs, count=3, seed=s) for s in (1, 1, 2))
    assert [(a.dtype.name, a.shape) for a in first.inputs] == [(d.value, (3, 2, 8)) for d in DType]
    assert all(np.array_equal(a, b) for a, b in zip(first.inputs, again.inputs, strict=True))
    assert not np.array_equal(first.inputs[0], other.inputs[0])
    assert first.labels is None
    assert 0 <= first.inputs[3].min() <= first.inputs[3].max() <= 9


@pytest.mark.parametrize("dtype", [DType.INT64, DType.INT8, DType.UINT8, DType.FLOAT32])
def test_synthetic_inputs_lie_within_the_declared_range(dtype: DType) -> None:
    specs = (TensorSpec(name="a", dtype=dtype, shape=(1, 500)), TensorSpec(name="b", dtype=dtype, shape=(1, 500)))
    ranges = (InputRange(name="b", low=3, high=5),)
    a, b = synthetic(specs, count=2, seed=0, ranges=ranges).inputs
    assert (b.min() >= 3, b.max() <= 5, b.dtype.name) == (True, True, dtype.value)
    assert a.min() < 3 < 5 or dtype is DType.FLOAT32
    if dtype is not DType.FLOAT32:
        assert set(np.unique(b)) == {3, 4, 5}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('dtype = "uint8"\nrange = [0, 300]', r"uint8 holds the integers from 0 to 255"),
        ('dtype = "int8"\nrange = [-200, 0]', "int8 holds the integers from -128 to 127"),
        ('dtype = "int64"\nrange = [0.2, 0.8]', "int64 holds the integers"),
    ],
)
def test_a_range_that_its_type_cannot_hold_is_refused(tmp_path: Path, line: str, says: str) -> None:
    card = CARD.replace('dtype = "float32"', line)
    with pytest.raises(UsageError, match=says):
        resolve(str(make_folder(tmp_path, card=card)), ModelOptions())


def test_python_gives_each_input_a_group(tmp_path: Path) -> None:
    body = "x = np.full((2, 1, 4), len(split), np.float32)\nreturn x, [0, 1], np.array(['night', 'day'])"
    card = python_card(tmp_path, body)
    assert loaded(card, Split.TEST).groups == ("night", "day")


@pytest.mark.parametrize(
    ("groups", "says"),
    [("['a']", "different lengths"), ("[['a'], ['b']]", r"shape \[2, 1\]"), ("[0.5, 1.5]", "groups of type float64")],
)
def test_groups_that_do_not_fit_are_refused(tmp_path: Path, groups: str, says: str) -> None:
    card = python_card(tmp_path, f"return np.ones((2, 1, 4), np.float32), [0, 1], {groups}")
    with pytest.raises(UsageError, match=says):
        load_split(card, Split.TEST)


def test_a_file_beside_images_names_their_groups(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("b", "a"):
        write_image(root / "test" / "cat" / f"{name}.png", (0, 0, ord(name)))
    lines = "path,group\ntest/cat/a.png,day\ntest/cat/b.png, night\n"
    # With the byte order mark that spreadsheets write.
    (root / "groups.csv").write_text(lines, encoding="utf-8-sig")
    assert loaded(image_card(root), Split.TEST).groups == ("day", "night")
    (root / "groups.csv").write_text("test/cat/a.png,day\n")
    with pytest.raises(UsageError, match=r"groups.csv.*no line for 'test/cat/b.png' \(1 are missing\)"):
        load_split(image_card(root), Split.TEST)
    (root / "groups.csv").write_text("test/cat/a.png,été\n", encoding="latin-1")
    with pytest.raises(UsageError, match=r"cannot read.*groups.csv.*in UTF-8"):
        load_split(image_card(root), Split.TEST)
