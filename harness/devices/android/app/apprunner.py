"""The app runner: installs the runner app of an artifact's runtime if necessary, and launches it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from harness.devices.android.adb.deadline import Deadline, within
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app.apps import Apps
from harness.devices.android.app.deaths import is_unread
from harness.devices.android.app.job import TOOL_S, AppJob, Ways
from harness.devices.android.app.launch import LaunchOrder, run_launch
from harness.devices.android.app.results import clearing
from harness.devices.android.app_ids import RUNTIMES, app_id_of
from harness.devices.android.hold.tether import Tether
from harness.devices.android.hold.upkeep import check_unlocked
from harness.devices.android.phone_store import PhoneStore
from harness.devices.android.work import Launch, PhoneWork
from harness.devices.device import Execution
from harness.devices.encrypted_store import EncryptedStore
from harness.errors import DeviceError, PhoneTrouble
from harness.system.files import file_sha256
from harness.wire import ReplyStatus, RunRequest, encode

# A phone without a fast processor for keys takes seconds to make one.
_KEY_S = 120.0

log = logging.getLogger(__name__)


class AppRunner:
    """A `Launcher` for the runner apps of one phone."""

    def __init__(self, tether: Tether, store: PhoneStore, encrypted: EncryptedStore | None = None) -> None:
        self._tether, self._store, self._encrypted = tether, store, encrypted
        # The apps that may have a key, and files in the clear.
        self._asked: set[str] = set()
        self._mask: str | None = None
        self._apps = Apps(tether.cable, store, tether.options.apks, tether.facts.abis)
        self._ways = Ways()
        self._digests: dict[tuple[Path, int, int], str] = {}

    def prepare(self, mask: str | None) -> None:
        """Remember the mask. An app is only checked when an artifact for its runtime arrives."""
        self._mask = mask

    def make_ready(self, work: PhoneWork) -> Launch:
        format_ = work.request.artifact.format
        runtime = RUNTIMES.get(format_)
        if runtime is None:
            msg = f"no runner app for Android runs {format_.value!r} (they run: {', '.join(RUNTIMES)})"
            raise DeviceError(msg)
        # Done before the launch, so that none of it counts against the launch's deadline.
        job = self._tether.again(lambda: self._make_job(work, runtime))
        encrypted = self._encrypted
        if encrypted is None:
            return lambda deadline: self._launch(work, job, deadline)
        self._ask_key(work, job, encrypted)
        return lambda deadline: encrypted.execute(
            job.app_id, work.request, lambda request: self._launch(work, _encoded(job, request), deadline)
        )

    def clean(self) -> None:
        """Remove the encrypted files, whose keys end with the session, and what launches had to leave in the apps."""
        if self._encrypted is None:
            return
        self._encrypted.clear()
        if not self._ways.door:
            commands = [clearing(app_id, self._tether.facts.user) for app_id in sorted(self._asked)]
            self._tether.cable.run("; ".join(commands), seconds=TOOL_S)

    def _launch(self, work: PhoneWork, job: AppJob, deadline: Deadline) -> Execution:
        execution = self._run(work, job, deadline)
        if self._ways.log or not is_unread(execution.reply):
            return execution
        # Nothing is lost but time: the next try, and all later launches, have their replies in the log as well.
        self._ways.log = True
        return self._run(work, replace(job, log=True), deadline)

    def _ask_key(self, work: PhoneWork, job: AppJob, encrypted: EncryptedStore) -> None:
        """Have an app state the key for which to encrypt, unless it is known. Raises `PhoneError`."""
        self._asked.add(job.app_id)
        reply = encrypted.ask_key(
            job.app_id, work.request, lambda request: self._launch(work, _encoded(job, request), within(_KEY_S))
        )
        if reply is None:
            return
        serial = self._tether.cable.serial
        reason = reply.failure.message if reply.failure else "its reply has none"
        if reply.status is ReplyStatus.UNSUPPORTED:
            raise phone_error(PhoneTrouble.KEYSTORE, f"{named(serial)} cannot decrypt models: {reason}", serial=serial)
        what = f"{named(serial)} runs {job.app_id!r}, which gave no key to encrypt models for: {reason}"
        raise phone_error(PhoneTrouble.APP, what, serial=serial)

    def _run(self, work: PhoneWork, job: AppJob, deadline: Deadline) -> Execution:
        order = LaunchOrder(request=work.request, deadline=deadline, folder=work.folder, ways=self._ways)
        return run_launch(self._tether, job, order)

    def _make_job(self, work: PhoneWork, runtime: str) -> AppJob:
        """Install and push whatever is not on the phone yet."""
        (self._encrypted or self._store).check_holds(work.request.artifact)
        package = self._apps.ensure(runtime)
        digest = self._digest(work.inputs)
        self._store.put(work.inputs, digest)
        # Right before the launch: the phone may have been locked while the files were sent.
        check_unlocked(self._tether.cable)
        return AppJob(
            app_id=app_id_of(runtime),
            request=encode(work.request),
            inputs_sha256=digest,
            mask=self._mask,
            debuggable=package.debuggable,
            user=self._tether.facts.user,
            log=self._ways.log,
        )

    def _digest(self, path: Path) -> str:
        """Return the digest of a file of inputs, computed once as long as the file does not change."""
        status = path.stat()
        version = (path, status.st_size, status.st_mtime_ns)
        if version not in self._digests:
            self._digests[version] = file_sha256(path)
        return self._digests[version]


def _encoded(job: AppJob, request: RunRequest) -> AppJob:
    return replace(job, request=encode(request))
