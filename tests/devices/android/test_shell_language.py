"""A language model in the phone's shell: llama.cpp's own program, whose figures stay its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.records.generation import stated_rates
from harness.records.origin import StatedName
from harness.wire import FailureKind, Format, ReplyStatus
from tests.devices.android.jobs import make_work
from tests.devices.android.programs import LLAMA_BENCH
from tests.devices.android.shell_programs import (
    Shell,
    check_failure,
    check_only_stated,
    generate,
    generation,
    shell_with,
)

PROMPT, NEW = 512, 64


@pytest.fixture
def shell(cable: Cable, tmp_path: Path) -> Shell:
    """Opens the phone with a stand-in for the program, with the given variables set."""
    return shell_with(cable, tmp_path / "llama-bench", LLAMA_BENCH)


def test_its_rates_are_stated_and_its_whole_repetitions_are_the_latency(shell: Shell, tmp_path: Path) -> None:
    with shell() as phone:
        reply = generate(phone, make_work(tmp_path), generation(PROMPT, NEW), Format.GGUF)
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
    check_only_stated(reply, NEW)


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
        reply = generate(phone, make_work(tmp_path), generation(PROMPT, NEW), Format.GGUF)
    check_failure(reply, kind, words)
