"""Device ``android``: one phone, with its store, its apps and its launches.

The one decision: a phone that goes away for a moment costs nothing. Every step can be done again, the launch included,
whose app goes on by itself; only a phone that does not come back, or that restarted, costs the launch in flight.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from harness.artifacts.manifest import file_sha256
from harness.devices.android.advice import named, phone_error
from harness.devices.android.apps import APP_IDS, RUNTIMES, ApkSource, Apps, app_id_of, no_apks
from harness.devices.android.cable import Cable
from harness.devices.android.clusters import read_mask
from harness.devices.android.comeback import LOSSES, come_back
from harness.devices.android.deadline import Deadline, within
from harness.devices.android.deaths import classify_death
from harness.devices.android.facts import PhoneFacts, check_facts, emulator_condition, read_facts
from harness.devices.android.job import (
    AppJob,
    Ended,
    find_pid,
    read_exit_info,
    read_log,
    read_result,
    remove_job,
    start_app,
    stop_app,
    stop_orphans,
    wait_for_end,
    write_request,
)
from harness.devices.android.phone_store import PhoneStore
from harness.devices.android.server import ALL, choose_phone, ensure_server, list_phones, server_of
from harness.devices.android.state import PhoneState, Watch, read_state, state_conditions
from harness.devices.android.upkeep import check_unlocked, keep_ready, put_back
from harness.devices.device import Execution
from harness.devices.replies import believed, failed
from harness.errors import DeviceError, PhoneError, PhoneTrouble, UsageError
from harness.measurement import Condition, DeviceInfo, Readiness
from harness.phonesettings import AS_IT_IS, PhoneSettings
from harness.scratch import make_scratch, remove_scratch
from harness.wire import OUTPUTS_FILE, REPLY_FILE, FailureKind, RunRequest, encode

# The window manager knows no front for a moment when an app ends.
_FRONT_TRIES, _FRONT_PAUSE_S = 5, 0.3
_READS = 3

_Result = TypeVar("_Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneOptions:
    """How a phone is driven: where APKs come from, and how long a phone that went away is waited for, in seconds."""

    apks: ApkSource = no_apks
    back_s: float = 30.0
    boot_s: float = 180.0
    settings: PhoneSettings = AS_IT_IS


@contextlib.contextmanager
def open_android(key: str = "android", settings: PhoneSettings = AS_IT_IS) -> Iterator[AndroidPhone]:
    """Open the phone of ``android:SERIAL``, or the only one. Raises `PhoneError` with the one next step."""
    serial = key.partition(":")[2]
    if serial == ALL:
        msg = f"{key!r} is every phone that is connected, and one is wanted here: name it, as android:SERIAL"
        raise UsageError(msg)
    server = server_of()
    ensure_server(server)
    listed = choose_phone(list_phones(server), serial)
    options = PhoneOptions(settings=settings)
    with open_phone(Cable(server, listed.serial), key=key, options=options) as phone:
        yield phone


@contextlib.contextmanager
def open_phone(cable: Cable, *, key: str, options: PhoneOptions | None = None) -> Iterator[AndroidPhone]:
    """Make a phone ready for launches, and put it back as it was. Raises `PhoneError`."""
    with _held(cable.serial):
        facts = read_facts(cable)
        check_facts(facts)
        phone = AndroidPhone(cable, facts, key=key, options=options or PhoneOptions())
        try:
            phone.prepare()
            yield phone
        finally:
            phone.clean()


class AndroidPhone:
    """A phone that is open. Its methods raise `PhoneError` when it is away for longer than it is waited for.

    `clean` may be called from another thread; it ends a launch in flight.
    """

    def __init__(self, cable: Cable, facts: PhoneFacts, *, key: str, options: PhoneOptions) -> None:
        self._cable, self._facts, self._options = cable, facts, options
        self._info = facts.info(key)
        self._mask: str | None = None
        self._store = PhoneStore(cable)
        self._apps = Apps(cable, self._store, options.apks)
        self._closing = threading.Event()
        self._folder: Path | None = None
        self._digests: dict[tuple[Path, int, int], str] = {}

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return True

    def prepare(self) -> None:
        """Make the store, end what an earlier session left running, and keep the screen on."""
        self._store.prepare()
        stop_orphans(self._cable, APP_IDS)
        settings = self._options.settings
        keep_ready(self._cable, settings.clocks)
        self._mask = read_mask(self._cable, settings.cores)
        chosen = {"clock_regime": settings.clocks.value, "cores": settings.cores.value, "mask": self._mask or ""}
        self._info = replace(self._info, details=self._info.details | chosen)

    def conditions(self) -> tuple[Condition, ...]:
        state = self._again(lambda: read_state(self._cable))
        found = (emulator_condition(self._facts), *state_conditions(state))
        return tuple(condition for condition in found if condition is not None)

    def readiness(self) -> Readiness:
        return self._again(lambda: _settled(self._cable)).readiness()

    def rest(self, seconds: float) -> None:
        """Wait; a phone that is being closed is not waited for."""
        if self._closing.wait(seconds):
            self._check_open()

    def push(self, path: Path, sha256: str) -> bool:
        return self._again(lambda: self._store.put(path, sha256))

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        runtime = RUNTIMES.get(request.artifact.format)
        if runtime is None:
            msg = f"no runner app for Android runs {request.artifact.format.value!r} (there are: {', '.join(RUNTIMES)})"
            raise DeviceError(msg)
        job = self._again(lambda: self._make_job(request, inputs, runtime))
        deadline = within(deadline_s)
        with Watch(self._cable, deadline_s + 60) as watch:
            execution = self._run(job, request, deadline)
        self._forget_job(job)
        return replace(execution, watch=watch.samples)

    def clean(self) -> None:
        """Put the phone back as it was. What is in the store stays within its budget, so that nothing is sent twice."""
        self._closing.set()
        try:
            stop_orphans(self._cable, APP_IDS)
            put_back(self._cable)
        except PhoneError as error:
            log.warning("the next session puts %s back as it was: %s", self._cable.serial, error)
        if self._folder is not None:
            remove_scratch(self._folder)
            self._folder = None

    def _make_job(self, request: RunRequest, inputs: Path, runtime: str) -> AppJob:
        """Check that all of a launch is on the phone, install and push what is not."""
        self._check_open()
        for part in request.artifact.files:
            if not self._store.holds(part.sha256):
                msg = f"artifact {part.sha256!r} is not on device {self._info.key!r}: push it before the launch"
                raise DeviceError(msg)
        package = self._apps.ensure(runtime)
        digest = self._digest(inputs)
        self._store.put(inputs, digest)
        check_unlocked(self._cable)
        return AppJob(
            app_id=app_id_of(runtime),
            name=f"j{secrets.token_hex(8)}",
            request=encode(request),
            inputs_sha256=digest,
            mask=self._mask,
            debuggable=package.debuggable,
        )

    def _run(self, job: AppJob, request: RunRequest, deadline: Deadline) -> Execution:
        """Start the app, wait for its end, and read what it left. A phone that restarted meanwhile has lost it."""
        pid = self._again(lambda: start_app(self._cable, job, write_request(self._cable, job)))
        boot_id = self._facts.boot_id
        ended = self._again(lambda: self._wait(job, pid, boot_id, deadline), keep=job.app_id)
        if self._facts.boot_id != boot_id:
            return failed(request, FailureKind.LOST, "the phone restarted during the launch")
        execution = self._read(job, request)
        if execution is not None:
            return execution
        if ended is Ended.DEADLINE:
            self._again(lambda: stop_app(self._cable, job.app_id))
            message = f"the runner gave no reply within {deadline.seconds:g} s and was stopped"
            return failed(request, FailureKind.TIMEOUT, message, detail=self._log_tail())
        return self._dead(job, request, pid)

    def _read(self, job: AppJob, request: RunRequest) -> Execution | None:
        """Fetch what the app left, None when there is no reply. What came over half is fetched again: it was whole."""
        execution: Execution | None = None
        for _ in range(_READS):
            data = self._again(lambda: read_result(self._cable, job, REPLY_FILE), keep=job.app_id)
            if data is None:
                return execution
            execution = believed(data, request, self._outputs(job))
            if execution.reply_bytes == data:
                break
        return execution

    def _wait(self, job: AppJob, pid: int | None, boot_id: str, deadline: Deadline) -> Ended:
        # After a restart the number may be that of a stranger.
        if self._facts.boot_id != boot_id:
            return Ended.APP
        present = pid or find_pid(self._cable, job)
        if present is None:
            return Ended.APP
        return wait_for_end(self._cable, job, present, deadline, closing=self._closing)

    def _dead(self, job: AppJob, request: RunRequest, pid: int | None) -> Execution:
        def ask() -> tuple[str, str]:
            return read_log(self._cable), read_exit_info(self._cable, job.app_id)

        log_text, exit_info = self._again(ask)
        death = classify_death(log_text, exit_info, app_id=job.app_id, pid=pid)
        return failed(request, death.kind, death.message, detail=death.evidence)

    def _outputs(self, job: AppJob) -> Path | None:
        """Fetch the outputs, which are whole before the reply is there."""
        data = self._again(lambda: read_result(self._cable, job, OUTPUTS_FILE), keep=job.app_id)
        if data is None:
            return None
        if self._folder is None:
            self._folder = make_scratch("android")
        path = self._folder / OUTPUTS_FILE
        path.write_bytes(data)
        return path

    def _forget_job(self, job: AppJob) -> None:
        try:
            remove_job(self._cable, job)
        except PhoneError as error:
            log.info("job %s stays on %s: %s", job.name, self._cable.serial, error)

    def _log_tail(self) -> str:
        try:
            return "\n".join(read_log(self._cable).splitlines()[-30:])
        except PhoneError as error:
            return f"the phone's log could not be read: {error}"

    def _again(self, work: Callable[[], _Result], *, keep: str = "") -> _Result:
        """Do ``work``, and once more after a phone that went away came back; ``keep``: the app that may go on."""
        self._check_open()
        try:
            return work()
        except PhoneError as error:
            if error.trouble not in LOSSES or self._closing.is_set():
                raise
            self._come_back(error, keep)
            return work()

    def _come_back(self, cause: PhoneError, keep: str) -> None:
        log.warning("%s; waiting up to %g s for it", cause, self._options.back_s)
        options = self._options
        self._facts = come_back(self._cable, cause, back_s=options.back_s, boot_s=options.boot_s)
        self._store.forget()
        stop_orphans(self._cable, tuple(app for app in APP_IDS if app != keep))
        keep_ready(self._cable, options.settings.clocks)

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise phone_error(PhoneTrouble.BUSY, f"{named(self._cable.serial)} was closed", serial=self._cable.serial)

    def _digest(self, path: Path) -> str:
        """The digest of a file of inputs, computed once while it does not change."""
        status = path.stat()
        known = (path, status.st_size, status.st_mtime_ns)
        if known not in self._digests:
            self._digests[known] = file_sha256(path)
        return self._digests[known]


def _settled(cable: Cable) -> PhoneState:
    """The state, once the window manager knows what is in front."""
    state = read_state(cable)
    for _ in range(_FRONT_TRIES):
        if state.window.foreground is not None:
            break
        time.sleep(_FRONT_PAUSE_S)
        state = read_state(cable)
    return state


@contextlib.contextmanager
def _held(serial: str) -> Iterator[None]:
    """Hold a phone, so that two runs on one computer never measure on it at the same time."""
    name = hashlib.sha256(serial.encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"phonebench-phone-{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        what = f"{named(serial)} is being measured by another phonebench"
        raise phone_error(PhoneTrouble.BUSY, what, serial=serial) from error
    try:
        yield
    finally:
        lock.release()
