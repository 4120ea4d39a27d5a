"""What a nightly job needs from a night: its exit code, and copies of its files where CI services look for them."""

from __future__ import annotations

from pathlib import Path

from harness.cli.exit_codes import REGRESSION, UNDECIDED
from harness.errors import IncompleteError
from harness.system.files import storage_errors, write_whole
from harness.workflows.nightly.files import junit, markdown
from harness.workflows.nightly.record import NightRecord, State


def night_code(record: NightRecord, *, fail_on_undecided: bool) -> int:
    """Return 10 for a confirmed regression, else 20 for missing cells or verdicts, else 15 if asked for, else 0.

    The cells of a device in quarantine are known to be missing, so they make no night fail.
    """
    states = {night.state for night in record.series or () if not night.device or night.device not in record.kept_out}
    # A regression is certain whatever else is missing, so it comes first.
    if State.REGRESSION in states:
        return REGRESSION
    if states & {State.FAILED, State.INCOMPLETE, State.NOT_JUDGED}:
        return IncompleteError.exit_code
    return UNDECIDED if State.SUSPICIOUS in states and fail_on_undecided else 0


def copy_files(record: NightRecord, *, junit_path: Path | None, summary_path: Path | None) -> None:
    """Copy the files of a night to the given paths. Raises `StoreError`.

    The summary is appended: CI services collect the summaries of all steps in one file.
    """
    if junit_path is not None:
        with storage_errors(junit_path.parent):
            junit_path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(junit_path, junit(record))
    if summary_path is not None:
        with storage_errors(summary_path.parent):
            summary_path.parent.mkdir(parents=True, exist_ok=True)
            with summary_path.open("a", encoding="utf-8") as file:
                file.write(markdown(record))
