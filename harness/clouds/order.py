"""What was sent to a cloud that takes an app alone, stored in the run's folder until the results are fetched."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.clouds.cloud import CloudName
from harness.clouds.replay import SentLaunch
from harness.errors import StoreError, UsageError
from harness.store.reader import list_runs
from harness.store.records import CLOUD_FILE
from harness.system.files import storage_errors, write_whole

# 1 (2026-11): the first.
SCHEMA = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOrder:
    """A job that was sent: its ticket (empty until the cloud has taken it), the phone, and its launches."""

    schema: int = SCHEMA
    cloud: CloudName
    ticket: str = ""
    key: str
    physical: bool
    minutes: int
    launches: tuple[SentLaunch, ...]


def write_order(folder: Path, order: CloudOrder) -> None:
    """Store ``order`` in the folder of its run. Raises `StoreError`."""
    with storage_errors(folder):
        write_whole(folder / CLOUD_FILE, msgspec.json.format(msgspec.json.encode(order), indent=1))


def read_order(folder: Path) -> CloudOrder:
    """Return the order in the folder of a run. Raises `StoreError`."""
    path = folder / CLOUD_FILE
    try:
        order = msgspec.json.decode(path.read_bytes(), type=CloudOrder)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"what was sent to the cloud cannot be read from {str(path)!r}: {error}"
        raise StoreError(msg) from error
    if order.schema != SCHEMA:
        msg = f"{str(path)!r} has schema {order.schema}, but this version reads {SCHEMA}: use the version that wrote it"
        raise StoreError(msg)
    return order


def find_order(results: Path, ticket: str) -> Path:
    """Return the folder of the run that was sent under ``ticket``. Raises `UsageError` if there is none."""
    # The newest first: that is the one that is asked for.
    for name in reversed(list_runs(results)):
        if (results / name / CLOUD_FILE).is_file() and _ticket_of(results / name) == ticket:
            return results / name
    msg = (
        f"no run in {str(results)!r} was sent under the ticket {ticket!r}, and only that run knows its files: "
        "name the folder with --results, and fetch it on the computer that sent it"
    )
    raise UsageError(msg)


def _ticket_of(folder: Path) -> str | None:
    """Return the ticket of a run. None if it cannot be read, which must not make other runs unreachable."""
    try:
        return read_order(folder).ticket
    except StoreError as error:
        log.warning("%s", error)
        return None
