"""Virtual phones on one real adb server, real work for them, and somebody who pulls cables."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.artifacts.cache import Cache
from harness.artifacts.stage import build_artifacts
from harness.devices.android.cable import Cable
from harness.devices.android.link import Server
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.android.tether import PhoneOptions
from harness.gate import Gate
from harness.lanes import Table, measure_jobs
from harness.measurement import CellStatus, Measurement
from harness.model import ModelOptions, resolve
from harness.plan import Build, make_cell
from harness.profiles import PROFILES, Profile, ProfileName
from harness.progress import Silent
from harness.run import Job
from harness.store import RunWriter
from harness.wire import Delegate, Format
from tests.devices.android.apks import tiny
from tests.devices.android.conftest import standin
from tests.orders import order
from tests.test_store import written
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

VARIANTS = ("fp32", "int8")
# Of the 360 test digits: what every cell must come back with, whichever phone it ran on.
RIGHT = 357
# A phone is waited for so long; cables are pulled for shorter and for longer.
BACK_S = 1.5
OUT_S = (0.02, 2.5)
PAUSE_S = (0.05, 0.8)
TRIES = 20

BRIEF: Profile = replace(
    PROFILES[ProfileName.QUICK],
    warmup_ns=0,
    measure_ns=20_000_000,
    measure_calls=20,
    memory_calls=1,
    settle_ns=0,
    cool_down_ns=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of one run: cells asked for, cells in the results, and what is wrong with them, ``why`` for each."""

    asked: int
    stored: int
    lost: int
    twice: int
    wrong: int
    pulled: int
    tries: int
    why: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether every cell is there once and right."""
        return (self.stored, self.lost, self.twice, self.wrong) == (self.asked, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """Phones that are switched on, and the jobs for all of them."""

    phones: dict[str, VirtualPhone]
    cables: dict[str, Cable]
    jobs: tuple[Job, ...]


@contextmanager
def farm(folder: Path, cache: Path, *, count: int) -> Iterator[Farm]:
    """Switch on ``count`` phones with the runner app on them; the models are built in ``cache``."""
    binary = adb_binary(Adb.WHEEL)
    assert binary is not None, "the package adbutils brings adb"
    apk = tiny(ApkMaker(folder))
    with ExitStack() as stack:
        server = stack.enter_context(AdbServer(folder / "adb", binary))
        phones: dict[str, VirtualPhone] = {}
        for number in range(count):
            phone = stack.enter_context(VirtualPhone(folder / f"phone{number}", serial=f"vphone-{number}"))
            phone.apps.program = standin
            server.connect(phone)
            assert server.wait_state(phone, "device"), server.states()
            said = server.adb("-s", phone.address, "install", str(apk.path), timeout_s=120)
            assert said.code == 0, said.text
            phones[f"android:{phone.address}"] = phone
        cables = {key: Cable(Server(port=server.port), phone.address) for key, phone in phones.items()}
        yield Farm(phones=phones, cables=cables, jobs=tuple(_jobs(cache, tuple(phones))))


def play_round(farm: Farm, results: Path, seed: int) -> Round:
    """Run every job while cables are pulled, go on with what is missing, and look at what was stored."""
    chance, stop = random.Random(seed), threading.Event()
    pulled: list[str] = []
    with written(results, run_id=f"20260101-000000-{seed:04x}") as writer:
        puller = threading.Thread(target=_pull, args=(farm, chance, stop, pulled), name="puller")
        with _opened(farm) as phones:
            gates = {key: Gate(phone) for key, phone in phones.items()}
            puller.start()
            try:
                tries = _until_done(farm, Table(gates=gates, writer=writer, progress=Silent()))
            finally:
                stop.set()
                puller.join()
        return _judged(farm, writer, pulled=len(pulled), tries=tries)


def _until_done(farm: Farm, table: Table) -> int:
    """Measure what is not stored yet, as a resumed run does; return how often it took."""
    for tries in range(1, TRIES + 1):
        known = {found.cell for found in table.writer.record().measurements}
        todo = [job for job in farm.jobs if job.cell.key not in known]
        if not todo:
            return tries - 1
        measure_jobs(todo, table)
    return TRIES


def _judged(farm: Farm, writer: RunWriter, *, pulled: int, tries: int) -> Round:
    """Count in the lines of the results' file themselves, since the record would hide a cell that is there twice."""
    stored = writer.record().measurements
    lines = (writer.folder / "measurements.jsonl").read_bytes().splitlines()
    keys = Counter(found.cell for found in stored)
    asked = {job.cell.key for job in farm.jobs}
    return Round(
        asked=len(asked),
        stored=len(stored),
        lost=len(asked - keys.keys()),
        twice=len(lines) - len(keys),
        wrong=sum(_is_wrong(found) for found in stored),
        why=tuple(
            f"{m.cell}: {m.status} {m.reason} {m.failure.detail[-1500:] if m.failure else None}"
            for m in stored
            if _is_wrong(m)
        ),
        pulled=pulled,
        tries=tries,
    )


def _is_wrong(found: Measurement) -> bool:
    right = found.accuracy.correct if found.accuracy else None
    return found.status is not CellStatus.OK or right != RIGHT or len(found.launches) != 1


def _pull(farm: Farm, chance: random.Random, stop: threading.Event, pulled: list[str]) -> None:
    """Pull out one phone after the other, for a moment or for longer than it is waited for."""
    while not stop.wait(chance.uniform(*PAUSE_S)):
        key = chance.choice(sorted(farm.phones))
        farm.phones[key].faults.unplug()
        pulled.append(key)
        stop.wait(chance.uniform(*OUT_S))
        farm.phones[key].faults.plug()


@contextmanager
def _opened(farm: Farm) -> Iterator[dict[str, AndroidPhone]]:
    options = PhoneOptions(back_s=BACK_S, boot_s=BACK_S)

    def enter(key: str) -> AndroidPhone:
        return stack.enter_context(open_phone(farm.cables[key], key=key, options=options))

    with ExitStack() as stack, ThreadPoolExecutor(len(farm.phones)) as pool:
        yield dict(zip(farm.phones, pool.map(enter, farm.phones), strict=True))


def _jobs(cache: Path, devices: tuple[str, ...]) -> Iterator[Job]:
    card = resolve("digits", ModelOptions())
    builds = [Build(model="digits", variant=variant, format=Format.ONNX, backend=None) for variant in VARIANTS]
    outcome = build_artifacts(order([card], builds), Cache(cache), Silent())
    for device in devices:
        for build in builds:
            yield Job(
                cell=make_cell("digits", build.variant, Format.ONNX, Delegate.CPU, 1, device, ProfileName.QUICK),
                card=card,
                artifact=outcome.artifacts[build],
                model=outcome.models["digits"],
                profile=BRIEF,
                launches=1,
            )
