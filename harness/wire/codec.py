"""Encoding and decoding of requests and replies. Unknown fields, wrong types and other schemas are refused."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from harness.system.decoding import decode_json
from harness.wire.names import SCHEMA, ReplyStatus
from harness.wire.reply import EnergyFacts, Generation, LatencySamples, RunReply

if TYPE_CHECKING:
    from harness.wire.request import RunRequest


# Fields of the pass `generate` that its first runners refuse.
_LATER_FIELDS = ("prompt_text", "tokenizer")
# Passes that the first runners refuse as unknown fields.
_LATER_PASSES = frozenset({"energy", "generate", "score"})


class WireError(ValueError):
    """A request or reply that this version cannot read. The message names the field, or both schema versions."""


def encode(record: RunRequest | RunReply) -> bytes:
    """Return ``record`` as UTF-8 JSON. Values that are not finite become null.

    A pass that came after the first runners is left out unless it is asked for, so that they accept the request.
    """
    data = msgspec.json.encode(record)
    if isinstance(record, RunReply):
        return data
    request: dict[str, Any] = msgspec.json.decode(data)
    # Nor do they know of signatures and encryption.
    for field in ("signature", "encryption"):
        if not request["artifact"][field]:
            del request["artifact"][field]
    request["passes"] = {k: v for k, v in request["passes"].items() if v is not None or k not in _LATER_PASSES}
    generate = request["passes"].get("generate") or {}
    for name in _LATER_FIELDS:
        if name in generate and not generate[name]:
            del generate[name]
    return msgspec.json.encode(request)


def decode_request(data: bytes) -> RunRequest:
    """Read a request. Raises `WireError` with the field at fault, or with both schema versions."""
    from harness.wire.request import RunRequest

    _check_schema(data, "request")
    return _decode(data, RunRequest)


def decode_reply(data: bytes) -> RunReply:
    """Read a reply. Raises `WireError` with the field at fault, or with both schema versions.

    A reply that contradicts itself is refused as well: ``ok`` with a failure, a failed launch without one, negative
    times.
    """
    _check_schema(data, "reply")
    reply = _decode(data, RunReply)
    _check_reply(reply)
    return reply


def _check_schema(data: bytes, what: str) -> None:
    try:
        head: Any = msgspec.json.decode(data)
    # Invalid UTF-8 inside a string raises UnicodeDecodeError, which is a ValueError too; deep nesting a RecursionError.
    except (ValueError, RecursionError) as error:
        msg = f"the {what} is not JSON: {error}"
        raise WireError(msg) from error
    # Checked before the fields: "another schema" is a better message than "unknown field" if the versions differ.
    schema = head.get("schema") if isinstance(head, dict) else None
    if schema != SCHEMA:
        msg = f"the {what} has schema {schema!r}, this program uses schema {SCHEMA}: use the same version on both sides"
        raise WireError(msg)


_Record = TypeVar("_Record", "RunRequest", RunReply)


def _decode(data: bytes, kind: type[_Record]) -> _Record:
    try:
        return decode_json(data, kind)
    except (ValueError, RecursionError) as error:
        msg = f"cannot read the {kind.__name__}: {error}"
        raise WireError(msg) from error


def _check_reply(reply: RunReply) -> None:
    if (reply.status is ReplyStatus.OK) == (reply.failure is not None):
        msg = f"the reply has status {reply.status.value!r} but its failure is {reply.failure!r}: one of them is wrong"
        raise WireError(msg)
    times = _call_times(reply.latency) if reply.latency else ()
    if reply.load:
        times += (reply.load.first_ns, *reply.load.warm_ns)
    times += tuple(t for operator in reply.profile for t in (*operator.samples_ns, operator.mean_ns or 0))
    times += reply.profile_facts.calls_ns if reply.profile_facts else ()
    if any(t < 0 for t in times):
        msg = f"the reply has a negative time ({min(times)} ns): the runner's clock went backwards"
        raise WireError(msg)
    _check_energy(reply.energy)
    for generation in _generations(reply):
        _check_generation(generation)
    _check_moments(reply.latency.at_ns if reply.latency else (), len(reply.latency.samples_ns) if reply.latency else 0)


def _check_energy(energy: EnergyFacts | None) -> None:
    if energy is None:
        return
    for block in energy.blocks:
        if block.ended_ns < block.began_ns or block.calls < 0 or (block.tokens or 0) < 0:
            msg = f"the reply has a block of energy that cannot be: {block!r}"
            raise WireError(msg)
    readings = energy.counter.readings if energy.counter else ()
    if any(later.at_ns < earlier.at_ns for earlier, later in pairwise(readings)):
        msg = "the readings of the energy counter go back in time: so did the clock that timed them"
        raise WireError(msg)


def _call_times(latency: LatencySamples) -> tuple[int, ...]:
    """Return the times of all calls. Raises `WireError` for a summary next to samples, or a sample of no calls."""
    summary, first = latency.told, () if latency.first_ns is None else (latency.first_ns,)
    times = (*first, *latency.warmup_ns, *latency.samples_ns)
    if latency.calls_per_sample < 1:
        msg = f"the reply has {latency.calls_per_sample} calls per sample: a sample is the time of at least one call"
        raise WireError(msg)
    if summary is None:
        return times
    if latency.samples_ns:
        msg = f"the reply has both {len(latency.samples_ns)} samples and a summary in their place: one of them is wrong"
        raise WireError(msg)
    if summary.calls < 1:
        msg = f"the reply has a summary of {summary.calls} calls: there is nothing to summarise"
        raise WireError(msg)
    return (
        *times,
        summary.min_ns,
        summary.p5_ns,
        summary.median_ns,
        summary.p95_ns,
        summary.max_ns,
        summary.mean_ns,
    )


def _generations(reply: RunReply) -> tuple[Generation, ...]:
    samples = reply.generation
    if samples is None:
        return ()
    return (*((samples.first,) if samples.first else ()), *samples.warmup, *samples.measured)


def _check_generation(one: Generation) -> None:
    """Raise `WireError` for a generation whose clock went backwards, or that counts fewer tokens than it brought."""
    times = (0, *((one.prefill_ns,) if one.prefill_ns is not None else ()), *one.tokens_ns)
    if any(later < earlier for earlier, later in pairwise(times)):
        msg = "the times of a generation in the reply go backwards: so did the runner's clock"
        raise WireError(msg)
    if one.tokens < len(one.tokens_ns):
        msg = f"the reply counts {one.tokens} tokens of a generation, but has the times of {len(one.tokens_ns)}"
        raise WireError(msg)


def _check_moments(at_ns: tuple[int, ...], samples: int) -> None:
    if at_ns and len(at_ns) != samples:
        msg = f"the reply has {len(at_ns)} start times for {samples} samples: each sample needs one"
        raise WireError(msg)
    if any(later < earlier for earlier, later in pairwise(at_ns)):
        msg = "the start times in the reply go backwards: so did the runner's clock"
        raise WireError(msg)
