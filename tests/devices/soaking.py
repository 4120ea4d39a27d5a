"""Many phones at once, with cables pulled at random: no cell may be lost, run twice, or come from another phone.

``make soak`` and ``make soak ARGS=ios`` take ``--phones 8``, ``--runs 100`` and ``--seed 0``, print one line per run
and exit with 1 if any of these happened. Lost cells are resumed, as ``run --resume`` does, until every cell has run.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from harness.devices.device import Device
from harness.errors import DeviceError
from harness.measure.gate import Gate
from harness.measure.job import Job
from harness.measure.parallel import Setup, measure_jobs
from harness.plan.cells import make_cell
from harness.progress import Silent
from harness.records.measurement import CellStatus, Measurement
from harness.spec.profiles import ProfileName
from harness.store.reader import load_run, read_reply
from harness.store.records import MEASUREMENTS_FILE
from harness.store.writer import RunWriter
from harness.wire import Delegate, Format
from tests.measure.cells import job
from tests.store.test_store import RUN, written

MOST_ROUNDS = 40


class Pluggable(Protocol):
    """A phone whose cable can be pulled."""

    def plug(self) -> None:
        """Put the cable in."""

    def unplug(self) -> None:
        """Pull the cable."""


# Opens the phone of a key.
Open = Callable[[str], AbstractContextManager[Device]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Phones by their keys, how each is opened, and what waits until all are there again.

    ``pause_s`` are the bounds of the time between two pulls, ``away_s`` how long a phone may then be away.
    """

    phones: Mapping[str, Pluggable]
    open: Open
    wait: Callable[[], object]
    pause_s: tuple[float, float] = (0.3, 1.5)
    away_s: tuple[float, ...] = (0.05, 0.5, 3.0)


# Makes so many phones in a folder.
MadeFleet = Callable[[Path, int], AbstractContextManager[Fleet]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The outcome of one run; every count except ``cells`` and ``rounds`` must be zero."""

    cells: int
    rounds: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    mixed_up: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every cell ran once, on its own phone."""
        return not (self.lost or self.twice or self.mixed_up)


def soak_once(fleet: Fleet, folder: Path, rng: random.Random) -> Tally:
    """Run three cells on each phone while cables are pulled, and count the outcomes."""
    work = _jobs(folder, tuple(fleet.phones))
    rounds = 0
    with written(folder / "results") as writer:
        while (missing := _missing(work, writer)) and rounds < MOST_ROUNDS:
            rounds += 1
            with _pulling(fleet, rng):
                _measure(missing, fleet, writer)
            fleet.wait()
    return _count(work, folder / "results", rounds)


def _jobs(folder: Path, keys: Sequence[str]) -> list[Job]:
    one = job(folder, ProfileName.QUICK)
    one = replace(one, launches=1, profile=replace(one.profile, cool_down_ns=0, gate=False))
    return [
        replace(one, cell=make_cell("tiny", f"v{n}", Format.ONNX, Delegate.CPU, 1, key, ProfileName.QUICK))
        for key in keys
        for n in range(3)
    ]


def _missing(work: list[Job], writer: RunWriter) -> list[Job]:
    done = {measurement.cell for measurement in writer.record().measurements}
    return [item for item in work if item.cell.key not in done]


def _measure(work: list[Job], fleet: Fleet, writer: RunWriter) -> None:
    """One run or resumed run: open the phones that can be opened, and measure the missing cells."""
    with ExitStack() as stack:
        gates: dict[str, Gate] = {}
        for key in fleet.phones:
            opened = _opened(stack, fleet.open(key))
            if opened is not None:
                gates[key] = Gate(opened)
        now = [item for item in work if item.cell.device in gates]
        measure_jobs(now, Setup(gates=gates, sink=writer, progress=Silent()))


def _opened(stack: ExitStack, phone: AbstractContextManager[Device]) -> Device | None:
    """The phone, None while its cable is unplugged: a user would run again with --resume."""
    try:
        return stack.enter_context(phone)
    except DeviceError:
        return None


@contextmanager
def _pulling(fleet: Fleet, rng: random.Random) -> Iterator[None]:
    """Pull the cable of one phone after another, for a moment or for longer than the driver waits."""
    over, phones = threading.Event(), tuple(fleet.phones.values())

    def pull() -> None:
        while not over.wait(rng.uniform(*fleet.pause_s)):
            phone = rng.choice(phones)
            phone.unplug()
            over.wait(rng.choice(fleet.away_s))
            phone.plug()

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _count(work: list[Job], results: Path, rounds: int) -> Tally:
    run = load_run(results, RUN)
    lines = (run.directory / MEASUREMENTS_FILE).read_bytes().splitlines()
    times = Counter(msgspec.json.decode(line, type=Measurement).cell for line in lines)
    devices = {item.cell.key: item.cell.device for item in work}
    good = {found.cell: found for found in run.measurements if found.status is CellStatus.OK}
    reasons = {found.cell: f"{found.reason} {found.failure}" for found in run.measurements}
    mixed_up = [
        key
        for key, found in good.items()
        for launch in found.launches
        if (reply := read_reply(run, launch.reply_sha256)).runner.version != devices[key] or reply.cell != key
    ]
    return Tally(
        cells=len(work),
        rounds=rounds,
        lost=tuple(f"{key}: {reasons.get(key, 'it never ran')}" for key in devices if key not in good),
        twice=tuple(key for key, count in times.items() if count > 1),
        mixed_up=tuple(mixed_up),
    )


def soak(made_fleet: MadeFleet) -> int:
    """Run the soak test with the options of the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("phones", 8), ("runs", 100), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    rng, bad = random.Random(asked.seed), 0
    with tempfile.TemporaryDirectory() as name, made_fleet(Path(name), asked.phones) as fleet:
        for number in range(asked.runs):
            place = Path(name) / f"run{number}"
            place.mkdir()
            tally = soak_once(fleet, place, rng)
            bad += not tally.ok
            print(number, tally, flush=True)
    print(f"{asked.runs} runs of {asked.phones} phones, {bad} with a fault")
    return 1 if bad else 0
