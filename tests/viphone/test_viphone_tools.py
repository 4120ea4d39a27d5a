"""The tools of libimobiledevice take the virtual iPhone for a real one."""

from __future__ import annotations

import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.viphone.fixtures import MakePhone
from tests.viphone.ipamaker import BUNDLE, IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.second import Tools, missing_tools
from tests.viphone.state import IPhoneState
from tests.viphone.trust import Dialog
from tests.viphone.usbmuxd import Usbmuxd


@pytest.fixture
def tools(usbmuxd: Usbmuxd, tmp_path: Path) -> Tools:
    if lacking := missing_tools():
        pytest.skip(f"{MISSING}{lacking}; apt-get install {lacking}")
    return Tools(daemon=usbmuxd, home=tmp_path)


@pytest.fixture
def paired(tools: Tools, iphone: VirtualIPhone) -> Tools:
    said = tools.run("idevicepair", "pair")
    assert said.text == f"SUCCESS: Paired with device {iphone.state.udid}\n"
    return tools


def test_all_phones_of_a_daemon_are_listed(tools: Tools, make_iphone: MakePhone) -> None:
    udids = [f"00008120-00000000000000{number:02}" for number in range(3)]
    phones = [make_iphone(IPhoneState(udid=udid)) for udid in udids]
    assert tools.run("idevice_id", "-l").text.split() == udids
    phones[1].unplug()
    assert tools.run("idevice_id", "-l").text.split() == [udids[0], udids[2]]


def test_a_trusted_computer_reads_every_domain(paired: Tools, iphone: VirtualIPhone) -> None:
    iphone.state.battery_percent = 41
    assert paired.run("ideviceinfo", "-k", "ProductVersion").text == "17.4\n"
    assert "BatteryCurrentCapacity: 41" in paired.run("ideviceinfo", "-q", "com.apple.mobile.battery").text
    assert len(iphone.trust.hosts) == 1


def test_an_untrusted_computer_reads_little(tools: Tools, iphone: VirtualIPhone) -> None:
    assert tools.run("ideviceinfo", "-s", "-k", "ProductVersion").text == f"{iphone.state.ios}\n"
    assert tools.run("ideviceinfo", "-s", "-k", "SerialNumber").text == ""


@pytest.mark.parametrize(
    ("dialog", "words"), [(Dialog.PENDING, "accept the trust dialog"), (Dialog.DENY, "denied the trust dialog")]
)
def test_pairing_waits_for_the_user_who_may_deny(
    tools: Tools, iphone: VirtualIPhone, dialog: Dialog, words: str
) -> None:
    iphone.faults.trust(dialog)
    assert words in tools.run("idevicepair", "pair").text
    assert iphone.trust.hosts == ()
    iphone.faults.trust(Dialog.TRUST)
    assert tools.run("idevicepair", "pair").text.startswith("SUCCESS")


def test_a_locked_phone_does_not_pair(tools: Tools, iphone: VirtualIPhone) -> None:
    iphone.state.locked = True
    assert "enter the passcode" in tools.run("idevicepair", "pair").text


def test_a_pairing_is_checked_and_can_be_undone(paired: Tools, iphone: VirtualIPhone) -> None:
    assert paired.run("idevicepair", "validate").text.startswith("SUCCESS")
    iphone.trust.forget()
    assert "is not paired" in paired.run("idevicepair", "validate").text


def test_an_app_is_installed_listed_and_removed(paired: Tools, iphone: VirtualIPhone, ipa: Path) -> None:
    assert "Install: Complete" in paired.run("ideviceinstaller", "-i", str(ipa)).text
    assert iphone.apps.installed[BUNDLE].bundle.joinpath("Payload/Runner.app/Info.plist").is_file()
    assert f'{BUNDLE}, "1", "phonebench"' in paired.run("ideviceinstaller", "-l").text
    assert "Uninstall: Complete" in paired.run("ideviceinstaller", "-U", BUNDLE).text
    assert iphone.apps.installed == {}


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (IpaPlan(devices=("another",)), "0xe8008012"),
        (IpaPlan(devices=None, expires_in=timedelta(hours=-1)), "0xe8008011"),
        (IpaPlan(profile=False), "0xe8008015"),
        (IpaPlan(devices=None, signed=False), "0xe800801c"),
        (IpaPlan(devices=None, architecture="x86_64"), "IncorrectArchitecture"),
        (IpaPlan(devices=None, simulator=True), "IncorrectArchitecture"),
        (IpaPlan(devices=None, minimum_ios="18.0"), "DeviceOSVersionTooLow"),
    ],
    ids=["other-phone", "expired", "no-profile", "unsigned", "x86", "simulator", "newer-ios"],
)
def test_what_a_phone_refuses_is_refused(
    paired: Tools, iphone: VirtualIPhone, ipas: IpaMaker, plan: IpaPlan, words: str
) -> None:
    assert words in paired.run("ideviceinstaller", "-i", str(ipas.make(plan))).text
    assert iphone.apps.installed == {}


def test_a_phone_without_room_refuses(paired: Tools, iphone: VirtualIPhone, ipas: IpaMaker) -> None:
    iphone.faults.full(free_bytes=20_000)
    file = ipas.make(IpaPlan(devices=None, extra_bytes=100_000))
    assert "No space left on device" in paired.run("ideviceinstaller", "-i", str(file)).text


def test_no_service_starts_before_the_first_unlock(paired: Tools, iphone: VirtualIPhone) -> None:
    iphone.state.before_first_unlock = True
    assert "Could not start com.apple.mobile.installation_proxy" in paired.run("ideviceinstaller", "-l").text
    iphone.unlock()
    assert paired.run("ideviceinstaller", "-l").code == 0


def test_a_daemon_goes_and_comes_back_with_its_phones(paired: Tools, iphone: VirtualIPhone, usbmuxd: Usbmuxd) -> None:
    usbmuxd.stop()
    assert paired.run("idevice_id", "-l").text.strip() in ("", "ERROR: Unable to retrieve device list!")
    usbmuxd.start()
    assert paired.run("idevice_id", "-l").text.split() == [iphone.state.udid]
    assert paired.run("ideviceinfo", "-k", "SerialNumber").code == 0


def test_a_phone_that_hangs_is_still_listed(paired: Tools, iphone: VirtualIPhone) -> None:
    iphone.faults.hang()
    with pytest.raises(subprocess.TimeoutExpired):
        paired.run("ideviceinfo", "-k", "ProductVersion", timeout_s=1)
    assert paired.run("idevice_id", "-l").text.split() == [iphone.state.udid]
    iphone.faults.hang(False)
    assert paired.run("ideviceinfo", "-k", "ProductVersion").text == "17.4\n"


def test_the_log_is_followed_until_the_phone_is_unplugged(paired: Tools, iphone: VirtualIPhone) -> None:
    iphone.log.add(77, "locationd", "a text")
    pulled = threading.Timer(1.0, iphone.unplug)
    pulled.start()
    said = paired.run("idevicesyslog", "--exit").text
    assert said.startswith("[connected]\n")
    assert "locationd[77] <Notice>: a text\n" in said
    assert said.endswith("[disconnected]\n")
