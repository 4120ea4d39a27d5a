"""pymobiledevice3 takes the virtual iPhone for a real one, over lockdownd and through the tunnel."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from harness.devices.ios.environment import make_environment
from tests.viphone import dtx, xpc
from tests.viphone.apps import LAUNCHES_UNTIL_STUCK, wait_until
from tests.viphone.archive import archive
from tests.viphone.fixtures import MakePhone
from tests.viphone.ipamaker import BUNDLE, EXECUTABLE, IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.library import Library, LibraryError
from tests.viphone.state import IPhoneState
from tests.viphone.trust import Dialog
from tests.viphone.usbmuxd import Usbmuxd

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Generator[Library]:
    with Library(make_environment(), tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def call(library: Library, usbmuxd: Usbmuxd) -> Call:
    return lambda do, **more: library.call(usbmuxd, do, **more)


@pytest.fixture
def installed(call: Call, iphone: VirtualIPhone, ipa: Path) -> VirtualIPhone:
    assert call("install", file=str(ipa)) == [BUNDLE]
    return iphone


def test_it_lists_and_pairs_with_real_certificates(call: Call, iphone: VirtualIPhone, usbmuxd: Usbmuxd) -> None:
    assert call("list_phones") == [[iphone.state.udid, "USB"]]
    assert call("pair", pair_s=0) is True
    assert list(usbmuxd.pair_records) == [iphone.state.udid]
    assert call("value", domain="com.apple.disk_usage", key="TotalDataCapacity") == iphone.state.capacity_bytes


@pytest.mark.parametrize(
    ("dialog", "error"),
    [(Dialog.PENDING, "PairingDialogResponsePendingError"), (Dialog.DENY, "UserDeniedPairingError")],
)
def test_it_waits_for_the_user_who_may_deny(call: Call, iphone: VirtualIPhone, dialog: Dialog, error: str) -> None:
    iphone.faults.trust(dialog)
    with pytest.raises(LibraryError, match=error):
        call("pair", pair_s=0)


def test_a_user_who_trusts_late_is_waited_for(call: Call, iphone: VirtualIPhone) -> None:
    iphone.faults.trust(Dialog.PENDING)
    threading.Timer(0.5, iphone.faults.trust, (Dialog.TRUST,)).start()
    assert call("pair", pair_s=10) is True


def test_a_phone_that_forgot_the_computer_is_paired_again(call: Call, iphone: VirtualIPhone) -> None:
    call("pair", pair_s=0)
    iphone.trust.forget()
    assert call("pair", pair_s=0) is True


@pytest.mark.parametrize("documents_only", [True, False])
def test_bytes_of_the_app_come_back(call: Call, installed: VirtualIPhone, tmp_path: Path, documents_only: bool) -> None:
    (tmp_path / "big").write_bytes(os.urandom(9_000_000))
    target = "/Documents/big"
    assert call("push", file=str(tmp_path / "big"), target=target, documents_only=documents_only) == [9_000_000, True]
    assert (installed.apps.installed[BUNDLE].data / "Documents/big").stat().st_size == 9_000_000


def test_the_container_is_shut_to_an_app_that_is_not_for_developers(
    call: Call, make_iphone: MakePhone, ipas: IpaMaker, tmp_path: Path
) -> None:
    make_iphone(IPhoneState())
    (tmp_path / "f").write_bytes(b"x")
    ask = {"file": str(tmp_path / "f"), "target": "/Documents/f"}
    with pytest.raises(LibraryError, match="AppNotInstalledError"):
        call("push", **ask, documents_only=True)
    call("install", file=str(ipas.make(IpaPlan(devices=None, debuggable=False))))
    with pytest.raises(LibraryError, match="InstallationLookupFailed"):
        call("push", **ask, documents_only=False)
    assert call("push", **ask, documents_only=True) == [1, True]
    with pytest.raises(LibraryError, match="PERM_DENIED"):
        call("push", file=ask["file"], target="/Library/f", documents_only=True)


def test_a_push_that_fills_the_phone_fails(call: Call, installed: VirtualIPhone, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(5_000_000))
    installed.faults.full_after_bytes(3_000_000)
    with pytest.raises(LibraryError, match="NO_SPACE_LEFT"):
        call("push", file=str(tmp_path / "big"), target="/Documents/big", documents_only=True)


def test_services_without_tls_are_served(call: Call, iphone: VirtualIPhone, ipa: Path) -> None:
    iphone.state.plain_services = frozenset({"com.apple.afc", "com.apple.mobile.installation_proxy"})
    assert call("install", file=str(ipa)) == [BUNDLE]


def test_the_battery_is_read(call: Call, iphone: VirtualIPhone) -> None:
    iphone.state.battery_temperature_c = 31.25
    said = call("battery")
    assert (said["Temperature"], said["CurrentCapacity"], said["IsCharging"]) == (3125, 83, True)


@pytest.mark.parametrize("ios", ["14.8", "16.7", "17.4", "26.0"])
def test_an_app_is_launched_observed_and_ends(call: Call, make_iphone: MakePhone, ipas: IpaMaker, ios: str) -> None:
    phone = make_iphone(IPhoneState(ios=ios))
    call("install", file=str(ipas.make(IpaPlan(devices=None, minimum_ios="14.0"))))
    phone.apps.program = lambda launch: ["sh", "-c", f'sleep 0.3; echo "$KEY {" ".join(launch.arguments)}"; exit 3']
    said = call("run", tunnel=phone.state.ios_version >= (17,), arguments=["--job", "j"], kill=False)
    assert said == {"runs": True, "end": [3, None], "same": True, "printed": "value --job j\n"}


@pytest.mark.parametrize("ios", ["16.7", "17.4"])
def test_an_app_is_killed(call: Call, make_iphone: MakePhone, ipas: IpaMaker, ios: str) -> None:
    phone = make_iphone(IPhoneState(ios=ios))
    call("install", file=str(ipas.make(IpaPlan(devices=None))))
    said = call("run", tunnel=phone.state.ios_version >= (17,), arguments=[], kill=True)
    assert (said["runs"], said["end"]) == (True, [None, signal.SIGKILL])
    assert phone.apps.running() == ()


def test_what_stops_a_launch_is_said(call: Call, iphone_16: VirtualIPhone, ipas: IpaMaker) -> None:
    call("install", file=str(ipas.make(IpaPlan(devices=None))))
    iphone_16.state.locked = True
    with pytest.raises(LibraryError, match="could not be, unlocked"):
        call("run", tunnel=False, arguments=[], kill=False)
    iphone_16.unlock()
    iphone_16.faults.clock_jump(8 * 86400)
    with pytest.raises(LibraryError, match="invalid code signature"):
        call("run", tunnel=False, arguments=[], kill=False)
    iphone_16.faults.no_image()
    with pytest.raises(LibraryError, match="InvalidServiceError"):
        call("run", tunnel=False, arguments=[], kill=False)


def test_launches_that_nobody_closes_run_out(iphone_16: VirtualIPhone, call: Call, ipas: IpaMaker) -> None:
    call("install", file=str(ipas.make(IpaPlan(devices=None))))
    iphone_16.apps.unclosed_launches = LAUNCHES_UNTIL_STUCK - 1
    assert call("run", tunnel=False, arguments=[], kill=True)["runs"] is True
    assert iphone_16.apps.unclosed_launches == LAUNCHES_UNTIL_STUCK - 1
    iphone_16.apps.unclosed_launches = LAUNCHES_UNTIL_STUCK
    with pytest.raises(LibraryError, match="couldn’t be completed"):
        call("run", tunnel=False, arguments=[], kill=True)


def test_an_image_is_mounted_once(call: Call, iphone_16: VirtualIPhone) -> None:
    call("pair", pair_s=0)
    iphone_16.faults.no_image()
    iphone_16.state.locked = True
    with pytest.raises(LibraryError, match="DeviceLocked"):
        call("images")
    iphone_16.unlock()
    iphone_16.state.developer_mode = False
    with pytest.raises(LibraryError, match="DeveloperModeIsNotEnabledError"):
        call("images")
    iphone_16.state.developer_mode = True
    assert call("images") == [[], ["Developer"]]
    with pytest.raises(LibraryError, match="AlreadyMountedError"):
        call("images")


def test_a_crash_and_a_kill_for_memory_leave_their_reports(call: Call, installed: VirtualIPhone) -> None:
    pids = []
    for afflict in (installed.faults.crash_app, installed.faults.kill_app_for_memory):
        running = installed.apps.start(BUNDLE, [], {})
        afflict()
        assert running.over.wait(10)
        pids.append(running.pid)
    names = call("reports")
    assert [name.split("-")[0] for name in names] == ["JetsamEvent", EXECUTABLE]
    assert [f"-{pid}.ips" in name for pid, name in zip(reversed(pids), names, strict=True)] == [True, True]


def test_the_log_is_passed_on(call: Call, iphone: VirtualIPhone, tmp_path: Path) -> None:
    iphone.log.add(77, "locationd", "first")
    lines, names = call("log_lines", count=1)
    assert lines[0].endswith("locationd[77] <Notice>: first")
    assert names["1"] == {"ProcessName": "launchd"}
    begun = tmp_path / "begun"

    def speak() -> None:
        wait_until(begun.exists)
        iphone.log.add(78, "other", "not this")
        iphone.log.add(77, "locationd", "second")

    threading.Thread(target=speak, daemon=True).start()
    assert call("trace", pid=77, tell=str(begun))[:3] == [77, "second", "locationd"]


def test_it_reads_our_archives(call: Call) -> None:
    value = {"a": [1, "two", None, True], "b": {"c": 1.5}}
    assert call("decode", kind="archive", data=archive(value).hex()) == repr(value)


def test_it_reads_our_messages(call: Call) -> None:
    message = dtx.Message(kind=dtx.Kind.DISPATCH, number=9, channel=-4, payload="say:to:", arguments=("hello", 7, None))
    said = call("decode", kind="dtx", data=message.encode().hex())
    assert said == [2, 9, -4, "say:to:", "['hello', 7, None]"]


def test_it_reads_our_xpc(call: Call) -> None:
    body = {"list": [1, -2], "text": "ä", "data": b"\0\1", "yes": True, "none": None, "more": {"x": 0.5}}
    message = xpc.Message(flags=xpc.ALWAYS | xpc.DATA, number=4, body=body)
    assert call("decode", kind="xpc", data=message.encode().hex()) == [0x101, 4, repr(body)]
