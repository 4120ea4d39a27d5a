"""A phone as a device: a real model runs through real adb, and every failure ends with a clear message."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.devices.android.adb.cable import Cable, ShellResult
from harness.devices.android.advice import phone_error
from harness.devices.android.app_ids import RunnerApk
from harness.devices.android.facts import read_facts
from harness.devices.android.hold.tether import PhoneOptions, Tether
from harness.devices.android.hold.upkeep import RESTORE_FILE
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.android.phone_store import FOLDER
from harness.devices.device import Execution
from harness.errors import DeviceError, PhoneError, PhoneTrouble
from harness.records.conditions import ConditionId
from harness.wire import FailureKind, Format, ReplyStatus
from tests.devices.android.apks import TinyApk, apk_source
from tests.devices.android.conftest import BACK_S, standin
from tests.devices.android.jobs import INPUTS, OPERAND, Work, make_work
from tests.vphone.ends import wait_for
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer

DEADLINE_S = 60
APP = "org.phonebench.runner.onnxruntime"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


def launched(android: AndroidPhone, work: Work, *, deadline_s: float = DEADLINE_S) -> Execution:
    """Push the model and launch it."""
    android.push(work.model, work.sha256)
    return android.execute(work.request, work.inputs, deadline_s)


def allow(phone: VirtualPhone, *, allowed: bool) -> None:
    """Have the phone allow this computer to debug it, or forget that it did."""
    phone.faults.authorised = allowed


def later(phone: VirtualPhone, seconds: float, work: Callable[[], object]) -> None:
    """Do ``work`` once the app has run for this long; a busy machine may take long to start it."""

    def wait() -> None:
        while not phone.apps.running(APP):
            time.sleep(0.02)
        time.sleep(seconds)
        work()

    threading.Thread(target=wait, daemon=True).start()


def failure_of(execution: Execution) -> tuple[FailureKind, str, str]:
    failure = execution.reply.failure
    assert execution.reply.status is ReplyStatus.FAILED
    assert failure is not None
    return failure.kind, failure.message, failure.detail


def test_a_model_runs_on_the_phone_and_its_outputs_come_back(android: AndroidPhone, work: Work) -> None:
    execution = launched(android, work)
    assert execution.reply.failure is None
    assert execution.reply.latency is not None
    assert len(execution.reply.latency.samples_ns) >= 20
    assert execution.outputs is not None
    outputs = np.frombuffer(execution.outputs.read_bytes(), dtype=np.float32).reshape(INPUTS.shape)
    assert np.array_equal(outputs, INPUTS * OPERAND)
    assert execution.watch
    assert execution.watch[0].battery_percent == 87


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_the_time_of_an_installation_is_not_that_of_the_launch(
    cable: Cable, phone: VirtualPhone, onnx_apk: TinyApk, work: Work
) -> None:
    phone.apps.program = standin

    def slow(runtime: str, abis: Sequence[str]) -> RunnerApk | None:
        time.sleep(10)
        return apk_source(onnx_apk)(runtime, abis)

    with open_phone(cable, key="android", options=PhoneOptions(apks=slow)) as android:
        assert launched(android, work, deadline_s=8).reply.failure is None


def test_nothing_of_a_launch_stays_but_the_store(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    launched(android, work)
    jobs = phone.path("/data/data/org.phonebench.runner.onnxruntime/files/jobs")
    assert list(jobs.iterdir()) == []
    assert {len(file.name) for file in phone.path(FOLDER).iterdir()} == {64, len("restore.sh")}


def test_what_a_phone_is_and_how_it_is(android: AndroidPhone, phone: VirtualPhone) -> None:
    info = android.info
    assert (info.kind, info.model, info.os, info.cpu) == (
        "android",
        "Phonebench Virtual Phone",
        "Android 14",
        "Virtual V8",
    )
    assert info.details["clock_regime"] == "default"
    phone.state.thermal_status, phone.state.battery_percent = 2, 12
    assert {condition.id for condition in android.conditions()} == {ConditionId.THERMAL, ConditionId.LOW_BATTERY}
    now = android.readiness()
    assert (now.thermal_status, now.battery_percent, now.screen) == ("moderate", 12.0, "on")
    assert android.passively_cooled


def test_a_launch_is_no_change_of_the_front_and_another_app_is(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    before = android.readiness()
    launched(android, work)
    assert android.readiness().foreground == before.foreground == "com.android.launcher3"
    phone.state.foreground = "com.example.game/com.example.game.Main"
    assert android.readiness().foreground == "com.example.game"


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_a_dialog_of_the_system_about_the_app_is_no_other_app_in_front(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    # It stays when the app has ended, until somebody presses OK.
    phone.state.start_dialog = "phonebench app"
    before = android.readiness()
    launched(android, work)
    assert phone.state.dialog
    assert android.readiness().foreground == before.foreground
    phone.state.dialog = "NotificationShade"
    assert android.readiness().foreground == "NotificationShade"


def test_an_artifact_that_was_not_pushed_is_asked_for(android: AndroidPhone, work: Work) -> None:
    with pytest.raises(DeviceError, match="push it before the launch"):
        android.execute(work.request, work.inputs, DEADLINE_S)


def test_a_format_without_an_app_is_refused(android: AndroidPhone, work: Work) -> None:
    artifact = replace(work.request.artifact, format=Format.MLPACKAGE)
    with pytest.raises(DeviceError, match="no runner app for Android runs 'mlpackage'"):
        android.execute(replace(work.request, artifact=artifact), work.inputs, DEADLINE_S)


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_a_command_that_hangs_again_on_a_phone_that_answers_is_not_blamed_on_the_cable(
    android: AndroidPhone, cable: Cable
) -> None:
    tries: list[str] = []

    def hang() -> None:
        # The name of the job is another one for every try.
        tries.append(f"content read --uri content://{APP}.jobs/j{len(tries)}")
        raise phone_error(PhoneTrouble.HUNG, "no answer", serial=cable.serial, command=tries[-1])

    with pytest.raises(PhoneError, match="answers, but twice it did not finish 'content read'") as caught:
        android._tether.again(hang)
    assert (caught.value.trouble, len(tries)) == (PhoneTrouble.REFUSED, 2)
    assert "cable" not in str(caught.value)


def test_a_cable_that_flaps_during_a_launch_costs_nothing(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    android.push(work.model, work.sha256)
    for seconds in (0.5, 1.5, 2.5):
        later(phone, seconds, phone.drop)
    execution = android.execute(work.lasting(4), work.inputs, DEADLINE_S)
    assert execution.reply.status is ReplyStatus.OK
    assert len(started(phone)) == 1


def test_a_cable_may_be_cut_again_while_the_phone_is_made_ready(cable: Cable, phone: VirtualPhone) -> None:
    cable.run(f"mkdir -p {FOLDER}")
    tether = Tether(cable, read_facts(cable), PhoneOptions(back_s=BACK_S))
    returns: list[str] = []

    def cut_again() -> None:
        returns.append("")
        if len(returns) < 3:
            phone.drop()

    # The first thing that is done after each return, before the commands that make the phone ready.
    tether.on_return(cut_again)
    tries: list[str] = []

    def work() -> str:
        tries.append("")
        if len(tries) == 1:
            phone.drop()
        return cable.run("echo here").text

    assert (tether.again(work).strip(), len(tries), len(returns)) == ("here", 2, 3)


def test_a_cable_that_is_out_for_a_moment_costs_nothing(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    android.push(work.model, work.sha256)
    later(phone, 1.0, phone.unplug)
    later(phone, 2.5, phone.plug)
    execution = android.execute(work.lasting(1.5), work.inputs, DEADLINE_S)
    assert execution.reply.status is ReplyStatus.OK
    assert len(started(phone)) == 1


def test_a_phone_that_takes_a_moment_to_allow_the_computer_again_costs_nothing(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    android.push(work.model, work.sha256)
    later(phone, 1.0, lambda: allow(phone, allowed=False))
    later(phone, 3.0, lambda: allow(phone, allowed=True))
    execution = android.execute(work.lasting(1.5), work.inputs, DEADLINE_S)
    assert execution.reply.status is ReplyStatus.OK
    assert len(started(phone)) == 1


def test_a_phone_that_no_longer_allows_the_computer_is_reported_with_the_action(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    android.push(work.model, work.sha256)
    later(phone, 1.0, lambda: allow(phone, allowed=False))
    with pytest.raises(PhoneError, match="allow USB debugging") as caught:
        android.execute(work.lasting(30), work.inputs, DEADLINE_S)
    assert caught.value.trouble is PhoneTrouble.UNAUTHORISED


def test_a_cable_that_stays_out_is_a_loss_and_the_next_launch_goes_on_when_it_is_back(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    android.push(work.model, work.sha256)
    later(phone, 1.0, phone.unplug)
    with pytest.raises(PhoneError, match="check that it is on and in this network, then run: adb connect") as caught:
        android.execute(work.lasting(30), work.inputs, DEADLINE_S)
    assert caught.value.trouble is PhoneTrouble.GONE
    phone.plug()
    execution = launched(android, replace(work, request=work.launch(7)))
    assert (execution.reply.status, execution.reply.launch) == (ReplyStatus.OK, 7)
    # The app of the lost launch was still running, and nothing may be measured next to it.
    wait_for(lambda: phone.apps.running(APP) == ())


def test_a_phone_that_hangs_is_noticed_and_its_launch_goes_on_when_it_answers(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    android.push(work.model, work.sha256)
    later(phone, 1.0, lambda: phone.faults.hang())
    later(phone, 18.0, lambda: phone.faults.hang(False))
    execution = android.execute(work.lasting(2), work.inputs, DEADLINE_S)
    assert execution.reply.status is ReplyStatus.OK


def test_an_adb_server_that_another_program_ended_is_started_again(
    android: AndroidPhone, phone: VirtualPhone, adb_server: AdbServer, work: Work
) -> None:
    android.push(work.model, work.sha256)
    later(phone, 1.0, adb_server.restart)
    execution = android.execute(work.lasting(3), work.inputs, DEADLINE_S)
    assert execution.reply.status is ReplyStatus.OK


def test_a_phone_that_restarts_loses_the_launch_and_runs_the_next(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    android.push(work.model, work.sha256)
    later(phone, 1.0, phone.reboot)
    with pytest.raises(PhoneError, match="restarted during the launch") as caught:
        android.execute(work.lasting(30), work.inputs, DEADLINE_S)
    assert caught.value.trouble is PhoneTrouble.RESTARTED
    assert launched(android, work).reply.status is ReplyStatus.OK


@pytest.mark.parametrize(
    ("native", "said", "evidence"),
    [(False, "java.lang.IllegalStateException", "FATAL EXCEPTION"), (True, "SIGSEGV", "libruntime.so")],
)
def test_an_app_that_crashes_is_reported_with_the_lines_of_the_log(
    android: AndroidPhone, phone: VirtualPhone, work: Work, native: bool, said: str, evidence: str
) -> None:
    android.push(work.model, work.sha256)
    phone.faults.crash_app(native=native, after_s=0.2)
    kind, message, detail = failure_of(android.execute(work.lasting(30), work.inputs, DEADLINE_S))
    assert kind is FailureKind.CRASH
    assert said in message
    assert evidence in detail
    assert launched(android, work).reply.status is ReplyStatus.OK


def test_an_app_that_is_ended_for_memory_is_no_crash(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    android.push(work.model, work.sha256)
    phone.faults.kill_app_for_memory(after_s=0.2)
    kind, message, detail = failure_of(android.execute(work.lasting(30), work.inputs, DEADLINE_S))
    assert (kind, message) == (FailureKind.OOM, "the phone ran out of memory and ended the runner app")
    assert "lowmemorykiller" in detail


def test_an_app_without_an_end_is_stopped_at_the_deadline(
    android: AndroidPhone, phone: VirtualPhone, work: Work
) -> None:
    phone.apps.program = lambda _: ["sh", "-c", "echo I/phonebench: loading; exec sleep 600"]
    phone.log.add("E", "Other", "of another app, before the launch")
    kind, message, detail = failure_of(launched(android, work, deadline_s=2))
    assert detail.endswith("phonebench: loading")
    assert "another app" not in detail
    assert (kind, message) == (FailureKind.TIMEOUT, "the runner gave no reply within 2 s and was stopped")
    wait_for(lambda: phone.apps.running(APP) == ())


def test_half_a_reply_is_fetched_again(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    phone.faults.half_reply()
    assert launched(android, work).reply.status is ReplyStatus.OK


def test_a_reply_that_stays_half_is_no_result(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    phone.faults.half_reply(times=100)
    kind, message, _ = failure_of(launched(android, work))
    assert kind is FailureKind.REPLY
    assert "cannot be used" in message


def test_a_clock_that_jumps_changes_nothing(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    android.push(work.model, work.sha256)
    later(phone, 0.5, lambda: phone.faults.clock_jump(-86_400))
    assert android.execute(work.lasting(1), work.inputs, DEADLINE_S).reply.status is ReplyStatus.OK


def test_a_locked_phone_is_asked_to_be_unlocked(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    phone.state.secure_lock = phone.state.locked = True
    with pytest.raises(PhoneError, match="is locked; unlock the phone") as caught:
        launched(android, work)
    assert caught.value.trouble is PhoneTrouble.LOCKED
    phone.state.locked = False
    assert launched(android, work).reply.status is ReplyStatus.OK


def test_a_sleeping_phone_is_woken(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    phone.state.screen_on, phone.state.locked = False, True
    assert launched(android, work).reply.status is ReplyStatus.OK
    assert phone.state.screen_on


def test_the_screen_is_kept_on_and_put_back(android: AndroidPhone, phone: VirtualPhone) -> None:
    assert phone.state.stay_on != 0
    android.clean()
    assert phone.state.stay_on == 0
    assert not phone.path(RESTORE_FILE).exists()


class HungCable(Cable):
    """A cable whose phone can stop answering; its commands fail at once instead of after their deadline."""

    hung = False
    unanswered = 0

    def run(self, command: str, *, stdin: bytes = b"", seconds: float = 20.0) -> ShellResult:
        if not self.hung:
            return super().run(command, stdin=stdin, seconds=seconds)
        self.unanswered += 1
        raise phone_error(PhoneTrouble.HUNG, "the phone gave no answer", serial=self.serial)


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_the_end_of_a_session_waits_once_for_a_phone_that_hangs(
    cable: Cable, phone: VirtualPhone, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = HungCable(cable.server, cable.serial)
    with open_phone(hanging, key="android"):
        hanging.hung = True
    assert hanging.unanswered == 1
    assert "could not be restored; the next session will do it" in caplog.text
    with open_phone(cable, key="android"):
        assert phone.path(RESTORE_FILE).exists()
    assert phone.state.stay_on == 0


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
@pytest.mark.parametrize("failing", [("wm",), ("svc", "input", "am", "dumpsys")])
def test_commands_that_do_their_work_and_exit_with_1_are_no_lack_of_space(
    cable: Cable, phone: VirtualPhone, onnx_apk: TinyApk, work: Work, failing: tuple[str, ...]
) -> None:
    phone.state.failing, phone.apps.program = failing, standin
    with open_phone(cable, key="android", options=PhoneOptions(apks=apk_source(onnx_apk))) as opened:
        assert launched(opened, work).reply.status is ReplyStatus.OK


@pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)
def test_a_store_that_cannot_be_written_is_named_and_space_is_blamed_for_lack_of_space_alone(
    cable: Cable, phone: VirtualPhone
) -> None:
    phone.path(f"{FOLDER}/restore.sh.tmp").mkdir(parents=True)
    with pytest.raises(PhoneError, match="cannot store a file in") as caught, open_phone(cable, key="android"):
        raise AssertionError
    assert caught.value.trouble is PhoneTrouble.REFUSED
    assert "free some space" not in str(caught.value)


def test_what_a_killed_session_left_is_put_back_by_the_next(android: AndroidPhone, phone: VirtualPhone) -> None:
    assert phone.state.stay_on != 0
    # As after a crash: the next session finds the script that restores the settings on the phone itself.
    phone.path(RESTORE_FILE).write_text("settings put global stay_on_while_plugged_in 3\n")
    android.prepare()
    android.clean()
    assert phone.state.stay_on == 3


def test_a_phone_is_held_by_one_run_at_a_time(android: AndroidPhone, phone: VirtualPhone) -> None:
    with (
        pytest.raises(PhoneError, match="is being measured by another phonebench"),
        open_phone(android._cable, key="android"),
    ):
        raise AssertionError
    assert phone.state.booted


def test_closing_a_phone_ends_the_launch_in_flight(android: AndroidPhone, phone: VirtualPhone, work: Work) -> None:
    android.push(work.model, work.sha256)
    started_at = time.monotonic()
    later(phone, 1.0, android.clean)
    with pytest.raises(PhoneError, match="was closed"):
        android.execute(work.lasting(40), work.inputs, DEADLINE_S)
    assert time.monotonic() - started_at < 30
    wait_for(lambda: phone.apps.running(APP) == ())


def started(phone: VirtualPhone) -> list[str]:
    """The log lines of apps being started."""
    return [str(line) for line in phone.log.since(0)[0] if f"{APP}/u0" in str(line) and "Start proc" in str(line)]
