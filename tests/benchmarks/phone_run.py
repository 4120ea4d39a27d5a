"""The way from ``phonebench run`` to the app's start on a warm phone, against the same by hand, in turns."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

from harness.devices.android.app.job import ACTIVITY
from harness.devices.android.app_ids import app_id_of
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

WARM_PAIRS = 5


def phone_run(folder: Path) -> None:
    """Print how much longer the command takes to the app's start than a person's first two commands do."""
    binary = adb_binary(Adb.WHEEL)
    if binary is None:
        _say("adbutils, which brings adb, is not installed")
        return
    with AdbServer(folder / "adb", binary) as server, VirtualPhone(folder / "phone") as phone:
        server.connect(phone)
        server.wait_state(phone, "device")
        _start(folder, server, phone)


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
    sys.stdout.write(f"phone-run: {line}\n")
    sys.stdout.flush()
