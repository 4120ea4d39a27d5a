"""Stand-ins for programs of language models in the shell of the virtual phone, and a launch of one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from harness.devices.android.adb.cable import Cable
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.records.generation import summarise_generations
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
    RunReply,
    TensorSpec,
    WarmupPass,
)
from tests.devices.android.conftest import BACK_S
from tests.devices.android.jobs import Work
from tests.devices.android.programs import write_program

Shell = Callable[..., AbstractContextManager[AndroidPhone]]


def shell_with(cable: Cable, program: Path, script: str) -> Shell:
    """Return what opens the phone with ``script`` as ``program``, and with the given variables set in it."""

    @contextmanager
    def opened(**variables: str) -> Generator[AndroidPhone]:
        binaries = read_binaries((str(write_program(program, script, **variables)),))
        settings = PhoneSettings(runner=PhoneRunner.SHELL, binaries=binaries)
        options = PhoneOptions(settings=settings, back_s=BACK_S, boot_s=BACK_S)
        with open_phone(cable, key=f"android:{cable.serial}", options=options) as phone:
            yield phone

    return opened


def generation(prompt_tokens: int, new_tokens: int) -> GeneratePass:
    """Return a pass of one generation to warm up and three that count."""
    return GeneratePass(
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        warmup=WarmupPass(min_calls=1, min_ns=0),
        measure=MeasurePass(min_calls=3, min_ns=0, max_ns=10**10),
    )


def generate(
    phone: AndroidPhone,
    work: Work,
    asked: GeneratePass,
    format_: Format,
    *,
    delegate: Delegate = Delegate.CPU,
    companions: tuple[CompanionRef, ...] = (),
) -> RunReply:
    """Launch the model of ``work`` as a language model in ``format_``."""
    request = replace(
        work.request,
        artifact=replace(work.request.artifact, format=format_, companions=companions),
        runtime=replace(work.request.runtime, delegate=delegate),
        inputs=replace(work.request.inputs, tensors=(TensorSpec(name="tokens", dtype=DType.INT32, shape=(4,)),)),
        passes=Passes(generate=asked),
    )
    phone.push(work.model, work.sha256)
    return phone.execute(request, work.inputs, 60.0).reply


def check_only_stated(reply: RunReply, new_tokens: int) -> None:
    """Check that what a program states never passes for a figure of phonebench's own definition."""
    summary = summarise_generations([reply], new_tokens)
    assert summary is not None
    assert (summary.ttft, summary.prefill, summary.decode) == (None, None, None)


def check_failure(reply: RunReply, kind: FailureKind, words: str) -> None:
    """Check the kind of a failure, and that its message contains ``words``."""
    assert reply.failure is not None
    assert reply.failure.kind is kind
    assert words in reply.failure.message
