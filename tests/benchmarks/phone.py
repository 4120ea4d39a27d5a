"""What the Android driver costs on a virtual phone: files against the adb command line, a launch against one by hand.

``make benchmark ARGS=phone``; needs what the virtual phone needs: adb, mksh, toybox, a JDK with Maven.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.android.app.job import ACTIVITY
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.android.phone_store import FOLDER
from harness.wire import encode
from tests.devices.android.jobs import Work, make_work
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.server import Adb, AdbServer, adb_binary

FILE_BYTES = 100 << 20
SMALL_BYTES = 1_000
TIMES = 15
APP = ApkPlan().package


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A virtual phone in a process of its own: in ours it would share an interpreter with what is measured."""

    address: str

    def attach(self, reconnect: Callable[[], object]) -> None:
        """Forget ``reconnect``: this phone stays plugged in."""


@contextmanager
def phone_apart() -> Generator[Apart]:
    """Switch on a phone that runs the Java core."""
    command = [sys.executable, "-m", "tests.vphone", "--runner"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Apart(address=process.stdout.readline().strip())
        finally:
            process.stdin.close()


def phone(folder: Path) -> None:
    """Print medians, in turn so that both sides see the same machine."""
    (folder / "apks").mkdir()
    apk, work = ApkMaker(folder / "apks").make(ApkPlan()), make_work(folder)
    file, small = folder / "file", folder / "small"
    file.write_bytes(os.urandom(FILE_BYTES))
    small.write_bytes(os.urandom(SMALL_BYTES))
    for adb in Adb:
        binary = adb_binary(adb)
        if binary is None:
            continue
        with AdbServer(folder / f"home-{adb}", binary) as server, phone_apart() as virtual:
            server.connect(virtual)
            server.wait_state(virtual, "device")
            server.adb("-s", virtual.address, "install", str(apk), timeout_s=120)
            cable = Cable(Server(port=server.port), virtual.address)
            _files(f"adb {adb}", server, cable, file)
            _files(f"adb {adb}", server, cable, small)
            with open_phone(cable, key="android") as android:
                _launches(f"adb {adb}", server, android, cable, work)


def _files(name: str, server: AdbServer, cable: Cable, file: Path) -> None:
    there, back = "/data/local/tmp/file", file.with_name("back")
    adb = ("-s", cable.serial)
    ways: dict[str, Callable[[], object]] = {
        "push, driver": lambda: cable.push(file, there),
        "push, adb": lambda: server.adb(*adb, "push", str(file), there),
        "pull, driver": lambda: cable.pull(there, back),
        "pull, adb": lambda: server.adb(*adb, "pull", there, str(back)),
    }
    took, size = _in_turn(ways), file.stat().st_size
    for way, seconds in took.items():
        print(f"{name}: {way}, {size / 1e6:g} MB: {1000 * seconds:.1f} ms, {size / 1e6 / seconds:.3g} MB/s")
    for way in ("push", "pull"):
        print(f"{name}: {way}: driver / adb {took[f'{way}, driver'] / took[f'{way}, adb']:.2f} of the time")


def _launches(name: str, server: AdbServer, android: AndroidPhone, cable: Cable, work: Work) -> None:
    ways: dict[str, Callable[[], object]] = {
        "driver": lambda: _by_driver(android, work),
        "hand": lambda: _by_hand(server, cable.serial, work),
    }
    _by_driver(android, work)
    took = _in_turn(ways)
    more = took["driver"] - took["hand"]
    print(f"{name}: a launch by the driver {took['driver']:.2f} s, by hand {took['hand']:.2f} s, {more:+.2f} s")


def _by_driver(android: AndroidPhone, work: Work) -> None:
    """A launch with all that a run does around it on a warm phone."""
    android.readiness()
    android.conditions()
    android.push(work.model, work.sha256)
    assert android.execute(work.request, work.inputs, 60).reply.failure is None


def _by_hand(server: AdbServer, serial: str, work: Work) -> None:
    """The same launch with the adb command line and nothing around it."""
    job, inputs = f"h{secrets.token_hex(4)}", hashlib.sha256(work.inputs.read_bytes()).hexdigest()
    uri = f"content://{APP}.jobs/{job}"

    def shell(command: str, stdin: bytes = b"") -> bytes:
        return server.adb("-s", serial, "shell", command, stdin=stdin).out

    shell(f"content write --uri {uri}/request.json", encode(work.request))
    shell(f"am start -S -W -n {APP}/{ACTIVITY} --es job {job} --es store {FOLDER} --es inputs {inputs}")
    while not shell(f"content read --uri {uri}/reply.json").startswith(b"{"):
        time.sleep(0.1)
    shell(f"content read --uri {uri}/outputs.bin")


def _in_turn(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds of each way, one after the other, several times over, there and back."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TIMES):
        for name, way in list(ways.items())[:: -1 if turn % 2 else 1]:
            began = time.perf_counter()
            way()
            took[name].append(time.perf_counter() - began)
    return {name: median(seconds) for name, seconds in took.items()}
