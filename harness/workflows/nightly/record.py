"""The record of a night of ``phonebench nightly``, and how far it has got.

The record is also the journal. It is replaced on disk after every step, so a night that was killed resumes where it
stopped, and nothing is measured or confirmed twice.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import msgspec

from harness.errors import StoreError, UsageError
from harness.history.records import Decision
from harness.spec.spec import Spec
from harness.stats.looks import WAITS
from harness.stats.screening import ARL0
from harness.store.reader import check_schema
from harness.store.records import REPLIES_FOLDER
from harness.system.decoding import decode_json
from harness.system.files import storage_errors, write_whole

# 1 (2026-11): the first.
SCHEMA = 1

FOLDER = "nightly"
RECORD_FILE = "night.json"
# How many nights are searched for what was handed on.
CARRIED_NIGHTS = 30
# Minutes of side-by-side sessions per night.
BUDGET_MIN = 60.0


class Trigger(StrEnum):
    """Why two artifacts are compared side by side.

    The values of past nights: the screen, a large step, the tolerance of an exact metric, or garbage outputs. Without
    any suspicion: tonight's file is not last night's (``new file``), it is one of a sample of the series that share a
    shift, or its level has moved away from the pinned baseline.
    """

    SCREEN = "screen"
    STEP = "large step"
    TOLERANCE = "tolerance"
    GARBAGE = "garbage"
    NEW_FILE = "new file"
    COMMON = "common shift"
    BASELINE = "baseline"


# These compare files without a suspicion that the series itself changed, so "equal" is the expected outcome.
UNPROMPTED = (Trigger.NEW_FILE, Trigger.COMMON, Trigger.BASELINE)


class State(StrEnum):
    """The result of one series on one night. The first two are confirmed; only ``regression`` fails the job.

    ``failed``: the cell was tried and returned no value. ``incomplete``: it was not tried, because its device was
    missing. ``not judged``: it was measured and added to the history, but its statistics failed.
    """

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    SUSPICIOUS = "suspicious"
    NONE = "none"
    INSUFFICIENT = "insufficient data"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    NOT_JUDGED = "not judged"


class GroupKind(StrEnum):
    """What the series of a common shift have in common."""

    FARM = "farm"
    DEVICE = "device"
    RUNTIME = "runtime"
    FORMAT = "format"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A device that could not be opened, and why."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A change that awaits confirmation. ``first_run``: the first night of the new level.

    ``good_run`` and ``good_sha256`` are the run and the artifact of the last night before it; ``sha256`` is tonight's
    artifact. ``ratio`` is new over old, as screened. The cause is a commit after ``last_good``, up to and including
    ``first_bad``. ``looks`` and ``log_ratios`` are those of earlier nights on which the same two artifacts were
    compared and the answer stayed open. ``expected``: ln(new / old) that was reported before; only a difference from
    that is news.
    """

    series: str
    cell: str
    metric: str
    trigger: Trigger
    worse: bool
    ratio: float
    first_run: str
    good_run: str
    good_sha256: str
    sha256: str
    last_good: str | None
    first_bad: str | None
    looks: int = 0
    log_ratios: tuple[float, ...] = ()
    expected: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The outcome for one suspect, before the night's correction for many of them.

    ``decision`` is that of this suspect alone. ``ratio`` is new over old with its 95 % interval, from ``pairs`` pairs.
    ``good_sha256`` is the artifact that was compared with; ``log_ratios`` are those of all nights. ``leaning``: they
    point to a difference, but not surely enough yet. ``skipped``: there was no comparison, for ``reason``.
    """

    series: str
    decision: Decision
    worse: bool
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    pairs: int = 0
    reason: str = ""
    good_sha256: str = ""
    log_ratios: tuple[float, ...] = ()
    leaning: bool = False
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSuspicion:
    """A suspicion that is undecided. ``wait``: nights until its next comparison; its two artifacts stay the same."""

    suspect: Suspect
    wait: int = WAITS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What is known about a series and the pinned artifact ``sha256``.

    ``told``: ln(new / old) that was reported last, 0 at first. ``wait``: nights until the next comparison; ``looks``:
    comparisons since the last report.
    """

    series: str
    sha256: str
    told: float = 0.0
    wait: int = 0
    looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """A device that failed lately: on so many nights in a row most of its cells were not measured, for ``reason``.

    ``since``: the night that put it in quarantine, None if it is not there. ``wait``: nights that it is still kept out
    of before it is tried again. ``tries``: how often it was tried in vain since then.
    """

    device: str
    failed: int
    reason: str
    since: str | None = None
    wait: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What one night hands to the next. ``devices``: those that failed lately."""

    open: tuple[OpenSuspicion, ...] = ()
    pinned: tuple[Pinned, ...] = ()
    devices: tuple[DeviceHealth, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """When the sessions of one cell had its device. Times are ISO 8601, UTC."""

    device: str
    started_at: str
    ended_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUsage:
    """What a night cost on one device, in seconds.

    ``busy_s``: how long cells and comparisons had the device, ``cooling_s`` of it waiting at the gate. ``queued_s``:
    how long a cell waited for the device, on average, from the first cell of its run on. ``active_s``: how long any
    device of the night was busy, which is what ``busy_s`` is compared with.
    """

    device: str
    cells: int
    busy_s: float
    cooling_s: float
    queued_s: float
    active_s: float

    @property
    def utilisation(self) -> float:
        """The share of the night's active time (0…1) in which this device was busy."""
        return self.busy_s / self.active_s if self.active_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonShift:
    """A shift that ``series`` series of a group share. ``ratio``: new over old, the median of the group.

    ``since``: the first run at the new level. ``lasting``: the shift has lasted for three nights, so the series begin a
    new level. ``changed``: what else differs from the night before. ``confirmed`` of the ``sampled`` series were slower
    or faster side by side too, so that their files changed and not the device.
    """

    kind: GroupKind
    name: str
    metric: str
    ratio: float
    series: int
    since: str
    worse: bool
    lasting: bool = False
    changed: tuple[str, ...] = ()
    sampled: int = 0
    confirmed: int = 0

    @property
    def by_files(self) -> bool:
        """Whether most of the sample was confirmed side by side."""
        return self.confirmed >= LEAST_CONFIRMED * max(self.sampled, 2)


# The share of a sample that must be confirmed before the whole group is taken for changed.
LEAST_CONFIRMED = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCell:
    """One cell of a baseline: its artifact, and its latency if it was measured, ns."""

    cell: str
    sha256: str
    latency_ns: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What every night is compared with: ``name`` as given, and its cells. ``missing`` says which cells it lacks."""

    name: str
    cells: tuple[BaselineCell, ...]
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesNight:
    """One series on one night: its state, the reason, tonight's value, and the level that it is compared with.

    ``device`` is set for an incomplete cell.
    """

    series: str
    cell: str
    metric: str
    state: State
    value: float | None = None
    level: float | None = None
    nights: int = 0
    measured: int = 1
    reason: str = ""
    suspect: Suspect | None = None
    confirmation: Confirmation | None = None
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRecord:
    """The content of ``night.json``. Times are ISO 8601, UTC.

    ``absent`` devices could not be opened, or were left out because they are in quarantine (``kept_out``).
    ``readmitted`` ones are tried all the same. ``lost`` ones went away in the middle of the run. ``compared`` and
    ``usage`` say what the night cost.

    ``run`` holds tonight's measurements; ``again`` are the runs that measured outlying series again. A field that is
    None has not been reached yet. ``budget_min``: minutes of side-by-side sessions. ``taken_over`` comes from the night
    before, and ``handed_on`` goes to the next one.
    """

    schema: int = SCHEMA
    id: str
    created_at: str
    finished_at: str | None = None
    spec: Spec
    history: str
    arl0: int = ARL0
    budget_min: float = BUDGET_MIN
    baseline: Baseline | None = None
    taken_over: Carried = Carried()
    run: str | None = None
    commit: str | None = None
    absent: tuple[Absent, ...] = ()
    kept_out: tuple[str, ...] = ()
    readmitted: tuple[str, ...] = ()
    lost: tuple[Absent, ...] = ()
    again: tuple[str, ...] = ()
    entered: bool = False
    suspects: tuple[Suspect, ...] | None = None
    confirmations: tuple[Confirmation, ...] = ()
    compared: tuple[Compared, ...] = ()
    usage: tuple[DeviceUsage, ...] = ()
    causes: tuple[CommonShift, ...] = ()
    series: tuple[SeriesNight, ...] | None = None
    handed_on: Carried | None = None


class Journal:
    """The record of one night on disk. `note` is the only way to change it."""

    def __init__(self, results: Path, record: NightRecord) -> None:
        self.folder = results / FOLDER / record.id
        self.record = record

    def note(self, **changes: object) -> None:
        """Replace fields of the record and write it to disk. Raises `StoreError`."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]
        self.write(RECORD_FILE, msgspec.json.format(msgspec.json.encode(self.record), indent=1))

    def write(self, name: str, data: bytes) -> Path:
        """Write a file of the night, completely or not at all, and return its path. Raises `StoreError`."""
        path = self.folder / name
        with storage_errors(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        return path

    def keep(self, data: bytes, suffix: str) -> str:
        """Store a reply, compressed, under its SHA-256, and return that digest. Raises `StoreError`."""
        digest = hashlib.sha256(data).hexdigest()
        # mtime=0 makes equal replies equal files.
        self.write(f"{REPLIES_FOLDER}/{digest}{suffix}.gz", gzip.compress(data, compresslevel=1, mtime=0))
        return digest


def read_night(results: Path, name: str) -> NightRecord:
    """Read a night by its id, or ``latest``. Raises `UsageError` if it does not exist, `StoreError`."""
    root = results / FOLDER
    nights = _night_names(root)
    if not nights:
        msg = f"there are no nights in {str(root)!r}; to start one: phonebench nightly SPEC"
        raise UsageError(msg)
    night = nights[-1] if name == "latest" else name
    if night not in nights:
        msg = f"{name!r} is not a night in {str(root)!r}; the newest is {nights[-1]!r}"
        raise UsageError(msg)
    path = root / night / RECORD_FILE
    try:
        data = path.read_bytes()
        check_schema(data, SCHEMA, str(path))
        return decode_json(data, NightRecord)
    except (OSError, ValueError, UsageError) as error:
        msg = f"{str(path)!r} cannot be read: {error}; start a new night"
        raise StoreError(msg) from error


class NightDevices(msgspec.Struct, frozen=True, kw_only=True):
    """What a night says of its devices: a part of its record, which is read without the thousands of its series."""

    id: str
    absent: tuple[Absent, ...] = ()
    kept_out: tuple[str, ...] = ()
    usage: tuple[DeviceUsage, ...] = ()
    handed_on: Carried | None = None


def newest_devices(results: Path) -> NightDevices | None:
    """Return what the newest readable night in ``results`` says of its devices, None if there is none."""
    for name in _night_names(results / FOLDER)[: -CARRIED_NIGHTS - 1 : -1]:
        try:
            data = (results / FOLDER / name / RECORD_FILE).read_bytes()
            check_schema(data, SCHEMA, name)
            return decode_json(data, NightDevices)
        except (OSError, ValueError, UsageError):
            continue
    return None


def last_carried(results: Path, history: str) -> Carried:
    """Return what the newest finished night of this ``history`` handed on; nothing if there is none.

    Nights that are damaged, unfinished or of an older version are passed over, up to a month of them.
    """
    for name in _night_names(results / FOLDER)[: -CARRIED_NIGHTS - 1 : -1]:
        try:
            night = read_night(results, name)
        except StoreError:
            continue
        if night.handed_on is not None and night.history == history:
            return night.handed_on
    return Carried()


def _night_names(root: Path) -> list[str]:
    return sorted(folder.parent.name for folder in root.glob(f"*/{RECORD_FILE}"))
