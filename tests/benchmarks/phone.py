"""What the Android driver costs on a virtual phone: files against the adb command line, a launch against one by hand.

``make benchmark ARGS=phone``; needs what the virtual phone needs: adb, mksh, toybox, a JDK with Maven.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from harness.devices.android.cable import Cable
from harness.devices.android.job import ACTIVITY
from harness.devices.android.link import Server
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.android.phone_store import FOLDER
from harness.wire import encode
from tests.devices.android.jobs import Work, make_work
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.desktop import class_path, desktop_program
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

FILE_BYTES = 100 << 20
TIMES = 7
APP = ApkPlan().package


def phone(folder: Path) -> None:
    """Print medians, in turn so that both sides see the same machine."""
    (folder / "apks").mkdir()
    apk, work = ApkMaker(folder / "apks").make(ApkPlan()), make_work(folder)
    file = folder / "file"
    file.write_bytes(os.urandom(FILE_BYTES))
    for adb in Adb:
        binary = adb_binary(adb)
        if binary is None:
            continue
        with (
            AdbServer(folder / f"home-{adb}", binary) as server,
            VirtualPhone(folder / f"phone-{adb}", data_bytes=2 << 30) as virtual,
        ):
            server.connect(virtual)
            server.wait_state(virtual, "device")
            virtual.packages.install(apk, InstallOptions())
            virtual.apps.program = desktop_program(class_path())
            cable = Cable(Server(port=server.port), virtual.address)
            _files(f"adb {adb}", server, cable, file)
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
    for way, seconds in _in_turn(ways).items():
        print(f"{name}: {way}: {FILE_BYTES / 1e6 / seconds:.0f} MB/s")


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
    """The median seconds of each way, one after the other, several times over."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TIMES):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append(time.perf_counter() - began)
    return {name: median(seconds) for name, seconds in took.items()}
