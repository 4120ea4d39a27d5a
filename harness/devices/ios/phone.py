"""An iPhone as a device: its file store, the runner app, and its state."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from harness.devices.device import Execution
from harness.devices.energy import with_counter
from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.encrypted import EncryptedLaunches
from harness.devices.ios.energy import counter_details, read_counter
from harness.devices.ios.environment import driver_python
from harness.devices.ios.facts import check_facts, check_tunneld, info_of, numbers_of, version_of
from harness.devices.ios.hold import IosOptions, Tether, held
from harness.devices.ios.ipa import read_ipa
from harness.devices.ios.launch import Job, new_job_name, run_launch, write_job
from harness.devices.ios.phone_store import PhoneStore
from harness.devices.ios.runner_app import InstalledApp, RunnerApp
from harness.devices.ios.state import AppState, launch_conditions, readiness_of, samples_of, state_conditions
from harness.devices.ios.usbmux import ALL, choose_phone, list_phones
from harness.devices.kind import name_in
from harness.devices.replies import unsupported
from harness.errors import IosError, IosTrouble, UsageError
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.runners.ios.build import default_ipa
from harness.spec.phone_settings import DEFAULT_SETTINGS, PhoneSettings
from harness.system.files import file_sha256
from harness.system.scratch import make_scratch, remove_scratch
from harness.wire import FailureKind, Format, ReplyStatus, RunRequest

_MOUNT_S = 300.0
# An app that only makes its key.
_KEY_S = 60.0
# The first iOS with what a format's runtime needs.
_NEEDS: dict[Format, tuple[int, int]] = {Format.PTE: (17, 0)}

_Result = TypeVar("_Result")
log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_ios(key: str = "ios", settings: PhoneSettings = DEFAULT_SETTINGS) -> Iterator[Iphone]:
    """Open the iPhone of ``ios:UDID``, or the only one. Raises `IosError` if it cannot be used."""
    name = name_in(key) or ""
    if name == ALL:
        msg = f"{key!r} stands for every connected iPhone, but one is needed here: write ios:UDID"
        raise UsageError(msg)
    file = settings.ipa or default_ipa()
    ipa = read_ipa(file) if file else None
    udid = choose_phone(list_phones(), name).udid
    with open_iphone(udid, driver_python(), key=key, options=IosOptions(ipa=ipa, encrypt=settings.encrypt)) as phone:
        yield phone


@contextlib.contextmanager
def open_iphone(udid: str, python: Path, *, key: str, options: IosOptions) -> Iterator[Iphone]:
    """Prepare an iPhone for launches, and leave it without a running app. Raises `IosError`."""
    # Locked before the first call: an iPhone that another run measures must not even be asked.
    with held(udid):
        phone = Iphone(Tether(udid, python, options), key=key)
        try:
            phone.prepare()
            yield phone
        finally:
            phone.clean()


class Iphone:
    """An open iPhone. Methods wait for one that goes away, and raise `IosError` if it does not come back in time.

    `clean` may be called from another thread; it ends a launch in flight.
    """

    def __init__(self, tether: Tether, *, key: str) -> None:
        self._tether = tether
        self._store, self._app = PhoneStore(tether), RunnerApp(tether)
        self._encrypted = EncryptedLaunches(tether, self._store) if tether.options.encrypt else None
        self._files = self._encrypted.files if self._encrypted else self._store
        self._info = info_of(key, tether.facts)
        self._state = AppState()
        self._pushed: dict[str, Path] = {}
        self._digests: dict[tuple[Path, int, int], str] = {}
        self._folder: Path | None = None
        self._reports_before: tuple[str, ...] = ()
        self._watching = False
        tether.on_return(self._store.forget)
        tether.on_return(self._watch_again)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return True

    def prepare(self) -> None:
        """Check what a person has to set right, mount the developer image, and end what an earlier session left."""
        udid, tether = self._tether.udid, self._tether
        check_facts(udid, tether.facts)
        check_tunneld(udid, tether.facts)
        self._check_unlocked()
        self._make_startable()
        app = self._app.ensure()
        tether.call("stop", seconds=_MOUNT_S)
        self._reports_before = tuple(tether.call("report_paths"))
        details = {"runner": app.version, "runner_digest": app.digest[:12], "bundle_id": app.bundle_id}
        details |= counter_details(tether.call("battery"))
        self._info = replace(self._info, details=self._info.details | details)

    def conditions(self) -> tuple[Condition, ...]:
        return state_conditions(self._tether.call("battery"), self._state.fresh())

    def readiness(self) -> Readiness:
        return readiness_of(self._tether.call("battery"), self._state.fresh())

    def rest(self, seconds: float) -> None:
        """Wait, or raise at once if the iPhone is closed meanwhile."""
        if self._tether.closing.wait(seconds):
            self._tether.check_open()

    def push(self, path: Path, sha256: str) -> bool:
        self._pushed[sha256] = path
        return self._mended(lambda: self._files.put(path, sha256))

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        return self._mended(lambda: self._execute(request, inputs, deadline_s))

    def _execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        app = self._app.ensure()
        reason = self._why_not(app, request.artifact.format)
        if reason:
            return unsupported(request, reason)
        try:
            execution = self._launch(app, request, inputs, deadline_s)
        except IosError as error:
            # iOS has one sentence for an expired profile and for a developer who is not trusted.
            if error.trouble not in (IosTrouble.PROFILE, IosTrouble.NOT_TRUSTED_DEVELOPER):
                raise
            execution = self._launch(self._app.renew(error), request, inputs, deadline_s)
        if self._resend(execution, request):
            # Nothing is lost but time: a file on the iPhone was not what its name says.
            execution = self._launch(app, request, inputs, deadline_s)
        self._state.note(execution.reply)
        return execution

    def clean(self) -> None:
        """End what runs. Files in the store remain, within its budget, so that they need not be sent again."""
        # First, so that a launch in another thread stops waiting instead of starting a recovery.
        self._tether.closing.set()
        reached = self._stop()
        if self._encrypted is not None:
            self._encrypted.close(reached=reached)
        self._tether.close()
        if self._folder is not None:
            remove_scratch(self._folder)
            self._folder = None

    def _mended(self, work: Callable[[], _Result]) -> _Result:
        """Do ``work``, and once more where the iPhone lacks what it had before, and can be given it again.

        A restart unmounts the developer image, and a person may remove the app, or install another one, at any time.
        """
        try:
            return work()
        except IosError as error:
            if error.trouble is IosTrouble.NO_IMAGE:
                self._make_startable()
            elif error.trouble in (IosTrouble.APP, IosTrouble.REFUSED) and self._app.has_changed():
                log.warning("%s; it is installed again if there is an IPA", error.what)
                self._tether.forget()
                self._app.ensure()
            else:
                raise
        return work()

    def _make_startable(self) -> None:
        """Mount the developer image where it is missing. Raises `IosError`, also if developer mode is off."""
        udid, tether = self._tether.udid, self._tether
        if tether.call("developer_mode") is False:
            what = f"{named(udid)} has developer mode switched off"
            raise ios_error(IosTrouble.DEVELOPER_MODE, what, udid=udid)
        if not tether.call("mounted"):
            tether.call("mount", seconds=_MOUNT_S)

    def _stop(self) -> bool:
        """End the app; return whether the iPhone could be reached."""
        try:
            self._tether.once("stop", seconds=10.0)
        except IosError as error:
            log.info("%s could not be left in order: %s", named(self._tether.udid), error.what)
            return False
        return True

    def _launch(self, app: InstalledApp, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        for part in request.artifact.files:
            if part.sha256 in self._pushed:
                self._files.put(self._pushed[part.sha256], part.sha256)
        self._files.check_holds(request.artifact)
        digest = self._digest(inputs)
        self._store.put(inputs, digest)
        # Right before the launch: the iPhone may have been locked while the files were sent.
        self._check_unlocked()
        encrypted = self._encrypted
        if encrypted is None:
            return self._watched(self._job(app, request, digest), deadline_s)
        encrypted.ask_key(app, request, lambda request: self._run(self._job(app, request, digest), _KEY_S))
        seconds = deadline_s + encrypted.files.extra_s(request.artifact)
        return encrypted.execute(app, request, lambda request: self._watched(self._job(app, request, digest), seconds))

    def _job(self, app: InstalledApp, request: RunRequest, inputs_sha256: str) -> Job:
        self._folder = self._folder or make_scratch("ios")
        return Job(
            name=new_job_name(),
            request=request,
            inputs_sha256=inputs_sha256,
            app=app,
            folder=self._folder,
            reports_before=self._reports_before,
        )

    def _run(self, job: Job, deadline_s: float) -> Execution:
        write_job(self._tether, job)
        return run_launch(self._tether, job, deadline_s)

    def _watched(self, job: Job, deadline_s: float) -> Execution:
        write_job(self._tether, job)
        self._tether.again(self._watch)
        self._watching = True
        try:
            execution = run_launch(self._tether, job, deadline_s)
        finally:
            self._watching = False
        watched = samples_of(self._tether.call("unwatch"))
        if execution.reply.energy is not None:
            counter = read_counter(watched, self._tether.call("clock"), execution.reply.energy)
            execution = with_counter(execution, counter)
        conditions = (*execution.conditions, *launch_conditions(execution.reply))
        return replace(execution, watch=watched, conditions=conditions)

    def _watch(self) -> None:
        self._tether.once("watch", every_s=self._tether.options.watch_every_s)

    def _watch_again(self) -> None:
        """Read the battery again after the iPhone was away during a launch: the new worker does not know of it."""
        if self._watching:
            with contextlib.suppress(IosError):
                self._watch()

    def _resend(self, execution: Execution, request: RunRequest) -> bool:
        """Remove the files of an artifact whose digest the app refused, if they can be sent again."""
        failure = execution.reply.failure
        names = [part.sha256 for part in request.artifact.files]
        if failure is None or failure.kind is not FailureKind.DIGEST or not set(names) <= set(self._pushed):
            return False
        log.warning("a file on %s has changed; it is sent again: %s", named(self._tether.udid), failure.message)
        if self._encrypted is not None:
            self._encrypted.files.drop(request.artifact)
        else:
            self._store.remove(*names)
        return execution.reply.status is ReplyStatus.FAILED

    def _why_not(self, app: InstalledApp, format_: Format) -> str | None:
        """Return why the app on this iPhone cannot run a format, None if it can be tried."""
        version, needed = version_of(self._tether.facts), _NEEDS.get(format_, (0, 0))
        if numbers_of(version) < needed:
            return f"{format_.value} needs iOS {needed[0]} or later; this iPhone has iOS {version}"
        if app.runtimes and format_.value not in app.runtimes:
            return (
                f"the runner app on this iPhone has no runtime for {format_.value} (it has: {', '.join(app.runtimes)})"
            )
        return None

    def _check_unlocked(self) -> None:
        if self._tether.call("locked"):
            udid = self._tether.udid
            raise ios_error(IosTrouble.LOCKED, f"{named(udid)} is locked", udid=udid)

    def _digest(self, path: Path) -> str:
        """Return the digest of a file of inputs, computed once as long as the file does not change."""
        status = path.stat()
        version = (path, status.st_size, status.st_mtime_ns)
        if version not in self._digests:
            self._digests[version] = file_sha256(path)
        return self._digests[version]
