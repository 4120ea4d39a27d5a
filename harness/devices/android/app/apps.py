"""The runner apps on a phone: one a runtime, installed where it is missing or another version than the one built here.

The one decision: an APK is put into the store like any file, so that its digest is checked on the phone, and installed
from there; a phone's refusal then is about the app and never about the cable.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shlex

from harness import __version__
from harness.devices.android.adb.cable import Cable
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app_ids import ApkSource, RunnerApk, app_id_of
from harness.devices.android.phone_store import FOLDER, PhoneStore
from harness.devices.android.texts import Package, parse_package
from harness.errors import PhoneError, PhoneTrouble

INSTALL_S = 300.0


log = logging.getLogger(__name__)


# Codes of PackageManager.INSTALL_*, by what the user does about them; the first that fits counts.
INSTALL_ADVICE: tuple[tuple[str, str], ...] = (
    ("NO_MATCHING_ABIS", "build the app for this phone's processor: phonebench runner build android --abi ABI"),
    ("OLDER_SDK", "use a phone with Android 8 or newer"),
    ("VERSION_DOWNGRADE", "remove the newer app from the phone: adb uninstall APP"),
    ("UPDATE_INCOMPATIBLE", "remove the app that another key signed from the phone: adb uninstall APP"),
    ("SHARED_USER_INCOMPATIBLE", "remove the app that another key signed from the phone: adb uninstall APP"),
    ("INSUFFICIENT_STORAGE", "free some space on the phone"),
    ("USER_RESTRICTED", "allow installing over USB in the phone's developer options, and accept it on the screen"),
    ("VERIFICATION", "switch off 'Verify apps over USB' in the phone's developer options"),
    ("ABORTED", "accept the installation on the phone's screen"),
    ("ALREADY_EXISTS", "remove the app from the phone: adb uninstall APP"),
    ("PARSE_FAILED_NO_CERTIFICATES", "sign the APK: build it again with phonebench runner build android"),
    ("PARSE_FAILED", "build the APK again with phonebench runner build android"),
    ("INVALID_APK", "build the APK again with phonebench runner build android"),
)
# An app of ours keeps nothing of the user's, so it may be removed and installed anew for these.
_REPLACE = ("VERSION_DOWNGRADE", "UPDATE_INCOMPATIBLE", "SHARED_USER_INCOMPATIBLE", "ALREADY_EXISTS")


class Apps:
    """The runner apps of one phone. All methods raise `PhoneError`."""

    def __init__(self, cable: Cable, store: PhoneStore, source: ApkSource) -> None:
        self._cable, self._store, self._source = cable, store, source
        self._ready: dict[str, Package] = {}

    def ensure(self, runtime: str) -> Package:
        """Return the installed app of ``runtime``, after installing it where it is missing or old; looked up once."""
        if runtime not in self._ready:
            self._ready[runtime] = self._ensure(runtime)
        return self._ready[runtime]

    def find(self, app_id: str) -> Package | None:
        """Return what is installed under ``app_id``."""
        command = f"dumpsys package {shlex.quote(app_id)} | grep -E 'Package \\[|versionName=|[fF]lags=\\['"
        return parse_package(self._cable.run(command).text, app_id)

    def install(self, apk: RunnerApk) -> Package:
        """Install ``apk`` over what is there; where the phone refuses that, remove the old app first."""
        sha256 = hashlib.sha256(apk.path.read_bytes()).hexdigest()
        self._store.put(apk.path, sha256)
        try:
            said = self._install(sha256, apk.path.stat().st_size)
            if any(code in said for code in _REPLACE):
                log.info("%s on %s is removed first: %s", apk.app_id, self._cable.serial, said)
                self._cable.run(f"pm uninstall {shlex.quote(apk.app_id)}", seconds=INSTALL_S)
                said = self._install(sha256, apk.path.stat().st_size)
        finally:
            self._forget(sha256)
        if said:
            raise refused_install(self._cable.serial, apk.app_id, said)
        found = self.find(apk.app_id)
        if found is None:
            what = f"{named(self._cable.serial)} says it installed {apk.app_id!r} and does not have it"
            raise phone_error(PhoneTrouble.APP, what, serial=self._cable.serial, command="pm install")
        return found

    def _ensure(self, runtime: str) -> Package:
        app_id = app_id_of(runtime)
        installed, apk = self.find(app_id), self._source(runtime)
        if apk is None:
            return self._check_installed(app_id, installed)
        if installed is not None and installed.version == apk.version_name:
            return installed
        return self.install(apk)

    def _check_installed(self, app_id: str, installed: Package | None) -> Package:
        """Accept an app of this version of phonebench where no APK is built here to compare it with."""
        if installed is None:
            what = f"{named(self._cable.serial)} does not have {app_id!r}, and no APK of it is built here"
            raise phone_error(PhoneTrouble.APP, what, serial=self._cable.serial)
        if installed.version.partition("+")[0] != __version__:
            what = f"{named(self._cable.serial)} has {app_id!r} of version {installed.version}, this is {__version__}"
            raise phone_error(PhoneTrouble.APP, what, serial=self._cable.serial)
        return installed

    def _install(self, sha256: str, size: int) -> str:
        """Install the APK in the store; return why the phone refused, empty when it did not.

        From standard input, because a name that does not end in ``.apk`` is not taken everywhere.
        """
        done = self._cable.run(f"pm install -r -t -S {size} < {FOLDER}/{sha256}", seconds=INSTALL_S)
        # Old versions of pm exit with 0 whatever happened.
        if "Success" in done.text and not done.exit_code:
            return ""
        return f"{done.text.strip()} {done.complaint}".strip() or f"exit code {done.exit_code}"

    def _forget(self, sha256: str) -> None:
        try:
            self._store.remove(sha256)
        except PhoneError as error:
            log.info("an APK stays in the store of %s: %s", self._cable.serial, error)


def refused_install(serial: str, app_id: str, said: str) -> PhoneError:
    """Return the error of an installation that the phone refused with ``said``, with the advice for its code."""
    found = next((advice for code, advice in INSTALL_ADVICE if code in said), None)
    code = re.search(r"INSTALL_[A-Z_]+", said)
    advice = found or "see the phone's screen for a question, then run again"
    reason = code[0] if code else said[:200]
    message = f"{named(serial)} did not install {app_id!r} ({reason}); {advice.replace('APP', app_id)}"
    return PhoneError(message, trouble=PhoneTrouble.APP, serial=serial, command="pm install", output=said)


def built_here() -> ApkSource:
    """Return the source of the APKs that ``phonebench runner build android`` made on this computer."""
    found: dict[str, RunnerApk] | None = None

    def source(runtime: str) -> RunnerApk | None:
        nonlocal found
        if found is None:
            from harness.runners.android.store import built_apks

            found = {built.runtime.value: built for built in built_apks().values()}
        return found.get(runtime)

    return source
