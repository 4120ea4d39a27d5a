"""ExecuTorch's program for language models in the phone's shell: text, a tokenizer, and one generation per start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.device import Execution
from harness.records.generation import stated_rates, summarise_generations
from harness.records.origin import StatedName
from harness.spec.phone_settings import PhoneRunner, PhoneSettings, read_binaries
from harness.wire import (
    CompanionRef,
    Delegate,
    DType,
    FailureKind,
    Format,
    GeneratePass,
    MeasurePass,
    Passes,
    ReplyStatus,
    TensorSpec,
    WarmupPass,
)
from tests.devices.android.conftest import BACK_S
from tests.devices.android.jobs import Work, make_work
from tests.devices.android.programs import LLAMA_MAIN, write_program

Shell = Callable[..., AbstractContextManager[AndroidPhone]]
PROMPT, NEW = 40, 64
TEXT = " ".join(["the", "of"] * (PROMPT // 2))


@pytest.fixture
def shell(cable: Cable, tmp_path: Path) -> Shell:
    """Opens the phone with a stand-in for the program, with the given variables set."""

    @contextmanager
    def opened(**variables: str) -> Generator[AndroidPhone]:
        program = write_program(tmp_path / "llama_main", LLAMA_MAIN, **variables)
        settings = PhoneSettings(runner=PhoneRunner.SHELL, binaries=read_binaries((str(program),)))
        options = PhoneOptions(settings=settings, back_s=BACK_S, boot_s=BACK_S)
        with open_phone(cable, key=f"android:{cable.serial}", options=options) as phone:
            yield phone

    return opened


def run(phone: AndroidPhone, work: Work, folder: Path, text: str = TEXT) -> Execution:
    """Launch the model as a language model in a .pte, with a tokenizer beside it."""
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text("{}")
    digest = hashlib.sha256(tokenizer.read_bytes()).hexdigest()
    generate = GeneratePass(
        prompt_tokens=PROMPT,
        new_tokens=NEW,
        warmup=WarmupPass(min_calls=1, min_ns=0),
        measure=MeasurePass(min_calls=3, min_ns=0, max_ns=10**10),
        prompt_text=text,
        tokenizer="tokenizer.json" if text else "",
    )
    companions = (CompanionRef(file="tokenizer.json", sha256=digest),)
    request = replace(
        work.request,
        artifact=replace(work.request.artifact, format=Format.PTE, companions=companions),
        runtime=replace(work.request.runtime, delegate=Delegate.XNNPACK),
        inputs=replace(work.request.inputs, tensors=(TensorSpec(name="tokens", dtype=DType.INT32, shape=(4,)),)),
        passes=Passes(generate=generate),
    )
    phone.push(work.model, work.sha256)
    phone.push(tokenizer, digest)
    return phone.execute(request, work.inputs, 60.0)


def test_each_start_is_a_generation_and_its_rates_are_stated(shell: Shell, tmp_path: Path) -> None:
    with shell() as phone:
        reply = run(phone, make_work(tmp_path), tmp_path).reply
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
    # What it told never passes for a figure of phonebench's own definition.
    summary = summarise_generations([reply], NEW)
    assert summary is not None
    assert (summary.ttft, summary.prefill, summary.decode) == (None, None, None)


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
        failure = run(phone, make_work(tmp_path), tmp_path).reply.failure
    assert failure is not None
    assert failure.kind is kind
    assert words in failure.message


def test_a_model_without_a_tokenizer_is_refused(shell: Shell, tmp_path: Path) -> None:
    with shell() as phone:
        failure = run(phone, make_work(tmp_path), tmp_path, text="").reply.failure
    assert failure is not None
    assert "llama_main takes text, but no tokenizer fits this model" in failure.message
