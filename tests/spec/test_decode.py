"""What is wrong in a TOML file is reported with its place and the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.spec.decode import read_toml
from harness.spec.read import make_spec, read_spec

RECIPE = '[[recipe]]\nname = "x"\n'
TABLE = "[[recipe]] number 1 of s.toml"
PRUNE = RECIPE + '[[recipe.steps]]\nstep = "prune"\nratio = 0.5\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'a = ["x, 1]\nb = 2\n', "line 1, column 12: a text has no closing quote: 'a = [\"x, 1]'; add it"),
        (b'b = 2\na = "x', "line 2, column 7: a text has no closing quote: 'a = \"x'; add it"),
        (b'[model]\nname = "x"\ntask = other\n', "line 3, column 8: Invalid value: 'task = other'; put text in quotes"),
        (b'a = 1\nname "x"\n', "line 2, column 6: Expected '=' after a key in a key/value pair: 'name \"x\"'"),
        (b"a = 1\r\na = 2\r\n", "line 2, column 6: Cannot overwrite a value: 'a = 2'"),
        (b"a = 1\nb = [1, 2", "line 2, column 10: Unclosed array: 'b = [1, 2'"),
        (b"a = 1\nb = '\xff'\n", "line 2 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_broken_toml_is_reported_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_toml(path, what="the file")
    assert str(caught.value) == f"cannot read the file {str(path)!r}: {words}"


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(path, what="the file") == {"a": 1}


def test_a_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the file .*: Is a directory"):
        read_toml(tmp_path, what="the file")


def test_a_missing_file_is_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_toml(tmp_path / "none.toml", what="the file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            RECIPE + 'quantisation = { observer = "histogramm" }',
            f"unknown observer 'histogramm' in {TABLE}; did you mean 'histogram'?",
        ),
        (
            RECIPE + 'quantisation = { calibration = "batchnorm" }',
            f"unknown calibration 'batchnorm' in {TABLE}; did you mean 'batch-norm'?",
        ),
        (RECIPE + 'precision = "int88"', "unknown precision 'int88'"),
        (PRUNE + 'importance = "tailor"', "unknown importance 'tailor'"),
        (PRUNE + 'scope = "globl"', "did you mean 'global'?"),
        (
            PRUNE + "fine_tune = { epoch = 3 }",
            f"unknown key 'epoch' in steps[0].fine_tune of {TABLE}; did you mean 'epochs'?",
        ),
        (
            RECIPE + "quantisation = { keep_float = { cuont = 3 } }",
            f"unknown key 'cuont' in quantisation.keep_float of {TABLE}; did you mean 'count'?",
        ),
        (RECIPE + 'precison = "int8"', "did you mean 'precision'?"),
        (RECIPE + '[[recipe.steps]]\nstep = "prun"', "did you mean 'prune'?"),
        ('clocks = "fixd"', "did you mean 'fixed'?"),
        ('cores = "bigg"', "did you mean 'big'?"),
        ('runner = "shel"', "did you mean 'shell'?"),
        ('profile = "standart"', "did you mean 'standard'?"),
        ('delegate = "xnpack"', "did you mean 'xnnpack'?"),
        (PRUNE.replace("0.5", '"half"'), "s.toml at steps[0].ratio: Expected `float`, got `str`"),
    ],
)
def test_a_name_outside_a_closed_set_suggests_the_nearest(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        make_spec(read_spec(file), where="s.toml")
    assert said in str(caught.value)


CARD = '[model]\nname = "own"\nsource = "net:build"\n[[input]]\nname = "x"\ndtype = "float32"\nshape = [1, 4]\n'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"net:build"', '"net:build"\ntask = "classifcation"', "did you mean 'classification'?"),
        ('"net:build"', '"net:build"\ntarget = "mobilenet-egde"', "unknown target 'mobilenet-egde'"),
        ('"float32"', '"float23"', "did you mean 'float32'?"),
        ("shape", "shap", "did you mean 'shape'?"),
        ('name = "own"', 'name = "own', "model.toml': line 2, column 12"),
    ],
)
def test_a_model_card_is_read_alike(old: str, new: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def build():\n    return None\n")
    (tmp_path / "model.toml").write_text(CARD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        resolve(str(tmp_path), ModelOptions())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("source", "network", "said"),
    [
        ("net:biuld", "def build():\n    return None\n", "net.py has no 'biuld'; did you mean 'build'?"),
        ("net:build", "import torch\n\ndef build(:\n    return None\n", "net.py, line 3: "),
        ("nett:build", "", "there is no nett.py"),
        ("net:build", "class Other: pass\n", "net.py has no 'build'"),
    ],
)
def test_a_source_that_cannot_load_is_refused_unloaded(source: str, network: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(network)
    (tmp_path / "model.toml").write_text(CARD.replace("net:build", source))
    with pytest.raises(UsageError) as caught:
        resolve(str(tmp_path), ModelOptions())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "network",
    [
        "from other import build\n",
        "from other import *\n",
        "import other as build\n",
        "build = lambda: None\n",
        "try:\n    build = 1\nexcept ImportError:\n    pass\n",
        "if True:\n    def build(): return None\n",
        "with open('x') as build: pass\n",
        "for build in range(3): pass\n",
        "(build := 3)\n",
        "globals()['build'] = 1\n",
        "def __getattr__(name): return None\n",
    ],
)
def test_every_way_to_define_a_name_is_accepted(network: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(network)
    (tmp_path / "model.toml").write_text(CARD)
    assert resolve(str(tmp_path), ModelOptions()).source == "net:build"
