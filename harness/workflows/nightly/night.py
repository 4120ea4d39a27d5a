"""One night from spec to verdicts: run, screen, measure outliers again, add to the history, confirm, write.

Every step starts from what is stored, and never repeats what is stored. So the same code runs a new night and resumes
one that was stopped anywhere.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.artifacts.build import BuildOutcome
from harness.errors import DeviceError, IncompleteError, InterruptedRunError, StoreError, UsageError
from harness.farm.link import DepotError
from harness.history.database import History, open_history
from harness.history.figures import entries_of, make_series, run_facts
from harness.history.ingest import append, decide
from harness.history.queries import decisions_of, nights_of
from harness.history.records import HistoryEntry, NightStatus, RunFacts
from harness.measure.pairs import PairPlan
from harness.plan.cells import Cell
from harness.progress import Progress
from harness.records.metrics import HEADLINE
from harness.spec.spec import Spec
from harness.stats.screening import ARL0, MOST_MEASURED, WINDOW
from harness.store.reader import load_run
from harness.store.records import RUN_FILE, RunRecord
from harness.store.writer import new_run_id
from harness.system.clock import utc_now
from harness.workflows.bench import Places
from harness.workflows.check import check, only_on
from harness.workflows.durations import night_estimate
from harness.workflows.farmed import expander
from harness.workflows.nightly.agenda import Before
from harness.workflows.nightly.artifacts import keep_artifacts
from harness.workflows.nightly.baseline import BaselineTools, baseline_artifacts, read_baseline
from harness.workflows.nightly.confirm import correct_for_many
from harness.workflows.nightly.devices import absent_devices, night_expander, night_places, why_lost
from harness.workflows.nightly.files import JUNIT_FILE, MARKDOWN_FILE, junit, markdown
from harness.workflows.nightly.judging import Judged, NightScreen, nothing_judged
from harness.workflows.nightly.multiples import panels_of
from harness.workflows.nightly.page import PAGE_FILE, night_page
from harness.workflows.nightly.quarantine import Fared, kept_out, next_health
from harness.workflows.nightly.record import (
    BUDGET_MIN,
    Absent,
    DeviceUsage,
    Journal,
    NightRecord,
    SeriesNight,
    State,
    last_carried,
    read_night,
)
from harness.workflows.nightly.screening import SeriesHistory
from harness.workflows.nightly.sessions import ConfirmationTools, confirm_all
from harness.workflows.nightly.usage import usage_of
from harness.workflows.run import Part, build_spec, resume_run, run_spec

# More than the window, so that the swap or change after which a segment starts is among the nights read.
NIGHTS_READ = 2 * WINDOW

log = logging.getLogger(__name__)

LOST = "the device was lost before this cell was measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class NightTools:
    """What a night needs: where things are kept, the history (a file or URL), progress, and the plan of pairs."""

    places: Places
    history: str
    progress: Progress
    plan: PairPlan = field(default_factory=PairPlan)
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class NightOptions:
    """How to judge a night: the run length of the screen, minutes of comparisons, and the baseline, as given.

    ``readmit``: devices to try although they are in quarantine.
    """

    arl0: int = ARL0
    budget_min: float = BUDGET_MIN
    baseline: str | None = None
    readmit: tuple[str, ...] = ()


def nightly(
    spec: Spec,
    tools: NightTools,
    options: NightOptions = NightOptions(),  # noqa: B008  a frozen record
    *,
    say: Callable[[str], None] = lambda _: None,
) -> NightRecord:
    """Run a night of ``spec`` and return its finished record.

    Once the spec is checked, ``say`` gets a sentence about how long the night takes. Raises `UsageError` or
    `StoreError` before anything is measured, and `InterruptedRunError` on Ctrl-C, after which the night can be resumed.
    Absent devices and failed cells do not raise; they are in the record.
    """
    # A key that stands for all connected phones is that of each of them from here on.
    tools = replace(tools, places=night_places(tools.places))
    spec = check(spec, expand=night_expander(tools.places)).spec
    _check_readmitted(options.readmit, spec)
    say(night_estimate(spec, budget_min=options.budget_min))
    places = tools.places
    with open_history(tools.history, create=True) as history:
        at_hand = BaselineTools(history=history, places=places, progress=tools.progress)
        record = NightRecord(
            id=new_run_id(datetime.now(UTC)),
            created_at=utc_now(),
            spec=spec,
            history=history.where,
            arl0=options.arl0,
            budget_min=options.budget_min,
            baseline=read_baseline(options.baseline, spec, at_hand) if options.baseline else None,
            readmitted=options.readmit,
            taken_over=last_carried(places.results, history.where),
        )
        journal = Journal(tools.places.results, record)
        journal.note()
        return _Night(journal, history, tools).go()


def resume_night(name: str, tools: NightTools, *, require_signature: str | None = None) -> NightRecord:
    """Resume a night. If it is finished, only its files are written again. Raises as `nightly` does.

    ``require_signature`` replaces that of the stored spec, which somebody may have changed.
    """
    tools = replace(tools, places=night_places(tools.places))
    record = read_night(tools.places.results, name)
    spec = replace(record.spec, require_signature=require_signature or record.spec.require_signature)
    journal = Journal(tools.places.results, replace(record, spec=spec))
    with open_history(tools.history, create=True) as history:
        return _Night(journal, history, tools).go()


class _Night:
    """A night in progress. Every method takes one step, or finds it done already."""

    def __init__(self, journal: Journal, history: History, tools: NightTools) -> None:
        self._journal, self._history, self._tools = journal, history, tools

    def go(self) -> NightRecord:
        """Take every step that is not done yet."""
        with _resumable(self._journal.record.id, self._tools):
            run = self._run()
            if run is None:
                return self._finish(None, nothing_judged())
            judged = self._screen(run)
            spec = replace(run.head.spec, require_signature=self._journal.record.spec.require_signature)
            checked, outcome = build_spec(spec, self._tools.places, self._tools.progress)
            self._enter(run, judged, outcome)
            tools = ConfirmationTools(
                history=self._history,
                places=self._tools.places,
                progress=self._tools.progress,
                plan=self._tools.plan,
                outcome=outcome,
                checked=checked,
                clock=self._tools.clock,
            )
            nights = {name: one.history.nights for name, one in judged.tonight.items()}
            confirm_all(self._journal, tools, run, nights)
            return self._finish(run, judged)

    def _run(self) -> RunRecord | None:
        """The night's run on the devices that are present; None if there are none."""
        record = self._journal.record
        if record.run is None:
            out = kept_out(record.spec.device, record.taken_over.devices, record.readmitted)
            names = tuple(absent.device for absent in out)
            tried = tuple(key for key in record.spec.device if key not in names)
            absent = (*out, *absent_devices(tried, record.spec.settings, self._tools.places))
            self._journal.note(run=record.id, absent=absent, kept_out=names)
            record = self._journal.record
        missing = {absent.device for absent in record.absent}
        present = tuple(device for device in record.spec.device if device not in missing)
        if not present:
            return None
        run = self._measure(only_on(present, record.spec), Part(run_id=record.run, order=record.id))
        self._journal.note(commit=run.head.commit)
        self._ask_why_lost(run)
        return run

    def _note_lost(self, reasons: Mapping[str, str]) -> None:
        """Note why devices went away in the middle of a run; what was noted first stays."""
        lost = self._journal.record.lost
        known = {absent.device for absent in lost}
        more = tuple(Absent(device=device, reason=why) for device, why in reasons.items() if device not in known)
        self._journal.note(lost=(*lost, *more))

    def _ask_why_lost(self, run: RunRecord) -> None:
        """Ask the farm why its devices went away, where the run did not say so."""
        measured = {measurement.cell for measurement in run.measurements}
        devices = tuple(dict.fromkeys(c.device for c in run.head.plan.cells if c.key not in measured))
        if not self._journal.record.lost:
            self._note_lost(why_lost(devices, self._tools.places))

    def _measure(self, spec: Spec, part: Part) -> RunRecord:
        """Start a run, resume it, or find it finished. Cells that a lost device left out stay out."""
        away: dict[str, str] = {}
        # Each try but the last finds one more device away, or back again.
        for _ in range(len(spec.device) + 1):
            try:
                return self._attempt(spec, part, away)
            # The cells measured so far are stored. The missing ones are reported as incomplete.
            except IncompleteError as error:
                # A farm is asked afterwards: it knows why its devices are away.
                if self._tools.places.farm.place is None:
                    self._note_lost(error.lost)
                break
            except DeviceError as error:
                # One that cannot be opened costs its own cells, and not those of the others.
                log.warning("%s", error)
                others = tuple(device for device in spec.device if device not in away)
                gone = absent_devices(others, spec.settings, self._tools.places)
                away |= {one.device: one.reason for one in gone}
                self._note_lost(away)
        return load_run(self._tools.places.results, part.run_id or "")

    def _attempt(self, spec: Spec, part: Part, away: Mapping[str, str]) -> RunRecord:
        """Start the run, resume it without the devices that are ``away``, or find it finished. Raises as both do."""
        tools, name = self._tools, part.run_id or ""
        if not (tools.places.results / name / RUN_FILE).is_file():
            return run_spec(spec, tools.places, tools.progress, part=part)
        stored = load_run(tools.places.results, name)
        if stored.head.finished_at:
            return stored
        return resume_run(name, tools.places, tools.progress, require_signature=spec.require_signature, away=away)

    def _screen(self, run: RunRecord) -> Judged:
        """Look for common shifts, screen every series, and decide what to compare.

        Outliers are measured again, twice at most, before they go into the history.
        """
        facts, record = run_facts(run), self._journal.record
        tonight: dict[str, list[HistoryEntry]] = {}
        for entry in entries_of(run):
            tonight.setdefault(entry.series.name, []).append(entry)
        histories = {name: self._history_of(name, facts) for name in tonight}
        screen = NightScreen(histories=histories, run=facts, arl0=record.arl0)
        first = {name: entries[0] for name, entries in tonight.items()}
        causes = screen.causes(first)
        screened = {name: screen.one(name, tonight[name], causes) for name in tonight}
        # Each round measures again only the cells that still need it, as a run of its own that can be resumed.
        for number in range(1, MOST_MEASURED):
            cells = frozenset(s.night.cell for s in screened.values() if s.again)
            more = self._measure_again(run, cells, number) if cells else ()
            more = tuple(e for e in more if screened[e.series.name].again and e.figures is not None)
            for entry in more:
                tonight[entry.series.name].append(entry)
            for name in {entry.series.name for entry in more}:
                screened[name] = screen.one(name, tonight[name], causes)
            if not more:
                break
        return screen.judged(screened, causes, Before(carried=record.taken_over, baseline=record.baseline))

    def _measure_again(self, run: RunRecord, cells: frozenset[str], number: int) -> tuple[HistoryEntry, ...]:
        name = f"{run.head.id}-again-{number}"
        devices = tuple(dict.fromkeys(c.device for c in run.head.plan.cells if c.key in cells))
        spec = only_on(devices, run.head.spec)
        spec = replace(spec, require_signature=self._journal.record.spec.require_signature)
        try:
            again = self._measure(spec, Part(run_id=name, cells=cells, order=name))
        except DepotError as error:
            # The farm has gone since the run. What it measured is worth a night without a second measurement.
            log.warning("%s. What looks unusual is not measured again tonight.", error)
            return ()
        self._journal.note(again=tuple(dict.fromkeys((*self._journal.record.again, name))))
        return entries_of(again)

    def _history_of(self, series: str, tonight: RunFacts) -> SeriesHistory:
        nights = nights_of(self._history, series, last=NIGHTS_READ)
        return SeriesHistory(
            nights=tuple(
                night
                for night in nights
                # When a night is resumed, its own values may be in the history already; and a later night may be, too.
                if night.status is NightStatus.OK and night.figures and night.created_at < tonight.created_at
            ),
            decisions=tuple(d for d in decisions_of(self._history, series) if d.seen_run != tonight.name),
        )

    def _enter(self, run: RunRecord, judged: Judged, outcome: BuildOutcome) -> None:
        append(self._history, run_facts(run), judged.entries)
        ran = {m.artifact.sha256 for m in run.measurements if m.artifact}
        artifacts = [a for a in outcome.artifacts.values() if a.manifest.sha256 in ran]
        results, baseline = self._tools.places.results, self._journal.record.baseline
        artifacts += baseline_artifacts(baseline, self._history, results, outcome, run.head.plan.cells)
        keep_artifacts(self._history, results, artifacts)
        self._journal.note(entered=True, suspects=judged.agenda.suspects)

    def _usage(self, run: RunRecord | None) -> tuple[DeviceUsage, ...]:
        """What the night cost. A run that was removed meanwhile is left out."""
        results, runs = self._tools.places.results, [] if run is None else [run]
        for name in self._journal.record.again:
            with suppress(UsageError, StoreError):
                runs.append(load_run(results, name))
        return usage_of(runs, self._journal.record.compared)

    def _finish(self, run: RunRecord | None, judged: Judged) -> NightRecord:
        """Add the decisions to the history, write the files, and finish the record."""
        record = self._journal.record
        said = correct_for_many(record.confirmations)
        outcome = judged.outcome(said, run_facts(run)) if run is not None else None
        series = [*outcome.series] if outcome else []
        cells = _planned(record, run, self._tools.places)
        missing = _not_measured(record, run, cells, {night.cell for night in series})
        for decided in outcome.decided if outcome else ():
            decide(self._history, decided)
        carried = outcome.carried if outcome else record.taken_over
        self._journal.note(
            series=(*series, *missing),
            causes=outcome.causes if outcome else (),
            handed_on=replace(carried, devices=next_health(record, _fared(cells, missing))),
            usage=self._usage(run),
            finished_at=record.finished_at or utc_now(),
        )
        self._journal.write(JUNIT_FILE, junit(self._journal.record))
        self._journal.write(MARKDOWN_FILE, markdown(self._journal.record).encode())
        page = night_page(self._journal.record, panels_of(self._history, self._journal.record))
        self._journal.write(PAGE_FILE, page.encode())
        return self._journal.record


def _check_readmitted(devices: tuple[str, ...], spec: Spec) -> None:
    """Raise `UsageError` for a device that the night does not have: a misspelt one would stay in quarantine."""
    for device in devices:
        if device not in spec.device:
            msg = f"--readmit {device!r} is not a device of this night; its devices are {', '.join(spec.device)}"
            raise UsageError(msg)


def _planned(record: NightRecord, run: RunRecord | None, places: Places) -> tuple[Cell, ...]:
    """Every cell of the night. Without a run, or with devices missing from it, only the spec lists all of them."""
    if run is not None and not record.absent:
        return run.head.plan.cells
    return check(record.spec, expand=expander(places)).plan.cells


def _not_measured(
    record: NightRecord, run: RunRecord | None, cells: Sequence[Cell], measured: set[str]
) -> tuple[SeriesNight, ...]:
    """The series of every cell that should have been measured and was not, with the reason."""
    reasons = {absent.device: absent.reason for absent in (*record.lost, *record.absent)}
    # A cell that was tried has a result, even if that is a reason.
    done = measured | ({m.cell for m in run.measurements} if run else set())
    return tuple(
        SeriesNight(
            series=make_series(cell, HEADLINE).name,
            cell=cell.key,
            metric=HEADLINE.name,
            state=State.INCOMPLETE,
            reason=reasons.get(cell.device, LOST),
            device=cell.device,
        )
        for cell in cells
        if cell.key not in done
    )


def _fared(cells: Sequence[Cell], missing: Sequence[SeriesNight]) -> tuple[Fared, ...]:
    """How each device of the night fared."""
    reasons = {night.cell: night.reason for night in missing}
    lost: dict[str, list[str]] = {}
    for cell in cells:
        lost.setdefault(cell.device, []).extend([reasons[cell.key]] if cell.key in reasons else [])
    count = Counter(cell.device for cell in cells)
    return tuple(
        Fared(device=device, cells=count[device], missing=len(why), reason=why[0] if why else "")
        for device, why in lost.items()
    )


def _history_option(tools: NightTools) -> tuple[str, ...]:
    """The option that finds the history again. The URL of a database is left out: it may hold a password."""
    default = tools.places.results / "history.sqlite"
    return () if "://" in tools.history or Path(tools.history) == default else ("--history", tools.history)


@contextmanager
def _resumable(name: str, tools: NightTools) -> Iterator[None]:
    how = f"to resume: {tools.places.resume_command('nightly', name, *_history_option(tools))}"
    try:
        yield
    except (KeyboardInterrupt, InterruptedRunError):
        msg = f"stopped; {how}"
        raise InterruptedRunError(msg) from None
    except StoreError as error:
        msg = f"{error}; afterwards, {how}"
        raise StoreError(msg) from error
