"""Many phones at once, with cables pulled at random: no cell may be lost, run twice, or come from another phone.

``python -m tests.devices.android.soak [--phones 8] [--runs 100] [--seed 0]`` prints one line per run and exits
with 1 if any of these happened. Lost cells are resumed, as ``run --resume`` does, until every cell has run.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.errors import PhoneError
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
from tests.devices.android.apks import TinyApk, apk_source, tiny
from tests.measure.cells import job
from tests.store.test_store import RUN, written
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.apps import Launch, Program
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

APP = Path(__file__).with_name("echo_app.py")
# Chosen so that some unpluggings cost a cell and others nothing.
BACK_S = 1.5
MOST_ROUNDS = 40


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


def soak_once(phones: list[VirtualPhone], server: AdbServer, apk: TinyApk, folder: Path, rng: random.Random) -> Tally:
    """Run three cells on each of ``phones`` while cables are pulled, and count the outcomes."""
    work = _jobs(folder, phones)
    rounds = 0
    with written(folder / "results") as writer:
        while (missing := _missing(work, writer)) and rounds < MOST_ROUNDS:
            rounds += 1
            with _pulling(phones, rng):
                _measure(missing, phones, server, apk, writer)
            for phone in phones:
                server.wait_state(phone, "device")
    return _count(work, folder / "results", rounds)


def echo_program(name: str) -> Program:
    """The app of the phone called ``name``."""

    def command(launch: Launch) -> list[str]:
        return [sys.executable, "-S", "-E", str(APP), str(launch.files / "jobs" / launch.extras["job"]), name]

    return command


def _jobs(folder: Path, phones: list[VirtualPhone]) -> list[Job]:
    one = job(folder, ProfileName.QUICK)
    one = replace(one, launches=1, profile=replace(one.profile, cool_down_ns=0, gate=False))
    return [
        replace(one, cell=make_cell("tiny", f"v{n}", Format.ONNX, Delegate.CPU, 1, _key(phone), ProfileName.QUICK))
        for phone in phones
        for n in range(3)
    ]


def _key(phone: VirtualPhone) -> str:
    return f"android:{phone.address}"


def _missing(work: list[Job], writer: RunWriter) -> list[Job]:
    done = {measurement.cell for measurement in writer.record().measurements}
    return [item for item in work if item.cell.key not in done]


def _measure(work: list[Job], phones: list[VirtualPhone], server: AdbServer, apk: TinyApk, writer: RunWriter) -> None:
    """One run or resumed run: open the phones that can be opened, and measure the missing cells."""
    options = PhoneOptions(apks=apk_source(apk), back_s=BACK_S, boot_s=10)
    with ExitStack() as stack:
        gates: dict[str, Gate] = {}
        for phone in phones:
            cable = Cable(Server(port=server.port), phone.address)
            opened = _opened(stack, cable, _key(phone), options)
            if opened is not None:
                gates[_key(phone)] = Gate(opened)
        now = [item for item in work if item.cell.device in gates]
        measure_jobs(now, Setup(gates=gates, sink=writer, progress=Silent()))


def _opened(stack: ExitStack, cable: Cable, key: str, options: PhoneOptions) -> AndroidPhone | None:
    """The phone, None while its cable is unplugged: a user would run again with --resume."""
    try:
        return stack.enter_context(open_phone(cable, key=key, options=options))
    except PhoneError:
        return None


@contextmanager
def _pulling(phones: list[VirtualPhone], rng: random.Random) -> Iterator[None]:
    """Pull the cable of one phone after another, for a moment or for longer than the driver waits."""
    over = threading.Event()

    def pull() -> None:
        while not over.wait(rng.uniform(0.3, 1.5)):
            phone = rng.choice(phones)
            phone.unplug()
            over.wait(rng.choice((0.05, 0.5, 3.0)))
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


@contextmanager
def plugged_in(server: AdbServer, folder: Path, count: int) -> Iterator[list[VirtualPhone]]:
    """That many phones on one server, which finds each again when it is plugged in."""
    with ExitStack() as stack:
        phones = [stack.enter_context(VirtualPhone(folder / f"phone{n}", serial=f"vphone-{n}")) for n in range(count)]
        for phone in phones:
            phone.apps.program = echo_program(_key(phone))
            server.connect(phone)
            phone.attach(lambda phone=phone: server.adb("connect", phone.address))  # type: ignore[misc]
        yield phones


def main() -> int:
    """Run the soak test with the options of the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("phones", 8), ("runs", 100), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    binary, rng, bad = adb_binary(Adb.WHEEL), random.Random(asked.seed), 0
    assert binary is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "apks").mkdir()
        apk = tiny(ApkMaker(folder / "apks"))
        with AdbServer(folder / "home", binary) as server, plugged_in(server, folder, asked.phones) as phones:
            for number in range(asked.runs):
                place = folder / f"run{number}"
                place.mkdir()
                tally = soak_once(phones, server, apk, place, rng)
                bad += not tally.ok
                print(number, tally, flush=True)
    print(f"{asked.runs} runs of {asked.phones} phones, {bad} with a fault")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
