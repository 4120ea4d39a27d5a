"""A language model in the phone's shell: llama.cpp's own program, whose figures stay its own."""

from __future__ import annotations

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
from tests.devices.android.programs import LLAMA_BENCH, write_program

Shell = Callable[..., AbstractContextManager[AndroidPhone]]
PROMPT, NEW = 512, 64


@pytest.fixture
def shell(cable: Cable, tmp_path: Path) -> Shell:
    """Opens the phone with a stand-in for the program, with the given variables set."""

    @contextmanager
    def opened(**variables: str) -> Generator[AndroidPhone]:
        program = write_program(tmp_path / "llama-bench", LLAMA_BENCH, **variables)
        settings = PhoneSettings(runner=PhoneRunner.SHELL, binaries=read_binaries((str(program),)))
        options = PhoneOptions(settings=settings, back_s=BACK_S, boot_s=BACK_S)
        with open_phone(cable, key=f"android:{cable.serial}", options=options) as phone:
            yield phone

    return opened


def run(phone: AndroidPhone, work: Work) -> Execution:
    """Launch the model as a .gguf."""
    generate = GeneratePass(
        prompt_tokens=PROMPT,
        new_tokens=NEW,
        warmup=WarmupPass(min_calls=1, min_ns=0),
        measure=MeasurePass(min_calls=3, min_ns=0, max_ns=10**10),
    )
    request = replace(
        work.request,
        artifact=replace(work.request.artifact, format=Format.GGUF),
        runtime=replace(work.request.runtime, delegate=Delegate.CPU),
        inputs=replace(work.request.inputs, tensors=(TensorSpec(name="tokens", dtype=DType.INT32, shape=(4,)),)),
        passes=Passes(generate=generate),
    )
    phone.push(work.model, work.sha256)
    return phone.execute(request, work.inputs, 60.0)


def test_its_rates_are_stated_and_its_whole_repetitions_are_the_latency(shell: Shell, tmp_path: Path) -> None:
    with shell() as phone:
        reply = run(phone, make_work(tmp_path)).reply
    assert (reply.status, reply.failure) == (ReplyStatus.OK, None)
    assert reply.runtime is not None
    assert (reply.runtime.name, reply.runner.kind) == ("llama.cpp", "android-shell")
    assert reply.latency is not None
    assert reply.latency.samples_ns == (31_000_000, 31_000_000, 33_000_000)
    figures = {figure.name: figure for figure in stated_rates([reply])}
    assert figures.keys() == {StatedName.PREFILL, StatedName.DECODE}
    assert figures[StatedName.PREFILL].value == pytest.approx(512 / 10e-3)
    assert figures[StatedName.DECODE].value == pytest.approx(64 / 20e-3)
    assert "no sampling" in figures[StatedName.DECODE].definition
    # What it told never passes for a figure of phonebench's own definition.
    summary = summarise_generations([reply], NEW)
    assert summary is not None
    assert (summary.ttft, summary.prefill, summary.decode) == (None, None, None)


@pytest.mark.parametrize(
    ("variables", "kind", "words"),
    [
        ({"CUT": "1"}, FailureKind.REPLY, "no repetitions of the test with 0 + 64 tokens"),
        ({"NO_MEMORY": "1"}, FailureKind.OOM, "no memory for the cache of keys and values"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(
    variables: dict[str, str], kind: FailureKind, words: str, shell: Shell, tmp_path: Path
) -> None:
    with shell(**variables) as phone:
        failure = run(phone, make_work(tmp_path)).reply.failure
    assert failure is not None
    assert failure.kind is kind
    assert words in failure.message
