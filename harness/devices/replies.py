"""Checks a runner's reply, and writes one in its place when there is none that can be used.

Every device reads replies through this module, so a truncated, foreign or stale reply never becomes a result.
"""

from __future__ import annotations

from pathlib import Path

from harness import __version__
from harness.devices.device import Execution
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


def read_reply(data: bytes, request: RunRequest, outputs: Path | None) -> Execution:
    """Return the execution that ``data`` describes, or a failed one of kind ``reply`` if it does not fit the request.

    ``outputs`` is the local copy of the runner's outputs, if it left any.
    """
    try:
        reply = decode_reply(data)
        _check_identity(reply, request)
        _check_outputs(reply, request, outputs)
    except WireError as error:
        return failed(request, FailureKind.REPLY, f"the runner's reply cannot be used: {error}", detail=_start(data))
    return Execution(reply=reply, reply_bytes=data, outputs=outputs if reply.outputs is not None else None)


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


def _check_identity(reply: RunReply, request: RunRequest) -> None:
    # A runner that could not read its request does not know the cell; its own failure says more than this check.
    unread = reply.failure is not None and reply.failure.kind is FailureKind.INPUT and not reply.cell
    if not unread and (reply.cell, reply.launch) != (request.cell, request.launch):
        msg = (
            f"it is for cell {reply.cell!r} launch {reply.launch}, "
            f"expected {request.cell!r} launch {request.launch}: a stale file"
        )
        raise WireError(msg)


def _check_outputs(reply: RunReply, request: RunRequest, outputs: Path | None) -> None:
    """Raise `WireError` if an ``ok`` reply lacks a requested pass, or the outputs do not have the right size."""
    if reply.status is ReplyStatus.OK:
        for name in ("latency", "memory"):
            if getattr(request.passes, name) is not None and getattr(reply, name) is None:
                msg = f"its status is ok, but the requested {name} pass is missing"
                raise WireError(msg)
    if reply.outputs is None:
        return
    asked = request.passes.outputs
    if asked is not None and reply.status is ReplyStatus.OK and reply.outputs.count != asked.count:
        msg = f"it has the outputs of {reply.outputs.count} inputs, expected {asked.count}"
        raise WireError(msg)
    expected_bytes = reply.outputs.count * record_bytes(reply.outputs.tensors)
    size_bytes = outputs.stat().st_size if outputs is not None and outputs.is_file() else 0
    if size_bytes != expected_bytes:
        msg = f"its outputs have {size_bytes} bytes, expected {expected_bytes} for {reply.outputs.count} inputs"
        raise WireError(msg)


def _start(data: bytes) -> str:
    return data[:500].decode("utf-8", errors="backslashreplace")
