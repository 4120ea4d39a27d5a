"""AWS Device Farm: a run with a test spec of our own, on a phone beside a host with adb.

Uploads are addresses to put a file at, then polled until the farm has looked at them. The package is sent as one of
Appium for Node, the only kind whose contents the farm does not look into; the test spec starts what is in it.
"""

from __future__ import annotations

import contextlib
import http.client
import lzma
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import IO, Any

from harness.clouds.cloud import RESULT_FILE, CloudJob, CloudProgress, CloudState
from harness.clouds.package import SCRIPT
from harness.clouds.take import MOST_BYTES
from harness.errors import CloudError, MissingPackageError
from harness.system.files import storage_errors

# Device Farm exists in this region alone.
REGION = "us-west-2"
TRANSFER_S = 300.0
_UPLOADS_S, _LOOK_S = 600.0, 5.0
_CHUNK = 1 << 20
_PASSING = ("ThrottlingException", "Throttling", "TooManyRequestsException", "ServiceUnavailable", "InternalFailure")
_RUNNING = ("PREPARING", "RUNNING", "PENDING_DEVICE", "PROCESSING", "STOPPING")
_WAITING = ("PENDING", "PENDING_CONCURRENCY", "SCHEDULING")


def test_spec() -> str:
    """Return the test spec, YAML of version 0.1, which is the one that Device Farm has."""
    return f"""\
version: 0.1
android_test_host: amazon_linux_2
phases:
  install:
    commands:
      - devicefarm-cli use python 3.11
      - python3 -m venv "$DEVICEFARM_TEST_PACKAGE_PATH/venv"
      - cd "$DEVICEFARM_TEST_PACKAGE_PATH" && venv/bin/pip install --quiet -r requirements.txt
  pre_test:
    commands:
      - adb -s "$DEVICEFARM_DEVICE_UDID" wait-for-device
  test:
    commands:
      - export PYTHON="$DEVICEFARM_TEST_PACKAGE_PATH/venv/bin/python" OUT="$DEVICEFARM_LOG_DIR"
      - DEVICE="android:$DEVICEFARM_DEVICE_UDID" bash "$DEVICEFARM_TEST_PACKAGE_PATH/{SCRIPT}"
artifacts:
  - $DEVICEFARM_LOG_DIR
"""


@dataclass(frozen=True, slots=True)
class DeviceFarm:
    """A project of AWS Device Farm; ``client`` is boto3's for ``devicefarm``. ``pause`` waits, in seconds."""

    client: Any
    project: str
    pause: Callable[[float], None] = field(default=sleep)

    def submit(self, job: CloudJob) -> str:
        """Upload the app, the package and the test spec, and schedule the run. Raises `CloudError`."""
        assert job.package is not None
        apk = job.apps[0].path
        app = self._upload(apk.name, "ANDROID_APP", apk.read_bytes())
        package = self._upload(f"{job.name}.zip", "APPIUM_NODE_TEST_PACKAGE", job.package.read_bytes())
        spec = self._upload(f"{job.name}.yml", "APPIUM_NODE_TEST_SPEC", job.test_spec.encode())
        model = {"attribute": "MODEL", "operator": "EQUALS", "values": [job.phone]}
        with _explained("schedule the run"):
            answer = self.client.schedule_run(
                projectArn=self.project,
                appArn=app,
                name=job.name,
                deviceSelectionConfiguration={"filters": [model], "maxDevices": 1},
                test={"type": "APPIUM_NODE", "testPackageArn": package, "testSpecArn": spec},
                # A video would be taken on the phone that is measured.
                executionConfiguration={"jobTimeoutMinutes": job.minutes, "videoCapture": False},
            )
        return _needed(answer, "run", "arn")

    def poll(self, ticket: str) -> CloudProgress:
        """Return how far the run has got. Raises `CloudError`."""
        with _explained("look at the run"):
            answer = self.client.get_run(arn=ticket)
        run = answer.get("run") or {}
        status, result = _needed(answer, "run", "status"), str(run.get("result") or "")
        words = " ".join(part for part in (status.lower(), result.lower(), str(run.get("message") or "")) if part)
        if status in _WAITING:
            return CloudProgress(state=CloudState.WAITING, words=words)
        if status in _RUNNING:
            return CloudProgress(state=CloudState.RUNNING, words=words)
        state = {"PASSED": CloudState.DONE, "WARNED": CloudState.DONE, "STOPPED": CloudState.STOPPED}
        return CloudProgress(state=state.get(result, CloudState.FAILED), words=words)

    def cancel(self, ticket: str) -> None:
        """Stop the run. Raises `CloudError`."""
        with _explained("stop the run"):
            self.client.stop_run(arn=ticket)

    def fetch(self, ticket: str, folder: Path) -> Path:
        """Download the archive of the results. Raises `CloudError` if the run left none, or it is damaged."""
        for artifact in self._artifacts(ticket):
            if artifact.get("type") != "CUSTOMER_ARTIFACT" or not artifact.get("url"):
                continue
            downloaded = folder / "customer-artifacts.zip"
            _download(str(artifact["url"]), downloaded)
            return taken_out(downloaded, folder)
        msg = f"the run {ticket} left no results: look at its log in the console of Device Farm"
        raise CloudError(msg)

    def _artifacts(self, ticket: str) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            with _explained("list what the run left"):
                answer = self.client.list_artifacts(arn=ticket, type="FILE", **token)
            yield from answer.get("artifacts") or ()
            if not answer.get("nextToken"):
                return
            token = {"nextToken": answer["nextToken"]}

    def _upload(self, name: str, kind: str, data: bytes) -> str:
        with _explained(f"take {name}"):
            answer = self.client.create_upload(projectArn=self.project, name=name, type=kind)
        arn = _needed(answer, "upload", "arn")
        _put(_needed(answer, "upload", "url"), data)
        for _ in range(round(_UPLOADS_S / _LOOK_S)):
            with _explained(f"look at {name}"):
                upload = self.client.get_upload(arn=arn).get("upload") or {}
            match upload.get("status"):
                case "SUCCEEDED":
                    return arn
                case "FAILED":
                    why = upload.get("message") or upload.get("metadata") or "it gives no reason"
                    msg = f"AWS Device Farm refuses {name}: {why}"
                    raise CloudError(msg)
            self.pause(_LOOK_S)
        msg = f"AWS Device Farm has not looked at {name} within {_UPLOADS_S / 60:g} minutes: try again later"
        raise CloudError(msg, passing=True)


def open_device_farm(project: str) -> DeviceFarm:
    """Return the project of that ARN, with the credentials that boto3 finds. Raises `MissingPackageError`."""
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise MissingPackageError(package="boto3", extra="aws", purpose="AWS Device Farm") from error
    retries = Config(region_name=REGION, retries={"mode": "standard", "max_attempts": 5}, read_timeout=60)
    with _explained("answer"):
        return DeviceFarm(boto3.client("devicefarm", config=retries), project)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn what boto3 raises into a sentence."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
    from botocore.exceptions import ConnectionError as Unconnected

    try:
        yield
    except ClientError as error:
        facts = error.response.get("Error", {})
        code, words = str(facts.get("Code", "")), str(facts.get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        msg = f"AWS Device Farm does not {what} ({code or status}): {words or 'it gives no reason'}"
        raise CloudError(msg, passing=code in _PASSING or status == 429 or status >= 500) from error
    except NoCredentialsError as error:
        msg = "AWS has no credentials here: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise CloudError(msg) from error
    except BotoCoreError as error:
        msg = f"AWS Device Farm does not {what}: {error}"
        raise CloudError(msg, passing=isinstance(error, HTTPClientError | Unconnected)) from error


def _needed(answer: dict[str, Any], what: str, name: str) -> str:
    value = (answer.get(what) or {}).get(name)
    if not isinstance(value, str) or not value:
        msg = f"AWS Device Farm answers with half a {what}: it has no {name}"
        raise CloudError(msg, passing=True)
    return value


def _put(url: str, data: bytes) -> None:
    request = urllib.request.Request(url, data, {"Content-Type": "application/octet-stream"}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=TRANSFER_S):
            pass
    except (OSError, http.client.HTTPException) as error:
        msg = f"a file cannot be sent to AWS: {error}; try again"
        raise CloudError(msg, passing=True) from error


def _download(url: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TRANSFER_S) as answer, target.open("wb") as file:
            while block := answer.read(_CHUNK):
                file.write(block)
            missing = answer.length
    except (OSError, http.client.HTTPException) as error:
        msg = f"the results cannot be downloaded from AWS: {error}; they are kept, so fetch them again"
        raise CloudError(msg, passing=True) from error
    if missing:
        msg = f"the download from AWS broke off with {missing} bytes missing; the results are kept, so fetch them again"
        raise CloudError(msg, passing=True)


def _copy(packed: IO[bytes], file: IO[bytes]) -> None:
    """Copy a packed file in pieces. Raises `CloudError` if it is larger than the results of any run."""
    copied = 0
    while piece := packed.read(_CHUNK):
        copied += len(piece)
        if copied > MOST_BYTES:
            msg = f"the results from AWS unpack to more than {MOST_BYTES >> 30} GiB, which no run does: not taken"
            raise CloudError(msg)
        file.write(piece)


def taken_out(archive: Path, folder: Path) -> Path:
    """Take our archive out of the one with everything that the run left."""
    target = folder / RESULT_FILE
    try:
        with zipfile.ZipFile(archive) as opened, storage_errors(folder):
            name = next((name for name in opened.namelist() if name.rpartition("/")[2] == RESULT_FILE), None)
            if name is None:
                msg = "the run left no phonebench-results.tar.gz: its log in the console of Device Farm says why"
                raise CloudError(msg)
            with opened.open(name) as packed, target.open("wb") as file:
                _copy(packed, file)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        # RuntimeError: the file is encrypted, or its compression is unknown. ValueError: a name is not valid UTF-8.
        msg = f"what AWS sent is damaged ({error}): fetch it again"
        raise CloudError(msg, passing=True) from error
    return target
