"""The app runner: installs the runner app of an artifact's runtime if necessary, and launches it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.devices.android.adb.deadline import Deadline
from harness.devices.android.app.apps import Apps
from harness.devices.android.app.deaths import is_unread
from harness.devices.android.app.job import AppJob, Ways
from harness.devices.android.app.launch import LaunchOrder, run_launch
from harness.devices.android.app_ids import RUNTIMES, app_id_of
from harness.devices.android.hold.tether import Tether
from harness.devices.android.hold.upkeep import check_unlocked
from harness.devices.android.phone_store import PhoneStore
from harness.devices.android.work import Launch, PhoneWork
from harness.devices.device import Execution
from harness.errors import DeviceError
from harness.system.files import file_sha256
from harness.wire import encode


class AppRunner:
    """A `Launcher` for the runner apps of one phone."""

    def __init__(self, tether: Tether, store: PhoneStore) -> None:
        self._tether, self._store = tether, store
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

        def launch(deadline: Deadline) -> Execution:
            execution = self._run(work, job, deadline)
            if self._ways.log or not is_unread(execution.reply):
                return execution
            # Nothing is lost but time: the next try, and all later launches, have their replies in the log as well.
            self._ways.log = True
            return self._run(work, replace(job, log=True), deadline)

        return launch

    def _run(self, work: PhoneWork, job: AppJob, deadline: Deadline) -> Execution:
        order = LaunchOrder(request=work.request, deadline=deadline, folder=work.folder, ways=self._ways)
        return run_launch(self._tether, job, order)

    def _make_job(self, work: PhoneWork, runtime: str) -> AppJob:
        """Install and push whatever is not on the phone yet."""
        self._store.check_holds(work.request.artifact)
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
