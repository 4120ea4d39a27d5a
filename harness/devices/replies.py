"""Checks a runner's reply, and writes one in its place when there is none that can be used.

Every device reads replies through this module, so a truncated, foreign or stale reply never becomes a result.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

from harness import __version__
from harness.devices.device import Execution
from harness.devices.reply_checks import check_calls, check_figures, check_repeats, cut_short, without_outputs
from harness.wire import (
    Failure,
    FailureKind,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    RunRequest,
    WireError,
    decode_reply,
    encode,
)
from harness.wire.tensors import record_bytes

# Signals that people, schedulers and resource limits send to end a program. A crash raises others.
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU)
_HINTS: dict[int, str] = {signal.SIGILL: ": the runtime used an instruction that this processor does not have"}


# Programs of others count in their own ways, so only what a unit explains is refused: a factor of a thousand.
_OTHER_PROGRAMS = 10


def read_reply(data: bytes, request: RunRequest, outputs: Path | None, *, took_ns: int | None = None) -> Execution:
    """Return the execution that ``data`` describes, or a failed one of kind ``reply`` if it cannot be true.

    ``outputs`` is the local copy of the runner's outputs, if it left any. ``took_ns`` is how long the launch took by
    the driver's clock, start and end of the process included; None for a device without a real clock.
    """
    try:
        reply = decode_reply(data)
        _check_identity(reply, request)
        _check_size(reply, outputs)
        # The reason of a failed launch is worth more than its figures, which nobody uses.
        if reply.status is ReplyStatus.OK:
            check_repeats(reply, request)
            check_figures(reply, took_ns)
            check_calls(reply, request)
    except WireError as error:
        return failed(request, FailureKind.REPLY, f"the runner's reply cannot be used: {error}", detail=_start(data))
    doubts = (without_outputs(reply, request), cut_short(reply, request, took_ns))
    return Execution(
        reply=reply,
        reply_bytes=data,
        outputs=outputs if reply.outputs is not None else None,
        conditions=tuple(c for c in doubts if c is not None) if reply.status is ReplyStatus.OK else (),
    )


def checked_figures(execution: Execution, request: RunRequest, took_ns: int) -> Execution:
    """Return ``execution``, whose reply the driver made from what a program printed, or a failed one if it is wrong.

    ``took_ns`` is how long the launch took by the driver's clock.
    """
    try:
        if execution.reply.status is ReplyStatus.OK:
            check_figures(execution.reply, _OTHER_PROGRAMS * took_ns)
    except WireError as error:
        message = f"what the program printed cannot be used: {error}"
        return failed(request, FailureKind.REPLY, message, detail=execution.reply.transcript or "")
    return execution


def failed(request: RunRequest, kind: FailureKind, message: str, *, detail: str = "") -> Execution:
    """Return the execution of a launch without a usable reply; the host signs the reply as its runner."""
    reply = RunReply(
        cell=request.cell,
        launch=request.launch,
        status=ReplyStatus.FAILED,
        runner=RunnerInfo(kind="host", version=__version__),
        failure=Failure(kind=kind, message=message, detail=detail),
    )
    return Execution(reply=reply, reply_bytes=encode(reply), outputs=None)


def unsupported(request: RunRequest, message: str) -> Execution:
    """Return the execution of a launch that the device cannot do, which is a result with its reason."""
    execution = failed(request, FailureKind.LOAD, message)
    reply = replace(execution.reply, status=ReplyStatus.UNSUPPORTED)
    return replace(execution, reply=reply, reply_bytes=encode(reply))


def missing_reply(code: int | None, deadline_s: float, *, who: str = "the runner") -> tuple[FailureKind, str]:
    """Explain a missing reply by the exit code of the runner's process, None if it was stopped at the deadline.

    ``who`` names the process in the sentence.
    """
    if code is None:
        return FailureKind.TIMEOUT, f"{who} gave no reply within {deadline_s:g} s and was stopped"
    if code == -signal.SIGKILL:
        # Linux's out-of-memory killer sends SIGKILL; nothing of ours does before the deadline.
        return FailureKind.OOM, f"{who} was killed (SIGKILL), most likely because the machine ran out of memory"
    if -code in _FROM_OUTSIDE:
        return FailureKind.LOST, f"{who} was ended from outside by {_signal_name(-code)}"
    if code < 0:
        return FailureKind.CRASH, f"{who} crashed with {_signal_name(-code)}{_HINTS.get(-code, '')}"
    if code > 0:
        return FailureKind.CRASH, f"{who} ended with exit code {code} and left no reply"
    return FailureKind.REPLY, f"{who} exited normally but left no reply"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _check_identity(reply: RunReply, request: RunRequest) -> None:
    # A runner that could not read its request does not know the cell; its own failure says more than this check.
    unread = reply.failure is not None and reply.failure.kind is FailureKind.INPUT and not reply.cell
    if not unread and (reply.cell, reply.launch) != (request.cell, request.launch):
        msg = (
            f"it is for cell {reply.cell!r} launch {reply.launch}, "
            f"expected {request.cell!r} launch {request.launch}: a stale file"
        )
        raise WireError(msg)


def _check_size(reply: RunReply, outputs: Path | None) -> None:
    """Raise `WireError` if the file of outputs does not have the size that the reply states."""
    if reply.outputs is None:
        return
    expected_bytes = reply.outputs.count * record_bytes(reply.outputs.tensors)
    size_bytes = outputs.stat().st_size if outputs is not None and outputs.is_file() else 0
    if size_bytes != expected_bytes:
        msg = f"its outputs have {size_bytes} bytes, expected {expected_bytes} for {reply.outputs.count} inputs"
        raise WireError(msg)


def _start(data: bytes) -> str:
    return data[:500].decode("utf-8", errors="backslashreplace")
