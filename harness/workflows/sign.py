"""Signs files, model folders and finished runs, and verifies them.

A run gets two more files before it is signed: ``statement.json``, which says in one place what was measured on what
and what came out, and ``sbom.cdx.json``, the list of the software that took part, in CycloneDX.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import SignatureError, UsageError
from harness.report.sections import advice
from harness.report.sections.section import report_of
from harness.signing.bundle import Verified, sign
from harness.signing.coverage import RUN_MARK
from harness.signing.keys import check_private_key, key_password
from harness.signing.require import require_signatures
from harness.store.reader import find_run, read_folder
from harness.store.records import RunRecord
from harness.store.writer import write_text
from harness.system.clock import utc_now
from harness.workflows.sbom import run_sbom

STATEMENT_FILE = "statement.json"
SBOM_FILE = "sbom.cdx.json"
# 1 (2026-11): the first.
SCHEMA = 1


def sign_paths(names: Sequence[str], private_key: Path, results: Path) -> tuple[Path, ...]:
    """Sign each of ``names``, a path or the name of a stored run, and return the signature files.

    Raises `SignatureError` before anything is signed if the key cannot be used or a name fits nothing.
    """
    check_private_key(private_key, key_password())
    paths = [find_signable(name, results) for name in names]
    for path in paths:
        if (path / RUN_MARK).is_file():
            _describe(read_folder(path))
    return tuple(sign(path, private_key) for path in paths)


def verify_paths(names: Sequence[str], key_file: Path, results: Path) -> tuple[Verified, ...]:
    """Verify each of ``names``. Raises `SignatureError` for the first that is not what was signed by the key."""
    return tuple(require_signatures([find_signable(name, results) for name in names], key_file).values())


def find_signable(name: str, results: Path) -> Path:
    """Return the path ``name``, or the folder of the run ``name``. Raises `SignatureError` if there is neither."""
    path = Path(name).expanduser()
    if path.exists():
        return path
    try:
        return find_run(results, name)
    except UsageError as error:
        msg = (
            f"there is no file, folder or run {name!r} to sign or verify; check the path (runs: phonebench show --list)"
        )
        raise SignatureError(msg) from error


def _describe(run: RunRecord) -> None:
    if run.head.finished_at is None:
        msg = f"run {run.head.id!r} is not finished; first: phonebench run --resume={run.head.id}"
        raise SignatureError(msg)
    write_text(run, STATEMENT_FILE, msgspec.json.format(msgspec.json.encode(statement(run)), indent=1).decode())
    write_text(run, SBOM_FILE, run_sbom(run))


def statement(run: RunRecord) -> dict[str, Any]:
    """Return what a signed run states: models, artifacts and devices by digest and name, the verdict, versions."""
    head = run.head
    return {
        "schema": SCHEMA,
        "run": head.id,
        "created_at": head.created_at,
        "finished_at": head.finished_at,
        "described_at": utc_now(),
        "models": [
            {"name": m.name, "weights_sha256": m.weights_sha256, "data_sha256": m.data_sha256, "license": m.license}
            for m in head.models
        ],
        "artifacts": [
            {"cell": m.cell, "sha256": m.artifact.sha256, "companions": m.artifact.companions}
            for m in run.measurements
            if m.artifact is not None
        ],
        "devices": msgspec.to_builtins((*head.devices,)),
        "verdict": [
            {key: told[key] for key in ("model", "device", "headline", "ship")}
            for told in advice.json(report_of(run))["advice"]
        ],
        "versions": head.versions,
        "commit": head.commit,
    }
