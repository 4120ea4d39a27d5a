"""Whether a reply can be believed, and the reply that the host makes up when none can.

Every device reads replies through here, so that what is half-written, foreign or stale never becomes a result.
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


def believed(data: bytes, request: RunRequest, outputs: Path | None) -> Execution:
    """Return the execution that ``data`` tells of, or one that failed with kind ``reply`` and the reason.

    ``outputs`` is where the outputs lie on this machine, if the runner left any.
    """
    try:
        reply = decode_reply(data)
        _check_identity(reply, request)
        _check_outputs(reply, request, outputs)
    except WireError as error:
        return failed(request, FailureKind.REPLY, f"the runner's reply cannot be used: {error}", detail=_start(data))
    return Execution(reply=reply, reply_bytes=data, outputs=outputs if reply.outputs is not None else None)


def failed(request: RunRequest, kind: FailureKind, message: str, *, detail: str = "") -> Execution:
    """Return the execution of a launch that left no reply to believe; the host signs it as its runner."""
    reply = RunReply(
        cell=request.cell,
        launch=request.launch,
        status=ReplyStatus.FAILED,
        runner=RunnerInfo(kind="host", version=__version__),
        failure=Failure(kind=kind, message=message, detail=detail),
    )
    return Execution(reply=reply, reply_bytes=encode(reply), outputs=None)


def _check_identity(reply: RunReply, request: RunRequest) -> None:
    # A runner that could not read its request does not know the cell; what it says about that is worth more.
    unread = reply.failure is not None and reply.failure.kind is FailureKind.INPUT and not reply.cell
    if not unread and (reply.cell, reply.launch) != (request.cell, request.launch):
        msg = (
            f"it is for cell {reply.cell!r} launch {reply.launch}, "
            f"asked was {request.cell!r} launch {request.launch}: a stale file"
        )
        raise WireError(msg)


def _check_outputs(reply: RunReply, request: RunRequest, outputs: Path | None) -> None:
    """Raise `WireError` unless ``ok`` comes with all that was asked for and the outputs have their length."""
    if reply.status is ReplyStatus.OK:
        for name in ("latency", "memory"):
            if getattr(request.passes, name) is not None and getattr(reply, name) is None:
                msg = f"it says ok without the {name} pass that was asked for"
                raise WireError(msg)
    if reply.outputs is None:
        return
    asked = request.passes.outputs
    if asked is not None and reply.status is ReplyStatus.OK and reply.outputs.count != asked.count:
        msg = f"it has the outputs of {reply.outputs.count} inputs, {asked.count} were asked for"
        raise WireError(msg)
    wanted = reply.outputs.count * record_bytes(reply.outputs.tensors)
    found = outputs.stat().st_size if outputs is not None and outputs.is_file() else 0
    if found != wanted:
        msg = f"its outputs have {found} bytes on disk, {reply.outputs.count} of the described tensors make {wanted}"
        raise WireError(msg)


def _start(data: bytes) -> str:
    return data[:500].decode("utf-8", errors="backslashreplace")
