"""The pairs of an A/B session on a device of a farm: its agent runs them as a whole and sends back what they left."""

from __future__ import annotations

from harness.errors import IncompleteError, InterruptedRunError, UsageError
from harness.farm.engine import FarmEngine
from harness.farm.errands import PairErrand
from harness.measure.job import Job
from harness.measure.pairs import PairPlan, RanPairs
from harness.progress import Progress
from harness.store.writer import RunWriter
from harness.workflows.bench import Places
from harness.workflows.farmed import farm_devices


def device_for(key: str, places: Places) -> str:
    """Return the device that ``key`` stands for, itself without a farm.

    Raises `UsageError` if it stands for several, `DeviceError` if the farm does not have it.
    """
    if places.farm.place is None:
        return key
    keys = farm_devices((key,), places.farm.place)
    if len(keys) != 1:
        msg = f"device {key!r} stands for {len(keys)} devices, and a session takes one: name it, or write :any"
        raise UsageError(msg)
    return keys[0]


def run_on_farm(
    jobs: tuple[Job, Job], engine: FarmEngine, writer: RunWriter, plan: PairPlan, progress: Progress
) -> RanPairs:
    """Run the pairs and return what they left, their replies stored.

    Raises `IncompleteError` if the device is lost, and `InterruptedRunError` on Ctrl-C, which ends the session.
    """
    answers: list[RanPairs] = []
    reasons: list[str] = []

    def took(ran: RanPairs) -> str:
        answers.append(ran)
        return f"{len(ran.pairs)} pairs"

    errand = PairErrand(key="pairs", jobs=jobs, plan=plan, keeper=writer, took=took, lost=reasons.append)
    progress.start("pairs", 1)
    try:
        engine.run_errands([errand], progress)
    except KeyboardInterrupt:
        msg = "stopped; a farm returns a session only as a whole, so no pair is stored: start a new session"
        raise InterruptedRunError(msg) from None
    if not answers:
        why = reasons[-1] if reasons else "it gave no answer"
        msg = f"the session on {errand.device!r} was lost: {why}; start a new one"
        raise IncompleteError(msg)
    return answers[-1]
