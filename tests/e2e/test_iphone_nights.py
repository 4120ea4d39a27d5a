"""Nights and A/B sessions on virtual iPhones, from the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.devices.ios.environment import make_environment
from tests.conftest import Called, call_phonebench
from tests.devices.android.apks import tiny
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import make_work
from tests.devices.ios.conftest import app
from tests.viphone.apps import Launch, wait_until
from tests.viphone.fixtures import MakePhone, device_key, ipas, make_iphone, usbmuxd
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.usbmuxd import Usbmuxd
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.fixtures import adb_server, apks, bare_phone, phone
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer

__all__ = ["adb_server", "apks", "bare_phone", "device_key", "ipas", "make_iphone", "phone", "usbmuxd"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The command line with iPhones on the cable, each with an app that answers at once."""

    call: Callable[..., Called]
    start: Callable[..., subprocess.Popen[bytes]]
    make: MakePhone
    ipa: Path

    def phone(self, number: int, ios: str = "16.7") -> VirtualIPhone:
        """One more iPhone."""
        phone = self.make(IPhoneState(udid=own_udid(0xE300 + number), ios=ios))
        phone.apps.program = app("ok")
        return phone


@pytest.fixture
def bench(make_iphone: MakePhone, usbmuxd: Usbmuxd, ipas: IpaMaker, tmp_path: Path) -> Bench:
    make_environment()
    make_work(tmp_path).model.rename(tmp_path / "net.onnx")
    places = {"USBMUXD_SOCKET_ADDRESS": usbmuxd.address, "PHONEBENCH_CACHE": str(tmp_path / "cache")}

    def call(*words: str, **more: str) -> Called:
        return call_phonebench(*words, cwd=tmp_path, env=places | more)

    def start(*words: str) -> subprocess.Popen[bytes]:
        environment = os.environ | places | {"PYTHONPATH": str(ROOT)}
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *words], cwd=tmp_path, env=environment, stdout=quiet, stderr=quiet
        )

    ipa = ipas.make(IpaPlan(devices=None, digest="abc"))
    return Bench(call=call, start=start, make=make_iphone, ipa=ipa)


def key(phone: VirtualIPhone) -> str:
    return f"ios:{phone.state.udid}"


def write_night(folder: Path, ipa: Path, *devices: str) -> None:
    lines = ['model = "net.onnx"', f"device = {json.dumps(devices)}", 'profile = "quick"', f'ipa = "{ipa}"']
    (folder / "night.toml").write_text("\n".join(lines) + "\n")


def locked_in_mid_run(phone: VirtualIPhone) -> None:
    """Let the phone restart while the next app runs; it then waits for its passcode."""

    def program(launch: Launch) -> list[str]:
        phone.apps.program = app("ok")
        threading.Timer(0.5, phone.faults.restart).start()
        return app("hang")(launch)

    phone.apps.program = program


def test_two_nights_of_iphones_that_change_in_between(bench: Bench, tmp_path: Path) -> None:
    """One is absent, one has another iOS, one is in low power mode, and one restarts in the middle of the night."""
    absent, updated, saving, restarted = (bench.phone(number) for number in range(1, 5))
    phones = [key(phone) for phone in (absent, updated, saving, restarted)]
    write_night(tmp_path, bench.ipa, *phones)
    first = bench.call("nightly", "night.toml", "--json")
    assert first.code == 0, first.out
    absent.unplug()
    updated.state.ios = "17.4"
    saving.apps.program = app("saving")
    locked_in_mid_run(restarted)
    second = bench.call("nightly", "night.toml", "--json")
    # Phones that are missing make a night incomplete; none of this is a regression.
    assert second.code == 20, second.err
    latencies = [one for one in second.json()["series"] if one["metric"] == "latency"]
    series = {phone: one for phone in phones for one in latencies if phone.replace(":", "-") in one["cell"]}
    assert [series[phone]["state"] for phone in phones] == ["incomplete", *["insufficient data"] * 2, "incomplete"]
    assert "is not connected" in series[phones[0]]["reason"]
    assert series[phones[1]]["reason"].startswith("1 night")
    assert series[phones[2]]["reason"].startswith("2 nights")
    assert "is locked" in series[phones[3]]["reason"]
    summary = (tmp_path / second.json()["folder"] / "summary.md").read_text()
    assert f"Device {phones[3]} was lost during the run: iPhone" in summary
    cells = {c["device"]: c for c in bench.call("show", second.json()["id"], "--json").json()["cells"]}
    assert "LOW-POWER-MODE" in {one["id"] for one in cells[phones[2]]["conditions"]}
    for one in (updated, saving, restarted):
        assert (one.apps.running(), one.apps.unclosed_launches) == ((), 0)


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_an_iphone_and_an_android_phone_in_one_night(
    bench: Bench, adb_server: AdbServer, phone: VirtualPhone, apks: ApkMaker, tmp_path: Path
) -> None:
    phone.packages.install(tiny(apks).path, InstallOptions())
    phone.apps.program = standin
    beside = bench.phone(5)
    android, iphone = f"android:{phone.address}", key(beside)
    write_night(tmp_path, bench.ipa, android, iphone)
    # The driver of iPhones is in the home folder of this user.
    places = {name: value for name, value in adb_server.env.items() if name != "HOME"}
    first = bench.call("nightly", "night.toml", "--json", **places)
    assert first.code == 0, first.err
    assert latency_states(first) == ["insufficient data"] * 2
    # The runner app of the iPhone is in the spec, and concerns the other phone no more than before.
    beside.unplug()
    second = bench.call("nightly", "night.toml", "--json", **places)
    assert second.code == 20, second.err
    assert latency_states(second) == ["insufficient data", "incomplete"]


def latency_states(night: Called) -> list[str]:
    """Return the state of each phone's latency, in the order of the phones."""
    return [one["state"] for one in night.json()["series"] if one["metric"] == "latency"]


def test_a_kill_in_the_middle_of_an_iphone_run_costs_a_launch_and_orphans_nothing(bench: Bench) -> None:
    phone = bench.phone(6)
    launched: list[str] = []

    def program(launch: Launch) -> list[str]:
        launched.append(launch.arguments[1])
        # The second cell is killed in its launch; what runs on the phone does not notice.
        return app("hang" if len(launched) == 2 else "ok")(launch)

    phone.apps.program = program
    cells = ("net.onnx", "-d", key(phone), "-t", "1,2,4", "--launches", "1", "--ipa", str(bench.ipa))
    process = bench.start("run", *cells)
    assert wait_until(lambda: len(launched) == 2 or process.poll() is not None, timeout_s=120)
    workers = children_of(process.pid)
    process.kill()
    process.wait()
    assert workers
    assert wait_until(lambda: not any(is_alive(pid) for pid in workers)), "the driver outlived what started it"
    done = bench.call("run", "--resume", "--json")
    assert done.code == 0, done.err
    assert [(cell["status"], cell["latency"]["launches"]) for cell in done.json()["cells"]] == [("ok", 1)] * 3
    # The first cell once, the second one again, the third one once.
    assert len(launched) == len(set(launched)) == 4
    assert (phone.apps.running(), phone.apps.unclosed_launches) == ((), 0)
    assert list(phone.storage.data.glob("*/Documents/phonebench/jobs/*")) == []


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and is only remembered does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
