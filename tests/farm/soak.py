"""A farm whose parts are killed at random: no cell may be lost, stored twice, or run beside another on one device.

``python -m tests.farm.soak [--agents 8] [--phones 125] [--cells 6] [--seconds 20] [--kills 12] [--links 1] [--seed 0]``
measures that many cells on each phone, prints one line per blow and the outcome, and exits with 1 if a cell was lost,
stored twice, or two ran on one device. With ``--links`` every agent has a network of its own, which is cut as well;
the clock of the first agent is an hour ahead and that of the second an hour behind.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.records.measurement import CellStatus, Measurement
from harness.store.reader import load_run
from harness.store.records import MEASUREMENTS_FILE
from tests.farm.lab import Agents, Lab, Process, running
from tests.farm.phones import ends, overlaps
from tests.store.test_store import RUN

HOUR_S = 3600


@dataclass(frozen=True, kw_only=True)
class Blows:
    """What is done to the farm: how many blows, with links cut among them or not, at intervals of so many seconds."""

    count: int
    links: bool
    pause_s: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The outcome. ``lost``, ``twice`` and ``beside`` must be empty.

    ``repeated`` counts launches that a phone did again, because a kill came between their end and the spool.
    ``scheduler_ms`` and ``agents_ms`` are processor time per cell; 0 if processes were killed.
    """

    cells: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    beside: tuple[str, ...]
    repeated: int
    seconds: float
    scheduler_ms: float = 0.0
    agents_ms: float = 0.0

    @property
    def ok(self) -> bool:
        return not (self.lost or self.twice or self.beside)


def soak(lab: Lab, each: int, blows: Blows, rng: random.Random, *, most_s: float) -> Tally:
    """Measure ``each`` cells on every phone of the lab while it is struck."""
    keys = lab.agents.keys()
    place = lab.place
    command = [sys.executable, "-m", "tests.farm.owner_process", place.host, str(place.port), str(place.certs)]
    owner = Process([*command, str(lab.folder), ",".join(keys), str(each)], lab.folder / "owner.log")
    started_s, struck = time.monotonic(), 0
    cpu_ms, agents_ms = _cpu_ms(lab.scheduler), sum(map(_cpu_ms, lab.hosts))
    owner.start()
    next_s = time.monotonic() + rng.uniform(*blows.pause_s)
    try:
        while time.monotonic() < started_s + most_s:
            assert owner.running is not None
            code = owner.running.poll()
            if code is not None:
                if _stored(lab.folder) >= len(keys) * each:
                    break
                print(f"the owner ended with {code}, resuming", flush=True)
                owner.start()
            if struck < blows.count and time.monotonic() > next_s:
                struck += 1
                _strike(lab, owner, blows, rng)
                next_s = time.monotonic() + rng.uniform(*blows.pause_s)
            time.sleep(0.2)
    finally:
        owner.kill()
    tally = _count(lab, each, time.monotonic() - started_s)
    if blows.count:
        # Processes that were started again have forgotten what they cost before.
        return tally
    return replace(
        tally,
        scheduler_ms=(_cpu_ms(lab.scheduler) - cpu_ms) / tally.cells,
        agents_ms=(sum(map(_cpu_ms, lab.hosts)) - agents_ms) / tally.cells,
    )


def _strike(lab: Lab, owner: Process, blows: Blows, rng: random.Random) -> None:
    kinds = ["agent", "agent", "scheduler", "owner"] + ["link"] * 2 * blows.links
    kind, number = rng.choice(kinds), rng.randrange(lab.agents.count)
    print(f"{_stored(lab.folder)} stored; strikes {kind} {number if kind in ('agent', 'link') else ''}", flush=True)
    match kind:
        case "link":
            lab.cut(number, whole=False)
            time.sleep(rng.choice((0.5, 5.0)))
            lab.cut(number, whole=True)
        case "owner":
            owner.kill()
            owner.start()
        case _:
            process = lab.scheduler if kind == "scheduler" else lab.hosts[number]
            process.kill()
            time.sleep(rng.choice((0.0, 2.0)))
            process.start()


def _stored(folder: Path) -> int:
    path = folder / "results" / RUN / MEASUREMENTS_FILE
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _count(lab: Lab, each: int, seconds: float) -> Tally:
    run = load_run(lab.folder / "results", RUN)
    lines = (run.directory / MEASUREMENTS_FILE).read_bytes().splitlines()
    times = Counter(msgspec.json.decode(line, type=Measurement).cell for line in lines)
    good = {one.cell for one in run.measurements if one.status is CellStatus.OK}
    cells = [cell.key for cell in run.head.plan.cells]
    assert len(cells) == len(lab.agents.keys()) * each
    return Tally(
        cells=len(cells),
        lost=tuple(cell for cell in cells if cell not in good),
        twice=tuple(cell for cell, count in times.items() if count > 1),
        beside=tuple(overlaps(lab.log)),
        repeated=sum(count - 1 for count in ends(lab.log).values() if count > 1),
        seconds=seconds,
    )


def _cpu_ms(process: Process) -> float:
    """The processor time of a process so far, in ms."""
    assert process.running is not None
    fields = Path(f"/proc/{process.running.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run the soak test with the options of the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("agents", 8), ("phones", 125), ("cells", 6), ("kills", 12), ("links", 1), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--most", type=float, default=7200.0)
    asked = parser.parse_args()
    agents = Agents(count=asked.agents, phones=asked.phones, seconds=asked.seconds)
    blows = Blows(count=asked.kills, links=bool(asked.links), pause_s=(asked.seconds / 4, asked.seconds))
    with tempfile.TemporaryDirectory() as name:
        lab = Lab(Path(name), agents, networks=bool(asked.links), skew_s=(HOUR_S, -HOUR_S))
        with running(lab):
            tally = soak(lab, asked.cells, blows, random.Random(asked.seed), most_s=asked.most)
        print((lab.folder / "owner.log").read_text()[-2000:])
    print(tally)
    return 0 if tally.ok else 1


if __name__ == "__main__":
    sys.exit(main())
