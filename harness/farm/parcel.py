"""A parcel: one file with everything that the launches of a cell left, from the agent that made them.

The agent writes it to its spool before it reports anything, so a result exists on a disk from the first moment. Its
digest names it on every host. The layout is the raw blobs one after the other, a JSON record that names them, and the
length of that record in the last eight bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from harness.errors import StoreError
from harness.measure.job import Keeper, Launched, Ran, Seen
from harness.measure.pairs import PairResult, RanPairs
from harness.records.conditions import Condition
from harness.records.operators import OperatorProfile
from harness.system.decoding import decode_json
from harness.system.files import storage_errors
from harness.wire import OutputsRef, RunReply

if TYPE_CHECKING:
    from harness.wire.tensors import Array

_LENGTH_BYTES = 8
# 1 (2026-11): the first.
SCHEMA = 1
_SIDE = ("launched", "last", "conditions", "outputs", "outputs_sha256", "outputs_blob")


class ParcelError(StoreError):
    """A parcel is damaged, so what is in it is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One piece of a parcel. ``suffix`` is that of its name in the store, None for what the store does not keep."""

    sha256: str
    suffix: str | None
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SideHead:
    """What the launches of one side left. ``outputs`` describes those in the blob ``outputs_blob``, None without."""

    launched: tuple[Launched, ...]
    last: RunReply | None
    conditions: tuple[Condition, ...]
    outputs: OutputsRef | None
    outputs_sha256: str | None
    outputs_blob: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHead:
    """The second half of a session of pairs: side B, the pairs, and the side that failed, empty if none did."""

    b: SideHead
    pairs: tuple[PairResult, ...]
    failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelHead:
    """The record of a parcel: a cell, or side A of a session of pairs. The fields of `SideHead` are this side's."""

    schema: int = SCHEMA
    run: str
    cell: str
    started_at: str
    ended_at: str
    good: bool
    launched: tuple[Launched, ...]
    last: RunReply | None
    conditions: tuple[Condition, ...]
    operators: OperatorProfile | None
    outputs: OutputsRef | None
    outputs_sha256: str | None
    outputs_blob: str | None
    blobs: tuple[Blob, ...]
    pairs: SessionHead | None = None


class ParcelWriter:
    """Takes what a cell keeps, blob by blob, and ends as a file named by its digest."""

    def __init__(self, folder: Path) -> None:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".parcel-", dir=folder)
        self._part, self._folder = Path(name), folder
        self._file: BinaryIO = os.fdopen(handle, "wb")
        self._digest = hashlib.sha256()
        self._blobs: dict[str, Blob] = {}

    def keep(self, data: bytes, suffix: str) -> str:
        """Add a blob and return its digest; equal data is added once."""
        return self._add(data, suffix)

    def finish(self, run: str, cell: str, ran: Ran | RanPairs) -> Path:
        """Complete the file and return its path, once it is on disk. Raises `StoreError`."""
        head = self._head(run, cell, ran)
        data = msgspec.json.encode(head)
        self._write(data)
        self._write(len(data).to_bytes(_LENGTH_BYTES, "little"))
        with storage_errors(self._folder):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            return self._part.replace(self._folder / self._digest.hexdigest())

    def discard(self) -> None:
        """Remove the file of a cell that gave no result."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _head(self, run: str, cell: str, ran: Ran | RanPairs) -> ParcelHead:
        if isinstance(ran, Ran):
            side, good, operators, pairs = self._side(ran.seen), ran.good, ran.operators, None
        else:
            session = SessionHead(b=self._side(ran.b), pairs=ran.pairs, failed=ran.failed)
            side, good, operators, pairs = self._side(ran.a), not ran.failed, None, session
        return ParcelHead(
            run=run,
            cell=cell,
            started_at=ran.started_at,
            ended_at=ran.ended_at,
            good=good,
            **{name: getattr(side, name) for name in _SIDE},
            operators=operators,
            blobs=tuple(self._blobs.values()),
            pairs=pairs,
        )

    def _side(self, seen: Seen) -> SideHead:
        outputs = next((one.reply.outputs for one in seen.launched if one.reply.outputs is not None), None)
        blob = seen.outputs_sha256
        if seen.outputs is not None and outputs is not None and blob is None:
            blob = self._add(_as_file(seen.outputs, outputs), None)
        return SideHead(
            launched=tuple(seen.launched),
            last=seen.last,
            conditions=tuple(seen.conditions.values()),
            outputs=outputs if seen.outputs is not None else None,
            outputs_sha256=seen.outputs_sha256,
            outputs_blob=blob,
        )

    def _add(self, data: bytes, suffix: str | None) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._blobs:
            self._write(data)
            self._blobs[sha256] = Blob(sha256=sha256, suffix=suffix, bytes=len(data))
        return sha256

    def _write(self, data: bytes) -> None:
        with storage_errors(self._folder):
            self._file.write(data)
        self._digest.update(data)


def read_head(path: Path) -> ParcelHead:
    """Read the record of a parcel. Raises `ParcelError` if it is damaged or from another version."""
    try:
        with path.open("rb") as file:
            end = file.seek(-_LENGTH_BYTES, os.SEEK_END)
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            file.seek(end - length)
            return decode_json(file.read(length), ParcelHead)
    except (OSError, ValueError) as error:
        msg = f"the parcel {str(path)!r} cannot be read: {error}; its cell will be measured again"
        raise ParcelError(msg) from error


def unpack(path: Path, keeper: Keeper) -> Ran:
    """Give every blob that belongs into the store to ``keeper``, and return what the launches left.

    Raises `ParcelError` for a blob whose content does not match its digest.
    """
    head = read_head(path)
    seen = _seen(head, _unpack_blobs(path, head, keeper))
    return Ran(started_at=head.started_at, ended_at=head.ended_at, seen=seen, good=head.good, operators=head.operators)


def unpack_pairs(path: Path, keeper: Keeper) -> RanPairs:
    """Give the blobs to ``keeper`` as `unpack` does, and return what a session of pairs left.

    Raises `ParcelError` also for a parcel that holds no session.
    """
    head = read_head(path)
    if head.pairs is None:
        msg = f"the parcel {str(path)!r} holds no session of pairs; it will be measured again"
        raise ParcelError(msg)
    outputs = _unpack_blobs(path, head, keeper)
    return RanPairs(
        started_at=head.started_at,
        ended_at=head.ended_at,
        a=_seen(head, outputs),
        b=_seen(head.pairs.b, outputs),
        pairs=head.pairs.pairs,
        failed=head.pairs.failed,
    )


def _unpack_blobs(path: Path, head: ParcelHead, keeper: Keeper) -> dict[str, tuple[Array, ...]]:
    """Keep the blobs, and return the outputs among them by their digest."""
    sides = (head, *((head.pairs.b,) if head.pairs else ()))
    described = {side.outputs_blob: side.outputs for side in sides if side.outputs_blob is not None}
    outputs: dict[str, tuple[Array, ...]] = {}
    with path.open("rb") as file:
        for blob in head.blobs:
            data = file.read(blob.bytes)
            if hashlib.sha256(data).hexdigest() != blob.sha256:
                msg = f"a part of the parcel {str(path)!r} does not match its digest; its cell will be measured again"
                raise ParcelError(msg)
            if blob.suffix is not None:
                keeper.keep(data, blob.suffix)
            if ref := described.get(blob.sha256):
                outputs[blob.sha256] = _as_arrays(data, ref)
    return outputs


def _seen(side: ParcelHead | SideHead, outputs: dict[str, tuple[Array, ...]]) -> Seen:
    return Seen(
        launched=list(side.launched),
        last=side.last,
        conditions={condition.id: condition for condition in side.conditions},
        outputs=outputs.get(side.outputs_blob) if side.outputs_blob is not None else None,
        outputs_sha256=side.outputs_sha256,
    )


def _as_file(outputs: tuple[Array, ...], ref: OutputsRef) -> bytes:
    from harness.wire.tensors import write_tensors

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "outputs.bin")
        write_tensors(path, outputs, ref.tensors)
        return path.read_bytes()


def _as_arrays(data: bytes, ref: OutputsRef) -> tuple[Array, ...]:
    from harness.wire.tensors import read_tensors

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "outputs.bin")
        path.write_bytes(data)
        return read_tensors(path, ref.tensors, ref.count)
