"""Reads the answers of a board's agent. The board may be somebody else's, so every answer is checked.

Each question has a type that states what its answer must contain. Other fields are kept, but nothing relies on them.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from harness.devices.ssh.troubles import board_error
from harness.errors import BoardError, BoardTrouble
from harness.system.decoding import plain_json

# The facts about a board with hundreds of cores have some kilobytes, and the log of a launch has 64 KiB.
MOST_BYTES = 16 << 20
_INT64 = (1 << 63) - 1

_Count = Annotated[int, msgspec.Meta(ge=0, le=_INT64)]
_Cores = Annotated[int, msgspec.Meta(ge=1, le=9999)]
_Core = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}$")]
_CpuInfo = TypedDict(
    "_CpuInfo",
    {
        "model name": str | None,
        "Model": str | None,
        "CPU part": str | None,
        "flags": str | None,
        "Features": str | None,
    },
)


class _Facts(TypedDict):
    system: str
    machine: str
    bits: int
    libc: str
    python: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}(\.|$)")]
    implementation: str
    kernel: str
    os: str
    model: str | None
    cpuinfo: _CpuInfo
    parts: list[str]
    cores: _Cores
    memory_bytes: _Count
    container: bool
    free_bytes: _Count
    store: str
    fan: bool
    max_khz: dict[_Core, _Count]
    power_mode: str | None
    power: str | None
    user: str
    throttled: _Count | None


class _WithFacts(TypedDict):
    facts: _Facts


class _State(TypedDict):
    temperatures_c: dict[str, float]
    governor: str | None
    load_1m: float | None
    throttled: _Count | None
    busy: NotRequired[float | None]
    probe_ns: NotRequired[_Count | None]


class _Missing(TypedDict):
    missing: list[str]


class _Size(TypedDict):
    size: _Count | None


class _End(TypedDict):
    code: NotRequired[int | None]
    problem: NotRequired[str]
    took_ns: NotRequired[_Count | None]
    log: NotRequired[str]
    running: NotRequired[bool]
    gone: NotRequired[bool]


class _Refusal(TypedDict):
    error: str
    what: str


_ANSWERS: dict[str, Any] = {
    "open": _WithFacts,
    "look": _WithFacts,
    "ready": _State,
    "have": _Missing,
    "read": _Size,
    "wait": _End,
}


def read_answer(board: str, line: bytes, question: str) -> dict[str, Any]:
    """Return the answer in ``line`` to the question called ``question``, such as ``look``.

    Raises `BoardError` if the board refuses, or if the answer is malformed.
    """
    try:
        answer = plain_json(line.decode("utf-8"))
        if isinstance(answer, dict) and "error" in answer:
            refusal = msgspec.convert(answer, _Refusal)
        else:
            msgspec.convert(answer, _ANSWERS.get(question, dict[str, Any]))
            return dict(answer)
    # ValueError: not UTF-8, not JSON, or fields that do not match the type.
    except ValueError as error:
        what = f"sent a malformed answer to {question!r} ({error})"
        raise board_error(BoardTrouble.REFUSED, board, what) from error
    raise _refused(board, refusal["error"], refusal["what"])


def too_long(board: str) -> BoardError:
    """Return the error for an answer that does not end."""
    return board_error(BoardTrouble.REFUSED, board, f"sent an answer of more than {MOST_BYTES >> 20} MiB")


def _refused(board: str, kind: str, what: str) -> BoardError:
    """Return the error for a request that the agent refused."""
    sentences: dict[str, tuple[BoardTrouble, str]] = {
        "full": (BoardTrouble.FULL, f"has too little space: {what}"),
        "busy": (BoardTrouble.BUSY, f"is being measured by {what}"),
        "clocks": (BoardTrouble.CLOCKS, f"cannot fix its clocks: {what}"),
    }
    trouble, sentence = sentences.get(kind, (BoardTrouble.REFUSED, f"refused: {what}"))
    return board_error(trouble, board, sentence)
