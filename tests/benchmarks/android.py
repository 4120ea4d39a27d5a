"""What the Android driver costs: files against the adb command line, and the way from the command to the app's start.

Both on one virtual phone behind one real adb server, in turns in one run.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from harness.devices.android.apps import app_id_of
from harness.devices.android.cable import Cable
from harness.devices.android.job import ACTIVITY
from harness.devices.android.link import Server
from harness.devices.android.phone_store import FOLDER
from harness.wire import REPLY_FILE, REQUEST_FILE, encode
from tests.conftest import call_phonebench
from tests.devices.android.apks import tiny
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import make_work
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.apps import Launch
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

FILE_BYTES = 64 << 20
PAIRS = 7
WARM_PAIRS = 5


def android(folder: Path) -> None:
    """Print what was measured in ``folder``, with each of the adb servers that is installed."""
    for adb in Adb:
        binary = adb_binary(adb)
        if binary is None:
            _say(f"the adb of {adb.value} is not installed")
            continue
        place = folder / adb.value
        with AdbServer(place / "adb", binary) as server, VirtualPhone(place / "phone") as phone:
            server.connect(phone)
            server.wait_state(phone, "device")
            _files(adb, place, server, phone)
            if adb is Adb.WHEEL:
                _start(place, server, phone)


def _files(adb: Adb, folder: Path, server: AdbServer, phone: VirtualPhone) -> None:
    source, back = folder / "file.bin", folder / "back.bin"
    source.write_bytes(os.urandom(FILE_BYTES))
    cable = Cable(Server(port=server.port), phone.address)
    remote = "/data/local/tmp/file.bin"
    _compare(
        f"push of 64 MiB, {adb.value}",
        lambda: cable.push(source, remote),
        lambda: server.adb("-s", phone.address, "push", str(source), remote),
    )
    _compare(
        f"pull of 64 MiB, {adb.value}",
        lambda: cable.pull(remote, back),
        lambda: server.adb("-s", phone.address, "pull", remote, str(back)),
    )


def _compare(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(PAIRS):
        for kept, work in zip(times, (ours, theirs), strict=True):
            began = time.monotonic()
            work()
            kept.append(time.monotonic() - began)
    ratio = median(own / other for own, other in zip(*times, strict=True))
    speed = FILE_BYTES / 1e6 / median(times[0])
    _say(f"{name}: driver takes {ratio:.2f} x the adb command line ({speed:.0f} MB/s; median of {PAIRS} pairs)")


def _start(folder: Path, server: AdbServer, phone: VirtualPhone) -> None:
    """From the command to the app's start, with the app installed and the file on the phone, against by hand."""
    apk = tiny(ApkMaker(folder))
    server.adb("-s", phone.address, "install", str(apk.path), timeout_s=120)
    started: list[float] = []

    def program(launch: Launch) -> list[str]:
        started.append(time.monotonic())
        return standin(launch)

    phone.apps.program = program
    work = make_work(folder)
    (folder / "net.onnx").write_bytes(work.model.read_bytes())
    ours: list[float] = []
    hand: list[float] = []
    for _ in range(WARM_PAIRS + 1):
        ours.append(_by_command(folder, server, phone, started))
        hand.append(_by_hand(server, phone, folder, started))
    # The first command sends the file and fills the cache.
    more = median(ours[1:]) - median(hand[1:])
    _say(
        f"warm run: {median(ours[1:]):.2f} s from the command to the app's start, {median(hand[1:]):.2f} s by hand: "
        f"{more:.2f} s more (medians of {WARM_PAIRS})"
    )


def _by_command(folder: Path, server: AdbServer, phone: VirtualPhone, started: list[float]) -> float:
    started.clear()
    began = time.monotonic()
    places = {"PHONEBENCH_RESULTS": str(folder / "results"), "PHONEBENCH_CACHE": str(folder / "cache")}
    device = f"android:{phone.address}"
    done = call_phonebench("run", "net.onnx", "--device", device, cwd=folder, env=server.env | places)
    if not started:
        raise SystemExit(done.err)
    return started[0] - began


def _by_hand(server: AdbServer, phone: VirtualPhone, folder: Path, started: list[float]) -> float:
    """The four commands that a person would type, up to the reply."""
    work = make_work(folder)
    app, store = app_id_of("onnxruntime"), f"content://{app_id_of('onnxruntime')}.jobs/hand"
    shell = ("-s", phone.address, "shell")
    for path, name in ((work.model, work.sha256), (work.inputs, "inputs")):
        server.adb("-s", phone.address, "push", str(path), f"{FOLDER}/{name}")
    started.clear()
    began = time.monotonic()
    server.adb(*shell, f"content write --uri {store}/{REQUEST_FILE}", stdin=encode(work.request))
    extras = f"--es job hand --es store {FOLDER} --es inputs inputs"
    server.adb(*shell, f"am start -S -W -n {app}/{ACTIVITY} {extras}")
    ends = time.monotonic() + 30
    while time.monotonic() < ends and b'"schema"' not in server.adb(*shell, _read(store)).out:
        time.sleep(0.05)
    server.adb(*shell, f"content delete --uri {store}")
    return started[0] - began


def _read(store: str) -> str:
    return f"content read --uri {store}/{REPLY_FILE}"


def _say(line: str) -> None:
    sys.stdout.write(f"android: {line}\n")
    sys.stdout.flush()
