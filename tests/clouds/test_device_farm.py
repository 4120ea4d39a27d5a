"""AWS Device Farm through the real boto3 against a local server: what is asked, and each way in which it can fail."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config

from harness.clouds.aws import REGION, DeviceFarm, test_spec
from harness.clouds.cloud import CloudApp, CloudJob, CloudProgress, CloudState
from harness.clouds.package import CloudRun, formats_of, requirements, write_package
from harness.clouds.take import take_run
from harness.clouds.wait import LOOK_S, MOST_S, wait_for
from harness.errors import CloudError, SignatureError, StoreError, UsageError
from harness.history.figures import entries_of
from harness.records.conditions import ConditionId
from harness.signing.keys import create_key
from harness.spec.profiles import ProfileName
from harness.wire import Format
from tests.clouds.fake_device_farm import PROJECT, RUN, Answer, FakeFarm, fake_farm, zipped
from tests.conftest import Called, call_phonebench
from tests.devices.android.apks import TinyApk, tiny
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import make_work
from tests.devices.android.test_android_cli import built_into
from tests.report.large import Shape, store_large_run
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.fixtures import apks, bare_phone
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

__all__ = ["apks", "bare_phone"]

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
# A name that pytest takes for a test.
make_test_spec = test_spec
del test_spec


@pytest.fixture(scope="module")
def served() -> Iterator[FakeFarm]:
    with fake_farm() as started:
        yield started


@pytest.fixture(scope="module")
def the_client(served: FakeFarm) -> Any:
    """boto3 reads the model of the service for a second, so it does that once."""
    return client(served)


@pytest.fixture
def service(served: FakeFarm) -> FakeFarm:
    """The service as it is when nothing has happened yet."""
    served.reset()
    return served


@pytest.fixture
def farm(service: FakeFarm, the_client: Any) -> DeviceFarm:  # noqa: ARG001  the service is reset first
    return DeviceFarm(the_client, PROJECT, pause=lambda _: None)


def client(service: FakeFarm) -> Any:
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name=REGION)
    return session.client("devicefarm", endpoint_url=service.url, config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def job(tmp_path: Path) -> CloudJob:
    package, app = tmp_path / "package.zip", tmp_path / "runner.apk"
    package.write_bytes(b"the package")
    app.write_bytes(b"the app")
    apps = (CloudApp(path=app),)
    spec = make_test_spec()
    return CloudJob(name="phonebench", package=package, test_spec=spec, apps=apps, phone="Pixel 8", minutes=30)


def test_a_job_sends_three_files_and_asks_for_one_phone(farm: DeviceFarm, service: FakeFarm, job: CloudJob) -> None:
    assert farm.submit(job) == RUN
    assert service.files == {
        "ANDROID_APP": b"the app",
        "APPIUM_NODE_TEST_PACKAGE": b"the package",
        "APPIUM_NODE_TEST_SPEC": job.test_spec.encode(),
    }
    (asked,) = [asked for call, asked in service.calls if call == "ScheduleRun"]
    app, package, spec = service.uploads
    assert (asked["appArn"], asked["test"]["testPackageArn"], asked["test"]["testSpecArn"]) == (app, package, spec)
    assert asked["deviceSelectionConfiguration"] == {
        "filters": [{"attribute": "MODEL", "operator": "EQUALS", "values": ["Pixel 8"]}],
        "maxDevices": 1,
    }
    assert asked["executionConfiguration"] == {"jobTimeoutMinutes": 30, "videoCapture": False}


def test_the_test_spec_is_yaml_that_starts_the_script_on_the_phone_of_the_host() -> None:
    spec = yaml.safe_load(make_test_spec())
    assert (spec["version"], spec["artifacts"]) == (0.1, ["$DEVICEFARM_LOG_DIR"])
    assert list(spec["phases"]) == ["install", "pre_test", "test"]
    assert "android:$DEVICEFARM_DEVICE_UDID" in spec["phases"]["test"]["commands"][-1]


@pytest.mark.parametrize(
    ("status", "result", "state"),
    [
        ("PENDING_CONCURRENCY", "PENDING", CloudState.WAITING),
        ("PENDING_DEVICE", "PENDING", CloudState.RUNNING),
        ("COMPLETED", "PASSED", CloudState.DONE),
        ("COMPLETED", "WARNED", CloudState.DONE),
        ("COMPLETED", "STOPPED", CloudState.STOPPED),
        ("COMPLETED", "ERRORED", CloudState.FAILED),
        ("COMPLETED", "SKIPPED", CloudState.FAILED),
    ],
)
def test_states(farm: DeviceFarm, service: FakeFarm, status: str, result: str, state: CloudState) -> None:
    service.statuses = [(status, result)]
    assert farm.poll(RUN) == CloudProgress(state=state, words=f"{status.lower()} {result.lower()}")


def test_a_job_is_stopped(farm: DeviceFarm, service: FakeFarm) -> None:
    farm.cancel(RUN)
    assert service.calls == [("StopRun", {"arn": RUN})]


def refused(code: str, status: int = 400, words: str = "no") -> Answer:
    return status, {"__type": code, "message": words}


@pytest.mark.parametrize(
    ("answer", "words", "passing"),
    [
        (refused("ThrottlingException", words="Rate exceeded"), "(ThrottlingException): Rate exceeded", True),
        ((429, {}), "(429)", True),
        ((503, {}), "(503)", True),
        (refused("ArgumentException", words="No device matches"), "(ArgumentException): No device matches", False),
        (refused("NotFoundException"), "(NotFoundException): no", False),
        (refused("UnrecognizedClientException", 403), "(UnrecognizedClientException)", False),
        ((200, {}), "half a run: it has no arn", True),
        ((200, {"run": {}}), "half a run: it has no arn", True),
    ],
)
def test_what_the_service_answers_instead(
    farm: DeviceFarm, service: FakeFarm, job: CloudJob, answer: Answer, words: str, passing: bool
) -> None:
    service.wrong["ScheduleRun"] = [answer]
    with pytest.raises(CloudError) as caught:
        farm.submit(job)
    assert words in str(caught.value)
    assert (caught.value.passing, caught.value.exit_code) == (passing, 3)


def test_a_file_that_the_farm_refuses_or_never_looks_at(farm: DeviceFarm, service: FakeFarm, job: CloudJob) -> None:
    service.wrong["GetUpload"] = [(200, {"upload": {"status": "FAILED", "message": "The APK is not signed"}})]
    with pytest.raises(CloudError, match="refuses runner.apk: The APK is not signed"):
        farm.submit(job)
    service.wrong["GetUpload"] = [(200, {"upload": {"status": "PROCESSING"}})] * 200
    with pytest.raises(CloudError, match="has not looked at runner.apk within 10 minutes"):
        farm.submit(job)
    service.wrong["CreateUpload"] = [(200, {"upload": {"arn": "a" * 40, "url": "http://127.0.0.1:9/put"}})]
    with pytest.raises(CloudError, match="cannot be sent to AWS: .*refused"):
        farm.submit(job)


def test_nobody_answers(tmp_path: Path, job: CloudJob) -> None:
    gone = FakeFarm(url="http://127.0.0.1:9")
    with pytest.raises(CloudError, match="does not take runner.apk: Could not connect") as caught:
        DeviceFarm(client(gone), PROJECT).submit(job)
    assert caught.value.passing
    environment = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": ""}
    called = call_phonebench("cloud", "status", RUN, cwd=tmp_path, env=environment | {"AWS_SECRET_ACCESS_KEY": ""})
    assert (called.code, "AWS has no credentials here: set AWS_PROFILE" in called.err) == (3, True)


class Clock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now, self.pauses = 0.0, list[float]()

    def time(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


class Scripted:
    """A cloud whose answers are given; the last one is repeated."""

    def __init__(self, *answers: CloudProgress | CloudError) -> None:
        self._answers = list(answers)

    def poll(self, ticket: str) -> CloudProgress:  # noqa: ARG002
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, CloudError):
            raise answer
        return answer

    def submit(self, job: CloudJob) -> str:
        raise AssertionError(job)

    def cancel(self, ticket: str) -> None:
        raise AssertionError(ticket)

    def fetch(self, ticket: str, folder: Path) -> Path:
        raise AssertionError(ticket, folder)


RUNNING, DONE = (CloudProgress(state=state, words="w") for state in (CloudState.RUNNING, CloudState.DONE))
BUSY = CloudError("429", passing=True)


def test_waiting_goes_through_busy_answers_and_asks_less_often_meanwhile() -> None:
    clock, said = Clock(), list[CloudProgress]()
    cloud = Scripted(RUNNING, BUSY, BUSY, RUNNING, DONE)
    ended = wait_for(cloud, RUN, until_s=3600, say=said.append, clock=clock.time, pause=clock.pause)
    assert ended == DONE
    assert said == [RUNNING, DONE]
    assert clock.pauses == [LOOK_S, 2 * LOOK_S, 4 * LOOK_S, LOOK_S]


def test_a_cloud_that_never_answers_is_given_up_with_the_way_to_fetch_later() -> None:
    for answer, words in ((BUSY, "the last answer was: 429"), (RUNNING, "it is w")):
        clock = Clock()
        with pytest.raises(CloudError, match=f"has not ended within 60 minutes .{words}.; fetch it later: phonebench"):
            wait_for(Scripted(answer), RUN, until_s=3600, clock=clock.time, pause=clock.pause)
        assert max(clock.pauses) <= MOST_S
    with pytest.raises(CloudError, match="forbidden"):
        wait_for(Scripted(CloudError("forbidden")), RUN, until_s=3600)


def scrambled(name: str) -> bytes:
    """A zip archive with a valid directory and a damaged compressed file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(range(256)) * 4)
    content = bytearray(data.getvalue())
    start = content.index(name.encode()) + len(name)
    content[start : start + 30] = b"\xff" * 30
    return bytes(content)


def test_an_artifact_that_is_missing_cut_off_or_damaged(farm: DeviceFarm, service: FakeFarm, tmp_path: Path) -> None:
    service.artifact = zipped(**{"phonebench-results.tar.gz": b"x" * 100, "log.txt": b"words"})
    assert farm.fetch(RUN, tmp_path).read_bytes() == b"x" * 100
    service.short = 10
    with pytest.raises(CloudError, match="10 bytes missing"):
        farm.fetch(RUN, tmp_path)
    service.short, whole = 0, service.artifact
    for damaged in (whole[:50], scrambled("phonebench-results.tar.gz")):
        service.artifact = damaged
        with pytest.raises(CloudError, match="is damaged"):
            farm.fetch(RUN, tmp_path)
    service.artifact = zipped(**{"log.txt": b"words"})
    with pytest.raises(CloudError, match="left no phonebench-results.tar.gz"):
        farm.fetch(RUN, tmp_path)
    service.wrong["ListArtifacts"] = [(200, {"artifacts": []})]
    with pytest.raises(CloudError, match="left no results"):
        farm.fetch(RUN, tmp_path)


def archive_of(folder: Path, *, name: str = "results") -> Path:
    target = folder.parent / f"{folder.name}.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, name)
    return target


def test_every_measurement_carries_the_condition_and_enters_no_history(tmp_path: Path) -> None:
    shape = Shape(models=1, phones=1, variants=2, threads=(1,), launches=2, calls=20)
    run = store_large_run(tmp_path / "there", shape)
    archive = archive_of(tmp_path / "there")
    taken = take_run(archive, tmp_path / "here", "AWS Device Farm")
    assert taken.head == run.head
    assert len(taken.measurements) == len(run.measurements)
    assert all(m.conditions[-1].id is ConditionId.CLOUD for m in taken.measurements)
    assert [m.latency for m in taken.measurements] == [m.latency for m in run.measurements]
    assert take_run(archive, tmp_path / "here", "AWS Device Farm") == taken
    with pytest.raises(UsageError, match="was measured in a cloud, whose phone is another one each time"):
        entries_of(taken)
    entries_of(run)


def test_an_archive_without_a_run_says_what_phonebench_said_there(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "run.txt").write_text("phonebench: phone is locked\n")
    with pytest.raises(CloudError, match="measured nothing; phonebench said there: phonebench: phone is locked"):
        take_run(archive_of(there), tmp_path / "here", "a cloud")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped-absolute"])
def test_an_archive_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    target = tmp_path / "evil.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 3
        archive.addfile(member, io.BytesIO(b"bad"))
    with pytest.raises(CloudError, match="damaged|measured nothing"):
        take_run(target, tmp_path / "here", "a cloud")
    assert not list(tmp_path.rglob("escaped*"))
    assert not Path("/tmp/escaped-absolute").exists()


def test_a_damaged_archive_and_one_that_would_fill_the_disk(tmp_path: Path) -> None:
    target = tmp_path / "x.tar.gz"
    target.write_bytes(b"\x1f\x8b not an archive")
    with pytest.raises(CloudError, match="are damaged"):
        take_run(target, tmp_path / "here", "a cloud")
    # Headers that promise terabytes; nothing of that is unpacked.
    with tarfile.open(target, "w") as archive:
        member = tarfile.TarInfo("results/huge")
        member.size = 1 << 42
        archive.fileobj.write(member.tobuf())
    with pytest.raises((StoreError, CloudError), match="more than 4 GiB|damaged"):
        take_run(target, tmp_path / "here", "a cloud")


def test_the_package_has_phonebench_the_files_and_what_they_need_and_nothing_of_this_computer(tmp_path: Path) -> None:
    model, app = tmp_path / "my net.onnx", tmp_path / "phonebench-onnxruntime.apk"
    model.write_bytes(b"model")
    app.write_bytes(b"app")
    run = CloudRun(files=(model, model), apks=(app,), profile=ProfileName.STANDARD)
    with zipfile.ZipFile(write_package(run, tmp_path / "p.zip")) as archive:
        names = archive.namelist()
        spec = archive.read("spec.toml").decode()
    assert {"harness/__main__.py", "files/1-my net.onnx", "files/2-my net.onnx", "measure.sh"} < set(names)
    assert "apks/phonebench-onnxruntime.apk" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("/", ".."))]
    assert tomllib.loads(spec)["model"] == ["files/1-my net.onnx", "files/2-my net.onnx"]
    assert str(tmp_path) not in spec
    listed = requirements((Format.ONNX,))
    assert any(line.startswith("onnxruntime==") for line in listed)
    assert any(line.startswith("adbutils==") for line in listed)
    assert not [line for line in listed if line.startswith(("torch", "sphinx", "phonebench"))]


def test_a_signature_goes_along_and_a_file_that_changed_after_it_was_verified_does_not(tmp_path: Path) -> None:
    model, app = tmp_path / "net.onnx", tmp_path / "app.apk"
    model.write_bytes(b"model")
    model.with_name("net.onnx.sig").write_text("its signature")
    app.write_bytes(b"app")
    signed = {model: frozenset({hashlib.sha256(b"model").hexdigest()})}
    run = CloudRun(files=(model,), apks=(app,), profile=ProfileName.QUICK, signed=signed)
    with zipfile.ZipFile(write_package(run, tmp_path / "p.zip")) as archive:
        assert archive.read("files/1-net.onnx.sig") == b"its signature"
    model.write_bytes(b"mode1")
    with pytest.raises(SignatureError, match=r"net\.onnx' changed after its signature was verified: nothing was sent"):
        write_package(run, tmp_path / "p.zip")


def test_a_file_without_the_required_signature_is_neither_sent_nor_compiled(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"model")
    key = create_key(tmp_path / "release", days=30).public
    for command in (
        ["cloud", "run", "net.onnx", "--project", PROJECT, "--phone", "Pixel 9"],
        ["npu", "net.onnx", "--chip", "v75", "-o", "out"],
    ):
        done = call_phonebench(*command, env={"PHONEBENCH_REQUIRE_SIGNATURE": str(key)}, cwd=tmp_path)
        assert (done.code, "net.onnx has no signature" in done.err) == (7, True), (command, done.err)


@pytest.mark.parametrize("name", ["digits", "net.txt", "none.onnx"])
def test_only_ready_made_files_go_to_a_cloud(tmp_path: Path, name: str) -> None:
    (tmp_path / "net.txt").write_text("")
    with pytest.raises(UsageError, match="is not a ready-made file .*phonebench build"):
        formats_of((tmp_path / name,))


@pytest.fixture
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    binary = adb_binary(Adb.WHEEL)
    if binary is None:
        pytest.skip("missing: adb; install adbutils")
    with AdbServer(tmp_path_factory.mktemp("adb"), binary) as server:
        yield server


@pytest.fixture
def host(adb_server: AdbServer, bare_phone: VirtualPhone, tmp_path: Path) -> Callable[[FakeFarm], bytes]:
    """The farm's host: it runs the last commands of the test spec in bash, beside a virtual phone.

    The packages are those of this environment, so the phase that installs them is left out.
    """
    bare_phone.apps.program = standin
    adb_server.connect(bare_phone)

    def execute(service: FakeFarm) -> bytes:
        package, logs = tmp_path / "package", tmp_path / "logs"
        logs.mkdir()
        with zipfile.ZipFile(io.BytesIO(service.files["APPIUM_NODE_TEST_PACKAGE"])) as archive:
            archive.extractall(package)
        (package / "venv" / "bin").mkdir(parents=True)
        (package / "venv" / "bin" / "python").symlink_to(sys.executable)
        commands = yaml.safe_load(service.files["APPIUM_NODE_TEST_SPEC"])["phases"]["test"]["commands"]
        environment = os.environ | adb_server.env
        environment |= {
            "DEVICEFARM_TEST_PACKAGE_PATH": str(package),
            "DEVICEFARM_LOG_DIR": str(logs),
            "DEVICEFARM_DEVICE_UDID": bare_phone.address,
            "VIRTUAL_ENV": sys.prefix,
        }
        # The symbolic link alone would not find the packages.
        command = "\n".join(commands).replace('"$DEVICEFARM_TEST_PACKAGE_PATH/venv/bin/python"', f'"{sys.executable}"')
        subprocess.run(["bash", "-euc", command], env=environment, check=True, timeout=300, cwd=tmp_path)
        return zipped(**{path.name: path.read_bytes() for path in logs.iterdir()})

    return execute


def test_a_whole_job_on_a_virtual_phone(
    service: FakeFarm, host: Callable[[FakeFarm], bytes], apks: ApkMaker, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    make_work(home).model.rename(home / "net.onnx")
    apk: TinyApk = tiny(apks)
    built_into(home / "apks", apk)
    service.host = host

    def phonebench(*args: str) -> Called:
        return call_phonebench("cloud", *args, cwd=home, env=KEYS | {"AWS_ENDPOINT_URL": service.url})

    sent = phonebench("run", "net.onnx", "--project", PROJECT, "--phone", "Pixel 8", "--apks", "apks", "--no-wait")
    assert (sent.code, sent.out.strip()) == (0, RUN), sent.err
    early = phonebench("fetch", RUN)
    assert (early.code, "the job has not ended (running pending)" in early.err) == (3, True)
    status = phonebench("status", RUN, "--json")
    assert status.json()["state"] == "done"
    done = phonebench("fetch", RUN, "--json")
    assert done.code == 0, done.err
    (cell,) = done.json()["cells"]
    assert cell["status"] == "ok"
    assert "CLOUD" in [condition["id"] for condition in cell["conditions"]]
    ingested = call_phonebench("history", "ingest", "latest", cwd=home)
    assert (ingested.code, "measured in a cloud" in ingested.err) == (2, True)
