"""The command line with phones: listing, checking, and runs that complete despite lost phones."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.devices.android.adb.link import Server
from harness.devices.android.adb.server import server_version
from harness.runners.android.records import Runtime
from harness.runners.android.store import apk_path
from tests.conftest import Called, call_phonebench
from tests.devices.android.apks import TinyApk, keep_facts, tiny
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import make_work
from tests.loop.shared import SharedFolder
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer

APP = "org.phonebench.runner.onnxruntime"
Phonebench = Callable[..., Called]
# What does not depend on the adb server: the tests of the driver run all that the phone does behind both.
any_server = pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)


def plug_in(server: AdbServer, phone: VirtualPhone, apk: TinyApk) -> None:
    """Connect a phone with the app installed; the stand-in runs in its place."""
    phone.packages.install(apk.path, InstallOptions())
    phone.apps.program = standin
    server.connect(phone)
    assert server.wait_state(phone, "device"), server.states()
    phone.attach(lambda: server.adb("connect", phone.address))


@pytest.fixture
def phones(adb_server: AdbServer, tmp_path: Path, onnx_apk: TinyApk) -> Generator[list[VirtualPhone]]:
    """Two phones with the app installed."""
    with ExitStack() as stack:
        found = [stack.enter_context(VirtualPhone(tmp_path / f"phone{n}", serial=f"vphone-{n}")) for n in range(2)]
        for phone in found:
            plug_in(adb_server, phone, onnx_apk)
        yield found
        for phone in found:
            adb_server.adb("disconnect", phone.address)


@pytest.fixture
def phonebench(adb_server: AdbServer, tmp_path: Path, shared: SharedFolder) -> Phonebench:
    """The command line with that adb server, in a folder with a model, which the first run of all prepares."""
    home = tmp_path / "home"
    home.mkdir()
    make_work(home).model.rename(home / "net.onnx")

    def call(*args: str, **environment: str) -> Called:
        cache = ("--cache-dir", str(shared.folder("phone-cache"))) if args[0] == "run" else ()
        return call_phonebench(*args, *cache, cwd=home, env=adb_server.env | environment)

    return call


@pytest.fixture
def ended_server(adb_server: AdbServer) -> Generator[Callable[[VirtualPhone], Server]]:
    """Makes another program stop the server permanently while an app runs on a phone."""

    def end(phone: VirtualPhone) -> Server:
        threading.Thread(target=at_the_first_launch, args=(phone, adb_server.kill), daemon=True).start()
        return Server(port=adb_server.port)

    yield end
    adb_server.take_over()


def cells(called: Called) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = called.json()["cells"]
    return shown


def test_every_phone_is_listed_with_its_state_and_the_one_action(
    phonebench: Phonebench, phones: list[VirtualPhone], adb_server: AdbServer
) -> None:
    phones[1].faults.authorised = False
    assert adb_server.wait_state(phones[1], "unauthorized") or adb_server.connect(phones[1])
    listed = {info["key"]: info for info in phonebench("devices", "--json").json()}
    well, refused = (listed[f"android:{phone.address}"] for phone in phones)
    assert (well["model"], well["os"], well["abi"]) == ("Phonebench Virtual Phone", "Android 14", "x86_64")
    assert (well["cpu"], well["details"]["battery_percent"], well["details"]["state"]) == ("Virtual V8", "87", "device")
    assert refused["details"]["state"] in ("unauthorized", "offline", "unauthorised")
    assert refused["details"]["action"]
    table = phonebench("devices").out
    assert phones[0].address in table
    assert "to do" in table


@any_server
def test_a_phone_is_checked_step_by_step(phonebench: Phonebench, phones: list[VirtualPhone]) -> None:
    name = f"android:{phones[0].address}"
    done = phonebench("doctor", "--device", name)
    assert done.code == 0, done.out
    for word in (
        "MB/s to the phone",
        "Virtual V8",
        "thermal status none",
        "not installed",
        "doctor --device",
        "0.1.0+",
        "its provider works",
    ):
        assert word in done.out
    phones[0].faults.block_background()
    assert "its provider does not start, so replies will be read" in phonebench("doctor", "--device", name).out
    phones[0].state.secure_lock = phones[0].state.locked = True
    locked = phonebench("doctor", "--device", name, "--json")
    assert locked.code == 3
    failed = [step for step in locked.json()["steps"] if not step["ok"]]
    assert [step["name"] for step in failed] == ["screen"]
    assert "unlock the phone" in failed[0]["detail"]


def built_into(folder: Path, apk: TinyApk) -> None:
    """Put ``apk`` where ``runner build --out`` would, with the record that it writes beside it."""
    folder.mkdir()
    path = Path(shutil.copy(apk.path, apk_path(folder, Runtime.ONNXRUNTIME)))
    keep_facts(path, app_id=apk.app_id, version_name=apk.version_name)


@any_server
def test_apks_that_were_built_elsewhere_are_installed_from_there(
    phonebench: Phonebench, phones: list[VirtualPhone], apks: ApkMaker, tmp_path: Path
) -> None:
    newer = tiny(apks, replace(ApkPlan(), version_name="0.1.0+ba9876543210", version_code=2))
    built_into(tmp_path / "my apks", newer)
    name = f"android:{phones[1].address}"
    done = phonebench("runner", "install", "android", "--apks", str(tmp_path / "my apks"), "--device", name, "--json")
    assert done.code == 0, done.err
    assert done.json()["apps"] == [{"runtime": "onnxruntime", "version": "0.1.0+ba9876543210", "error": None}]


@any_server
def test_a_model_runs_on_the_phone_that_is_named(phonebench: Phonebench, phones: list[VirtualPhone]) -> None:
    done = phonebench("run", "net.onnx", "--device", f"android:{phones[1].address}", "--launches", "2", "--json")
    assert done.code == 0, done.err
    (cell,) = cells(done)
    assert (cell["status"], cell["device"]) == ("ok", f"android:{phones[1].address}")
    assert done.json()["run"]["devices"][0]["model"] == "Phonebench Virtual Phone"
    assert phones[0].apps.exits(APP) == ()


@any_server
def test_several_phones_and_none_named_is_refused_before_anything(
    phonebench: Phonebench, phones: list[VirtualPhone]
) -> None:
    done = phonebench("run", "net.onnx", "--device", "android")
    assert done.code == 3
    assert all(phone.address in done.err for phone in phones)
    assert "--device android:all" in done.err


@any_server
def test_all_phones_run_every_cell_once(phonebench: Phonebench, phones: list[VirtualPhone]) -> None:
    done = phonebench("run", "net.onnx", "-d", "android:all", "-t", "1,2", "--launches", "1", "--json")
    assert done.code == 0, done.err
    found = [(cell["device"], cell["threads"]) for cell in cells(done)]
    assert sorted(found) == sorted((f"android:{phone.address}", threads) for phone in phones for threads in (1, 2))
    for phone in phones:
        assert len(phone.apps.exits(APP)) == 2


@any_server
def test_unplugging_one_phone_leaves_its_cells_and_resuming_runs_them(
    phonebench: Phonebench, phones: list[VirtualPhone]
) -> None:
    gone, stays = phones
    threading.Thread(target=at_the_first_launch, args=(gone, gone.unplug), daemon=True).start()
    done = phonebench("run", "net.onnx", "-d", "android:all", "--launches", "2")
    assert done.code == 20, done.err
    assert "went away" in done.err
    assert "--resume" in done.err
    gone.plug()
    again = phonebench("run", "--resume", "--json")
    assert again.code == 0, again.err
    assert sorted(cell["device"] for cell in cells(again)) == sorted(f"android:{p.address}" for p in phones)
    assert {cell["status"] for cell in cells(again)} == {"ok"}
    assert len(stays.apps.exits(APP)) == 2


@any_server
def test_a_phone_that_restarts_leaves_its_cell_and_resuming_runs_it(
    phonebench: Phonebench, phones: list[VirtualPhone]
) -> None:
    phone = phones[0]

    def reboot() -> None:
        phone.apps.program = standin
        # By then the run waits for the end of the app; a restart before that only costs another start.
        time.sleep(2)
        phone.reboot()

    phone.apps.program = lambda _: ["sleep", "60"]
    threading.Thread(target=at_the_first_launch, args=(phone, reboot), daemon=True).start()
    done = phonebench("run", "net.onnx", "-d", f"android:{phone.address}", "--launches", "2")
    assert done.code == 20, done.err
    assert "restarted during the launch" in done.err
    assert "--resume" in done.err
    again = phonebench("run", "--resume", "--json")
    assert again.code == 0, again.err
    assert [cell["status"] for cell in cells(again)] == ["ok"]


@any_server
def test_of_all_phones_one_that_cannot_be_used_is_named(phonebench: Phonebench, phones: list[VirtualPhone]) -> None:
    phones[1].faults.offline()
    done = phonebench("run", "net.onnx", "-d", "android:all", "--launches", "1", "--json")
    phones[1].faults.hang(False)
    assert done.code == 0, done.err
    assert [cell["device"] for cell in cells(done)] == [f"android:{phones[0].address}"]
    assert f"phone '{phones[1].address}' is offline and is left out; run: adb disconnect" in done.err


def test_an_adb_server_that_was_ended_in_a_launch_and_that_nobody_starts_again_is_started_by_the_run(
    phonebench: Phonebench, phones: list[VirtualPhone], ended_server: Callable[[VirtualPhone], Server]
) -> None:
    server = ended_server(phones[0])
    done = phonebench("run", "net.onnx", "-d", f"android:{phones[0].address}", "--launches", "2", "--json")
    assert done.code == 0, done.err
    assert "waiting up to" in done.err
    assert [cell["status"] for cell in cells(done)] == ["ok"]
    # Only the run can have started the server that answers now.
    assert server_version(server)


@any_server
@pytest.mark.parametrize(
    ("ail", "said"),
    [
        (lambda phone: phone.faults.full(free_bytes=8 << 20), "are needed; free some space on the phone"),
        (lambda phone: phone.packages.remove(APP), "build the runner apps with phonebench runner build android"),
    ],
    ids=["full", "no app"],
)
def test_a_cell_that_a_phone_cannot_take_is_left_with_the_next_step(
    phonebench: Phonebench, phones: list[VirtualPhone], ail: Callable[[VirtualPhone], object], said: str
) -> None:
    ail(phones[0])
    done = phonebench("run", "net.onnx", "--device", f"android:{phones[0].address}", "--launches", "1")
    assert done.code == 20, done.err
    assert said in done.err
    assert "--resume" in done.err


def test_a_phone_that_did_not_allow_the_computer_is_refused_with_the_action(
    phonebench: Phonebench, phones: list[VirtualPhone], adb_server: AdbServer
) -> None:
    phones[0].faults.authorised = False
    adb_server.connect(phones[0])
    done = phonebench("run", "net.onnx", "--device", f"android:{phones[0].address}")
    assert done.code == 3
    assert "allow USB debugging" in done.err


def test_where_there_is_no_server_and_none_may_be_started(phonebench: Phonebench) -> None:
    environment = {"PHONEBENCH_ADB_PORT": "1", "PHONEBENCH_ADB_START": "never"}
    assert "no adb server answers" in phonebench("devices", **environment).out
    done = phonebench("run", "net.onnx", "--device", "android", **environment)
    assert done.code == 3
    assert "adb start-server" in done.err


@any_server
def test_without_an_adb_the_package_that_brings_one_is_named(phonebench: Phonebench) -> None:
    environment = {"PHONEBENCH_ADB_PORT": "1", "ADBUTILS_ADB_PATH": "/none/adb"}
    done = phonebench("run", "net.onnx", "--device", "android", **environment)
    assert done.code == 3
    assert "cannot run '/none/adb'" in done.err
    assert "pip install 'phonebench[android]'" in done.err


def test_without_a_phone_it_is_told_how_to_connect_one(phonebench: Phonebench) -> None:
    done = phonebench("run", "net.onnx", "--device", "android")
    assert done.code == 3
    assert "no phone is connected; connect a phone by cable" in done.err


def be_old(phone: VirtualPhone) -> None:
    phone.state.api = 25


def be_locked(phone: VirtualPhone) -> None:
    phone.state.secure_lock = phone.state.locked = True


def be_offline(phone: VirtualPhone) -> None:
    phone.faults.offline()


@pytest.mark.parametrize(
    ("ail", "code", "action"),
    [
        (be_old, 3, "Android 8 or newer"),
        (be_offline, 3, "adb disconnect 127.0.0.1:"),
        (be_locked, 20, "unlock the phone"),
    ],
)
def test_a_phone_that_is_not_fit_ends_the_run_with_the_one_action(
    phonebench: Phonebench, phones: list[VirtualPhone], ail: Callable[[VirtualPhone], None], code: int, action: str
) -> None:
    ail(phones[0])
    done = phonebench("run", "net.onnx", "--device", f"android:{phones[0].address}")
    phones[0].faults.hang(False)
    assert done.code == code, done.err
    assert action in done.err


@any_server
def test_settings_of_phones_are_refused_for_other_devices(phonebench: Phonebench) -> None:
    done = phonebench("run", "net.onnx", "--clocks", "fixed")
    assert done.code == 2
    assert "device 'host' has no setting clocks" in done.err


def at_the_first_launch(phone: VirtualPhone, work: Callable[[], object]) -> None:
    """Do ``work`` as soon as the app runs."""
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at and not phone.apps.running(APP):
        time.sleep(0.02)
    work()
