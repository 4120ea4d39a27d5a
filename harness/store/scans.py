"""Reads the sensitivity scans beside the runs, which ``phonebench sensitivity`` leaves there."""

from __future__ import annotations

from harness.records.sensitivity import SCHEMA, Scan
from harness.store.records import MOST_HEAD_BYTES, ModelFacts, RunRecord
from harness.system.decoding import decode_json
from harness.system.small_files import read_small

SCANS_FOLDER = "sensitivity"


def read_scan(run: RunRecord, model: ModelFacts) -> Scan | None:
    """Return the scan of ``model`` beside ``run``; None if there is none, or one of other weights."""
    path = run.directory.parent / SCANS_FOLDER / f"{model.name}.json"
    try:
        scan = decode_json(read_small(path, MOST_HEAD_BYTES), Scan)
    except (OSError, ValueError):
        return None
    return scan if scan.schema == SCHEMA and scan.weights_sha256 == model.weights_sha256 else None
