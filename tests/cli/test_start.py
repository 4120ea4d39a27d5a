"""The first steps: a new model folder, where one stands, and completion in a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.devices.registry import DeviceListing
from harness.records.device import DeviceInfo
from harness.workflows.quickstart import find_steps
from tests.conftest import CommandLine, call_phonebench

GOLDEN = Path(__file__).parents[1] / "golden" / "results"


def test_a_new_folder_is_a_model_that_builds(phonebench: CommandLine, tmp_path: Path) -> None:
    made = phonebench("init", "first")
    assert made.code == 0, made.err
    assert "phonebench run ./first" in made.out
    card = tomllib.loads((tmp_path / "first" / "model.toml").read_text())
    assert card["model"] == {"name": "first", "task": "other", "source": "network:build"}
    assert card["input"] == [{"name": "x", "dtype": "float32", "shape": [1, 3, 32, 32]}]
    assert "data" not in card
    built = phonebench("build", "./first", "--format", "onnx", "--variant", "fp32", "--json")
    assert built.code == 0, built.err


def test_every_answer_is_in_the_card(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "w.safetensors").write_bytes(b"")
    options = {
        "--name": "flowers",
        "--source": "torchvision.models:resnet18",
        "--input": "image:float32:1x3x8x8:0..1,size:int64:scalar",
        "--task": "classification",
        "--weights": "w.safetensors",
        "--data": "photos",
        "--license": "MIT",
    }
    made = call_phonebench("init", "deep/down", *(w for pair in options.items() for w in pair), "--json", cwd=tmp_path)
    assert made.code == 0, made.err
    assert made.json() == {"folder": "deep/down", "name": "flowers", "files": ["model.toml"]}
    card = tomllib.loads((tmp_path / "deep" / "down" / "model.toml").read_text())
    assert card["model"] == {
        "name": "flowers",
        "task": "classification",
        "source": "torchvision.models:resnet18",
        "weights": "../../w.safetensors",
        "license": "MIT",
    }
    assert card["input"] == [
        {"name": "image", "dtype": "float32", "shape": [1, 3, 8, 8], "range": [0.0, 1.0]},
        {"name": "size", "dtype": "int64", "shape": []},
    ]
    assert card["data"] == {"source": "../../photos"}


def test_a_model_file_is_copied_into_the_folder(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "tiny.onnx", tmp_path)
    made = call_phonebench("init", "mine", "--source", "tiny.onnx", cwd=tmp_path)
    assert made.code == 0, made.err
    assert (tmp_path / "mine" / "tiny.onnx").read_bytes() == (GOLDEN / "tiny.onnx").read_bytes()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["there"], "there is a model.toml in 'there' already"),
        (["new", "--task", "segmentation"], "unknown task 'segmentation'"),
        (["new", "--name", "a b"], "name is 'a b'"),
        (["new", "--input", "x:float33:1"], "float33"),
        (["new", "--source", "nothing.pt2"], "there is no model file 'nothing.pt2': check the path"),
        (["new", "--source", "net.py"], "'net.py' is neither a Python reference nor a model file: give "),
        (["new", "--source", "net.py"], "package.module:factory, such as net:build"),
        (["new", "--source", "no_such_module:build"], "no_such_module"),
        (["new", "--data", "nothing.npz"], "nothing.npz"),
    ],
)
def test_a_wrong_answer_leaves_nothing_behind(tmp_path: Path, args: list[str], words: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "model.toml").write_text("mine")
    done = call_phonebench("init", *args, cwd=tmp_path)
    assert done.code == 2, done.err
    assert words in done.err
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "there" / "model.toml").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call_phonebench("init", "file/model", cwd=tmp_path)
    assert done.code == 6, done.err
    assert "cannot write to 'file/model'" in done.err


def phone(action: str) -> DeviceListing:
    """A connected phone with something to do, or nothing."""
    details = {"state": "unauthorized" if action else "ready", "action": action}
    info = DeviceInfo(
        key="android:A1",
        kind="android",
        model="Pixel 8",
        os="",
        cpu="",
        cores=8,
        memory_bytes=1,
        abi="",
        details=details,
    )
    return DeviceListing(infos=(info,), note="")


def test_the_steps_say_what_is_done_and_what_to_do(tmp_path: Path) -> None:
    steps = {step.title: step for step in find_steps(tmp_path, [])}
    assert not steps["See a report from this computer"].done
    assert "USB debugging" in steps["Connect a phone"].found
    shutil.copytree(GOLDEN / "interrupted", tmp_path / "interrupted")
    (tmp_path / "history.sqlite").write_bytes(b"")
    steps = {step.title: step for step in find_steps(tmp_path, [phone("tap Allow on its screen")])}
    assert steps["See a report from this computer"].done
    assert (steps["Connect a phone"].done, steps["Connect a phone"].found) == (
        False,
        "android:A1: tap Allow on its screen",
    )
    # A scripted phone is no phone.
    assert not steps["Measure on the phone"].done
    assert steps["Bring your own model"].found == "measured: tiny"
    assert steps["Measure every night, and learn what got slower"].done
    assert {step.title: step for step in find_steps(tmp_path, [phone("")])}["Connect a phone"].done


def test_the_terminal_shows_the_next_command_once(tmp_path: Path) -> None:
    done = call_phonebench("quickstart", cwd=tmp_path)
    assert done.code == 0, done.err
    marks = [line for line in done.out.splitlines() if line.endswith(" next")]
    assert len(marks) == 1
    steps = call_phonebench("quickstart", "--json", cwd=tmp_path).json()
    assert [step["title"] for step in steps if not step["done"]][0] in marks[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_names_the_command(shell: str, tmp_path: Path) -> None:
    done = call_phonebench("completion", shell, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "phonebench" in done.out
    assert "_PHONEBENCH_COMPLETE" in done.out


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    # What the script calls when Tab is pressed.
    program = Path(sys.executable).with_name("phonebench")
    for words, number, expected in (("phonebench qui", "1", "quickstart"), ("phonebench run --dev", "2", "--device")):
        environment = os.environ | {"_PHONEBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}
        done = subprocess.run([program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert expected in [line.partition(",")[2] for line in done.stdout.splitlines()], done.stderr


def test_json_of_a_new_folder_asks_nothing(tmp_path: Path) -> None:
    made = call_phonebench("init", "x", "--json", cwd=tmp_path)
    assert json.loads(made.out)["files"] == ["model.toml", "network.py"]
