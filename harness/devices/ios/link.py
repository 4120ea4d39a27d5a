"""The worker process, seen from phonebench: a call is a line to it, and the line that it answers.

Every call has a deadline, which the worker keeps. A worker that does not keep it is ended.
"""

from __future__ import annotations

import itertools
import json
import logging
import queue
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from harness.devices.ios.advice import ios_error, named
from harness.errors import IosTrouble
from harness.system.decoding import plain_json

PROGRAM = Path(__file__).with_name("worker") / "start.py"
CALL_S = 30.0
# What the worker may be late with an answer that its own deadline has ended.
_GRACE_S = 10.0
# The library is imported meanwhile, from a slow disk for the first time.
_START_S = 120.0
_END_S = 5.0

_HAPPENED: dict[IosTrouble, str] = {
    IosTrouble.GONE: "went away",
    IosTrouble.NOT_TRUSTED: "does not trust this computer yet",
    IosTrouble.TRUST_REFUSED: "was told not to trust this computer",
    IosTrouble.LOCKED: "is locked",
    IosTrouble.DEVELOPER_MODE: "has developer mode switched off",
    IosTrouble.NO_IMAGE: "has no developer image mounted",
    IosTrouble.TUNNEL: "cannot be reached through a tunnel",
    IosTrouble.PROFILE: "refused the runner app because of its signature",
    IosTrouble.NOT_TRUSTED_DEVELOPER: "does not trust the developer who signed the runner app",
    IosTrouble.FULL: "has no space left",
    IosTrouble.TOO_OLD: "has an iOS that is too old for the runner app",
    IosTrouble.STUCK: "did not start the runner app",
    IosTrouble.APP: "did not install the runner app, or does not have it",
}

log = logging.getLogger(__name__)


class Worker:
    """A worker process. Calls may come from several threads; `close` ends the process."""

    def __init__(self, python: Path, *, udid: str = "") -> None:
        self.udid = udid
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any] | None]] = {0: queue.SimpleQueue()}
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the worker runs
        # -I: neither the user's variables for Python nor the working folder count.
        self._process = subprocess.Popen(
            [python, "-I", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._dead = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._take(0, self._waiting[0], "start", _START_S)
        except BaseException:
            self.close()
            raise

    def call(self, do: str, *, seconds: float = CALL_S, **arguments: Any) -> Any:
        """Have something done and return the result. Raises `IosError`, also if it takes longer than ``seconds``."""
        number, answer = next(self._numbers), queue.SimpleQueue[dict[str, Any] | None]()
        with self._lock:
            if self._dead:
                raise self._ended(do)
            self._waiting[number] = answer
            line = json.dumps({"id": number, "do": do, "seconds": seconds, **arguments})
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
            except OSError as error:
                raise self._ended(do) from error
        return self._take(number, answer, do, seconds + _GRACE_S)

    def close(self) -> None:
        """End the process. It first ends what it has started on the phone, if that answers."""
        with self._lock:
            self._dead = True
            if self._process.stdin is not None and not self._process.stdin.closed:
                try:
                    self._process.stdin.close()
                except OSError:
                    log.debug("the worker of %s had gone before it was closed", self.udid)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # It tells the calls of other threads that there will be no answer.
        self._reader.join(_END_S)
        self._errors.close()

    def _take(self, number: int, answer: queue.SimpleQueue[dict[str, Any] | None], do: str, seconds: float) -> Any:
        try:
            result = answer.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            what = f"the driver of {named(self.udid)} did not answer {do!r} within {seconds:g} s and was ended"
            raise ios_error(IosTrouble.HUNG, what, udid=self.udid, command=do) from None
        finally:
            self._waiting.pop(number, None)
        if result is None:
            raise self._ended(do)
        if "trouble" not in result:
            return result["ok"]
        trouble = IosTrouble(result["trouble"])
        raise ios_error(
            trouble, self._sentence(trouble, do, seconds), udid=self.udid, command=do, output=result["text"]
        )

    def _sentence(self, trouble: IosTrouble, do: str, seconds: float) -> str:
        if trouble is IosTrouble.NO_USBMUXD:
            return "usbmuxd does not answer"
        if trouble is IosTrouble.HUNG:
            return f"{named(self.udid)} did not finish {do!r} within {seconds - _GRACE_S:g} s"
        return f"{named(self.udid)} {_HAPPENED.get(trouble, f'refused {do!r}')}"

    def _ended(self, do: str) -> Exception:
        """The error for a worker that ended by itself: a new one may do better."""
        try:
            self._errors.seek(0)
            text = self._errors.read().decode("utf-8", errors="replace")
        except (OSError, ValueError):
            text = ""
        last = text.strip().splitlines()[-1:] or ["without a word"]
        what = f"the driver process of {named(self.udid)} ended ({last[0][:200]})"
        return ios_error(IosTrouble.HUNG, what, udid=self.udid, command=do, output=text)

    def _deliver(self, line: str) -> None:
        try:
            answer = plain_json(line)
            waiting = self._waiting.get(answer["id"])
        except (ValueError, TypeError, KeyError):
            log.info("the worker said: %s", line.rstrip())
            return
        if waiting is not None:
            waiting.put(answer)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._deliver(line)
        with self._lock:
            self._dead = True
        for waiting in list(self._waiting.values()):
            waiting.put(None)
