"""The exit code of a stored run: it tells a script which stage failed."""

from __future__ import annotations

from harness.errors import BuildError, RunError
from harness.records.measurement import CellStatus, Measurement
from harness.stats.verdicts import Verdict
from harness.store.records import RunRecord

# Not errors but verdicts, so they are apart from the exit codes in harness.errors.
REGRESSION = 10
UNDECIDED = 15


def exit_code(run: RunRecord) -> int:
    """Return 5 if a cell failed on its device, 4 if an artifact was not built or is broken, else 0.

    A hole with a reason is a result, not a failure. But a run in which no cell could be measured returns 4.
    """
    if any(_failed_on_device(m) for m in run.measurements):
        return RunError.exit_code
    bad = any(m.status in (CellStatus.FAILED, CellStatus.BROKEN) for m in run.measurements)
    nothing = not any(m.status is CellStatus.OK for m in run.measurements)
    return BuildError.exit_code if bad or nothing else 0


def _failed_on_device(measurement: Measurement) -> bool:
    return measurement.status is CellStatus.FAILED and measurement.failure is not None


def verdict_code(verdict: Verdict, *, fail_on_undecided: bool) -> int:
    """Return 10 for a regression, 15 for an undecided comparison if ``fail_on_undecided``, else 0."""
    if verdict is Verdict.REGRESSED:
        return REGRESSION
    return UNDECIDED if verdict is Verdict.UNDECIDED and fail_on_undecided else 0
