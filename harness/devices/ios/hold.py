"""Holds an iPhone during a session: a call that was cut short by a lost cable is repeated once the iPhone is back.

Every call can be repeated. That includes the wait for a launch, because the app keeps running without a connection. A
worker that was cut off is replaced by a new one, so that nothing of the old connection is left.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.facts import Facts
from harness.devices.ios.ipa import DEFAULT_ID, Ipa
from harness.devices.ios.link import CALL_S, Worker
from harness.devices.ios.usbmux import is_listed
from harness.devices.occupied import occupied
from harness.errors import IosError, IosTrouble

# An iPhone may come back from these within a minute.
LOSSES = frozenset({IosTrouble.GONE, IosTrouble.HUNG, IosTrouble.NO_USBMUXD, IosTrouble.NO_PHONE})
# So does one that restarts, and it is locked until somebody enters the passcode.
_STARTING = LOSSES | {IosTrouble.LOCKED, IosTrouble.NOT_TRUSTED, IosTrouble.REFUSED}
_RETURNS = 3
_OPEN_S = 30.0
_LOOK_S = 0.2
# With a person in front of the iPhone, who has to read the dialog and type the passcode.
TRUST_S = 60.0

_Result = TypeVar("_Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IosOptions:
    """The IPA to install, if any, and how long to wait for a lost iPhone and for the answer to its Trust dialog.

    ``watch_every_s``: how often the battery is read during a launch. ``encrypt``: artifacts lie on the iPhone encrypted
    for the runner app.
    """

    ipa: Ipa | None = None
    watch_every_s: float = 1.0
    back_s: float = 30.0
    trust_s: float = TRUST_S
    encrypt: bool = False


class Tether:
    """An iPhone that is held. ``facts`` are as of its last return; ``closing`` is set when it is released.

    ``last_loss`` is why it was last away, None if it never was.
    """

    def __init__(self, udid: str, python: Path, options: IosOptions) -> None:
        self.udid, self.options = udid, options
        self.bundle_id = options.ipa.bundle_id if options.ipa else DEFAULT_ID
        self.closing = threading.Event()
        self.last_loss: IosError | None = None
        # Why it is away now; None while it is held.
        self._away: IosError | None = None
        self._python = python
        self._forgets: list[Callable[[], None]] = []
        self._worker = Worker(python, udid=udid)
        try:
            self.facts: Facts = self._first_open()
        except BaseException:
            self._worker.close()
            raise

    def on_return(self, forget: Callable[[], None]) -> None:
        """Call ``forget`` whenever the iPhone has been away, since anything may have happened to it meanwhile."""
        self._forgets.append(forget)

    def forget(self) -> None:
        """Discard what is known of the iPhone's files and app."""
        for forget in self._forgets:
            forget()

    def use(self, bundle_id: str) -> None:
        """Take the app with this id for the runner from now on."""
        self.bundle_id = bundle_id
        self.call("use", bundle_id=bundle_id)

    def call(self, do: str, *, seconds: float = CALL_S, keep: bool = False, **arguments: Any) -> Any:
        """Have the worker do something, and again whenever the iPhone went away and came back. Raises `IosError`."""
        return self.again(lambda: self.once(do, seconds=seconds, **arguments), keep=keep)

    def once(self, do: str, *, seconds: float = CALL_S, **arguments: Any) -> Any:
        """Have the worker do something, without waiting for an iPhone that is away or goes away."""
        if self._away is not None:
            raise self._away
        return self._worker.call(do, seconds=seconds, **arguments)

    def again(self, work: Callable[[], _Result], *, keep: bool = False) -> _Result:
        """Do ``work``, and repeat it whenever the iPhone went away and came back; ``keep`` lets the app run on.

        Raises the `IosError` of the loss if it does not come back, or goes away over and over.
        """
        for _ in range(_RETURNS):
            self.check_open()
            try:
                return work()
            except IosError as error:
                if error.trouble not in LOSSES or self.closing.is_set():
                    raise
                self._come_back(error, keep)
        # The last try: its error is final.
        return work()

    def check_open(self) -> None:
        """Raise `IosError` if the iPhone has been released."""
        if self.closing.is_set():
            raise ios_error(IosTrouble.BUSY, f"{named(self.udid)} was closed", udid=self.udid)

    def close(self) -> None:
        """End the worker, which ends a launch in flight."""
        self._worker.close()

    def _first_open(self) -> Facts:
        try:
            return self._open(0)
        except IosError as error:
            if error.trouble is not IosTrouble.NOT_TRUSTED or not self.options.trust_s:
                raise
            # The dialog is on the screen now.
            log.warning("%s: unlock it, and tap Trust within %g s", error.what, self.options.trust_s)
            return self._open(self.options.trust_s)

    def _open(self, trust_s: float) -> Facts:
        opened: Facts = self._worker.call(
            "open", seconds=_OPEN_S + trust_s, serial=self.udid, bundle_id=self.bundle_id, trust_s=trust_s
        )
        return opened

    def _come_back(self, cause: IosError, keep: bool) -> None:
        self.last_loss = self._away = cause
        # What to do about it is said when the waiting was in vain.
        log.warning("%s; waiting up to %g s for it to come back", cause.what, self.options.back_s)
        ends_at = time.monotonic() + self.options.back_s
        self._worker.close()
        while not self._is_back():
            self.check_open()
            if time.monotonic() >= ends_at:
                raise cause
            self.closing.wait(_LOOK_S)
        self._away = None
        self.forget()
        if not keep:
            # A launch that nobody waits for would run at the same time as the next one.
            with contextlib.suppress(IosError):
                self.once("stop")

    def _is_back(self) -> bool:
        if not is_listed(self.udid):
            return False
        self._worker = Worker(self._python, udid=self.udid)
        try:
            self.facts = self._open(0)
        except IosError as error:
            self._worker.close()
            if error.trouble not in _STARTING:
                raise
            return False
        return True


def held(udid: str) -> AbstractContextManager[None]:
    """Lock an iPhone, so that two runs on this computer never measure on it at the same time. Raises `IosError`."""
    what = f"{named(udid)} is being measured by another phonebench"
    return occupied(udid, ios_error(IosTrouble.BUSY, what, udid=udid))
