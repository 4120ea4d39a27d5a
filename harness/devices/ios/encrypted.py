"""Launches of one session whose artifacts are encrypted, and what they leave in the clear if they are cut off."""

from __future__ import annotations

import logging

from harness.devices.device import Execution
from harness.devices.encrypted_store import EncryptedStore, Launching
from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.hold import Tether
from harness.devices.ios.launch import new_job_name
from harness.devices.ios.phone_store import PhoneStore
from harness.devices.ios.runner_app import InstalledApp
from harness.errors import IosError, IosTrouble
from harness.wire import ReplyStatus, RunReply, RunRequest

# How long the app may take to start, and how long to end when it measures nothing.
_START_S, _SWEEP_S = 30.0, 15.0

log = logging.getLogger(__name__)


class EncryptedLaunches:
    """The encrypted files of one iPhone, and launches with them. Methods raise `IosError` unless they say otherwise."""

    def __init__(self, tether: Tether, store: PhoneStore) -> None:
        self.files = EncryptedStore(store)
        self._tether = tether
        # Whether the app may have a file in the clear.
        self._unclean = False

    def ask_key(self, app: InstalledApp, request: RunRequest, launch: Launching) -> None:
        """Have the app state its key, unless it is known; ``launch`` runs the request that asks for it."""
        reply = self.files.ask_key(app.bundle_id, request, launch)
        if reply is not None:
            raise self._no_key(reply)

    def execute(self, app: InstalledApp, request: RunRequest, launch: Launching) -> Execution:
        """Run a request whose artifact is encrypted for the app."""
        return self.files.execute(app.bundle_id, request, lambda request: self._tidied(launch, request))

    def close(self, *, reached: bool) -> None:
        """Remove what the session left on the iPhone, if it can still be ``reached``. Raises nothing."""
        if reached:
            self._sweep()
            self.files.clear()
        if self._unclean:
            log.warning(
                "a launch on %s was cut off: the model may lie in the clear in the private folder of the runner app, "
                "which removes it when it is next started",
                named(self._tether.udid),
            )

    def _tidied(self, launch: Launching, request: RunRequest) -> Execution:
        self._unclean = True
        execution = launch(request)
        # Only the last reply of a launch states the key, and by then the app has removed the plain files.
        self._unclean = execution.reply.encryption_key is None
        self._sweep()
        return execution

    def _sweep(self) -> None:
        """Start the app without a request: before anything else, it removes the plain files of earlier launches."""
        if not self._unclean:
            return
        # Without waiting for an iPhone that is away: the session may be ending.
        do, job = self._tether.once, new_job_name()
        try:
            pid = int(do("start", seconds=_START_S, arguments=["--job", job, "--inputs", "0" * 64])["pid"])
            end = do("wait", seconds=_SWEEP_S + _START_S, job=job, pid=pid, for_s=_SWEEP_S)
            self._unclean = not (end["ended"] and end["reply"])
            do("stop", pid=pid)
            do("trim")
        except IosError as error:
            log.info("the runner app on %s could not be started to remove files: %s", named(self._tether.udid), error)

    def _no_key(self, reply: RunReply) -> IosError:
        udid = self._tether.udid
        reason = reply.failure.message if reply.failure else "its reply has none"
        if reply.status is ReplyStatus.UNSUPPORTED:
            return ios_error(IosTrouble.KEYSTORE, f"{named(udid)} cannot decrypt models: {reason}", udid=udid)
        what = f"the runner app on {named(udid)} gave no key to encrypt models for: {reason}"
        return ios_error(IosTrouble.APP, what, udid=udid)
