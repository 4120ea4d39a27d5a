"""The best speed probe of each device, kept between runs for the gate."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from harness.system.files import storage_errors, write_whole

log = logging.getLogger(__name__)


PROBES_FILE = "probes.json"


def read_probes(root: Path) -> dict[str, int]:
    """Return the best probe of each device in ns. A missing or damaged file has none; they are measured again."""
    try:
        return msgspec.json.decode((root / PROBES_FILE).read_bytes(), type=dict[str, int])
    except (OSError, ValueError) as error:
        log.debug("no probes: %s", error)
        return {}


def keep_probes(root: Path, probes: dict[str, int]) -> None:
    """Store the best probe of each device in ns. Raises `StoreError`."""
    with storage_errors(root):
        write_whole(root / PROBES_FILE, msgspec.json.encode(probes))
