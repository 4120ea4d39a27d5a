"""The driver on a virtual iPhone: launches, the store, the app, and what the iPhone refuses."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from harness.devices.device import Execution
from harness.devices.ios.install import install_ios
from harness.devices.ios.phone import Iphone
from harness.errors import DeviceError, IosError, IosTrouble
from harness.records.conditions import ConditionId
from harness.wire import ArtifactRef, FailureKind, Format, ReplyStatus
from tests.devices.conftest import Parcel
from tests.devices.ios.conftest import UDID, Open, Session, app
from tests.viphone.apps import idle_program, wait_until
from tests.viphone.iphone import VirtualIPhone

BOTH = ("onnx", "tflite")


def launch(device: Iphone, parcel: Parcel, *, deadline_s: float = 60) -> Execution:
    device.push(parcel.path, parcel.sha256)
    return device.execute(parcel.request, parcel.inputs, deadline_s)


def documents(phone: VirtualIPhone) -> Path:
    (installed,) = phone.apps.installed.values()
    return installed.data / "Documents" / "phonebench"


def test_a_launch_returns_the_reply_and_leaves_nothing_running(
    phone: VirtualIPhone, opened: Open, parcel: Parcel
) -> None:
    device = opened()
    execution = launch(device, parcel)
    assert execution.reply.status is ReplyStatus.OK, execution.reply.failure
    assert execution.reply.latency is not None
    assert len(execution.reply.latency.samples_ns) == 60
    assert [state.battery_percent for state in execution.watch][:1] == [83]
    (ended,) = phone.apps.ended
    assert (ended.code, phone.apps.running(), phone.apps.unclosed_launches) == (0, (), 0)
    assert [path.name for path in (documents(phone) / "jobs").iterdir()] == []


def test_what_the_iphone_is(opened: Open) -> None:
    info = opened().info
    assert (info.kind, info.model, info.os, info.abi) == ("ios", "iPhone 11", "iOS 16.7", "arm64e")
    assert info.details["build"] == "20H19"
    assert (info.details["runner"], info.details["bundle_id"]) == ("0.1.0", "org.phonebench.runner")


def test_a_file_is_sent_once_also_over_two_sessions(
    session: Session, make_ipa: Callable[..., Path], parcel: Parcel
) -> None:
    with session(make_ipa()) as first:
        assert first.push(parcel.path, parcel.sha256)
        assert not first.push(parcel.path, parcel.sha256)
    with session() as second:
        assert not second.push(parcel.path, parcel.sha256)


def test_a_file_that_changed_on_the_iphone_is_sent_again(phone: VirtualIPhone, opened: Open, parcel: Parcel) -> None:
    device = opened()
    device.push(parcel.path, parcel.sha256)
    stored = documents(phone) / "store" / parcel.sha256
    stored.write_bytes(bytes(stored.stat().st_size))
    execution = launch(device, parcel)
    assert execution.reply.status is ReplyStatus.OK, execution.reply.failure
    assert stored.read_bytes() == parcel.path.read_bytes()
    assert len(phone.apps.ended) == 2


def test_a_partial_file_of_an_earlier_session_is_not_taken_for_the_file(
    phone: VirtualIPhone, opened: Open, parcel: Parcel
) -> None:
    device = opened()
    store = documents(phone) / "store"
    store.mkdir(parents=True)
    (store / parcel.sha256).write_bytes(parcel.path.read_bytes()[:100])
    (store / f"{'0' * 64}.part").write_bytes(b"half")
    assert device.push(parcel.path, parcel.sha256)
    assert launch(device, parcel).reply.status is ReplyStatus.OK
    assert not list(store.glob("*.part"))


def test_an_artifact_that_was_never_pushed_is_refused(opened: Open, parcel: Parcel) -> None:
    with pytest.raises(DeviceError, match="push it before the launch"):
        opened().execute(parcel.request, parcel.inputs, 10)


def test_a_full_iphone_makes_room_with_the_oldest_files_of_ours(
    phone: VirtualIPhone, opened: Open, parcel: Parcel, tmp_path: Path
) -> None:
    device = opened()
    store = documents(phone) / "store"
    store.mkdir(parents=True)
    for at, name in enumerate(["a" * 64, "b" * 64, "holiday.jpg"]):
        (store / name).write_bytes(bytes(30 << 20))
        os.utime(store / name, (1000 + at, 1000 + at))
    # 256 MiB and the file must remain free.
    phone.faults.full(free_bytes=(256 << 20) - 1000)
    assert device.push(parcel.path, parcel.sha256)
    assert {path.name for path in store.iterdir()} == {"b" * 64, "holiday.jpg", parcel.sha256}
    phone.faults.full(free_bytes=10 << 20)
    large = tmp_path / "large"
    large.write_bytes(bytes(40 << 20))
    with pytest.raises(IosError, match="MiB free but 296 MiB are needed; free some space") as raised:
        device.push(large, "c" * 64)
    assert (raised.value.trouble, raised.value.one_cell) == (IosTrouble.FULL, True)
    assert (store / "holiday.jpg").exists()


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        ("exit-3", FailureKind.CRASH, "ended with exit code 3 and left no reply"),
        ("silent", FailureKind.REPLY, "exited normally but left no reply"),
        ("abort", FailureKind.CRASH, "the runner app crashed with SIG"),
    ],
)
def test_an_app_that_ends_without_a_reply(
    phone: VirtualIPhone, opened: Open, parcel: Parcel, behaviour: str, kind: FailureKind, words: str
) -> None:
    phone.apps.program = app(behaviour)
    failure = launch(opened(), parcel).reply.failure
    assert failure is not None
    assert (failure.kind, words in failure.message) == (kind, True), failure
    assert failure.detail


def test_an_app_that_hangs_is_ended_at_the_deadline(phone: VirtualIPhone, opened: Open, parcel: Parcel) -> None:
    phone.apps.program = app("hang")
    failure = launch(opened(), parcel, deadline_s=0.5).reply.failure
    assert failure is not None
    assert (failure.kind, failure.detail[:6]) == (FailureKind.TIMEOUT, "begun ")
    assert "within 0.5 s and was stopped" in failure.message
    assert wait_until(lambda: not phone.apps.running())


def test_an_app_that_hangs_on_a_locked_iphone_is_not_the_models_fault(
    phone: VirtualIPhone, opened: Open, parcel: Parcel
) -> None:
    phone.apps.program = app("hang")
    device = opened()
    device.push(parcel.path, parcel.sha256)
    threading.Timer(0.3, lambda: setattr(phone.state, "locked", True)).start()
    with pytest.raises(IosError, match="was locked during the launch") as raised:
        device.execute(parcel.request, parcel.inputs, 1.0)
    assert raised.value.trouble is IosTrouble.LOCKED


def test_an_app_that_stays_after_its_reply_is_ended(phone: VirtualIPhone, opened: Open, parcel: Parcel) -> None:
    phone.apps.program = app("stay")
    assert launch(opened(), parcel).reply.status is ReplyStatus.OK
    assert phone.apps.ended[0].signal_number == 9


@pytest.mark.parametrize(
    ("behaviour", "condition"), [("hot", ConditionId.THERMAL), ("saving", ConditionId.LOW_POWER_MODE)]
)
def test_what_the_app_says_about_the_iphone_counts_for_the_launch_and_the_gate(
    phone: VirtualIPhone, opened: Open, parcel: Parcel, behaviour: str, condition: ConditionId
) -> None:
    phone.apps.program = app(behaviour)
    device = opened()
    before = device.readiness()
    assert (before.thermal_status, before.power_save) == (None, None)
    assert (before.battery_c, before.battery_percent, before.charging) == (28.5, 83, True)
    assert [found.id for found in launch(device, parcel).conditions] == [condition]
    after = device.readiness()
    assert (after.thermal_status, after.power_save) == (("severe", False) if behaviour == "hot" else ("none", True))


@pytest.mark.parametrize("capacity", ["all of it", 0, -5, True])
def test_a_battery_that_does_not_say_what_it_holds_is_read_in_percent(
    phone: VirtualIPhone, opened: Open, capacity: object
) -> None:
    phone.state.battery_capacity = capacity
    assert opened().readiness().battery_percent == 83


def test_a_low_battery_is_a_condition(phone: VirtualIPhone, opened: Open) -> None:
    phone.state.battery_percent = 12
    (condition,) = opened().conditions()
    assert (condition.id, condition.summary) == (ConditionId.LOW_BATTERY, "battery at 12 %")


@pytest.mark.parametrize(
    ("format_", "words"), [(Format.PTL, "no runtime for ptl (it has: onnx, tflite)"), (Format.PTE, "needs iOS 17")]
)
def test_a_format_that_the_iphone_lacks_is_a_result_with_its_reason(
    phone: VirtualIPhone, opened: Open, parcel: Parcel, format_: Format, words: str
) -> None:
    device = opened()
    device.push(parcel.path, parcel.sha256)
    artifact = ArtifactRef(file="net", sha256=parcel.sha256, format=format_)
    reply = device.execute(replace(parcel.request, artifact=artifact), parcel.inputs, 10).reply
    assert reply.status is ReplyStatus.UNSUPPORTED
    assert reply.failure is not None
    assert words in reply.failure.message
    assert phone.apps.ended == []


def test_the_app_is_installed_where_it_is_missing_or_differs(
    phone: VirtualIPhone, session: Session, make_ipa: Callable[..., Path]
) -> None:
    installed = []
    for runtimes, digest in ((BOTH, "one"), (BOTH, "one"), (BOTH, "two"), (("onnx",), "two")):
        with session(make_ipa(runtimes=runtimes, digest=digest)):
            installed.append(phone.apps.installed["org.phonebench.runner"].uuid)
    assert installed[0] == installed[1]
    assert len(set(installed)) == 3


def test_an_app_that_was_signed_again_is_installed_on_request(
    phone: VirtualIPhone, make_ipa: Callable[..., Path]
) -> None:
    installed = []
    for expires_in in (timedelta(days=1), timedelta(days=6)):
        (done,) = install_ios("ios", ("app",), make_ipa(expires_in=expires_in))
        assert done.error == ""
        installed.append(phone.apps.installed["org.phonebench.runner"].uuid)
    assert installed[0] != installed[1]


def test_an_app_under_another_id_is_found_without_its_ipa(session: Session, make_ipa: Callable[..., Path]) -> None:
    with session(make_ipa(bundle="com.example.mine")) as device:
        assert device.info.details["bundle_id"] == "com.example.mine"
    with session() as device:
        assert device.info.details["bundle_id"] == "com.example.mine"


def test_a_missing_app_says_how_to_get_one(session: Session) -> None:
    with (
        pytest.raises(
            IosError, match="does not have the runner app; install one: phonebench runner install ios --ipa FILE"
        ) as raised,
        session(),
    ):
        pass
    assert raised.value.trouble is IosTrouble.APP


def test_an_app_of_another_version_is_refused(session: Session, make_ipa: Callable[..., Path]) -> None:
    (installed,) = install_ios("ios", ("app",), make_ipa(version="0.0.9"))
    assert (installed.version, installed.error) == ("org.phonebench.runner 0.0.9", "")
    for ipa in (None, make_ipa(version="0.0.9")):
        with pytest.raises(IosError, match=r"has runner app 0\.0\.9, phonebench is 0\.1\.0"), session(ipa):
            pass


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"expires_in": timedelta(days=-1)}, "which expired on"),
        ({"devices": ("another",)}, "does not list iPhone"),
        ({"debuggable": False}, "without get-task-allow"),
        ({"profile": False}, "is not signed"),
        ({"minimum_ios": "18.0"}, "needs iOS 18.0"),
    ],
)
def test_an_app_that_the_iphone_would_refuse_is_not_even_sent(
    phone: VirtualIPhone, make_ipa: Callable[..., Path], plan: dict[str, object], words: str
) -> None:
    (refused,) = install_ios("ios", ("app",), make_ipa(**plan))
    assert words in refused.error
    assert phone.apps.installed == {}


def test_nothing_is_installed_on_an_iphone_that_is_too_old(phone: VirtualIPhone, make_ipa: Callable[..., Path]) -> None:
    """Not even an app that would start there, and an app that is missing is not what has to be mended."""
    phone.state.ios = "14.8"
    for ipa in (make_ipa(minimum_ios="14.0"), None):
        (refused,) = install_ios("ios", ("app",), ipa)
        assert "has iOS 14.8, and phonebench needs iOS 15.1 or later; update the iPhone" in refused.error
    assert phone.apps.installed == {}


def test_an_iphone_with_ios_15_is_measured(
    phone: VirtualIPhone, session: Session, make_ipa: Callable[..., Path], parcel: Parcel
) -> None:
    """It has neither developer mode nor a tunnel."""
    phone.state.ios, phone.state.developer_mode = "15.1", False
    with session(make_ipa()) as device:
        assert launch(device, parcel).reply.status is ReplyStatus.OK
        assert device.info.os == "iOS 15.1"


@pytest.mark.parametrize(
    ("change", "trouble", "words"),
    [
        ({"locked": True}, IosTrouble.LOCKED, "is locked .*unlock it, and set"),
        ({"developer_mode": False}, IosTrouble.DEVELOPER_MODE, "Settings > Privacy & Security > Developer Mode"),
        ({"ios": "15.0"}, IosTrouble.TOO_OLD, r"phonebench needs iOS 15\.1"),
        ({"ios": "17.2"}, IosTrouble.TUNNEL, "remote tunneld"),
    ],
    ids=["locked", "developer mode", "old", "a tunnel of root's"],
)
def test_what_a_person_has_to_do_first(
    phone: VirtualIPhone, opened: Open, change: dict[str, object], trouble: IosTrouble, words: str
) -> None:
    for name, value in change.items():
        setattr(phone.state, name, value)
    with pytest.raises(IosError, match=words) as raised:
        opened()
    assert (raised.value.trouble, raised.value.udid, raised.value.exit_code) == (trouble, UDID, 3)


def test_an_app_whose_profile_expired_says_so_and_is_replaced_by_the_ipa(
    phone: VirtualIPhone, session: Session, make_ipa: Callable[..., Path], parcel: Parcel
) -> None:
    with session(make_ipa(expires_in=timedelta(minutes=30))):
        pass
    phone.faults.clock_jump(3600)
    with session() as device, pytest.raises(IosError, match="whose profile has expired; sign the app again"):
        launch(device, parcel)
    with session(make_ipa()) as device:
        assert launch(device, parcel).reply.status is ReplyStatus.OK


def test_of_two_runner_apps_the_one_in_use_is_asked_whether_it_expired(
    phone: VirtualIPhone, session: Session, make_ipa: Callable[..., Path], parcel: Parcel
) -> None:
    install_ios("ios", ("app",), make_ipa())
    mine = {"bundle": "com.example.mine"}
    with session(make_ipa(**mine, expires_in=timedelta(minutes=30))):
        pass
    phone.faults.clock_jump(3600)
    with session(make_ipa(**mine)) as device:
        assert launch(device, parcel).reply.status is ReplyStatus.OK


def test_a_developer_who_is_not_trusted_is_named_as_such(phone: VirtualIPhone, opened: Open, parcel: Parcel) -> None:
    phone.state.developer_trusted = False
    with pytest.raises(IosError, match="VPN & Device Management") as raised:
        launch(opened(), parcel)
    assert raised.value.trouble is IosTrouble.NOT_TRUSTED_DEVELOPER


def test_an_iphone_is_measured_by_one_run_at_a_time(opened: Open) -> None:
    opened()
    with pytest.raises(IosError, match="being measured by another phonebench"):
        opened()


def test_an_app_that_still_runs_is_ended_first(
    phone: VirtualIPhone, session: Session, make_ipa: Callable[..., Path]
) -> None:
    install_ios("ios", ("app",), make_ipa())
    phone.apps.program = idle_program
    phone.apps.start("org.phonebench.runner", [], {})
    with session():
        assert phone.apps.running() == ()


def test_a_cable_that_is_pulled_out_during_the_launch_costs_nothing(
    phone: VirtualIPhone, opened: Open, parcel: Parcel
) -> None:
    phone.apps.program = app("slow")
    device = opened()
    device.push(parcel.path, parcel.sha256)
    threading.Timer(0.5, phone.faults.drop_now).start()
    execution = device.execute(parcel.request, parcel.inputs, 30)
    assert execution.reply.status is ReplyStatus.OK, execution.reply.failure
    assert len(phone.apps.ended) == 1
    assert execution.watch


def test_closing_the_device_ends_a_launch_in_another_thread(phone: VirtualIPhone, opened: Open, parcel: Parcel) -> None:
    phone.apps.program = app("hang")
    device = opened()
    device.push(parcel.path, parcel.sha256)

    def close() -> None:
        wait_until(lambda: bool(phone.apps.running()))
        device.clean()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(IosError):
        device.execute(parcel.request, parcel.inputs, 600)
    closer.join(30)
    assert wait_until(lambda: not phone.apps.running())
