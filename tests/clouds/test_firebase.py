"""Firebase Test Lab by a scripted ``gcloud``, and the app's own Java core in place of the phone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from harness.cli.options import spec_from
from harness.clouds import gcloud
from harness.clouds.catalog import choose_phone, list_models
from harness.clouds.cloud import CloudApp, CloudJob, CloudName, CloudProgress, CloudState
from harness.clouds.firebase import FirebaseTestLab
from harness.clouds.kinds import CLOUDS, cloud_of
from harness.clouds.loop_results import read_left
from harness.errors import BuildError, CloudError, SignatureError, StoreError, UsageError
from harness.history.figures import entries_of
from harness.progress import Silent
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import CellStatus, Measurement
from harness.report.sections.missing import lines
from harness.report.sections.section import report_of
from harness.runners.android.build import LOOP_MANIFEST, manifest_text
from harness.runners.android.keys import SigningKey
from harness.runners.android.loop_apk import LoopCargo, pack_loop_apk
from harness.runners.android.manifest import EVERY_CHANGE
from harness.runners.android.records import Abi, ApkFacts, BuiltApk, Runtime, app_id
from harness.runners.android.store import apk_path
from harness.runners.android.tools import Toolbox
from harness.signing.keys import create_key
from harness.spec.profiles import ProfileName
from harness.store.reader import load_run
from harness.store.records import RunRecord
from harness.wire import FailureKind
from harness.workflows.bench import Places
from harness.workflows.cloud_loop import LoopChoice, send_loop, take_loop
from harness.workflows.run import resume_run
from tests.clouds.fake_gcloud import PROJECT, FakeGoogle, fake_google
from tests.conftest import MISSING, Called, call_phonebench
from tests.devices.android.apks import keep_facts
from tests.devices.android.jobs import make_work
from tests.vphone.apkmaker import FRAMEWORK, missing_for_apks
from tests.vphone.desktop import class_path, missing_for_desktop

MAIN = "org.phonebench.runner.desktop.DesktopLoop"
APP = app_id(Runtime.ONNXRUNTIME)
PHONE = ("--cloud", "firebase", "--phone", "Pixel 8", "--apks", "apks")


@pytest.fixture
def google(tmp_path: Path) -> Iterator[FakeGoogle]:
    with fake_google(tmp_path / "google") as started:
        yield started


@pytest.fixture
def lab(google: FakeGoogle, monkeypatch: pytest.MonkeyPatch) -> FirebaseTestLab:
    """Test Lab as phonebench sees it, with ``gcloud`` in PATH."""
    for name, value in google.env.items():
        monkeypatch.setenv(name, value)
    return FirebaseTestLab()


@pytest.fixture
def job(tmp_path: Path) -> CloudJob:
    app = tmp_path / "app.apk"
    app.write_bytes(b"the app")
    return CloudJob(
        name="run-1", apps=(CloudApp(path=app, app_id=APP, launches=3),), phone="shiba", version="34", minutes=20
    )


def test_a_job_is_a_game_loop_with_one_scenario_per_launch_and_nothing_beside_it(
    lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob
) -> None:
    assert lab.submit(job) == f"firebase:{PROJECT}/matrix-0abc"
    asked = next(call for call in google.calls if "run" in call)
    assert {
        *("--type=game-loop", "--scenario-numbers=1,2,3", "--timeout=20m", "--device=model=shiba,version=34"),
        *("--num-flaky-test-attempts=0", "--no-record-video", "--no-performance-metrics", "--no-auto-google-login"),
        *("--async", f"--project={PROJECT}", "--quiet", f"--app={job.apps[0].path}"),
        f"--directories-to-pull=/sdcard/Android/data/{APP}/files/jobs",
    } <= set(asked)
    assert google.app("matrix-0abc").read_bytes() == b"the app"


def test_apps_of_several_runtimes_are_matrices_of_one_ticket_which_end_together(
    lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob
) -> None:
    ticket = lab.submit(replace(job, apps=job.apps * 2))
    assert ticket == f"firebase:{PROJECT}/matrix-0abc+matrix-1abc"
    assert lab.poll(ticket).state is CloudState.WAITING
    google.change("matrix-0abc", state="FINISHED", outcomeSummary="SUCCESS")
    assert lab.poll(ticket).state is CloudState.RUNNING
    lab.cancel(ticket)
    assert google.matrix("matrix-0abc")["state"] == "FINISHED"
    assert lab.poll(ticket) == CloudProgress(state=CloudState.STOPPED, words="finished success; cancelled")
    assert {token for _, _, token in google.asked} == {"Bearer the-token"}


def test_if_one_app_is_refused_the_matrix_of_another_is_stopped(
    lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob
) -> None:
    google.fail("firebase test android run --type=game-loop --async --format=json", "", code=0, out='"https://')
    with pytest.raises(CloudError, match="names no matrix"):
        lab.submit(job)
    missing = CloudApp(path=job.apps[0].path.with_name("none.apk"), app_id=APP, launches=1)
    with pytest.raises(CloudError, match="gcloud does not start the test: .*none.apk"):
        lab.submit(replace(job, apps=(job.apps[0], missing)))
    assert google.matrix("matrix-0abc")["state"] == "CANCELLED"

    def interrupted() -> Iterator[CloudApp]:
        yield job.apps[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.submit(replace(job, apps=cast("tuple[CloudApp, ...]", interrupted())))
    assert google.matrix("matrix-2abc")["state"] == "CANCELLED"


def test_the_token_is_neither_repeated_in_an_error_nor_sent_to_where_an_answer_redirects(
    lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob
) -> None:
    ticket = lab.submit(job)
    google.fail("config config-helper", "", code=0, out='{"credential": {"access_token": "the-token"')
    with pytest.raises(CloudError, match="who is logged in is incomplete") as caught:
        lab.poll(ticket)
    assert "the-token" not in str(caught.value)
    assert "the-token" not in repr(gcloud.access())
    google.wrong = [(302, f"{google.url}elsewhere".encode())]
    with pytest.raises(CloudError, match="404"):
        lab.poll(ticket)
    assert [(path, token) for _, path, token in google.asked[-2:]] == [
        (f"/v1/projects/{PROJECT}/testMatrices/matrix-0abc", "Bearer the-token"),
        ("/elsewhere", ""),
    ]


def test_the_token_goes_to_no_endpoint_that_others_could_listen_to(
    lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob
) -> None:
    ticket = lab.submit(job)
    for url in ("http://example.org/", "http://127.0.0.1.example.org/", "ftp://127.0.0.1/", "//127.0.0.1/", "http://["):
        google.override(url)
        with pytest.raises(CloudError, match="would get your token without TLS"):
            lab.poll(ticket)
    assert google.asked == []


def test_what_gcloud_has_started_is_stopped_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, pipe = tmp_path / "gcloud", tmp_path / "pipe"
    program.write_text(f"#!/bin/sh\n(echo started; exec sleep 600) > '{pipe}' &\nwait\n")
    program.chmod(0o755)
    os.mkfifo(pipe)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(CloudError, match="gcloud config gave no answer within 2 s"):
            gcloud.run("config", seconds=2)
        assert os.read(end, 100) == b"started\n"
        # The end of the pipe is seen once nothing holds it open for writing any more.
        assert select.select([end], [], [], 20)[0]
        assert os.read(end, 100) == b""
    finally:
        os.close(end)


STATES: tuple[tuple[dict[str, Any], CloudState, str], ...] = (
    ({"state": "VALIDATING"}, CloudState.WAITING, "validating"),
    ({"state": "RUNNING"}, CloudState.RUNNING, "running"),
    ({"state": "FINISHED", "outcomeSummary": "SUCCESS"}, CloudState.DONE, "finished success"),
    ({"state": "FINISHED", "outcomeSummary": "FAILURE"}, CloudState.FAILED, "finished failure"),
    ({"state": "CANCELLED"}, CloudState.STOPPED, "cancelled"),
    (
        {"testExecutions": [{"state": "RUNNING", "testDetails": {"progressMessages": ["a", "Starting Test.\n"]}}]},
        CloudState.RUNNING,
        "pending: Starting Test.",
    ),
    (
        {"state": "FINISHED", "outcomeSummary": "SKIPPED", "testExecutions": [{"state": "INCOMPATIBLE_ARCHITECTURE"}]},
        CloudState.FAILED,
        "finished skipped: incompatible architecture",
    ),
    (
        {"state": "ERROR", "testExecutions": [{"state": "ERROR", "testDetails": {"errorMessage": "the lab burned"}}]},
        CloudState.FAILED,
        "error: the lab burned",
    ),
    (
        {"state": "INVALID", "extendedInvalidMatrixDetails": [{"reason": "NO_SIGNATURE", "message": "sign it"}]},
        CloudState.FAILED,
        "invalid: NO_SIGNATURE: sign it",
    ),
    (
        {"state": "INVALID", "invalidMatrixDetails": "TEST_QUOTA_EXCEEDED"},
        CloudState.FAILED,
        "invalid: TEST_QUOTA_EXCEEDED",
    ),
    ({"state": "INCOMPATIBLE_ARCHITECTURE"}, CloudState.FAILED, "incompatible_architecture"),
)


def test_states(lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob) -> None:
    ticket = lab.submit(job)
    pending = google.matrix("matrix-0abc")
    for facts, state, words in STATES:
        google.change("matrix-0abc", **(pending | facts))
        assert lab.poll(ticket) == CloudProgress(state=state, words=words)
        google.forget("matrix-0abc", *facts)


RUN = "firebase test android run"
LOGGED_OUT = """ERROR: (gcloud.config.config-helper) You do not currently have an active account selected.
Please run:

  $ gcloud auth login
"""
BILLING = (
    "Permission denied while fetching the default results bucket (Error 403: The caller does not have permission). "
    "Is billing enabled for project: [my-project]?"
)


REFUSALS = (
    ("config", LOGGED_OUT, "active account selected.*run: gcloud auth login", False),
    (
        RUN,
        f"Uploading [x]\nERROR: (gcloud.firebase.test.android.run) HttpException: {BILLING}",
        "enable billing",
        False,
    ),
    (RUN, "ERROR: (gcloud) ResponseError 429: Quota exceeded for quota metric 'x'", "used up: try again", True),
    (RUN, "ERROR: (gcloud) ResponseError 429: Too many requests", "429.*; try again later", True),
    (
        RUN,
        "ERROR: Matrix [m] failed during validation.\nReason: NO_MANIFEST Message: no",
        "NO_MANIFEST Message: no",
        False,
    ),
    (RUN, "ERROR: Cloud Testing API has not been used in project 7 before", "gcloud services enable", False),
    (RUN, "ERROR: (gcloud) ResponseError 403: PERMISSION_DENIED", "role Firebase Test Lab Admin", False),
    (RUN, "ERROR: (gcloud) ResponseError 503: the service is down", "503.*; try again", True),
    (RUN, "ERROR: gcloud crashed (ConnectionError): Max retries exceeded", "crashed .*; try again", True),
    (RUN, "", "exit code 1", False),
)


def test_what_gcloud_says_instead(lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob) -> None:
    for command, err, words, passing in REFUSALS:
        google.fail(command, err)
        with pytest.raises(CloudError, match=words) as caught:
            lab.submit(job)
        assert (caught.value.passing, caught.value.exit_code) == (passing, 3), err


def test_a_matrix_that_was_created_counts_even_if_gcloud_loses_the_connection(
    lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob
) -> None:
    google.fail(RUN, "Test [matrix-lost1] has been created in the Google Cloud.\nERROR: (gcloud) Connection reset")
    assert lab.submit(job) == f"firebase:{PROJECT}/matrix-lost1"
    created = "Test [matrix-bad1] has been created in the Google Cloud.\nERROR: (gcloud) Matrix [matrix-bad1] failed"
    google.fail(RUN, f"{created} during validation.\nReason: MALFORMED_APK")
    with pytest.raises(CloudError, match="MALFORMED_APK"):
        lab.submit(job)


def test_what_the_service_answers_instead(lab: FirebaseTestLab, google: FakeGoogle, job: CloudJob) -> None:
    ticket = lab.submit(job)
    busy = json.dumps({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}).encode()
    for answer, words, passing in (
        ((429, busy), "RESOURCE_EXHAUSTED 429: slow down", True),
        ((503, b"<html>"), "503: Service Unavailable", True),
        ((403, b"{}"), "403: Forbidden; the account needs", False),
        ((200, b'{"state": "PEN'), "show the matrix matrix-0abc: its answer is incomplete", True),
        ((200, b"{}"), "incomplete: the matrix has no state", True),
        ((200, b'{"state": "PAUSED"}'), "state 'PAUSED', which this phonebench does not know", False),
    ):
        google.wrong = [answer]
        with pytest.raises(CloudError, match=words) as caught:
            lab.poll(ticket)
        assert caught.value.passing is passing
    with pytest.raises(CloudError, match="NOT_FOUND 404: no such matrix"):
        lab.poll(f"firebase:{PROJECT}/matrix-none")
    for ticket in ("firebase:", "firebase:p/x", "firebase:p/matrix-1+", "firebase:../matrix-1/matrix-2"):
        with pytest.raises(UsageError, match="is not a ticket of Firebase Test Lab"):
            lab.poll(ticket)


@pytest.mark.usefixtures("lab")
def test_phones_are_found_by_id_and_by_name_and_others_are_refused_with_what_is_near(google: FakeGoogle) -> None:
    models = list_models()
    assert [(model.id, model.versions) for model in models] == [
        ("shiba", ("33", "34")), ("a51", ("31",)), ("MediumPhone.arm", ("34",))
    ]  # fmt: skip
    for name in ("shiba", "Shiba", "pixel 8", "Google Pixel 8"):
        chosen = choose_phone(models, name, None)
        assert (chosen.key, chosen.model.physical) == ("android:firebase-shiba-34", True)
    assert choose_phone(models, "shiba", "33").model.abis_of("33") == ("arm64-v8a",)
    assert choose_phone(models, "shiba", "34").model.abis_of("34") == ("arm64-v8a", "x86_64")
    with pytest.raises(UsageError, match=r"has no phone 'pixl 8'; near it are shiba \(Google Pixel 8\)"):
        choose_phone(models, "pixl 8", None)
    with pytest.raises(UsageError, match="shiba has no Android with API level '29'; it has 33, 34"):
        choose_phone(models, "shiba", "29")
    for out, words in (("[]", "lists no phone"), ('[{"id": "sh', "the list of phones is incomplete")):
        google.fail("firebase test android models", "", code=0, out=out)
        with pytest.raises(CloudError, match=words) as caught:
            list_models()
        assert caught.value.passing


def test_a_ticket_names_its_cloud_and_those_of_earlier_versions_are_of_aws() -> None:
    assert cloud_of(f"firebase:{PROJECT}/matrix-1") is CLOUDS[CloudName.FIREBASE]
    assert cloud_of("arn:aws:devicefarm:us-west-2:1:run:1") is CLOUDS[CloudName.AWS]


def test_without_gcloud_it_is_said_where_to_get_it(tmp_path: Path) -> None:
    called = call_phonebench("cloud", "status", "firebase:p/matrix-1", cwd=tmp_path, env={"PATH": str(tmp_path)})
    assert (called.code, "no gcloud in PATH" in called.err, "cloud.google.com/sdk" in called.err) == (3, True, True)


# From here on, with an app.


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a built runner app, which has the compiled manifest for game loops, but no code."""
    if lacking := missing_for_apks():
        pytest.skip(f"{MISSING}{lacking}; apt-get install aapt android-framework-res apksigner")
    folder = tmp_path_factory.mktemp("apks")
    path = apk_path(folder, Runtime.ONNXRUNTIME, Abi.X86_64)
    with zipfile.ZipFile(path, "w") as apk:
        apk.writestr("AndroidManifest.xml", b"that of the app without a job")
        apk.writestr(LOOP_MANIFEST, _compiled(folder))
        apk.writestr("lib/x86_64/libruntime.so", b"native")
    keep_facts(path, app_id=APP, version_name="0.1.0+0123456789ab")
    return folder


def _compiled(folder: Path) -> bytes:
    """The real manifest, compiled with the resources of an older Android, which lack two names of a flag."""
    manifest, linked = folder / "AndroidManifest.xml", folder / "linked.apk"
    manifest.write_text(
        manifest_text(Runtime.ONNXRUNTIME, loop=True).replace("|fontWeightAdjustment|grammaticalGender", "")
    )
    command = f"aapt2 link --warn-manifest-validation --min-sdk-version 26 -I {FRAMEWORK} --manifest".split()
    subprocess.run([*command, manifest, "-o", linked], check=True, capture_output=True)
    with zipfile.ZipFile(linked) as archive:
        data = archive.read("AndroidManifest.xml")
    older, newer = struct.pack("<I", 0x40007FFF), struct.pack("<I", EVERY_CHANGE)
    assert data.count(older) == 2
    return data.replace(older, newer)


def test_a_file_that_has_changed_and_an_app_of_an_earlier_build_are_not_packed(built: Path, tmp_path: Path) -> None:
    tools = Toolbox()
    apk = BuiltApk(path=apk_path(built, Runtime.ONNXRUNTIME, Abi.X86_64), facts=_facts(built))
    changed = tmp_path / "model.onnx"
    changed.write_bytes(b"changed")
    cargo = LoopCargo(job="j", requests=[b"{}"], files={"0" * 64: changed})
    key = SigningKey(store=tmp_path / "none", password_file=tmp_path / "none")
    with pytest.raises(BuildError, match="has changed: got sha256"):
        pack_loop_apk(apk, cargo, tmp_path / "out.apk", key, tools)
    older = tmp_path / "older.apk"
    with zipfile.ZipFile(older, "w") as archive:
        archive.writestr("AndroidManifest.xml", b"")
    with pytest.raises(BuildError, match="could carry a job; run: phonebench runner build android -r onnxruntime"):
        pack_loop_apk(replace(apk, path=older), cargo, tmp_path / "out.apk", key, tools)


def _facts(built: Path) -> ApkFacts:
    import msgspec

    record = apk_path(built, Runtime.ONNXRUNTIME, Abi.X86_64).with_suffix(".json")
    return msgspec.json.decode(record.read_bytes(), type=ApkFacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A job of one file and two launches that was sent, and the two results that its app left on the JVM."""

    home: Path
    google: FakeGoogle
    ticket: str = ""
    results: tuple[bytes, ...] = ()

    @property
    def places(self) -> Places:
        return Places(results=self.home / "results", cache=self.home / "cache")

    def phonebench(self, *args: str) -> Called:
        env = self.google.env | {"XDG_DATA_HOME": str(self.home / "data"), "PHONEBENCH_CACHE": str(self.places.cache)}
        return call_phonebench("cloud", *args, cwd=self.home, env=env)


@pytest.fixture(scope="module")
def sent(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    if lacking := missing_for_desktop():
        pytest.skip(f"{MISSING}{lacking}; apt-get install openjdk-17-jdk-headless maven")
    home = tmp_path_factory.mktemp("home")
    make_work(home).model.rename(home / "net.onnx")
    shutil.copytree(built, home / "apks")
    with fake_google(home / "google") as google:
        job = Sent(home=home, google=google)
        started = job.phonebench("run", "net.onnx", *PHONE, "--launches", "2", "--no-wait")
        assert started.code == 0, started.err
        yield replace(job, ticket=started.out.strip(), results=_played(google.app("matrix-0abc"), home))


def _played(app: Path, home: Path) -> tuple[bytes, bytes]:
    """Run the first launch of an app by its own Java core; the second differs only in what its request says."""
    first = home / "results_scenario_1.json"
    java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", class_path(), MAIN]
    subprocess.run([*java, app, "1", home / "phone", first], check=True, timeout=120)
    second = json.loads(first.read_bytes())
    with zipfile.ZipFile(app) as apk:
        request = apk.read("assets/phonebench/2.json")
    assert json.loads(request)["launch"] == 1
    del second["outputs"], second["outputs_sha256"], second["reply"]["outputs"]
    second |= {"scenario": 2, "request_sha256": hashlib.sha256(request).hexdigest()}
    second["reply"]["launch"] = 1
    return first.read_bytes(), json.dumps(second).encode()


class Bucket:
    """A cloud whose job has ended and left these files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def submit(self, job: CloudJob) -> str:
        raise AssertionError(job)

    def poll(self, ticket: str) -> CloudProgress:
        raise AssertionError(ticket)

    def cancel(self, ticket: str) -> None:
        raise AssertionError(ticket)

    def fetch(self, ticket: str, folder: Path) -> Path:  # noqa: ARG002
        for name, data in self._files.items():
            path = folder / "0" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder


class FullDisk(Bucket):
    """A cloud that takes a job, after which the order of its run cannot be written any more."""

    def __init__(self, results: Path) -> None:
        super().__init__({})
        self._results = results
        self.cancelled: list[str] = []

    def submit(self, job: CloudJob) -> str:
        order = self._results / job.name / "cloud.json"
        order.unlink()
        (order / "in the way").mkdir(parents=True)
        return "firebase:p/matrix-1"

    def cancel(self, ticket: str) -> None:
        self.cancelled.append(ticket)


def taken(sent: Sent, tmp_path: Path, files: dict[str, bytes], words: str = "finished failure") -> RunRecord:
    """Store the run of the job in a copy of the results, after its phone left ``files``."""
    results = tmp_path / f"results-{len(list(tmp_path.iterdir()))}"
    shutil.copytree(sent.home / "results", results)
    ended = CloudProgress(state=CloudState.FAILED, words=words)
    return take_loop(sent.ticket, ended, Bucket(files), replace(sent.places, results=results), Silent())


FIRST, SECOND = (f"game_loop_results/results_scenario_{number}.json" for number in (1, 2))


def test_an_app_carries_its_requests_and_every_file_that_they_name(sent: Sent) -> None:
    with zipfile.ZipFile(sent.google.app("matrix-0abc")) as apk:
        names = apk.namelist()
        assert apk.read("AndroidManifest.xml") != b"that of the app without a job"
        assert apk.read("lib/x86_64/libruntime.so") == b"native"
        requests = [json.loads(apk.read(f"assets/phonebench/{number}.json")) for number in (1, 2)]
        for request in requests:
            for sha256 in (request["artifact"]["sha256"], request["inputs"]["sha256"]):
                assert hashlib.sha256(apk.read(f"assets/phonebench/store/{sha256}")).hexdigest() == sha256
        assert b"rest_ms=10000" in apk.read("assets/phonebench/loop.properties")
    assert [request["launch"] for request in requests] == [0, 1]
    assert "assets/phonebench/3.json" not in names
    assert LOOP_MANIFEST not in names


def test_a_whole_job_is_stored_once_and_enters_no_history(sent: Sent) -> None:
    early = sent.phonebench("fetch", sent.ticket)
    assert (early.code, "the job has not ended (pending)" in early.err) == (3, True)
    waiting = lines(report_of(load_run(sent.home / "results", "latest")))
    assert [line.text for line in waiting][-1].startswith(f"  phonebench cloud fetch {sent.ticket} --results ")
    sent.google.change("matrix-0abc", state="FINISHED", outcomeSummary="SUCCESS")
    left = sent.google.left("matrix-0abc") / "game_loop_results"
    left.mkdir(parents=True)
    for number, data in enumerate(sent.results, 1):
        (left / f"results_scenario_{number}.json").write_bytes(data)
    unfetched = sent.home / "unfetched"
    shutil.copytree(sent.home / "results", unfetched)
    try:
        done = sent.phonebench("fetch", sent.ticket, "--json")
        run = load_run(sent.home / "results", "latest")
        again = take_loop(sent.ticket, CloudProgress(state=CloudState.DONE), Bucket({}), sent.places, Silent())
    finally:
        # The other tests take the job from where it was.
        shutil.rmtree(sent.home / "results")
        unfetched.rename(sent.home / "results")
    assert done.code == 0, done.err
    (cell,) = done.json()["cells"]
    conditions = {condition["id"]: condition for condition in cell["conditions"]}
    assert (cell["status"], conditions["CLOUD"]["summary"]) == ("ok", "measured in Firebase Test Lab")
    assert "no gate and no watch from outside" in conditions["CLOUD"]["detail"]
    assert "EMULATOR" not in conditions
    assert run.head.finished_at is not None
    assert again.measurements == run.measurements
    (device,), (measurement,) = run.head.devices, run.measurements
    assert (device.key, device.model) == ("android:firebase-shiba-34", "phonebench desktop")
    assert len(measurement.launches) == 2
    assert measurement.outputs_sha256 is not None
    with pytest.raises(UsageError, match="measured in a cloud"):
        entries_of(run)


def changed(data: bytes, **facts: Any) -> bytes:
    """A result with other facts; those of its reply are given as a dict."""
    result = json.loads(data)
    reply = result["reply"] | facts.pop("reply", {})
    return json.dumps(result | facts | {"reply": reply}).encode()


def only(run: RunRecord) -> Measurement:
    (measurement,) = run.measurements
    return measurement


def conditions_of(measurement: Measurement) -> dict[ConditionId, Condition]:
    return {condition.id: condition for condition in measurement.conditions}


def test_launches_that_did_not_come_back_leave_the_figures_of_the_others(sent: Sent, tmp_path: Path) -> None:
    measurement = only(taken(sent, tmp_path, {FIRST: sent.results[0]}))
    assert (measurement.status, len(measurement.launches)) == (CellStatus.OK, 1)
    assert "1 of 2 launches came back." in conditions_of(measurement)[ConditionId.CLOUD].detail
    nothing = only(taken(sent, tmp_path, {"logcat": b""}, words="finished failure: timed out"))
    assert nothing.failure is not None
    assert (nothing.failure.kind, nothing.status) == (FailureKind.LOST, CellStatus.FAILED)
    assert "without a result of this launch (finished failure: timed out)" in nothing.failure.message


def test_a_damaged_result_does_not_count_and_the_one_that_was_pulled_does(sent: Sent, tmp_path: Path) -> None:
    whole = sent.results[0]
    outputs = base64.b64encode(b"other outputs").decode()
    deep = b'{"junk":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    others = (changed(whole, schema=2), changed(whole, outputs=outputs), changed(whole, outputs="\u00e9"))
    damages = (whole[: len(whole) // 2], b"", b"\xff\xfe", deep, *others)
    for damaged in damages:
        measurement = only(taken(sent, tmp_path, {FIRST: damaged}))
        assert measurement.failure is not None
        assert measurement.failure.kind is FailureKind.LOST
        assert "results_scenario_1.json" in measurement.failure.detail
    pulled = f"artifacts/sdcard/Android/data/{APP}/files/jobs/job-1/result.json"
    assert only(taken(sent, tmp_path, {FIRST: damages[0], pulled: whole})).status is CellStatus.OK


def test_of_files_that_are_too_large_results_are_noted_and_logs_read_from_their_end(tmp_path: Path) -> None:
    for name, size in (
        ("0/results_scenario_1.json", 300 << 20),
        ("1/results_scenario_1.json", 2),
        ("logcat", 65 << 20),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.truncate(path, size)
    with (tmp_path / "logcat").open("a") as log:
        log.write("\n11-30 04:00:00.100: I/phonebench( 4242): launch job-1\n")
    left = read_left(tmp_path)
    assert left.replies == {}
    assert sorted(left.damaged) == ["0/results_scenario_1.json", "1/results_scenario_1.json"]
    assert left.damaged["0/results_scenario_1.json"] == "it has 300 MiB, and at most 256 are read"
    assert left.death("job-1", APP) is not None
    assert len(left.logs[0]) < 65 << 20


def test_a_result_of_another_request_is_stale_and_changed_files_are_seen(sent: Sent, tmp_path: Path) -> None:
    stale = only(taken(sent, tmp_path, {FIRST: changed(sent.results[0], request_sha256="0" * 64)}))
    assert stale.failure is not None
    assert (stale.failure.kind, "a stale file" in stale.failure.message) == (FailureKind.REPLY, True)
    other = changed(sent.results[0], reply={"cell": "another"})
    assert only(taken(sent, tmp_path, {FIRST: other})).reason is not None
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(sent.home, elsewhere)
    (order,) = (elsewhere / "results").glob("*/cloud.json")
    sent_before = json.loads(order.read_text())
    sent_before["launches"][0]["request_sha256"] = "0" * 64
    order.write_text(json.dumps(sent_before))
    # The newest run, which another version wrote.
    later = elsewhere / "results" / "29990101-000000-000000"
    later.mkdir()
    for name in ("run.json", "cloud.json"):
        (later / name).write_text('{"schema": 99}')
    moved = only(taken(replace(sent, home=elsewhere), tmp_path, {FIRST: sent.results[0]}))
    assert moved.failure is not None
    assert (moved.failure.kind, "send it again" in moved.failure.message) == (FailureKind.DIGEST, True)


def test_a_crash_is_explained_by_the_log_of_the_phone(sent: Sent, tmp_path: Path) -> None:
    job = json.loads(sent.results[0])["job"]
    # As Test Lab writes it, which differs from every format of logcat.
    log = f"""\
11-30 04:00:00.000: I/ActivityManager(1000): Start proc 4242:{APP}/u0a1 for top-activity
11-30 04:00:00.100: I/phonebench( 4242): launch {job}-1
11-30 04:00:01.000: F/libc(4242): Fatal signal 11 (SIGSEGV), code 1 (SEGV_MAPERR) in tid 4260 (worker)
"""
    measurement = only(taken(sent, tmp_path, {"logcat": log.encode()}))
    assert measurement.failure is not None
    assert (measurement.failure.kind, measurement.status) == (FailureKind.CRASH, CellStatus.FAILED)
    assert "crashed (SIGSEGV)" in measurement.failure.message
    assert "Fatal signal 11" in measurement.failure.detail
    # A crash of the second launch is a result, unlike a second launch that nobody started.
    second = log.replace(f"{job}-1", f"{job}-2").encode()
    assert only(taken(sent, tmp_path, {FIRST: sent.results[0], "logcat": second})).status is CellStatus.FAILED


def test_what_the_phone_says_of_itself_becomes_conditions(sent: Sent, tmp_path: Path) -> None:
    state = json.loads(sent.results[0])["reply"]["state"]
    state["before"] |= {"thermal_status": "moderate", "battery_percent": 12.0}
    runner = {"kind": "android-app", "version": "1", "library_page_bytes": 4096}
    device = {"manufacturer": "Google", "model": "Pixel 8", "release": "14", "page_bytes": "16384", "cores": "9"}
    device["memory_bytes"] = "9" * 5000
    hot = changed(sent.results[0], device=device, reply={"state": state, "runner": runner})
    run = taken(sent, tmp_path, {FIRST: hot})
    assert {ConditionId.THERMAL, ConditionId.LOW_BATTERY, ConditionId.PAGE_SIZE} <= set(conditions_of(only(run)))
    (info,) = run.head.devices
    assert (info.model, info.os, info.cores) == ("Google Pixel 8", "Android 14", 9)


@pytest.mark.usefixtures("lab")
def test_what_cannot_be_sent_is_refused_before_anything_leaves(sent: Sent, tmp_path: Path) -> None:
    models, where = list_models(), replace(sent.places, results=tmp_path / "results")
    shiba, virtual, old = (choose_phone(models, name, None) for name in ("shiba", "MediumPhone.arm", "a51"))
    spec = spec_from(None, {"model": [str(sent.home / "net.onnx")], "profile": "quick"})
    choice = LoopChoice(cloud=CloudName.FIREBASE, phone=shiba, minutes=45, apks=sent.home / "apks")
    refusals = (
        (replace(spec, profile=ProfileName.SUSTAINED), choice, "cannot keep to the profile sustained: use quick or"),
        (spec, replace(choice, minutes=60), "real phone may take 45 minutes at most, not 60"),
        (replace(spec, launches=50), replace(choice, phone=virtual, minutes=10), "50 launches take about 2. minutes"),
        (spec, replace(choice, phone=old), r"not built for a51 \(armeabi-v7a\); run: phonebench runner build android"),
        (spec, replace(choice, apks=tmp_path), "onnxruntime is not built; run: phonebench runner build"),
    )
    key = create_key(tmp_path / "release", days=30).public
    with pytest.raises(SignatureError, match="has no signature"):
        send_loop(replace(spec, require_signature=str(key)), choice, Bucket({}), where, Silent())
    for wrong, place, words in refusals:
        with pytest.raises(UsageError, match=words):
            send_loop(wrong, place, Bucket({}), where, Silent())
    with pytest.raises(UsageError, match="no run in .* was sent under the ticket 'firebase:p/matrix-1'"):
        take_loop("firebase:p/matrix-1", CloudProgress(state=CloudState.DONE), Bucket({}), where, Silent())
    full = FullDisk(where.results)
    with pytest.raises(StoreError):
        send_loop(spec, choice, full, where, Silent())
    assert full.cancelled == ["firebase:p/matrix-1"]
    assert not [path for path in where.results.iterdir() if path.is_dir()]
    with pytest.raises(UsageError, match="to complete it: phonebench cloud fetch firebase:my-project/matrix-0abc"):
        resume_run("latest", sent.places, Silent())
