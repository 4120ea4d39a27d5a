"""What iPhones do to a run, each provoked on a virtual one: what is kept, how it goes on, and what the user reads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.devices.device import Execution
from harness.devices.ios.hold import IosOptions
from harness.devices.ios.ipa import read_ipa
from harness.devices.ios.phone import Iphone, open_iphone
from harness.errors import IosError, IosTrouble
from harness.wire import FailureKind, ReplyStatus
from tests.devices.conftest import Parcel
from tests.devices.ios.conftest import Session, app
from tests.viphone.apps import FIRST_PID, LAUNCHES_UNTIL_STUCK, Fate, Launch
from tests.viphone.fixtures import MakePhone
from tests.viphone.images import Images
from tests.viphone.ipa import read_ipa as read_virtual_ipa
from tests.viphone.ipamaker import BUNDLE, EXECUTABLE, IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.link import Link
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.trust import Dialog
from tests.viphone.usbmuxd import Usbmuxd

BACK_S = 15.0
# Its own, because a phone is measured by one run at a time, and tests run side by side.
UDID = own_udid(0xFA)
# Over lockdownd, and through the tunnel.
SYSTEMS = ("16.7", "17.4")
OpenPhone = Callable[..., tuple[VirtualIPhone, Iphone]]


@pytest.fixture
def open_phone(
    make_iphone: MakePhone, usbmuxd: Usbmuxd, ipas: IpaMaker, python: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[OpenPhone]:
    """Opens a phone with that iOS for the rest of the test, with an app that answers after a second."""
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", usbmuxd.address)
    with ExitStack() as stack:

        def open_(
            ios: str = "16.7",
            prepare: Callable[[VirtualIPhone], object] = lambda _: None,
            *,
            back_s: float = BACK_S,
            trust_s: float = 0.0,
        ) -> tuple[VirtualIPhone, Iphone]:
            phone = make_iphone(IPhoneState(ios=ios, udid=UDID))
            phone.apps.program = app("slow")
            prepare(phone)
            ipa = read_ipa(ipas.make(IpaPlan(devices=None)))
            options = IosOptions(ipa=ipa, back_s=back_s, trust_s=trust_s)
            return phone, stack.enter_context(open_iphone(phone.state.udid, python, key="ios", options=options))

        yield open_


def launch(device: Iphone, parcel: Parcel, *, deadline_s: float = 60) -> Execution:
    device.push(parcel.path, parcel.sha256)
    return device.execute(parcel.request, parcel.inputs, deadline_s)


def once_started(phone: VirtualIPhone, act: Callable[[], object], behaviour: str = "slow") -> None:
    """Let that happen while the next app starts, before the answer to the launch is sent."""

    def program(started: Launch) -> list[str]:
        phone.apps.program = app(behaviour)
        act()
        return app(behaviour)(started)

    phone.apps.program = program


def assert_measured_once(phone: VirtualIPhone, execution: Execution) -> None:
    assert execution.reply.status is ReplyStatus.OK, execution.reply.failure
    assert [one.code for one in phone.apps.ended] == [0]
    assert phone.apps.running() == ()


# The first falls into the artifact, the second into the TLS of the first call, the others into launching and fetching.
@pytest.mark.parametrize("ios", SYSTEMS)
def test_a_cable_that_is_pulled_at_any_byte_costs_no_launch_and_makes_none_twice(
    open_phone: OpenPhone, parcel: Parcel, ios: str
) -> None:
    phone, device = open_phone(ios)
    for byte in (120_000, 700, 5_000, 12_345, 25_001):
        phone.apps.ended.clear()
        phone.faults.drop_after_bytes(byte)
        execution = launch(device, parcel)
        assert phone.cable.drop_after_bytes is None, "the cable was not pulled"
        assert_measured_once(phone, execution)


@pytest.mark.parametrize("ios", SYSTEMS)
def test_an_answer_to_a_launch_that_is_lost_starts_no_second_one(
    open_phone: OpenPhone, parcel: Parcel, ios: str
) -> None:
    phone, device = open_phone(ios)
    once_started(phone, phone.faults.drop_now)
    assert_measured_once(phone, launch(device, parcel))


def test_a_tunnel_that_dies_is_made_again(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone("17.4")
    once_started(phone, threading.Timer(0.3, phone.faults.kill_tunnel).start)
    assert_measured_once(phone, launch(device, parcel))


def test_a_usbmuxd_that_is_restarted_costs_nothing(open_phone: OpenPhone, parcel: Parcel, usbmuxd: Usbmuxd) -> None:
    phone, device = open_phone()

    def restart() -> None:
        usbmuxd.stop()
        threading.Timer(1.0, usbmuxd.start).start()

    once_started(phone, threading.Timer(0.3, restart).start)
    assert_measured_once(phone, launch(device, parcel))


def test_an_iphone_that_stays_away_is_given_up_with_what_to_do(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone(back_s=1.0)
    once_started(phone, threading.Timer(0.3, phone.unplug).start)
    # Also for the next cell: what ended is not the driver.
    for _ in range(2):
        with pytest.raises(IosError, match="went away .*check the cable, and plug it in again") as raised:
            launch(device, parcel)
        assert (raised.value.trouble, raised.value.exit_code) == (IosTrouble.GONE, 3)
    phone.plug()
    phone.apps.program = app("slow")
    assert launch(device, parcel).reply.status is ReplyStatus.OK


def test_an_iphone_that_restarts_waits_for_its_passcode(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone(back_s=3.0)
    once_started(phone, threading.Timer(0.3, phone.faults.restart).start, behaviour="hang")
    with pytest.raises(IosError, match="unlock it") as raised:
        launch(device, parcel)
    assert raised.value.trouble is IosTrouble.LOCKED
    assert phone.apps.running() == ()


@pytest.mark.parametrize("ios", SYSTEMS)
def test_a_kill_for_memory_and_a_crash_are_told_apart(open_phone: OpenPhone, parcel: Parcel, ios: str) -> None:
    phone, device = open_phone(ios)
    phone.apps.program = app("hang")
    found = []
    for afflict in (phone.faults.kill_app_for_memory, phone.faults.crash_app):
        afflict(after_s=0.5)
        reply = launch(device, parcel).reply
        assert reply.failure is not None
        found.append((reply.failure.kind, reply.failure.detail or ""))
    assert [kind for kind, _ in found] == [FailureKind.OOM, FailureKind.CRASH]
    assert "per-process-limit" in found[0][1]
    assert "SIGSEGV" in found[1][1]
    # The device is fine: the next launch is measured.
    phone.apps.ended.clear()
    phone.apps.program = app("slow")
    assert_measured_once(phone, launch(device, parcel))


def once_hung(phone: VirtualIPhone, act: Callable[[], object]) -> None:
    """Let that happen while the next app runs, which does not end by itself; later ones do."""

    def program(started: Launch) -> list[str]:
        phone.apps.program = app("slow")
        threading.Timer(0.5, act).start()
        return app("hang")(started)

    phone.apps.program = program


# What another computer installs over the app; None removes it.
ANOTHER_BUILD, THE_SAME_BUILD = IpaPlan(devices=None, digest="of another build"), IpaPlan(devices=None)


def meddle(phone: VirtualIPhone, ipas: IpaMaker, plan: IpaPlan | None) -> None:
    """Install that app, as Xcode on another computer does, or remove it; either ends the app that runs."""
    if plan is None:
        phone.apps.uninstall(BUNDLE)
        return
    file = ipas.make(plan)
    phone.apps.install(read_virtual_ipa(file), file)


@pytest.mark.parametrize("ios", SYSTEMS)
@pytest.mark.parametrize(
    "plan", [None, ANOTHER_BUILD, THE_SAME_BUILD], ids=["removed", "replaced", "installed once more"]
)
def test_an_app_that_somebody_removes_or_replaces_is_installed_again_and_no_model_is_blamed(
    open_phone: OpenPhone, parcel: Parcel, ipas: IpaMaker, ios: str, plan: IpaPlan | None
) -> None:
    phone, device = open_phone(ios)
    once_hung(phone, lambda: meddle(phone, ipas, plan))
    execution = launch(device, parcel)
    assert execution.reply.status is ReplyStatus.OK, execution.reply.failure
    assert [one.signal_number for one in phone.apps.ended] == [9, None]
    assert phone.apps.unclosed_launches == 0


def test_an_app_that_was_removed_between_launches_is_installed_again(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    launch(device, parcel)
    phone.apps.uninstall(BUNDLE)
    assert launch(device, parcel).reply.status is ReplyStatus.OK


def test_an_app_that_was_removed_and_cannot_be_installed_is_asked_for(
    session: Session, phone: VirtualIPhone, make_ipa: Callable[..., Path], parcel: Parcel
) -> None:
    with session(make_ipa()):
        pass
    with session() as device:
        phone.apps.uninstall(BUNDLE)
        for _ in range(2):
            with pytest.raises(
                IosError, match="does not have the runner app; install one: phonebench runner install ios --ipa FILE"
            ) as raised:
                launch(device, parcel)
            assert (raised.value.trouble, phone.apps.ended) == (IosTrouble.APP, [])


def test_developer_mode_that_is_switched_off_during_a_run(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()

    # Switching it restarts the iPhone.
    def switch_off() -> None:
        phone.state.developer_mode = phone.state.image_mounted = False
        phone.faults.drop_now()

    once_hung(phone, switch_off)
    with pytest.raises(IosError, match="developer mode switched off; switch it on") as raised:
        launch(device, parcel)
    assert raised.value.trouble is IosTrouble.DEVELOPER_MODE


class MountedMeanwhile(Images):
    """An image that is mounted when somebody looks whether it is, as by Xcode on another computer."""

    def serve(self, link: Link) -> None:
        self._phone.state.image_mounted = True
        super().serve(link)


def test_an_iphone_that_restarted_and_was_unlocked_gets_its_image_again(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.images = MountedMeanwhile(phone)
    phone.state.passcode = False
    once_hung(phone, phone.faults.restart)
    execution = launch(device, parcel)
    assert execution.reply.status is ReplyStatus.OK, execution.reply.failure


def test_a_crash_report_from_before_the_session_explains_nothing(open_phone: OpenPhone, parcel: Parcel) -> None:
    def crash_earlier(phone: VirtualIPhone) -> None:
        # An iPhone that restarts counts its processes from the beginning.
        body = {"pid": FIRST_PID, "exception": {"signal": "SIGSEGV"}}
        (phone.storage.crashes / f"{EXECUTABLE}-2026-11-01-000000.ips").write_text("{}\n" + json.dumps(body))

    phone, device = open_phone(prepare=crash_earlier)
    phone.apps.afflict(Fate.SILENT_END, after_s=1.5)
    once_started(phone, threading.Timer(0.3, phone.faults.drop_now).start, behaviour="hang")
    with pytest.raises(IosError) as raised:
        launch(device, parcel)
    assert raised.value.trouble is IosTrouble.GONE


def test_half_a_reply_is_no_result(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.faults.half_reply(times=100)
    reply = launch(device, parcel).reply
    assert reply.failure is not None
    assert (reply.failure.kind, reply.latency) == (FailureKind.REPLY, None)
    phone.apps.ended.clear()
    phone.faults.half_reply(times=0)
    assert_measured_once(phone, launch(device, parcel))


def test_a_reply_of_which_half_arrives_is_read_again(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.faults.half_reply()
    assert_measured_once(phone, launch(device, parcel))


def test_an_iphone_that_is_locked_between_launches_starts_nothing(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.state.locked = True
    with pytest.raises(IosError, match="unlock it") as raised:
        launch(device, parcel)
    assert (raised.value.trouble, phone.apps.ended) == (IosTrouble.LOCKED, [])
    phone.unlock()
    assert_measured_once(phone, launch(device, parcel))


def test_a_storage_that_fills_up_while_a_file_is_sent(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.faults.full_after_bytes(100_000)
    with pytest.raises(IosError, match="free some space on the iPhone") as raised:
        launch(device, parcel)
    assert raised.value.trouble is IosTrouble.FULL
    phone.faults.make_room(1 << 30)
    assert_measured_once(phone, launch(device, parcel))


def test_a_profile_that_expires_between_launches(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.faults.clock_jump(8 * 86400)
    with pytest.raises(IosError) as raised:
        launch(device, parcel)
    assert raised.value.trouble in (IosTrouble.PROFILE, IosTrouble.NOT_TRUSTED_DEVELOPER)
    assert phone.apps.ended == []


def test_a_clock_that_jumps_back_changes_nothing(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    once_started(phone, threading.Timer(0.3, phone.faults.clock_jump, (-86400.0,)).start)
    assert_measured_once(phone, launch(device, parcel))


def test_launches_that_another_tool_left_open(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.apps.unclosed_launches = LAUNCHES_UNTIL_STUCK
    with pytest.raises(IosError, match="did not start the runner app .*restart the iPhone") as raised:
        launch(device, parcel)
    assert raised.value.trouble is IosTrouble.STUCK


def test_our_own_launches_are_all_closed(open_phone: OpenPhone, parcel: Parcel) -> None:
    phone, device = open_phone()
    phone.apps.program = app("ok")
    for _ in range(3):
        launch(device, parcel)
    assert (len(phone.apps.ended), phone.apps.unclosed_launches) == (3, 0)


@pytest.mark.parametrize(
    ("dialog", "trouble", "words"),
    [
        (Dialog.PENDING, IosTrouble.NOT_TRUSTED, "tap Trust"),
        (Dialog.DENY, IosTrouble.TRUST_REFUSED, "tap Trust this time"),
    ],
)
def test_a_user_who_does_not_trust(open_phone: OpenPhone, dialog: Dialog, trouble: IosTrouble, words: str) -> None:
    with pytest.raises(IosError, match=words) as raised:
        open_phone(prepare=lambda phone: phone.faults.trust(dialog))
    assert raised.value.trouble is trouble


def test_a_user_who_trusts_after_a_while(open_phone: OpenPhone, parcel: Parcel) -> None:
    def later(phone: VirtualIPhone) -> None:
        phone.faults.trust(Dialog.PENDING)
        threading.Timer(1.0, phone.faults.trust, (Dialog.TRUST,)).start()

    phone, device = open_phone(prepare=later, trust_s=20.0)
    assert_measured_once(phone, launch(device, parcel))
