"""Whole nights on the scripted phone: what is reported, what is confirmed, and resuming a stopped night."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.artifacts.manifest import Artifact
from harness.errors import InterruptedRunError, StoreError
from harness.history.database import open_history
from harness.history.queries import decisions_of, nights_of
from harness.history.records import Decision, NightStatus
from harness.measure.pairs import PairPlan
from harness.progress import Silent
from harness.workflows.nightly.files import markdown
from harness.workflows.nightly.night import NightOptions, nightly, resume_night
from harness.workflows.nightly.record import Absent, Journal, NightRecord, SeriesNight, State, Trigger
from tests.workflows.nightly.conftest import CELL, SPEC, Farm

LATENCY = f"{CELL.key}/latency"


def of(record: NightRecord, series: str = LATENCY) -> SeriesNight:
    """One series of a night."""
    return next(night for night in record.series or () if night.series == series)


def test_a_first_night_is_added_and_claims_nothing(farm: Farm) -> None:
    record = nightly(SPEC, farm.tools)
    assert {night.state for night in record.series or ()} == {State.INSUFFICIENT, State.NONE}
    assert record.suspects == ()
    with open_history(farm.tools.history) as history:
        assert [night.run for night in nights_of(history, LATENCY)] == [record.id]


def test_a_large_step_is_confirmed_the_same_night(farm: Farm, smaller: Artifact) -> None:
    farm.fill(25, faster=1.3, artifact=smaller)
    record = nightly(SPEC, farm.tools)
    night = of(record)
    assert night.state is State.REGRESSION
    assert night.measured == 3
    assert night.suspect is not None
    assert night.suspect.trigger is Trigger.STEP
    confirmed = night.confirmation
    assert confirmed is not None
    assert confirmed.low is not None
    assert confirmed.pairs >= 10
    # On the scripted phone the time is proportional to the size of the file.
    assert confirmed.low > 1.2
    with open_history(farm.tools.history) as history:
        assert [d.decision for d in decisions_of(history, LATENCY)] == [Decision.CONFIRMED]
        tonight = [n for n in nights_of(history, LATENCY) if n.run == record.id]
    assert [n.attempt for n in tonight] == [0, 1, 2]
    assert [n.status for n in tonight].count(NightStatus.OK) == 1


def test_a_step_that_the_artifact_does_not_explain_is_refuted(farm: Farm, smaller: Artifact) -> None:
    """In the history the smaller file was slower than it is when measured side by side."""
    farm.fill(25, faster=0.5, artifact=smaller)
    night = of(nightly(SPEC, farm.tools))
    assert night.suspect is not None
    assert not night.suspect.worse
    assert night.state is State.NONE
    assert night.confirmation is not None
    assert night.confirmation.decision is Decision.REFUTED


def test_a_step_with_the_same_file_is_drift_of_the_device(farm: Farm) -> None:
    farm.fill(25, faster=1.3)
    # One night may be a bad one, which slows whatever runs on it.
    assert of(nightly(SPEC, farm.tools)).state is State.NONE
    night = of(nightly(SPEC, farm.tools))
    assert night.state is State.SUSPICIOUS
    assert night.confirmation is not None
    assert night.confirmation.decision is Decision.DRIFT
    assert of(nightly(SPEC, farm.tools)).suspect is None


def test_without_a_kept_artifact_a_step_stays_undecided(farm: Farm, smaller: Artifact) -> None:
    farm.fill(25, faster=1.3, artifact=smaller)
    shutil.rmtree(farm.results / "nightly")
    night = of(nightly(SPEC, farm.tools))
    assert night.state is State.SUSPICIOUS
    assert "no artifact of an earlier night" in night.reason


def test_level_nights_raise_no_alarm(farm: Farm) -> None:
    farm.fill(25)
    record = nightly(SPEC, farm.tools)
    assert {night.state for night in record.series or ()} == {State.NONE}
    assert record.again == ()


def test_a_larger_file_is_reported_at_once(farm: Farm, smaller: Artifact) -> None:
    farm.fill(3, artifact=smaller)
    with open_history(farm.tools.history) as history, history.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE value SET value = value / 2 WHERE series_id IN (SELECT id FROM series WHERE metric = 'size')"
        )
    night = of(nightly(SPEC, farm.tools), f"{CELL.key}/size")
    assert night.state is State.REGRESSION
    assert night.confirmation is not None
    assert night.confirmation.ratio == pytest.approx(2)


def test_a_lost_device_is_incomplete_and_not_a_regression(farm: Farm) -> None:
    record = nightly(replace(SPEC, device=("fake", "fake:lost")), farm.tools)
    states = {night.cell: night.state for night in record.series or ()}
    assert states[CELL.key] in (State.INSUFFICIENT, State.NONE)
    assert [state for cell, state in states.items() if "lost" in cell] == [State.INCOMPLETE]


def test_a_cell_that_crashes_is_failed(farm: Farm) -> None:
    record = nightly(replace(SPEC, device=("fake:crash",)), farm.tools)
    assert [night.state for night in record.series or ()] == [State.FAILED]


def test_a_night_without_any_device_is_incomplete(farm: Farm) -> None:
    journal = Journal(farm.results, NightRecord(id="n", created_at="2026-01-01", spec=SPEC, history="", run="n"))
    journal.note(absent=(Absent(device="fake", reason="the cable is out"),))
    record = resume_night("n", farm.tools)
    assert [(n.state, n.reason) for n in record.series or ()] == [(State.INCOMPLETE, "the cable is out")]
    assert record.finished_at is not None


class Stops(Silent):
    """Ctrl-C at the ``at``-th call of progress."""

    def __init__(self, at: int) -> None:
        self._left = at

    def begin(self, unit: str) -> None:  # noqa: ARG002
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_night_stopped_anywhere_ends_the_same(farm: Farm, smaller: Artifact, at: int) -> None:
    farm.fill(25, faster=1.3, artifact=smaller)
    with pytest.raises(InterruptedRunError, match="nightly --resume=") as stopped:
        nightly(SPEC, replace(farm.tools, progress=Stops(at)))
    name, *options = str(stopped.value).split("--resume=")[1].split()
    assert options[-2:] == ["--history", farm.tools.history]
    record = resume_night(name, farm.tools)
    assert of(record).state is State.REGRESSION
    with open_history(farm.tools.history) as history:
        assert len([n for n in nights_of(history, LATENCY) if n.run == record.id]) == 3
        assert len(decisions_of(history, LATENCY)) == 1
    again = resume_night(record.id, farm.tools)
    assert msgspec.json.encode(again) == msgspec.json.encode(record)


def test_a_history_that_fails_in_the_night_loses_nothing(farm: Farm, smaller: Artifact) -> None:
    farm.fill(25, faster=1.3, artifact=smaller)
    path = Path(farm.tools.history)
    kept = path.with_name("kept.sqlite")
    shutil.copy(path, kept)

    class Breaks(Silent):
        """Breaks the history while the first cell is measured."""

        def step(self, unit: str, outcome: str) -> None:  # noqa: ARG002
            if " ms" in outcome:
                path.write_bytes(b"no database any more" * 500)

    with pytest.raises(StoreError, match="nightly --resume=") as failed:
        nightly(SPEC, replace(farm.tools, progress=Breaks()))
    for side in path.parent.glob("h.sqlite*"):
        side.unlink()
    shutil.copy(kept, path)
    record = resume_night(str(failed.value).split("--resume=")[1].split()[0], farm.tools)
    assert of(record).state is State.REGRESSION


def test_a_slower_file_is_reported_on_the_second_night(farm: Farm, smaller: Artifact) -> None:
    farm.fill(1, faster=1.3, artifact=smaller)
    night = of(nightly(SPEC, farm.tools))
    assert night.state is State.REGRESSION
    assert night.suspect is not None
    assert night.suspect.trigger is Trigger.NEW_FILE
    assert night.confirmation is not None
    assert night.confirmation.ratio is not None
    assert night.confirmation.ratio > 1.2
    # One cause is reported once: from now on this is the level.
    assert of(nightly(SPEC, farm.tools)).state is State.INSUFFICIENT


def test_without_time_for_comparisons_a_new_file_is_only_measured(farm: Farm, smaller: Artifact) -> None:
    farm.fill(1, faster=1.3, artifact=smaller)
    record = nightly(SPEC, farm.tools, NightOptions(budget_min=0))
    assert of(record).state is State.INSUFFICIENT
    assert "1 comparisons were left out when the 0 minutes for them were used up" in markdown(record)


def test_the_budget_ends_the_comparisons_of_a_night(farm: Farm, smaller: Artifact) -> None:
    """The clock of this night takes an hour between two readings."""
    farm.fill(1, faster=1.3, artifact=smaller)
    hours = iter(range(100))
    record = nightly(SPEC, replace(farm.tools, clock=lambda: 3600.0 * next(hours)), NightOptions(budget_min=30))
    assert [c.skipped for c in record.confirmations if c.series == LATENCY] == [True]


def test_an_undecided_suspicion_waits_for_the_next_night_with_its_pairs(farm: Farm, smaller: Artifact) -> None:
    """Twelve pairs cannot be sure enough; with those of the next night they are."""
    farm.fill(1, faster=1.3, artifact=smaller)
    tools = replace(farm.tools, plan=PairPlan(pairs=12, most_pairs=12))
    first = of(nightly(SPEC, tools))
    assert first.state is State.SUSPICIOUS
    assert "compared again in 1 night" in first.reason
    second = of(nightly(SPEC, tools))
    assert second.state is State.REGRESSION
    assert second.confirmation is not None
    assert second.confirmation.pairs == 24
    with open_history(farm.tools.history) as history:
        found = [(d.decision, d.first_run) for d in decisions_of(history, LATENCY)]
    assert [decision for decision, _ in found] == [Decision.UNDECIDED, Decision.CONFIRMED]
    # The change began on the night of the new file, whenever it was confirmed.
    assert len({first_run for _, first_run in found}) == 1


def test_a_night_whose_statistics_fail_keeps_its_measurements(farm: Farm) -> None:
    """No table of thresholds has a run length of 7, so the screen fails for every series that it looks at."""
    farm.fill(25)
    record = nightly(SPEC, farm.tools, NightOptions(arl0=7))
    night = of(record)
    assert night.state is State.NOT_JUDGED
    assert "arl0 is 7" in night.reason
    with open_history(farm.tools.history) as history:
        assert [n.run for n in nights_of(history, LATENCY)][-1] == record.id
    assert of(record, f"{CELL.key}/size").state is State.NONE
    assert record.finished_at is not None
    # The next night is as any other.
    assert of(nightly(SPEC, farm.tools)).state is State.NONE


def test_a_phone_that_cannot_be_opened_costs_its_own_cells_alone(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    # It was there when the night looked for its devices, and its cable was pulled before the run, or before it resumed.
    monkeypatch.setenv("PHONEBENCH_ADB_PORT", "1")
    monkeypatch.setenv("PHONEBENCH_ADB_START", "never")
    spec = replace(SPEC, device=("fake", "android:gone"))
    Journal(farm.results, NightRecord(id="n", created_at="2026-01-01", spec=spec, history="", run="n")).note()
    record = resume_night("n", farm.tools)
    states = {night.cell: night.state for night in record.series or ()}
    assert states.pop(CELL.key) in (State.INSUFFICIENT, State.NONE)
    assert list(states.values()) == [State.INCOMPLETE]
    assert [lost.device for lost in record.lost] == ["android:gone"]
    assert "no adb server answers" in record.lost[0].reason
