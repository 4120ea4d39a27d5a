"""Mistakes that the command line recognises before any work starts: each gets one sentence that helps."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from harness.errors import UnknownNameError
from harness.spec.read import make_spec
from tests.cli.calls import call

GOLDEN = Path(__file__).parents[1] / "golden" / "results"
LONG = "a" * 300


@pytest.mark.parametrize(
    "line",
    [
        f"run --results {LONG} --dry-run",
        f"run {LONG}",
        f"run {LONG}/net.onnx",
        f"run --data {LONG} --dry-run",
        f"run --spec {LONG}",
        f"run --runner shell --device android --binary benchmark_model{LONG} --dry-run",
        f"run --cache-dir {LONG} --dry-run",
        f"show --results {LONG}",
        f"show {LONG}",
        f"report {LONG}",
        f"compare {LONG} {LONG}",
        f"run --resume={LONG}",
        f"search --resume={LONG}",
        f"nightly {LONG}",
        f"nightly --resume={LONG}",
        f"ab {LONG}:int8:onnx {LONG}.onnx",
        f"sensitivity {LONG}",
        f"cache --cache-dir {LONG}",
        f"formats --cache-dir {LONG}",
        f"history list --history {LONG}",
        f"history show latency --chart {LONG}",
        f"history export --parquet {LONG}",
        f"runner build android --runtime tflite --library {LONG}",
        f"runner build android --out {LONG}",
        f"runner install android --apks {LONG}",
    ],
    ids=lambda line: line.replace(LONG, "LONG"),
)
def test_a_path_that_no_file_can_have_is_a_usage_error(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*line.split())
    assert done.code == 2, done.err
    assert "a bug" not in done.err


@pytest.mark.parametrize("kind", ["loop", "link to nothing", "file in the way", "below a file"])
def test_results_that_cannot_be_made_are_no_bug(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "results"
    match kind:
        case "loop":
            place.symlink_to(place)
        case "link to nothing":
            place.symlink_to(tmp_path / "nowhere" / "at" / "all")
        case "file in the way":
            place.write_text("")
        case "below a file":
            (tmp_path / "file").write_text("")
            place = tmp_path / "file" / "results"
    for line in (["show", "--results"], ["run", "--device", "fake", "--cache-dir", str(tmp_path / "c"), "--results"]):
        done = call(*line, str(place))
        assert done.code in (2, 6), done.err
        assert "a bug" not in done.err


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("run -f int8", "'int8' is a variant, not a format; write: --variant int8"),
        ("run -f prune50+int8", "'prune50+int8' is a variant, not a format; write: --variant prune50+int8"),
        ("run -v tflite", "'tflite' is a format, not a variant; write: --format tflite"),
        ("run -v gpu", "'gpu' is a delegate, not a variant; write: --delegate gpu"),
        ("run -v standard", "'standard' is a profile, not a variant; write: --profile standard"),
        ("run -v host", "'host' is a device, not a variant; write: --device host"),
        ("run -d cpu", "'cpu' is a delegate, not a device; write: --delegate cpu"),
        ("run -d onnx", "'onnx' is a format, not a device; write: --format onnx"),
        ("run -d quick", "'quick' is a profile, not a device; write: --profile quick"),
        ("run --delegate fake:hot", "'fake:hot' is a device, not a delegate; write: --device fake:hot"),
        ("run --delegate onnx", "'onnx' is a format, not a delegate; write: --format onnx"),
        ("run -p fake", "'fake' is a device, not a profile; write: --device fake"),
        ("run int8", "'int8' is a variant, not a model; write: --variant int8"),
        ("run -f digits", "'digits' is a model, not a format; write: digits"),
        ("ab digits:onnx:int8 digits:int8:onnx", "a side is MODEL:VARIANT:FORMAT"),
    ],
)
def test_a_name_that_belongs_to_another_option_is_recognised(line: str, advice: str) -> None:
    done = call(*line.split())
    assert (done.code, advice in done.err) == (2, True), done.err


def test_a_swapped_name_in_a_spec_file_says_which_key_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('format = ["int8"]\n')
    done = call("run", "--spec", str(file))
    assert done.code == 2
    assert f"'int8' is a variant, not a format, in {file}; write: variant = \"int8\"" in done.err


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("run digits --resume=nope", "phonebench run --resume=nope"),
        ("run digits --resume", "phonebench run --resume"),
        ("run --resume --spec x.toml", "phonebench run --resume"),
    ],
)
def test_a_model_beside_resume_is_answered_with_the_line_to_write(line: str, command: str, tmp_path: Path) -> None:
    done = call(*line.split(), "--results", str(tmp_path))
    assert done.code == 2
    assert done.err.rstrip().endswith(f"write: {command}")
    assert "--resume=digits" not in done.err


def test_a_refused_comparison_or_night_does_not_say_how_long_it_takes(tmp_path: Path) -> None:
    spec = tmp_path / "night.toml"
    spec.write_text('model = "digit"\ndevice = "fake"\n')
    refused = (
        call("ab", "digits:fp32:onnx@delegate=gpu", "digits:fp32:onnx", "--device", "fake"),
        call("nightly", str(spec), "--results", str(tmp_path)),
    )
    assert [done.code for done in refused] == [2, 2]
    assert not [done.err for done in refused if "take" in done.err]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("nightly", "a TOML file with the options of run; phonebench nightly --help shows one"),
        ("nightly nowhere.toml", "there is no spec file 'nowhere.toml': write one, or check the path"),
        ("history list", "to begin one, run a night (phonebench nightly SPEC) or add a stored run"),
    ],
)
def test_a_first_night_is_shown_the_way(
    line: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*line.split())
    assert done.code in (2, 6)
    assert advice in done.err
    assert "--spec" not in done.err


def test_the_spec_in_the_help_of_nightly_is_one() -> None:
    lines = call("nightly", "--help").out.splitlines()
    spec = "\n".join(line for line in lines if re.match(r"    \w+ = \[", line))
    assert make_spec(tomllib.loads(spec)).variant == ("fp32", "int8")


@pytest.mark.parametrize(
    ("run_b", "advice"),
    [
        ("latest", "This is a run beside itself. To list the others: phonebench show --list"),
        ("other", "No cell could be compared: both runs need a cell with figures for the same model"),
    ],
)
def test_a_comparison_without_a_change_does_not_speak_of_one(run_b: str, advice: str, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "finished", tmp_path / "finished")
    shutil.copytree(GOLDEN / "finished", tmp_path / "other")
    for cells in (tmp_path / "other").rglob("*.json"):
        cells.write_text(cells.read_text().replace("digits", "letters"))
    done = call("compare", "finished", "finished" if run_b == "latest" else run_b, "--results", str(tmp_path))
    assert advice in done.out, done.err
    assert "separate sessions" not in done.out


def test_a_search_takes_one_model(tmp_path: Path) -> None:
    done = call("search", "digits", "resnet18", "--results", str(tmp_path))
    assert done.code == 2
    assert "a search takes one MODEL, not 2; start a search for each" in done.err


def test_without_built_apks_install_names_the_folder_it_looked_in(tmp_path: Path) -> None:
    done = call("runner", "install", "android", "--apks", str(tmp_path))
    assert done.code == 2
    assert f"no runner APK has been built in {str(tmp_path)!r}" in done.err
    assert f"phonebench runner build android --out {tmp_path}" in done.err


def test_a_name_of_an_empty_set_gets_no_advice_to_use_one() -> None:
    assert str(UnknownNameError("x", kind="system", allowed=())) == "unknown system 'x'; there are none"
