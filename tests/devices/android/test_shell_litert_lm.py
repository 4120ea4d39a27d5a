"""LiteRT-LM's own program in the phone's shell: the lengths it counted, and figures that stay its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.shell.tools.litert_lm_main import duration_ns
from harness.records.generation import stated_rates
from harness.records.origin import StatedName
from harness.spec.phone_settings import read_binaries
from harness.wire import FailureKind, Format, ReplyStatus
from tests.devices.android.jobs import make_work
from tests.devices.android.programs import LITERT_LM
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
    return shell_with(cable, tmp_path / "litert_lm_advanced_main", LITERT_LM)


def test_its_rates_are_stated_and_its_first_repetition_is_apart(shell: Shell, tmp_path: Path) -> None:
    with shell() as phone:
        reply = generate(phone, make_work(tmp_path), generation(PROMPT, NEW), Format.LITERTLM)
    assert (reply.status, reply.failure) == (ReplyStatus.OK, None)
    assert reply.runtime is not None
    assert (reply.runtime.name, reply.runner.kind) == ("litert-lm", "android-shell")
    assert reply.load is not None
    assert reply.load.first_ns == 120_500_000
    assert reply.latency is not None
    assert reply.latency.first_ns == 120_000_000
    assert reply.latency.samples_ns == (42_000_000, 52_000_000, 50_000_000)
    figures = {figure.name: figure for figure in stated_rates([reply])}
    assert figures[StatedName.PREFILL].value == pytest.approx(512 / 10e-3)
    assert figures[StatedName.DECODE].value == pytest.approx(64 / 32e-3)
    # The third repetition is the median: 10 ms for the prompt and 40 ms / 64 for a token.
    assert figures[StatedName.FIRST_TOKEN].value == 10_625_000
    assert "is computed" in figures[StatedName.FIRST_TOKEN].definition
    check_only_stated(reply, NEW)


@pytest.mark.parametrize(
    ("variables", "kind", "words"),
    [
        ({"COUNTED": "20"}, FailureKind.RUN, "counted 20 tokens of the prompt, and 512 were requested"),
        ({"CUT": "1"}, FailureKind.REPLY, "the times of 1 out of 4 repetitions"),
        ({"OLD": "1"}, FailureKind.INPUT, "does not know the flag --num_iterations"),
        ({"DAMAGED": "1"}, FailureKind.LOAD, "cannot load the file"),
        ({"FULL": "1"}, FailureKind.INPUT, "600 tokens do not fit into this file's context of 512"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(
    variables: dict[str, str], kind: FailureKind, words: str, shell: Shell, tmp_path: Path
) -> None:
    with shell(**variables) as phone:
        reply = generate(phone, make_work(tmp_path), generation(PROMPT, NEW), Format.LITERTLM)
    check_failure(reply, kind, words)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("31.25ms", 31_250_000), ("4.918169165s", 4_918_169_165), ("1m2.5s", 62_500_000_000), ("inf", 0), ("-1s", 0)],
)
def test_durations_are_read_as_abseil_writes_them(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize("name", ["litert_lm_main", "litert_lm_advanced_main.arm64"])
def test_both_of_its_programs_are_known_by_name(name: str) -> None:
    (binary,) = read_binaries((name,))
    assert binary.format is Format.LITERTLM
