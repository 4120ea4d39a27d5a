"""References become cards, and an error in a folder is reported with its file and key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UnknownNameError, UsageError
from harness.model.card import ModelCard, ModelOptions, SourceKind, Task
from harness.model.resolve import bundled_models, resolve
from harness.spec.formats import own_formats
from harness.wire import DType, Format, TensorSpec
from tests.model.folders import CARD, make_folder

OPTIONS = ModelOptions()


def test_bundled_models_are_the_six() -> None:
    names = ("digits", "efficientnet_lite0", "mobilenet_v2", "resnet18", "squeezenet1_1", "tiny_llama")
    assert bundled_models() == names


@pytest.mark.parametrize("name", bundled_models())
def test_every_bundled_model_resolves_with_its_name_and_licence(name: str) -> None:
    card = resolve(name, OPTIONS)
    assert (card.name, card.kind, bool(card.license), card.task) == (
        name,
        SourceKind.LANGUAGE if name == "tiny_llama" else SourceKind.PYTHON,
        True,
        Task.OTHER if name == "tiny_llama" else Task.CLASSIFICATION,
    )
    assert (card.folder or Path()).joinpath("README.md").is_file()


def test_resolving_every_bundled_model_loads_nothing_heavy() -> None:
    code = (
        "import sys, harness.model.data\n"
        "from harness.model.card import ModelOptions\n"
        "from harness.model.resolve import bundled_models, resolve\n"
        "from harness.model.source_key import source_key\n"
        "for name in bundled_models():\n"
        "    source_key(resolve(name, ModelOptions()))\n"
        "print([m for m in ('torch', 'torchvision', 'PIL', 'sklearn', 'skimage', 'foolbox') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_folder_card_has_every_key(tmp_path: Path) -> None:
    card = resolve(str(make_folder(tmp_path)), ModelOptions(seed=7))
    assert card == ModelCard(
        name="own",
        task=Task.CLASSIFICATION,
        kind=SourceKind.PYTHON,
        source="network:build",
        folder=tmp_path.resolve(),
        weights=None,
        license="MIT",
        inputs=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 4)),),
        data=None,
        random_weights=False,
        seed=7,
    )


def test_the_toml_itself_may_be_named(tmp_path: Path) -> None:
    assert resolve(str(make_folder(tmp_path) / "model.toml"), OPTIONS).name == "own"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "own"', 'naem = "own"', r"unknown key 'naem' in \[model\] of .*model.toml; did you mean 'name'"),
        ("[model]", "[modell]", r"unknown key 'modell' in .*did you mean 'model'"),
        ('name = "own"', 'name = "my model"', r"name is 'my model' in \[model\]"),
        ('name = "own"\n', "", r"\[model\] of .*missing required field `name`"),
        (
            "classification",
            "clasification",
            r"unknown task .*\[model\].*did you mean 'classification'",
        ),
        ("float32", "float", r"unknown dtype 'float' in \[\[input\]\] number 1.*did you mean 'float"),
        ("[1, 4]", "[1, -4]", r"shape is \[1, -4\] in \[\[input\]\] number 1"),
        ("[1, 4]", "[0]", r"shape is \[0\]"),
        ("[1, 4]", "[1, 100000, 100000]", r"shape is \[1, 100000, 100000\]"),
        ("[1, 4]", '"1x4"', r"number 1 of .*Expected `array`, got `str`"),
        ("[[input]]", "[input]", r"write \[\[input\]\]"),
        ("network:build", "netwrk:build", r"source in \[model\] of .*no netwrk.py beside .*did you mean 'network'"),
        ("network:build", "net.bin", r"source in .* is 'net.bin': use module:name, a file"),
        ("network:build", "net.pt2", r"is 'net.pt2': there is no such file"),
        ("network:build", "", r"source in .* is ''"),
        ('license = "MIT"', 'weights = "w.safetensors"', r"weights .* is 'w.safetensors'.*--random-weights"),
        ('license = "MIT"', 'student = "small.pt"', r"student .* is 'small.pt'; use module:function"),
        ('license = "MIT"', 'student = "netwrk:small"', r"student .* no netwrk.py beside model.toml.*'network'"),
        ('license = "MIT"', 'weights = "w.bin"', r"weights .* is 'w.bin'; use a .safetensors"),
        (
            'license = "MIT"',
            "license = MIT",
            r"cannot read the model card .*model.toml': line 5, column 11: .*'license = MIT'",
        ),
    ],
)
def test_wrong_card_is_reported_with_its_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in CARD
    folder = make_folder(tmp_path, card=CARD.replace(old, new))
    with pytest.raises(UsageError, match=says):
        resolve(str(folder), OPTIONS)


@pytest.mark.parametrize(
    ("key", "missing", "near"),
    [("weights", "wieghts.safetensors", "weights.safetensors"), ("source", "nett.pt2", "net.pt2")],
)
def test_a_missing_file_is_reported_with_the_file_that_is_meant(
    tmp_path: Path, key: str, missing: str, near: str
) -> None:
    lines = [line for line in CARD.splitlines() if not line.startswith(f"{key} =")]
    folder = make_folder(tmp_path, card="\n".join(lines).replace("[model]", f'[model]\n{key} = "{missing}"'))
    (folder / near).write_bytes(b"")
    with pytest.raises(UsageError, match=f"{missing}': there is no such file; did you mean '{near}'"):
        resolve(str(folder), OPTIONS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", r"source is '' in \[data\]"),
        ('source = "nowhere"', r"source is 'nowhere' in \[data\]"),
        ('source = "network.py"', r"source is 'network.py' in \[data\]"),
        ('source = "dat:load"', r"no dat.py beside"),
        ('source = "network:load"\nreisze = 8', r"unknown key 'reisze' in \[data\].*did you mean 'resize'"),
        ('source = "network:load"\nresize = 8\ncrop = 9', r"crop is 9 and resize is 8"),
        ('source = "network:load"\ncrop = 0', r"crop is 0"),
        ('source = "network:load"\nstd = [0.0]', r"std over 0"),
    ],
)
def test_wrong_data_table_is_reported(tmp_path: Path, data: str, says: str) -> None:
    folder = make_folder(tmp_path, card=f"{CARD}\n[data]\n{data}\n")
    with pytest.raises(UsageError, match=says):
        resolve(str(folder), OPTIONS)


def test_two_inputs_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, card=CARD + CARD[CARD.index("[[input]]") :])
    with pytest.raises(UsageError, match=r"two inputs are named 'x' in .*model.toml"):
        resolve(str(folder), OPTIONS)


def test_folder_without_a_card_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no model.toml; add one"):
        resolve(str(tmp_path), OPTIONS)


@pytest.mark.parametrize("reference", ["digit", "efficientnet-lite0", ""])
def test_unknown_name_lists_the_bundled_ones(reference: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model .*digits, efficientnet_lite0"):
        resolve(reference, OPTIONS)


@pytest.mark.parametrize("reference", ["./nothing", "no/such/folder", "gone.pt2", "~/nowhere-at-all"])
def test_path_to_nothing_is_reported_as_a_path(reference: str) -> None:
    with pytest.raises(UsageError, match=r"there is no model file or folder"):
        resolve(reference, OPTIONS)


def test_factory_of_a_module_that_is_nowhere_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no installed module 'nowhere_at_all.nets'"):
        resolve("nowhere_at_all.nets:build", OPTIONS)


def test_factory_reference_is_named_after_the_factory() -> None:
    card = resolve("torchvision.models:resnet18", ModelOptions(inputs=("image:float32:1x3x64x64",)))
    assert (card.name, card.folder, card.task) == ("resnet18", None, Task.OTHER)
    assert card.inputs == (TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 3, 64, 64)),)


@pytest.mark.parametrize("format_", [format_ for format_ in own_formats() if format_ is not Format.GENAI])
def test_ready_made_file_keeps_its_format_and_whole_path(tmp_path: Path, format_: Format) -> None:
    file = tmp_path / f"my net.{format_.value}"
    file.write_bytes(b"anything")
    card = resolve(str(file), ModelOptions(random_weights=True))
    assert (card.kind, card.ready, card.name) == (SourceKind.READY, format_, "my-net")
    assert (card.source, card.random_weights, card.inputs) == (str(file.resolve()), False, ())


def test_ready_made_file_in_a_folder_needs_no_inputs(tmp_path: Path) -> None:
    tmp_path.joinpath("net.tflite").write_bytes(b"anything")
    card = make_folder(tmp_path, card='[model]\nname = "mine"\nsource = "net.tflite"\n')
    assert resolve(str(card), OPTIONS).ready is Format.TFLITE


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("net.h5").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"net.h5': use module:name, a file with the suffix \.gguf, \.keras, \.litertlm, \.mlpackage,"
    ):
        resolve(str(tmp_path / "net.h5"), OPTIONS)


def test_random_weights_need_no_weights_file(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, card=CARD.replace('license = "MIT"', 'weights = "w.safetensors"'))
    assert resolve(str(folder), ModelOptions(random_weights=True)).random_weights


@pytest.mark.parametrize(
    ("text", "name", "dtype", "shape"),
    [("x:int64:1x16", "x", DType.INT64, (1, 16)), ("serving_x:0:uint8:8", "serving_x:0", DType.UINT8, (8,))],
)
def test_input_option_replaces_the_inputs(tmp_path: Path, text: str, name: str, dtype: DType, shape: object) -> None:
    folder = make_folder(tmp_path, card=CARD[: CARD.index("[[input]]")])
    (spec,) = resolve(str(folder), ModelOptions(inputs=(text,))).inputs
    assert (spec.name, spec.dtype, spec.shape) == (name, dtype, shape)


def test_a_shape_without_sizes_is_a_scalar(tmp_path: Path) -> None:
    card = resolve(str(make_folder(tmp_path, card=CARD.replace("[1, 4]", "[]"))), ModelOptions())
    assert card.inputs[0].shape == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x:float32", "write NAME:DTYPE:SHAPE"),
        ("x:float32:1,3", "write NAME:DTYPE:SHAPE"),
        ("x:flot32:1x4", "did you mean 'float32'"),
        ("x:float32:0x4", r"shape is \[0, 4\]"),
        (":float32:1x4", "no name"),
        ("y:float32:1x4", "--input names y; model 'own' has the inputs: x"),
    ],
)
def test_wrong_input_option_is_reported(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve(str(make_folder(tmp_path)), ModelOptions(inputs=(text,)))


def test_data_option_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"source is 'gone.npz' in --data"):
        resolve(str(make_folder(tmp_path)), ModelOptions(data="gone.npz"))
