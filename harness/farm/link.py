"""The way from a host to the depot: HTTPS connections that are kept open, questions, and files in pieces.

A connection that breaks is opened again once per question. What lasts longer is a `DepotError`, and whoever asked
decides whether to wait.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from harness import __version__
from harness.errors import StoreError, UsageError
from harness.farm.builds.calls import (
    BuildHosts,
    BuildOrders,
    BuildReport,
    BuildsOf,
    BuildStates,
    GivenBuilds,
    TakeBuilds,
)
from harness.farm.calls import (
    PROTOCOL,
    Announcement,
    Claim,
    Claimed,
    Dropped,
    Events,
    Granted,
    Hello,
    Outcome,
    Queue,
    Since,
    SmallFiles,
)
from harness.farm.depot import CLOCK_S
from harness.farm.events import Event
from harness.farm.files import FileGoneError
from harness.farm.status import FarmStatus
from harness.farm.tls import FarmPlace, client_context, explain_refusal
from harness.system.decoding import decode_json
from harness.system.files import file_sha256, plain_name, storage_errors
from harness.system.packages import versions_of

# A request that takes longer than this has lost its way. Long waits are asked for in pieces.
TIMEOUT_S = 30.0
# The pause between two questions to a depot that does not answer.
PAUSE_S = 1.0
# The largest piece of a file that is sent at once, and so the largest body of a request.
PIECE_BYTES = 4 << 20
# The HTTP status for an agent whose name another one has taken over.
CONFLICT = 409
# The HTTP status for a journal that is shorter than what was read of it.
GONE = 410
# How many small files are asked for at once, and the header of the answer that lists them as ``digest:bytes``.
MOST_SMALL = 64
FILES_HEADER = "Phonebench-Files"
# The header that says of which attempt a file is the result: an `Outcome` as JSON in base64.
OUTCOME_HEADER = "Phonebench-Outcome"
# How often a transfer that makes no progress at all is begun again.
_TRIES = 5
# The packages whose versions must be equal on all hosts, because the queue's messages depend on them.
PACKAGES = ("distributed", "dask", "msgpack", "cloudpickle", "tornado")

log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class DepotError(StoreError):
    """The depot of the farm cannot be reached, or refuses us. What was measured is safe on its agent.

    ``for_good``: waiting will not help, because a certificate, a version or a name is wrong.
    """

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        self.for_good = for_good
        super().__init__(message)


class JournalLostError(DepotError):
    """The depot of a farm has lost the journal of a run, so what has no result yet has to be queued again."""


def ask_patiently(
    ask: Callable[[], _Answer], stopping: threading.Event, *, note: Callable[[DepotError], None]
) -> _Answer | None:
    """Ask the depot until it answers, with a pause after each failure; None if ``stopping`` is set before.

    ``note`` gets the error of each attempt. Raises `DepotError` if waiting does not help.
    """
    while not stopping.is_set():
        try:
            return ask()
        except DepotError as error:
            if error.for_good:
                raise
            note(error)
            stopping.wait(PAUSE_S)
    return None


class Link:
    """The connections to one depot. Several threads may use it at the same time."""

    def __init__(self, place: FarmPlace) -> None:
        self.place = place
        self._context = client_context(place.certs)
        self._idle: list[http.client.HTTPSConnection] = []
        self._lock = threading.Lock()
        # One transfer to this host at a time: several devices often want the same file at the same moment.
        self._fetching = threading.Lock()

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # -- what agents and owners of runs ask

    def hello(self) -> Hello:
        """Return who answers. Raises `DepotError`."""
        return self._call("hello", None, Hello)

    def announce(self, announcement: Announcement) -> Granted:
        return self._call("announce", announcement, Granted)

    def claim(self, claim: Claim) -> Claimed:
        return self._call("claim", claim, Claimed)

    def deliver(self, outcome: Outcome, parcel: Path | None) -> None:
        if parcel is not None and parcel.stat().st_size <= PIECE_BYTES:
            # The result and the report of it in one request.
            text = base64.b64encode(msgspec.json.encode(outcome)).decode()
            self._send(parcel, outcome.parcel, {OUTCOME_HEADER: text})
            return
        if parcel is not None:
            self.offer(parcel, outcome.parcel)
        self._call("deliver", outcome, None)

    def queue(self, queue: Queue) -> None:
        self._call("queue", queue, None)

    def events(self, since: Since) -> tuple[Event, ...]:
        return self._call("events", since, Events).events

    def drop(self, dropped: Dropped) -> None:
        self._call("drop", dropped, None)

    def status(self) -> FarmStatus:
        return self._call("status", None, FarmStatus)

    # -- builds

    def build_hosts(self) -> BuildHosts:
        return self._call("build_hosts", None, BuildHosts)

    def order_builds(self, orders: BuildOrders) -> None:
        self._call("order_builds", orders, None)

    def builds_of(self, asked: BuildsOf) -> BuildStates:
        return self._call("builds_of", asked, BuildStates)

    def take_builds(self, taking: TakeBuilds) -> GivenBuilds:
        return self._call("take_builds", taking, GivenBuilds)

    def report_build(self, report: BuildReport) -> None:
        self._call("report_build", report, None)

    # -- files

    def offer(self, path: Path, sha256: str) -> None:
        """Send a file, from where an earlier attempt was cut off. Raises `DepotError`, or `StoreError` for the file."""
        self._send(path, sha256, {})

    def _send(self, path: Path, sha256: str, more: dict[str, str]) -> None:
        size = path.stat().st_size
        # A small file is sent at once; of a large one it is asked first how much has arrived.
        offset = 0 if size <= PIECE_BYTES else self._progress("HEAD", sha256, {})
        tries = 0
        while offset is not None:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(PIECE_BYTES)
            headers = {"Content-Range": f"bytes {offset}-{offset + len(data) - 1}/{size}"} | more
            before, offset = offset, self._progress("PUT", sha256, headers, data)
            tries = tries + 1 if offset is not None and offset <= before else 0
            if tries >= _TRIES:
                msg = f"the depot does not take {str(path)!r}: its content does not match its digest {sha256!r}"
                raise StoreError(msg)

    def fetch(self, sha256: str, folder: Path) -> Path:
        """Return the file in ``folder``, fetched from where an earlier attempt was cut off unless it is there.

        Raises `DepotError`, `FileGoneError` if the depot does not have it whole, `StoreError` if it cannot be written.
        """
        # It comes from another host, and a path could name any file of this one.
        plain_name(sha256, "a file is named by", "so it is not fetched")
        path, part = folder / sha256, folder / f".{sha256}.part"
        if path.is_file():
            # Files that are in use are not removed.
            os.utime(path)
            return path
        with self._fetching, storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            damaged = 0
            for _ in range(_TRIES):
                if path.is_file():
                    return path
                with contextlib.suppress(_Cut):
                    self._fetch_rest(sha256, part)
                    if file_sha256(part) == sha256:
                        part.replace(path)
                        return path
                    part.unlink()
                    damaged += 1
                if damaged > 1:
                    # The first time, what had arrived earlier may have been damaged here.
                    msg = f"the farm at {self.place.url} has the file {sha256!r} with another content: it is damaged"
                    raise FileGoneError(msg)
        msg = f"the file {sha256!r} did not arrive whole from {self.place.url} in {_TRIES} attempts: check the network"
        raise DepotError(msg)

    def prefetch(self, sha256s: Sequence[str], folder: Path) -> None:
        """Fetch those of some files that are small in one go; `fetch` then finds them. Raises `DepotError`."""
        missing = [sha256 for sha256 in dict.fromkeys(sha256s) if not (folder / sha256).is_file()]
        # No more than fit into the header that lists them.
        for start in range(0, len(missing), MOST_SMALL):
            some = missing[start : start + MOST_SMALL]
            body = msgspec.json.encode(SmallFiles(sha256s=tuple(some)))
            status, data, headers = self._ask("POST", "/call/small_files", body, {"Content-Type": "application/json"})
            if status != 200:
                raise DepotError(_why(status, data, self.place))
            _keep_small(data, headers.get(FILES_HEADER, ""), folder)

    # -- inside

    def _call(self, name: str, question: Any, kind: type[_Answer] | None) -> _Answer:
        body = b"" if question is None else msgspec.json.encode(question)
        status, data, _ = self._ask("POST", f"/call/{name}", body, {"Content-Type": "application/json"})
        if status == GONE:
            raise JournalLostError(_why(status, data, self.place))
        if status != 200:
            raise DepotError(_why(status, data, self.place), for_good=status == CONFLICT)
        try:
            answer: Any = msgspec.json.decode(data) if kind is None else decode_json(data, kind)
        except ValueError as error:
            msg = f"the depot at {self.place.url} gave an answer that this version does not understand: {error}"
            raise DepotError(msg, for_good=True) from error
        return cast("_Answer", answer)

    def _progress(self, method: str, sha256: str, headers: dict[str, str], body: bytes = b"") -> int | None:
        status, data, found = self._ask(method, f"/files/{sha256}", body, headers)
        if status != 200:
            raise DepotError(_why(status, data, self.place))
        return None if found.get("Upload-Complete") == "?1" else int(found.get("Upload-Offset", "0"))

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str], save: Path | None = None
    ) -> tuple[int, bytes, Any]:
        """Ask once, and again on a new connection if a kept one turns out to be closed.

        With ``save``, a file in the answer is written there, after what is there already.
        """
        for connection, kept in self._connections():
            try:
                connection.request(method, path, body=body, headers=headers)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept:
                    continue
                raise self._explained(error) from error
            try:
                data = answer.read() if save is None or answer.status not in (200, 206) else _saved(answer, save)
            except _Cut:
                connection.close()
                raise
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if isinstance(error, OSError) and error.filename:
                    raise
                raise self._explained(error) from error
            self._keep(connection)
            return answer.status, data, answer.headers
        raise AssertionError

    def _fetch_rest(self, sha256: str, part: Path) -> None:
        start = part.stat().st_size if part.is_file() else 0
        status, data, _ = self._ask("GET", f"/files/{sha256}", b"", {"Range": f"bytes={start}-"}, save=part)
        if status == 404:
            msg = f"the farm at {self.place.url} has no file {sha256!r}: it was removed, or never sent"
            raise FileGoneError(msg)
        if status == 416:
            part.unlink(missing_ok=True)
            raise _Cut
        if status not in (200, 206):
            raise DepotError(_why(status, data, self.place))

    def _connections(self) -> Iterator[tuple[http.client.HTTPSConnection, bool]]:
        """Yield a kept connection if there is one, then a new one; the flag says which it is."""
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            yield kept, True
        yield self._connect(), False

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.place.host, self.place.port, timeout=TIMEOUT_S, context=self._context)

    def _keep(self, connection: http.client.HTTPSConnection) -> None:
        with self._lock:
            self._idle.append(connection)

    def _explained(self, error: Exception) -> DepotError:
        cause = error if isinstance(error, OSError) else OSError(str(error) or type(error).__name__)
        return DepotError(explain_refusal(cause, self.place), for_good=isinstance(error, ssl.SSLCertVerificationError))


def _keep_small(data: bytes, listed: str, folder: Path) -> None:
    """Write files that arrived in one answer. One that is damaged is left out, and will be fetched by itself."""
    start = 0
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for one in filter(None, listed.split(",")):
            sha256, _, size = one.partition(":")
            piece = data[start : start + int(size)]
            start += len(piece)
            if hashlib.sha256(piece).hexdigest() == sha256:
                # By a rename, or a kill could leave half a file under the name of the whole one.
                part = folder / f".{sha256}.small"
                part.write_bytes(piece)
                part.replace(folder / sha256)


def _saved(answer: http.client.HTTPResponse, part: Path) -> bytes:
    """Write a file that arrives. Raises `_Cut` if it ends early; what has arrived is kept."""
    expected = answer.length
    with part.open("ab" if answer.status == 206 else "wb") as file:
        start = file.tell()
        # A connection that ends early looks like the end of the file.
        while data := answer.read(PIECE_BYTES):
            file.write(data)
        if expected is not None and file.tell() - start < expected:
            raise _Cut
    return b""


class _Cut(Exception):
    """A transfer was cut off; what has arrived is kept."""


def ask_status(place: FarmPlace) -> FarmStatus:
    """Return the state of the farm at ``place``. Raises `DepotError`, `UsageError` for certificates that do not fit."""
    link = Link(place)
    try:
        return link.status()
    finally:
        link.close()


def own_hello() -> Hello:
    """Return the versions and the clock of this host."""
    return Hello(protocol=PROTOCOL, versions=own_versions(), now_s=time.time())


def own_versions() -> dict[str, str]:
    """Return the versions that must be equal on all hosts of a farm."""
    import platform

    python = ".".join(platform.python_version_tuple()[:2])
    return {"phonebench": __version__, "python": python, **versions_of(PACKAGES)}


def join(link: Link) -> Hello:
    """Check that this host fits the farm, and return what its scheduler says about itself.

    A clock that differs is reported and does no harm, because no host compares its clock with another's. Raises
    `DepotError` if the farm cannot be reached, `UsageError` if its versions differ.
    """
    theirs = link.hello()
    ours = own_hello()
    apart = {
        name: (theirs.versions.get(name, "none"), ours.versions.get(name, "none"))
        for name in dict.fromkeys((*theirs.versions, *ours.versions))
        if theirs.versions.get(name) != ours.versions.get(name)
    }
    if theirs.protocol != PROTOCOL or apart:
        differs = ", ".join(f"{name} {there} there and {here} here" for name, (there, here) in apart.items())
        older = " (it is older)" if theirs.protocol < PROTOCOL else ""
        msg = (
            f"the farm at {link.place.url} has other versions{older}: "
            f"{differs or f'protocol {theirs.protocol} there and {PROTOCOL} here'}; install the same on every host"
        )
        raise UsageError(msg)
    ahead_s = ours.now_s - theirs.now_s
    if abs(ahead_s) > CLOCK_S:
        how = "ahead of" if ahead_s > 0 else "behind"
        log.warning("the clock of this host is %.0f s %s that of the farm: set it", abs(ahead_s), how)
    return theirs


def _why(status: int, data: bytes, place: FarmPlace) -> str:
    try:
        reason = msgspec.json.decode(data, type=dict[str, str])["error"]
    except (ValueError, KeyError):
        reason = f"HTTP {status}"
    if status == 404 and reason == "unknown question":
        return f"the farm at {place.url} is older than this phonebench: install the same version on every host"
    return f"the farm at {place.url} refused a question: {reason}"
