"""A Linux board as a device: what is put on it, its launches, and how they survive a lost connection."""

from __future__ import annotations

import contextlib
import getpass
import logging
import platform
import shlex
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import platformdirs

from harness.devices.cores import cores_in, mask_of
from harness.devices.device import Execution
from harness.devices.kind import name_in
from harness.devices.replies import failed, missing_reply, read_reply, unsupported
from harness.devices.ssh.connection import Connection
from harness.devices.ssh.destination import Destination, parse_destination
from harness.devices.ssh.facts import check_facts, conditions_of, has_fan, info_of, readiness_of
from harness.devices.ssh.known import remember
from harness.devices.ssh.payload import runner_archive
from harness.devices.ssh.troubles import LOSSES, board_error
from harness.devices.ssh.wheels import ON_REQUEST, Wheel, fetch_wheels, known_wheels, target_of
from harness.errors import BoardError, BoardTrouble, DeviceError
from harness.records.conditions import Condition
from harness.records.device import DeviceInfo, Readiness
from harness.spec.formats import FORMATS
from harness.spec.phone_settings import DEFAULT_SETTINGS, Clocks, Cores, PhoneSettings
from harness.system.decoding import decode_json
from harness.system.files import file_sha256
from harness.system.scratch import make_scratch, remove_scratch
from harness.wire import OUTPUTS_FILE, REPLY_FILE, FailureKind, Format, RunRequest, StateSample, encode

# A board that restarts is back within two minutes.
BACK_S = 150.0
_RETURNS = 5
_WAIT_S = 20.0
# After its deadline a launch is ended by the board itself.
_GRACE_S = 30.0
# A launch that a restart cut short is made again, but a board that restarts each time is given up.
_LAUNCHES = 2

_Result = TypeVar("_Result")
log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_board(key: str, settings: PhoneSettings = DEFAULT_SETTINGS) -> Iterator[SshBoard]:
    """Open the board of ``ssh:HOST``. Raises `BoardError` if it cannot be used."""
    board = SshBoard(key, settings, platformdirs.user_cache_path("phonebench"))
    try:
        board.prepare()
        remember(board.info)
        yield board
    finally:
        board.clean()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A file of this computer that the board may need; ``unpacked_bytes`` if it is kept there as a folder."""

    path: Path
    sha256: str
    unpacked_bytes: int = 0


class SshBoard:
    """An open board. A step that a lost connection cut short is repeated once the board is back.

    `clean` may be called from another thread; it ends a launch in flight.
    """

    def __init__(self, key: str, settings: PhoneSettings, cache: Path, *, back_s: float = BACK_S) -> None:
        self._key, self._settings, self._cache, self._back_s = key, settings, cache, back_s
        self._destination: Destination = parse_destination(name_in(key) or "")
        self._token = uuid.uuid4().hex
        self._closing = threading.Event()
        self._connection: Connection | None = None
        self._facts: dict[str, Any] = {}
        self._cores: list[int] = []
        self._info: DeviceInfo | None = None
        self._folder: Path | None = None
        self._pushed: dict[str, Path] = {}
        self._digests: dict[tuple[Path, int, int], str] = {}
        self._wheels: dict[Format, tuple[Wheel, ...]] = {}

    @property
    def name(self) -> str:
        """The board's name, as ssh knows it."""
        return self._destination.name

    @property
    def info(self) -> DeviceInfo:
        if self._info is None:
            msg = f"device {self._key!r} is not open"
            raise DeviceError(msg)
        return self._info

    @property
    def passively_cooled(self) -> bool:
        return not has_fan(self._facts)

    def prepare(self) -> None:
        """Connect, take the board for this session, and see what it is."""
        self._connect()
        check_facts(self.name, self._facts)
        clocks = {int(core): khz for core, khz in self._facts["max_khz"].items()}
        chosen = self._settings.cores
        mask = None if chosen is Cores.ANY else mask_of(clocks, chosen)
        if chosen is not Cores.ANY and mask is None:
            what = f"does not report the clocks of its cores, so --cores {chosen.value} cannot be used"
            raise board_error(BoardTrouble.CORES, self.name, what)
        self._cores = cores_in(mask) if mask else []
        details = {"clock_regime": self._settings.clocks.value, "cores": chosen.value, "mask": mask or ""}
        self._info = info_of(self._key, self._facts, details)

    def conditions(self) -> tuple[Condition, ...]:
        return conditions_of(self._facts, self._again(lambda: self._call({"do": "ready", "probe": False})))

    def readiness(self) -> Readiness:
        return readiness_of(self._again(lambda: self._call({"do": "ready", "probe": True})))

    def rest(self, seconds: float) -> None:
        """Wait, or raise at once if the board is closed meanwhile."""
        if self._closing.wait(seconds):
            self._check_open()

    def push(self, path: Path, sha256: str) -> bool:
        self._pushed[sha256] = path
        return self._again(lambda: self._bring([_Sent(path=path, sha256=sha256)])) > 0

    def add_runtime(self, format_: Format) -> None:
        """Put the runtime of a format on the board, also one that is only put there when asked for."""
        wheels = fetch_wheels(format_, target_of(self._facts), self._cache, self._settings.wheels, board=self.name)
        self._wheels[format_] = wheels
        self._again(lambda: self._bring(self._trees(wheels)))

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        wheels = self._runtime(request.artifact.format)
        if wheels is None:
            return unsupported(request, self._not_there(request.artifact.format))
        needed = self._needed(request, inputs, wheels)
        for _ in range(_LAUNCHES):
            job = uuid.uuid4().hex
            self._again(partial(self._start, job, request, needed, deadline_s))
            end = self._again(partial(self._wait, job, deadline_s))
            if not end.get("gone"):
                return self._again(partial(self._fetch, job, request, end, deadline_s))
            log.warning("board %r lost a launch: it was restarted, or its processes were killed", self.name)
            self._again(partial(self._call, {"do": "drop", "job": job}))
        what = f"lost its launch {_LAUNCHES} times: it restarted, or something ended phonebench's processes there"
        raise board_error(BoardTrouble.RESTARTED, self.name, what)

    def clean(self) -> None:
        """End a launch in flight and put the clocks back. What was sent remains, within its budget."""
        # First, so that a launch in another thread stops waiting instead of connecting again.
        self._closing.set()
        if self._connection is not None:
            self._connection.say_bye()
            self._connection.close()
            self._connection = None
        if self._folder is not None:
            remove_scratch(self._folder)
            self._folder = None

    def _connect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        connection = self._connection = Connection(self._destination)
        owner = f"phonebench of {_user()} on {platform.node() or 'another computer'}"
        fixed = self._settings.clocks is Clocks.FIXED
        request = {"do": "open", "token": self._token, "owner": owner, "fixed": fixed}
        facts = connection.call(request)["facts"]
        # What the power chip has seen before this session is not its doing.
        self._facts = facts | ({"throttled": self._facts["throttled"]} if self._facts else {})

    def _call(self, request: dict[str, Any], *, seconds: float = 60.0) -> dict[str, Any]:
        return self._link().call(request, seconds=seconds)

    def _link(self) -> Connection:
        """Return the connection. Raises `BoardError` if the board was closed."""
        connection = self._connection
        if connection is None:
            raise board_error(BoardTrouble.BUSY, self.name, "was closed")
        return connection

    def _again(self, work: Callable[[], _Result]) -> _Result:
        """Do ``work``, and repeat it whenever the connection was lost and the board came back."""
        for _ in range(_RETURNS):
            self._check_open()
            try:
                return work()
            except BoardError as error:
                if error.trouble not in LOSSES or self._closing.is_set():
                    self._check_open()
                    raise
                self._come_back(error)
        return work()

    def _come_back(self, cause: BoardError) -> None:
        """Connect again. Raises ``cause`` if the board does not come back in time."""
        log.warning("%s; waiting up to %g s for it", cause, self._back_s)
        ends_at = time.monotonic() + self._back_s
        while True:
            self._check_open()
            try:
                self._connect()
                return
            except BoardError as error:
                if error.trouble not in LOSSES:
                    raise
                if time.monotonic() >= ends_at:
                    raise cause from error
            self._closing.wait(1.0)

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise board_error(BoardTrouble.BUSY, self.name, "was closed")

    def _runtime(self, format_: Format) -> tuple[Wheel, ...] | None:
        """Return the wheels of the format's runtime; None if nobody has asked for a large one yet."""
        if format_ not in self._wheels:
            target, given = target_of(self._facts), self._settings.wheels
            if format_ in ON_REQUEST:
                wheels = known_wheels(format_, target, self._cache, given)
                if wheels is None:
                    return None
            else:
                wheels = fetch_wheels(format_, target, self._cache, given, board=self.name)
            self._wheels[format_] = wheels
        return self._wheels[format_]

    def _not_there(self, format_: Format) -> str:
        runtime = FORMATS[format_].android_runtime
        command = f"phonebench runner install ssh --device {shlex.quote(self._key)} --runtime {runtime}"
        return f"the runtime of {format_.value} needs PyTorch on the board, half a gigabyte; to put it there: {command}"

    def _trees(self, wheels: tuple[Wheel, ...]) -> list[_Sent]:
        archive = runner_archive()
        path = self._scratch() / f"{archive.sha256}.zip"
        if not path.exists():
            path.write_bytes(archive.data)
        runner = _Sent(path=path, sha256=archive.sha256, unpacked_bytes=archive.unpacked_bytes)
        return [runner, *(_Sent(path=w.path, sha256=w.sha256, unpacked_bytes=w.unpacked_bytes) for w in wheels)]

    def _needed(self, request: RunRequest, inputs: Path, wheels: tuple[Wheel, ...]) -> dict[str, _Sent]:
        """Return the files of the job's folder by name; the folders of the runner and its runtime have none."""
        needed = {}
        for part in request.artifact.files:
            if part.sha256 not in self._pushed:
                msg = f"artifact {part.sha256!r} is not on board {self.name!r}: push it before the launch"
                raise DeviceError(msg)
            needed[part.file] = _Sent(path=self._pushed[part.sha256], sha256=part.sha256)
        needed[request.inputs.file] = _Sent(path=inputs, sha256=self._digest(inputs))
        return needed | {f"tree {tree.sha256}": tree for tree in self._trees(wheels)}

    def _bring(self, files: list[_Sent]) -> int:
        """Send what the board does not have, and return how many files that were."""
        plain = [file.sha256 for file in files if not file.unpacked_bytes]
        trees = [file.sha256 for file in files if file.unpacked_bytes]
        # A board computes the digests of what an earlier session left.
        missing = self._call({"do": "have", "files": plain, "trees": trees}, seconds=600.0)["missing"]
        absent = [file for file in files if file.sha256 in missing]
        for file in absent:
            self._link().put({"sha256": file.sha256, "unpacked": file.unpacked_bytes}, file.path)
        return len(absent)

    def _start(self, job: str, request: RunRequest, needed: dict[str, _Sent], deadline_s: float) -> None:
        self._bring(list(needed.values()))
        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(request.runtime.threads)
        )
        self._call(
            {
                "do": "start",
                "job": job,
                "token": self._token,
                "request": encode(request).decode(),
                "files": {name: sent.sha256 for name, sent in needed.items() if not sent.unpacked_bytes},
                "trees": [sent.sha256 for sent in needed.values() if sent.unpacked_bytes],
                "environment": threads | {"PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1"},
                "cores": self._cores,
                "deadline_s": deadline_s,
            }
        )

    def _wait(self, job: str, deadline_s: float) -> dict[str, Any]:
        ends_at = time.monotonic() + deadline_s + _GRACE_S
        while True:
            end = self._call({"do": "wait", "job": job, "seconds": _WAIT_S}, seconds=_WAIT_S + 40.0)
            if "running" not in end:
                return end
            if time.monotonic() > ends_at:
                return {"code": None, "log": "", "took_ns": None}

    def _fetch(self, job: str, request: RunRequest, end: dict[str, Any], deadline_s: float) -> Execution:
        """Bring the reply and the outputs here, and remove the job from the board."""
        folder = self._scratch()
        reply, outputs, watch = (folder / name for name in (REPLY_FILE, OUTPUTS_FILE, "watch.json"))
        for path in (reply, outputs, watch):
            path.unlink(missing_ok=True)
            self._link().get(job, path.name, path)
        self._call({"do": "drop", "job": job})
        if reply.is_file():
            kept = outputs if outputs.is_file() else None
            execution = read_reply(reply.read_bytes(), request, kept, took_ns=end.get("took_ns"))
        else:
            execution = self._without_reply(request, end, deadline_s)
        return replace(execution, watch=_watch(watch))

    def _without_reply(self, request: RunRequest, end: dict[str, Any], deadline_s: float) -> Execution:
        if end.get("problem"):
            return failed(request, FailureKind.CRASH, f"the runner did not start on the board: {end['problem']}")
        kind, message = missing_reply(end.get("code"), deadline_s)
        return failed(request, kind, message, detail=end.get("log", ""))

    def _digest(self, path: Path) -> str:
        facts = path.stat()
        key = (path, facts.st_size, facts.st_mtime_ns)
        if key not in self._digests:
            self._digests[key] = file_sha256(path)
        return self._digests[key]

    def _scratch(self) -> Path:
        self._folder = self._folder or make_scratch("ssh")
        return self._folder


def _watch(path: Path) -> tuple[StateSample, ...]:
    """The state during the launch; a launch is never lost because of it."""
    try:
        return decode_json(path.read_bytes(), tuple[StateSample, ...])
    except (OSError, msgspec.DecodeError) as error:
        log.info("the watch of a launch cannot be read: %s", error)
        return ()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
