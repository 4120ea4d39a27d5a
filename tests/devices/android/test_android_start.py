"""How a launch begins and ends on a phone that behaves like Android: its processes, its users, its versions' words."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.device import Execution
from harness.errors import PhoneError, PhoneTrouble
from harness.wire import Failure, FailureKind, ReplyStatus, RunnerInfo, RunReply, encode
from tests.devices.android.apks import VERSION, apk_source, tiny
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import Work, make_work
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.apps import Launch, Program
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb

APP = ApkPlan().package
DEADLINE_S = 60
wheel = pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


@contextmanager
def opened(cable: Cable, apks: ApkMaker, *, door: str = ":door") -> Generator[AndroidPhone]:
    """The phone as a device; ``door`` is the process of the app's provider."""
    apk = tiny(apks, replace(ApkPlan(), version_name=VERSION, door=door))
    options = PhoneOptions(apks=apk_source(apk), back_s=5, boot_s=5)
    with open_phone(cable, key="android", options=options) as phone:
        yield phone


def launched(android: AndroidPhone, work: Work, number: int = 0) -> Execution:
    android.push(work.model, work.sha256)
    return android.execute(work.launch(number), work.inputs, DEADLINE_S)


def failure_of(execution: Execution) -> Failure:
    assert execution.reply.failure is not None
    return execution.reply.failure


def does(script: str) -> Program:
    """An app that runs a line of shell in its folder, and is over before it could show anything."""
    return lambda launch: ["sh", "-c", f"cd {shlex.quote(str(launch.files))}; {script}"]


def refusing(work: Work) -> Program:
    """An app that replies at once that it cannot run the model, and ends as the real one does."""
    reply = RunReply(
        cell=work.request.cell,
        launch=0,
        status=ReplyStatus.UNSUPPORTED,
        runner=RunnerInfo(kind="android-app", version="1"),
        failure=Failure(kind=FailureKind.LOAD, message="no such delegate here"),
    )
    words = shlex.quote(encode(reply).decode())

    def program(launch: Launch) -> list[str]:
        folder = shlex.quote(str(launch.files / "jobs" / launch.extras["job"]))
        return ["sh", "-c", f"printf %s {words} > {folder}/r && mv {folder}/r {folder}/reply.json; kill -9 $$"]

    return program


@wheel
@pytest.mark.parametrize("api", [28, 30, 34])
def test_an_app_that_ends_before_its_first_frame_is_read_like_any_other(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work, api: int
) -> None:
    phone.state.api, phone.apps.program = api, refusing(work)
    with opened(cable, apks) as android:
        reply = launched(android, work).reply
    assert reply.status is ReplyStatus.UNSUPPORTED
    assert failure_of_reply(reply) == "no such delegate here"


def failure_of_reply(reply: RunReply) -> str:
    assert reply.failure is not None
    return reply.failure.message


@wheel
@pytest.mark.parametrize(("api", "door"), [(26, ":door"), (29, ""), (34, ":door"), (35, "")])
def test_a_crash_at_start_is_a_crash_and_not_a_timeout(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work, api: int, door: str
) -> None:
    phone.state.api = api
    with opened(cable, apks, door=door) as android:
        phone.faults.crash_app()
        failure = failure_of(launched(android, work))
    assert failure.kind is FailureKind.CRASH
    assert "java.lang.IllegalStateException: the test asked for a crash" in failure.message


@wheel
@pytest.mark.parametrize("door", [":door", ""])
def test_the_end_of_another_process_of_the_app_is_not_the_launchs(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work, door: str
) -> None:
    killed = f"I/lowmemorykiller: Kill '{APP}{door}' (999998), uid 10100, oom_score_adj 905 to free 24576kB rss"
    phone.apps.program = does(f'echo "{killed}"; sleep 1; kill -11 $$')
    with opened(cable, apks, door=door) as android:
        failure = failure_of(launched(android, work))
    assert (failure.kind, failure.message) == (FailureKind.CRASH, "the runner app was ended by a signal (11)")


@wheel
def test_a_crash_of_an_earlier_launch_is_not_blamed_on_this_one(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work
) -> None:
    with opened(cable, apks) as android:
        phone.faults.crash_app(native=True)
        assert "SIGSEGV" in failure_of(launched(android, work)).message
        phone.apps.program = does("exit 3")
        failure = failure_of(launched(android, work, 1))
    assert failure.message == "the runner app ended by itself with exit code 3, without a reply"
    assert "SIGSEGV" not in failure.detail


@wheel
@pytest.mark.parametrize("api", [26, 28, 29, 30])
def test_an_app_that_is_killed_without_a_word_most_likely_ran_out_of_memory(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work, api: int
) -> None:
    phone.state.api, phone.apps.program = api, does("sleep 0.5; kill -9 $$")
    with opened(cable, apks) as android:
        failure = failure_of(launched(android, work))
    assert (failure.kind, "most likely because memory ran out" in failure.message) == (FailureKind.OOM, True)


@wheel
def test_an_app_that_cannot_write_its_reply_is_not_out_of_memory(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work
) -> None:
    lines = ("cannot write the reply of j1", "java.io.IOException: write failed: ENOSPC (No space left on device)")
    phone.apps.program = does("".join(f"echo 'E/phonebench: {line}'; " for line in lines) + "kill -9 $$")
    with opened(cable, apks) as android:
        failure = failure_of(launched(android, work))
    assert failure.kind is FailureKind.STORAGE
    assert failure.message == f"the runner app could not reply ({': '.join(lines)})"


@wheel
def test_a_reply_that_cannot_be_read_in_any_way_is_no_lack_of_memory(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work
) -> None:
    phone.apps.program = does("echo 'I/phonebench: replied to j1: ok'; kill -9 $$")
    with opened(cable, apks) as android:
        failure = failure_of(launched(android, work))
    assert failure.kind is FailureKind.REPLY
    assert failure.message == "the runner app replied, but its reply could not be read"


@wheel
@pytest.mark.parametrize("user", [0, 10])
def test_where_no_app_starts_in_the_background_the_reply_comes_from_shared_storage(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work, user: int
) -> None:
    phone.state.user, phone.apps.program = user, standin
    phone.faults.block_background()
    with opened(cable, apks) as android:
        execution = launched(android, work)
        assert execution.reply.failure is None
        assert execution.outputs is not None
        assert execution.outputs.stat().st_size == work.inputs.stat().st_size
        assert launched(android, work, 1).reply.status is ReplyStatus.OK
    assert phone.apps.running(f"{APP}:door") == ()
    shared = phone.path(f"/data/media/{user}/Android/data/{APP}/files/jobs")
    assert list(shared.iterdir()) == []


@wheel
def test_the_last_way_of_a_reply_is_the_log_without_its_outputs(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work
) -> None:
    phone.state.shares_files, phone.apps.program = False, standin
    phone.faults.silent_provider()
    with opened(cable, apks) as android:
        first, second = launched(android, work), launched(android, work, 1)
    assert first.reply.failure is None
    assert (first.reply.status, first.outputs, second.reply.launch) == (ReplyStatus.OK, None, 1)
    assert first.reply.latency is not None
    # The first launch was made twice, because nobody knew that its reply would have to be in the log.
    assert len(phone.apps.exits(APP)) == 3


@wheel
def test_an_app_that_something_else_stops_is_no_crash_of_the_model(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work
) -> None:
    phone.apps.program = does(f"sleep 1; echo 'I/other: {APP} goes'; sleep 60")
    with opened(cable, apks) as android:
        phone.log.add("I", "before", "nothing yet")
        stopping_when_it_runs(phone)
        failure = failure_of(launched(android, work))
    assert (failure.kind, failure.message) == (FailureKind.CRASH, "the runner app was stopped by something else")


def stopping_when_it_runs(phone: VirtualPhone) -> None:
    """Stop the app as a person does in the settings, once it has said its word."""

    def stop() -> None:
        seen = 0
        while True:
            phone.log.wait(seen, 1.0)
            lines, seen = phone.log.since(seen)
            if any(line.tag == "other" for line in lines):
                phone.apps.stop(APP)
                return

    threading.Thread(target=stop, daemon=True).start()


@wheel
def test_a_phone_that_starts_no_app_is_reported_as_that(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work
) -> None:
    phone.faults.start_nothing()
    with opened(cable, apks) as android, pytest.raises(PhoneError, match="but started no process of it") as caught:
        launched(android, work)
    assert caught.value.trouble is PhoneTrouble.REFUSED


def test_the_real_apps_provider_has_a_process_of_its_own() -> None:
    manifest = Path(__file__).parents[3] / "android_runner" / "app" / "src" / "main" / "AndroidManifest.xml"
    providers = ElementTree.parse(manifest).iter("provider")
    processes = [provider.get("{http://schemas.android.com/apk/res/android}process") for provider in providers]
    assert processes == [ApkPlan().door]


@wheel
def test_the_app_and_its_files_are_those_of_the_user_in_front(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, work: Work
) -> None:
    phone.state.user, phone.apps.program = 10, standin
    with opened(cable, apks) as android:
        assert launched(android, work).reply.status is ReplyStatus.OK
    assert phone.path(f"/data/user/10/{APP}/files/jobs").is_dir()
    assert not phone.path(f"/data/data/{APP}/files/jobs").exists()
