"""ExecuTorch's program for language models in the phone's shell: text, a tokenizer, and one generation per start."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.phone import AndroidPhone
from harness.records.generation import stated_rates
from harness.records.origin import StatedName
from harness.wire import CompanionRef, Delegate, FailureKind, Format, ReplyStatus, RunReply
from tests.devices.android.jobs import Work, make_work
from tests.devices.android.programs import LLAMA_MAIN
from tests.devices.android.shell_programs import (
    Shell,
    check_failure,
    check_only_stated,
    generate,
    generation,
    shell_with,
)

PROMPT, NEW = 40, 64
TEXT = " ".join(["the", "of"] * (PROMPT // 2))


@pytest.fixture
def shell(cable: Cable, tmp_path: Path) -> Shell:
    """Opens the phone with a stand-in for the program, with the given variables set."""
    return shell_with(cable, tmp_path / "llama_main", LLAMA_MAIN)


def run(phone: AndroidPhone, work: Work, folder: Path, text: str = TEXT) -> RunReply:
    """Launch the model as a language model in a .pte, with a tokenizer beside it."""
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text("{}")
    digest = hashlib.sha256(tokenizer.read_bytes()).hexdigest()
    asked = replace(generation(PROMPT, NEW), prompt_text=text, tokenizer=tokenizer.name if text else "")
    phone.push(tokenizer, digest)
    companions = (CompanionRef(file=tokenizer.name, sha256=digest),)
    return generate(phone, work, asked, Format.PTE, delegate=Delegate.XNNPACK, companions=companions)


def test_each_start_is_a_generation_and_its_rates_are_stated(shell: Shell, tmp_path: Path) -> None:
    with shell() as phone:
        reply = run(phone, make_work(tmp_path), tmp_path)
    assert (reply.status, reply.failure) == (ReplyStatus.OK, None)
    assert reply.runtime is not None
    assert (reply.runtime.name, reply.runner.kind) == ("executorch", "android-shell")
    assert reply.load is not None
    assert reply.load.first_ns == 250_000_000
    assert reply.latency is not None
    assert reply.latency.samples_ns == (83_000_000, 83_000_000, 166_000_000)
    figures = {figure.name: figure for figure in stated_rates([reply])}
    assert figures[StatedName.PREFILL].value == pytest.approx(40 / 20e-3)
    assert figures[StatedName.DECODE].value == pytest.approx(63 / 63e-3)
    assert figures[StatedName.FIRST_TOKEN].value == 20_000_000
    assert "whole milliseconds" in figures[StatedName.FIRST_TOKEN].definition
    check_only_stated(reply, NEW)


@pytest.mark.parametrize(
    ("variables", "kind", "words"),
    [
        ({"COUNTED": "41"}, FailureKind.RUN, "counted 41 tokens of the prompt, and 40 were sent"),
        ({"MADE": "41"}, FailureKind.RUN, "counted 41 new tokens after the first, and 63 were requested"),
        ({"CUT": "1"}, FailureKind.REPLY, "the times of 1 out of 3 generations"),
        ({"OTHER": "1"}, FailureKind.INPUT, "language models need llama_main, not executor_runner"),
        ({"FULL": "1"}, FailureKind.INPUT, "do not fit into this file's context"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(
    variables: dict[str, str], kind: FailureKind, words: str, shell: Shell, tmp_path: Path
) -> None:
    with shell(**variables) as phone:
        reply = run(phone, make_work(tmp_path), tmp_path)
    check_failure(reply, kind, words)


def test_a_model_without_a_tokenizer_is_refused(shell: Shell, tmp_path: Path) -> None:
    with shell() as phone:
        reply = run(phone, make_work(tmp_path), tmp_path, text="")
    assert reply.failure is not None
    assert "llama_main takes text, but no tokenizer fits this model" in reply.failure.message
