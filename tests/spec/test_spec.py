"""A spec: files and options are equivalent, and a mistake is refused with its place and the nearest match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UnknownNameError, UsageError
from harness.spec.phone_settings import Binary, Clocks, Cores, PhoneRunner
from harness.spec.profiles import ProfileName
from harness.spec.read import KEYS, make_spec, read_spec
from harness.spec.recipe import KeepFloat, Observer, Precision, Prune, Quantisation, Recipe
from harness.spec.spec import Spec
from harness.wire import Delegate, Format

WHOLE = """
model = ["digits", "./own"]
device = ["host", "fake:low"]
format = ["onnx", "pte"]
variant = ["fp32", "small"]
delegate = "xnnpack"
threads = [1, 4]
profile = "standard"
launches = 3
timeout = 90
clocks = "fixed"
cores = "big"
runner = "shell"
binary = ["benchmark_model", "pte=runs"]
wheels = "wheels"
ipa = "Runner.ipa"
encrypt = false
random_weights = true
parts = true
operators = true
input = "x:float32:1x4"
data = "photos"
seed = 7
prompt = [128, 512]
new_tokens = 32
require_signature = "release.pub"
sign = "release.key"

[[recipe]]
name = "small"
precision = "int8"
quantisation = { observer = "min-max", keep_float = { layers = ["head"] } }

[[recipe.steps]]
step = "prune"
ratio = 0.4
fine_tune = false
"""

SMALL = Recipe(
    name="small",
    steps=(Prune(ratio=0.4, fine_tune=False),),
    precision=Precision.INT8,
    quantisation=Quantisation(observer=Observer.MIN_MAX, keep_float=KeepFloat(layers=("head",))),
)


def from_toml(folder: Path, text: str) -> Spec:
    path = folder / "spec.toml"
    path.write_text(text)
    return make_spec(read_spec(path), where=str(path))


def test_every_key_of_a_file_reaches_the_record(tmp_path: Path) -> None:
    assert from_toml(tmp_path, WHOLE) == Spec(
        model=("digits", "./own"),
        device=("host", "fake:low"),
        format=(Format.ONNX, Format.PTE),
        variant=("fp32", "small"),
        recipe=(SMALL,),
        delegate=(Delegate.XNNPACK,),
        threads=(1, 4),
        profile=ProfileName.STANDARD,
        launches=3,
        timeout=90.0,
        clocks=Clocks.FIXED,
        cores=Cores.BIG,
        runner=PhoneRunner.SHELL,
        binary=("benchmark_model", "pte=runs"),
        wheels="wheels",
        ipa="Runner.ipa",
        random_weights=True,
        parts=True,
        operators=True,
        input=("x:float32:1x4",),
        data="photos",
        seed=7,
        prompt=(128, 512),
        new_tokens=32,
        require_signature="release.pub",
        sign="release.key",
    )
    assert all(f"{key} =" in WHOLE or f"[[{key}]]" in WHOLE for key in KEYS)


def test_nothing_given_is_the_default(tmp_path: Path) -> None:
    assert from_toml(tmp_path, "") == make_spec({}) == Spec()
    assert Spec().variant == ("fp32", "fp16", "int8", "int8-dynamic")


@pytest.mark.parametrize("key", ["model", "device", "variant", "input"])
def test_one_value_stands_for_a_list_of_one(key: str) -> None:
    assert make_spec({key: "fp32"}) == make_spec({key: ["fp32"]})


@pytest.mark.parametrize(
    ("key", "value", "folded"),
    [
        ("model", ["a", "b", "a"], ("a", "b")),
        ("threads", [4, 1, 4], (4, 1)),
        ("format", ["onnx", "onnx"], (Format.ONNX,)),
        ("variant", ["int8", "fp32", "int8"], ("int8", "fp32")),
    ],
)
def test_duplicates_fold_and_the_order_stays(key: str, value: list[Any], folded: tuple[Any, ...]) -> None:
    assert getattr(make_spec({key: value}), key) == folded


@pytest.mark.parametrize(
    ("key", "value", "near"),
    [
        ("format", "tflight", "'tflite'"),
        ("format", ["onnx", "ONX"], "'onnx'"),
        ("variant", "int88", "'int8'"),
        ("variant", ["fp23"], "'fp32'"),
        ("delegate", "xnpack", "'xnnpack'"),
        ("profile", "standart", "'standard'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(key: str, value: Any, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"in some.toml; did you mean {near}") as caught:
        make_spec({key: value}, where="some.toml")
    assert caught.value.kind == key


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown key 'fromat' in .*spec.toml; did you mean 'format'"):
        from_toml(tmp_path, 'fromat = "onnx"')


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("model = 3", "model[0]"),
        ("threads = [1.5]", "threads[0]"),
        ("threads = [true]", "threads[0]"),
        ('launches = "3"', "launches"),
        ("launches = 1.5", "launches"),
        ('timeout = "long"', "timeout"),
        ('random_weights = "yes"', "random_weights"),
        ("seed = 1.5", "seed"),
        ("data = ['a']", "data"),
        ("profile = ['quick']", "profile"),
        ("model = [['a']]", "model"),
        ("input = [{ name = 'x' }]", "input"),
        ("threads = [[1]]", "threads"),
        ("[model]\nname = 'a'", "model"),
    ],
)
def test_a_wrong_type_names_the_field_and_the_file(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_toml(tmp_path, text)
    assert field in str(caught.value)
    assert "spec.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threads", [0]),
        ("threads", [1, 257]),
        ("launches", 0),
        ("launches", 1001),
        ("timeout", 0.5),
        ("timeout", 86_401),
        ("timeout", float("nan")),
        ("seed", -1),
        ("seed", 2**32),
        ("model", []),
        ("device", []),
        ("format", []),
        ("variant", []),
        ("threads", []),
    ],
)
def test_what_is_out_of_bounds_names_the_field(key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{key} (is|are) "):
        make_spec({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("threads", [1, 256]), ("launches", 1), ("launches", 1000), ("timeout", 1), ("seed", 2**32 - 1), ("delegate", [])],
)
def test_the_bounds_themselves_are_allowed(key: str, value: Any) -> None:
    found = getattr(make_spec({key: value}), key)
    assert found == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "there is no spec file"), (b"format = [", "line 1, column 11"), (b"data = '\xff'", "line 1 is not UTF-8")],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "spec.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_spec(path)


def test_a_folder_in_place_of_a_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read .*directory"):
        read_spec(tmp_path)


RECIPE = 'variant = "small"\n[[recipe]]\nname = "small"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('precison = "int8"', "unknown key 'precison' in [[recipe]] number 1 of"),
        ('precison = "int8"', "did you mean 'precision'?"),
        ('precision = "int9"', "unknown precision 'int9' in [[recipe]] number 1"),
        ('steps = [{ step = "prun", ratio = 0.5 }]', "unknown step 'prun' in step 1 of [[recipe]] number 1"),
        ('steps = [{ step = "prune", rato = 0.5 }]', "unknown key 'rato' in step 1 of"),
        ('steps = [{ step = "prune", ratio = 1.5 }]', "ratio is 1.5: it must be between 0 and 1"),
        ('steps = [{ step = "prune" }]', "missing required field `ratio`"),
        ('steps = [{ step = "low-rank" }]', "low-rank has none of them: give exactly one of rank, ratio, energy"),
        ('steps = [{ step = "sparse", ratio = 0.5, threshold = 0.1 }]', "sparse has ratio and threshold: give exactly"),
        ('steps = [{ step = "cluster", clusters = 1 }]', "clusters is 1: it must be from 2 to 4096"),
        ('steps = [{ step = "distill", fine_tune = false }]', "fine_tune is false in a distill step"),
        ('steps = [{ step = "distill", hard_weight = 2.0 }]', "hard_weight is 2: it must be from 0 to 1"),
        ('steps = [{ step = "prune", ratio = 0.5, fine_tune = { epochs = 0 } }]', "epochs is 0: it must be from 1"),
        ('steps = [{ step = "qat" }]', "has a qat step and precision 'fp32': it must be 'int8'"),
        ('precision = "int8"\nsteps = [{ step = "qat" }, { step = "fuse" }]', "has steps after qat"),
        ("quantisation = { calibration_inputs = 0 }", "calibration_inputs is 0: it must be from 1"),
        ("quantisation = { keep_float = { share = 2.0 } }", "share is 2: it must be between 0 and 1"),
        ("quantisation = { keep_float = {} }", "keep_float has none of them"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_what_is_allowed(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_toml(tmp_path, RECIPE + text)
    assert words in str(caught.value)


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two recipes are named 'small'"):
        from_toml(tmp_path, RECIPE + '[[recipe]]\nname = "small"\n')


def test_without_variants_the_recipes_are_what_runs(tmp_path: Path) -> None:
    spec = from_toml(tmp_path, '[[recipe]]\nname = "small"\n')
    assert (spec.variant, list(spec.recipes())) == (("small",), ["small"])


def test_a_program_of_the_shell_runner_has_its_format_from_its_name_or_from_the_option() -> None:
    given = ("android_aarch64_benchmark_model", "builds/xnnpack_executor_runner")
    spec = Spec(runner=PhoneRunner.SHELL, binary=given)
    assert [(b.format, str(b.path)) for b in spec.settings.binaries] == [
        (Format.TFLITE, given[0]),
        (Format.PTE, given[1]),
    ]
    binary = Spec(runner=PhoneRunner.SHELL, binary=("pte=a=b",)).settings.binary(Format.PTE)
    assert binary == Binary(format=Format.PTE, path=Path("a=b"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"runner": "shell"}, r"needs a runtime's own benchmark program: add --binary benchmark_model"),
        ({"binary": "benchmark_model"}, r"needs the shell runner: add --runner shell"),
        (
            {"runner": "shell", "binary": "perf_test"},
            r"'perf_test' does not say which format it runs: write FORMAT=PATH",
        ),
        (
            {"runner": "shell", "binary": ["benchmark_model", "tflite=x"]},
            r"two programs for tflite were given, .* give one",
        ),
        (
            {"runner": "shell", "binary": "benchmark_model", "profile": "mlperf"},
            r"cannot run profile 'mlperf', which needs single samples",
        ),
        (
            {"runner": "shell", "binary": "onnx=perf_test"},
            r"no benchmark program for onnx can be run, only programs for pte, tflite, .*omit --runner shell",
        ),
        (
            {"runner": "shell", "binary": "tflit=x"},
            r"unknown format 'tflit' in --binary tflit=x; did you mean 'tflite'",
        ),
        (
            {"runner": "shell", "binary": "benchmark_model", "encrypt": True},
            r"encrypt needs a runner app: .* leave out --encrypt, or --runner shell",
        ),
        ({"runner": "shel"}, r"unknown runner 'shel'.* did you mean 'shell'"),
    ],
)
def test_a_runner_that_cannot_be_is_refused_with_the_next_step(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_spec(values)
