"""What a language model cannot do, in a sentence, and the other cells go on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.export.pte_language import PteLanguageExporter
from harness.model.language import window_of
from tests.cli.calls import call
from tests.fuzz.targets import litertlm_header
from tests.language.conftest import copied


def planned(*args: str) -> dict[str, str]:
    """What a dry run says of each cell, by its key."""
    ended = call("run", *args, "--dry-run", "--json")
    assert ended.code == 0, ended.err
    plan = ended.json()
    return {c["key"]: "will run" for c in plan["cells"]} | {h["cell"]["key"]: h["reason"] for h in plan["holes"]}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--prompt", "0"), "a prompt of at least 1 token"),
        (("--prompt", "no"), "give whole numbers, such as --prompt 128,512"),
        (("--prompt", "-5"), "give whole numbers, such as --prompt 128,512"),
        (("--new-tokens", "1"), "a decode rate needs at least 2"),
        (("--prompt", "99999999"), "must be at most"),
        (("--input", "x:float32:1x2"), "give the lengths of prompts by --prompt"),
        (("--data", "no.txt"), "give a language model a text"),
    ],
)
def test_lengths_and_data_that_cannot_be_are_refused_before_anything_starts(args: tuple[str, ...], words: str) -> None:
    ended = call("run", "tiny_llama", *args, "--dry-run")
    assert ended.code == 2
    assert words in ended.err


def test_a_context_longer_than_the_models_is_a_hole_and_shorter_ones_run() -> None:
    plan = planned("tiny_llama", "--format", "genai", "--variant", "int4", "--prompt", "128,2000,1984")
    reasons = {key.rpartition("-p")[2]: reason for key, reason in plan.items()}
    assert reasons["128-n64"] == reasons["1984-n64"] == "will run"
    assert "need a context of 2064 tokens; 'tiny_llama' has 2048" in reasons["2000-n64"]


def test_formats_and_variants_of_other_networks_are_holes() -> None:
    plan = planned("tiny_llama", "--format", "genai,onnx", "--variant", "int4,prune50,int8")
    assert [reason for reason in plan.values() if reason == "will run"] == ["will run"]
    assert any("does not build language models as onnx" in reason for reason in plan.values())
    assert any("graph steps" in reason for reason in plan.values())
    assert any("is not built as int8" in reason for reason in plan.values())
    of_digits = planned("digits", "--format", "genai", "--variant", "fp32")
    assert list(of_digits.values()) == ["genai holds language models only"]


def test_litertlm_is_a_format_of_language_models_alone() -> None:
    pytest.importorskip("litert_lm")
    built = planned("tiny_llama", "--format", "litertlm", "--variant", "fp32,int8-dynamic,int4,8da4w,fp16")
    reasons = {key.partition("-litertlm")[0]: reason for key, reason in built.items()}
    assert "is not built as fp16" in reasons.pop("tiny_llama-fp16")
    assert set(reasons.values()) == {"will run"}
    of_digits = planned("digits", "--format", "litertlm", "--variant", "fp32")
    assert list(of_digits.values()) == ["litertlm holds language models only"]


def test_the_context_of_a_ready_litertlm_is_known_before_it_runs(tmp_path: Path) -> None:
    pytest.importorskip("litert_lm")
    ready = tmp_path / "talk.litertlm"
    ready.write_bytes(litertlm_header(context=64))
    plan = planned(str(ready), "--prompt", "32,56", "--new-tokens", "32")
    reasons = {key.rpartition("-p")[2]: reason for key, reason in plan.items()}
    assert reasons["32-n32"] == "will run"
    assert "need a context of 88 tokens; 'talk' has 64" in reasons["56-n32"]


def test_pairs_have_the_lengths_of_the_command_line() -> None:
    side = "tiny_llama:int4:genai"
    ended = call("ab", side, side, "--prompt", "2040", "--new-tokens", "16")
    assert ended.code == 2
    assert "need a context of 2056 tokens" in ended.err


def test_profile_energy_measures_language_models_too() -> None:
    plan = planned("tiny_llama", "--format", "genai", "--variant", "int4", "--prompt", "8", "--profile", "energy")
    assert list(plan.values()) == ["will run"]


def test_a_search_refuses_a_language_model() -> None:
    ended = call("search", "tiny_llama")
    assert ended.code == 2
    assert "is a language model, which a search does not prune" in ended.err
    assert "phonebench run tiny_llama --variant fp32,int4,8da4w" in ended.err


@pytest.mark.parametrize(
    ("config", "reach"),
    [
        ({"sliding_window": 4096}, 4096),
        ({"sliding_window": None}, math.inf),
        ({}, math.inf),
        # As Qwen2 has it.
        ({"sliding_window": 4096, "use_sliding_window": False}, math.inf),
        ({"sliding_window": 64, "use_sliding_window": True}, 64),
    ],
)
def test_a_window_of_attention_is_as_far_as_the_config_says(config: dict[str, Any], reach: float) -> None:
    assert window_of(config) == reach


def test_a_program_is_no_longer_than_the_window_of_its_attention(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = copied(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert PteLanguageExporter(folder).context() == 2048
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mistral", "sliding_window": 100}))
    assert PteLanguageExporter(folder).context() == 100


def test_without_names_a_language_model_gets_its_own_formats_and_variants() -> None:
    keys = planned("tiny_llama")
    assert {key.split("-")[1:3][0] for key in keys} <= {"fp32", "int4", "8da4w"}
    assert set(keys.values()) == {"will run"}


@pytest.mark.parametrize(
    ("missing", "words"),
    [("model.safetensors", "no weights"), ("tokenizer", "no tokenizer")],
)
def test_a_folder_without_a_part_is_refused(tmp_path: Path, missing: str, words: str) -> None:
    folder = copied(tmp_path)
    for file in folder.glob(f"{missing}*"):
        file.unlink()
    ended = call("run", str(folder), "--dry-run")
    assert ended.code == 2
    assert words in ended.err


def test_the_app_of_a_phone_runs_pte_and_the_shell_runs_what_it_has_a_program_for(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    phone = ("tiny_llama", "--device", "android:SERIAL", "--variant", "fp32")
    assert set(planned(*phone, "--format", "pte").values()) == {"will run"}
    for format_ in ("genai", "gguf"):
        (reason,) = set(planned(*phone, "--format", format_).values())
        assert reason.startswith("the runner of device 'android:SERIAL' runs language models as pte only: ")
    shell = ("--runner", "shell", "--binary", f"pte={program}", "--binary", f"gguf={program}")
    assert set(planned(*phone, *shell, "--format", "gguf").values()) == {"will run"}
    (reason,) = set(planned(*phone, *shell, "--format", "pte").values())
    assert "runs no language models: give llama_main, or leave out --runner shell" in reason
    program = program.rename(tmp_path / "llama_main.arm64")
    talking = ("--runner", "shell", "--binary", str(program))
    assert set(planned(*phone, *talking, "--format", "pte").values()) == {"will run"}
    (reason,) = set(planned("digits", *phone[1:], *talking, "--format", "pte").values())
    assert reason == "llama_main runs language models only: give executor_runner"


@pytest.mark.parametrize("device", ["web:chromium", "fake"])
def test_a_device_whose_runner_has_no_language_models_is_a_hole(device: str) -> None:
    plan = planned("tiny_llama", "--device", device, "--format", "pte", "--variant", "fp32")
    assert list(plan.values()) == [
        f"the runner of device {device!r} does not run language models yet: run them on the host"
    ]
