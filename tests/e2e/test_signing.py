"""Signatures on the real command line: what is signed runs, what was tampered with does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import CommandLine

MODELS = Path(__file__).parents[2] / "models"
ONE = ("-f", "onnx", "-v", "fp32")


@pytest.fixture
def key(phonebench: CommandLine) -> None:
    done = phonebench("keys", "my", "--days", "30")
    assert done.code == 0, done.err


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of the user's own."""
    return Path(shutil.copytree(MODELS / "digits", tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__")))


def check_sbom(text: str) -> None:
    """Check a bill of materials with the schema of CycloneDX, and for what took part in the run."""
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text) is None
    names = {component["name"] for component in json.loads(text)["components"]}
    assert {"phonebench", "onnxruntime", "net"} <= names


def artifact(cache: Path) -> Path:
    manifests = {file: json.loads(file.with_name("manifest.json").read_bytes()) for file in cache.rglob("model.onnx")}
    return next(file for file, manifest in manifests.items() if manifest["variant"] == "fp32")


@pytest.mark.usefixtures("key")
def test_a_signed_file_runs_and_a_changed_one_does_not(
    phonebench: CommandLine, tmp_path: Path, built_cache: Path
) -> None:
    shutil.copyfile(artifact(built_cache), tmp_path / "net.onnx")
    done = phonebench("run", "net.onnx", "--require-signature", "my.pub")
    assert (done.code, "net.onnx has no signature" in done.err) == (7, True), done.err
    assert phonebench("sign", "net.onnx", "--key", "my.key").out == "signature: net.onnx.sig\n"
    done = phonebench("run", "net.onnx", "--require-signature", "my.crt", "--json")
    assert done.code == 0, done.err
    data = bytearray((tmp_path / "net.onnx").read_bytes())
    data[-1] ^= 1
    (tmp_path / "net.onnx").write_bytes(data)
    for command in (["run", "net.onnx"], ["build", "net.onnx"], ["ab", "net.onnx", "digits:fp32:onnx"]):
        done = phonebench(*command, env={"PHONEBENCH_REQUIRE_SIGNATURE": "my.pub"})
        assert (done.code, "'net.onnx' changed" in done.err) == (7, True), (command, done.err)
    assert len(list((tmp_path / "results").glob("*/run.json"))) == 1


@pytest.mark.usefixtures("key")
def test_a_model_folder_is_code_so_it_is_verified_before_any_of_it_runs(
    phonebench: CommandLine, model: Path, tmp_path: Path
) -> None:
    assert phonebench("sign", "mine", "--key", "my.key").code == 0
    with (model / "network.py").open("a") as file:
        file.write(f"\nopen({str(tmp_path / 'was-here')!r}, 'w')\n")
    (tmp_path / "spec.toml").write_text('model = "mine"\nformat = "onnx"\nrequire_signature = "my.pub"\n')
    for command in (["run", "--spec", "spec.toml"], ["sensitivity", "mine", "--require-signature", "my.pub"]):
        done = phonebench(*command)
        assert (done.code, "'network.py' changed" in done.err) == (7, True), done.err
    assert not (tmp_path / "was-here").exists()


@pytest.mark.usefixtures("key")
def test_code_of_an_installed_module_has_no_signature(phonebench: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text("import torch\ndef net():\n    return torch.nn.ReLU()\n")
    done = phonebench("run", "zoo:net", "--input", "x:float32:1x4", "--require-signature", "my.pub")
    assert (done.code, "put it into a model folder" in done.err) == (7, True), done.err


@pytest.mark.usefixtures("key")
def test_a_signed_run_is_described_and_any_change_to_it_is_found(
    phonebench: CommandLine, tmp_path: Path, built_cache: Path
) -> None:
    shutil.copyfile(artifact(built_cache), tmp_path / "net.onnx")
    assert phonebench("run", "net.onnx").code == 0
    assert phonebench("sign", "latest", "--key", "my.key").code == 0
    (folder,) = (path.parent for path in (tmp_path / "results").glob("*/run.json"))
    told = json.loads((folder / "statement.json").read_bytes())
    assert told["run"] == folder.name
    assert [device["key"] for device in told["devices"]] == ["host"]
    assert told["verdict"][0]["model"] == "net"
    check_sbom((folder / "sbom.cdx.json").read_text())
    for command in (["show"], ["report"], ["export", "--to", "bencher", "-o", "out.json"], ["history", "ingest"]):
        done = phonebench(*command, "--require-signature", "my.pub")
        assert done.code == 0, (command, done.err)
    done = phonebench("run", "--resume", env={"PHONEBENCH_REQUIRE_SIGNATURE": "my.pub"})
    assert (done.code, "net.onnx has no signature" in done.err) == (7, True), done.err
    lines = folder / "measurements.jsonl"
    lines.write_text(lines.read_text().replace('"status":"ok"', '"status":"broken"'))
    for command in (["show"], ["report"], ["compare", "latest", "latest"], ["history", "ingest"]):
        done = phonebench(*command, "--require-signature", "my.pub")
        assert (done.code, "'measurements.jsonl' changed" in done.err) == (7, True), (command, done.err)
    done = phonebench("verify", "latest", "--key", "my.pub")
    assert (done.code, "'measurements.jsonl' changed" in done.err) == (7, True), done.err


@pytest.mark.usefixtures("key")
def test_imported_files_must_be_signed_where_that_is_required(phonebench: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text('{"benchmarks": []}')
    done = phonebench("import", "bench.json", "--require-signature", "my.pub")
    assert (done.code, "bench.json has no signature" in done.err) == (7, True), done.err


def test_an_unfinished_run_is_not_signed(phonebench: CommandLine, tmp_path: Path) -> None:
    assert phonebench("keys", "my").code == 0
    assert phonebench("run", "--device", "fake", *ONE).code == 0
    (head,) = (tmp_path / "results").glob("*/run.json")
    values = json.loads(head.read_bytes())
    values["finished_at"] = None
    head.write_text(json.dumps(values))
    done = phonebench("sign", "latest", "--key", "my.key")
    assert (done.code, "is not finished; first: phonebench run --resume=" in done.err) == (7, True), done.err
