"""Encodes and decodes requests and replies, and refuses every field, type and schema that does not fit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from harness.wire.names import SCHEMA, ReplyStatus
from harness.wire.reply import LatencySamples, RunReply
from harness.wire.request import RunRequest


class WireError(ValueError):
    """A request or a reply that this version cannot read; the message names the field or the versions."""


def encode(record: RunRequest | RunReply) -> bytes:
    """Return ``record`` as UTF-8 JSON; a value that is not finite becomes null."""
    return msgspec.json.encode(record)


def decode_request(data: bytes) -> RunRequest:
    """Read a request. Raises `WireError` with the field at fault, or both schema versions."""
    _check_schema(data, "request")
    return _decode(data, RunRequest)


def decode_reply(data: bytes) -> RunReply:
    """Read a reply. Raises `WireError` with the field at fault, or both schema versions.

    A reply without its proof is refused too: ``ok`` with a failure, a failed launch without one, negative times.
    """
    _check_schema(data, "reply")
    reply = _decode(data, RunReply)
    _check_reply(reply)
    return reply


def _check_schema(data: bytes, what: str) -> None:
    try:
        head: Any = msgspec.json.decode(data)
    # Bytes that are not UTF-8 inside a string come as a UnicodeDecodeError, which is a ValueError as well.
    except ValueError as error:
        msg = f"the {what} is not JSON: {error}"
        raise WireError(msg) from error
    found = head.get("schema") if isinstance(head, dict) else None
    if found != SCHEMA:
        msg = f"the {what} has schema {found!r}, this program speaks schema {SCHEMA}: use one version on both sides"
        raise WireError(msg)


_Record = TypeVar("_Record", RunRequest, RunReply)


def _decode(data: bytes, kind: type[_Record]) -> _Record:
    try:
        return msgspec.json.decode(data, type=kind)
    except ValueError as error:
        msg = f"cannot read the {kind.__name__}: {error}"
        raise WireError(msg) from error


def _check_reply(reply: RunReply) -> None:
    if (reply.status is ReplyStatus.OK) == (reply.failure is not None):
        msg = f"the reply says {reply.status.value!r} and its failure is {reply.failure!r}: one of them is wrong"
        raise WireError(msg)
    times = _call_times(reply.latency) if reply.latency else ()
    if reply.load:
        times += (reply.load.first_ns, *reply.load.warm_ns)
    if any(t < 0 for t in times):
        msg = f"the reply has a negative time ({min(times)} ns): the runner's clock went backwards"
        raise WireError(msg)
    _check_moments(reply.latency.at_ns if reply.latency else (), len(reply.latency.samples_ns) if reply.latency else 0)


def _call_times(latency: LatencySamples) -> tuple[int, ...]:
    """Return all times of calls. Raises `WireError` for a summary beside samples, or of no calls."""
    told, times = latency.told, (latency.first_ns, *latency.warmup_ns, *latency.samples_ns)
    if told is None:
        return times
    if latency.samples_ns:
        msg = f"the reply has {len(latency.samples_ns)} samples and a summary told in their place: one of them is wrong"
        raise WireError(msg)
    if told.calls < 1:
        msg = f"the reply has a summary of {told.calls} calls: there is nothing to sum up"
        raise WireError(msg)
    return *times, told.min_ns, told.p5_ns, told.median_ns, told.p95_ns, told.max_ns, told.mean_ns


def _check_moments(at_ns: tuple[int, ...], samples: int) -> None:
    if at_ns and len(at_ns) != samples:
        msg = f"the reply has {len(at_ns)} moments for {samples} samples: each sample needs its own"
        raise WireError(msg)
    if any(later < earlier for earlier, later in pairwise(at_ns)):
        msg = "the reply's moments go backwards: the runner's clock did"
        raise WireError(msg)
