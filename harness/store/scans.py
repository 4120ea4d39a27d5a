"""Reads the sensitivity scans beside the runs, which ``phonebench sensitivity`` leaves there."""

from __future__ import annotations

from harness.records.sensitivity import SCHEMA, Scan
from harness.store.records import ModelFacts, RunRecord
from harness.system.decoding import decode_json

SCANS_FOLDER = "sensitivity"


def read_scan(run: RunRecord, model: ModelFacts) -> Scan | None:
    """Return the scan of ``model`` beside ``run``; None if there is none, or one of other weights."""
    path = run.directory.parent / SCANS_FOLDER / f"{model.name}.json"
    try:
        scan = decode_json(path.read_bytes(), Scan)
    except (OSError, ValueError):
        return None
    return scan if scan.schema == SCHEMA and scan.weights_sha256 == model.weights_sha256 else None
