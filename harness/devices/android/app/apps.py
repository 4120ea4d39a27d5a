"""The runner apps on a phone, one per runtime, installed if missing or not the version that was built here.

An APK is first put into the store like any other file, which checks its digest on the phone, and installed from there.
If the phone then refuses the installation, the reason is the app and never the cable.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.devices.android.adb.cable import Cable
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app_ids import ApkSource, RunnerApk, app_id_of
from harness.devices.android.phone_store import FOLDER, PhoneStore
from harness.devices.android.texts import Package, parse_package
from harness.errors import PhoneError, PhoneTrouble

if TYPE_CHECKING:
    from harness.runners.android.records import BuiltApk

INSTALL_S = 300.0


log = logging.getLogger(__name__)


# What to do about codes of PackageManager.INSTALL_*. The first match counts.
INSTALL_ADVICE: tuple[tuple[str, str], ...] = (
    ("NO_MATCHING_ABIS", "build the app for this phone's processor: phonebench runner build android --abi ABI"),
    ("OLDER_SDK", "use a phone with Android 8 or newer"),
    ("VERSION_DOWNGRADE", "remove the newer app from the phone: adb uninstall APP"),
    ("UPDATE_INCOMPATIBLE", "remove the app, which was signed with another key: adb uninstall APP"),
    ("SHARED_USER_INCOMPATIBLE", "remove the app, which was signed with another key: adb uninstall APP"),
    ("INSUFFICIENT_STORAGE", "free some space on the phone"),
    ("USER_RESTRICTED", "allow installing over USB in the phone's developer options, and accept it on the screen"),
    ("VERIFICATION", "disable 'Verify apps over USB' in the phone's developer options"),
    ("ABORTED", "accept the installation on the phone's screen"),
    ("ALREADY_EXISTS", "remove the app from the phone: adb uninstall APP"),
    ("PARSE_FAILED_NO_CERTIFICATES", "sign the APK: build it again with phonebench runner build android"),
    ("PARSE_FAILED", "build the APK again with phonebench runner build android"),
    ("INVALID_APK", "build the APK again with phonebench runner build android"),
)
# For these the old app is removed first. A runner app holds no user data.
_REPLACE = ("VERSION_DOWNGRADE", "UPDATE_INCOMPATIBLE", "SHARED_USER_INCOMPATIBLE", "ALREADY_EXISTS")


class Apps:
    """The runner apps of one phone. All methods raise `PhoneError`."""

    def __init__(self, cable: Cable, store: PhoneStore, source: ApkSource, abis: Sequence[str] = ()) -> None:
        self._cable, self._store, self._source, self._abis = cable, store, source, tuple(abis)
        self._ready: dict[str, Package] = {}

    def ensure(self, runtime: str) -> Package:
        """Return the app of ``runtime``, installing it if missing or outdated. Looked up once per session."""
        if runtime not in self._ready:
            self._ready[runtime] = self._ensure(runtime)
        return self._ready[runtime]

    def find(self, app_id: str) -> Package | None:
        """Return the app installed under ``app_id``, None if there is none."""
        command = f"dumpsys package {shlex.quote(app_id)} | grep -E 'Package \\[|versionName=|[fF]lags=\\['"
        return parse_package(self._cable.run(command).text, app_id)

    def install(self, apk: RunnerApk) -> Package:
        """Install ``apk``. If the phone refuses to replace the old app, remove that first."""
        sha256 = hashlib.sha256(apk.path.read_bytes()).hexdigest()
        self._store.put(apk.path, sha256)
        try:
            refusal = self._install(sha256, apk.path.stat().st_size)
            if any(code in refusal for code in _REPLACE):
                log.info("removing %s from %s first: %s", apk.app_id, self._cable.serial, refusal)
                self._cable.run(f"pm uninstall {shlex.quote(apk.app_id)}", seconds=INSTALL_S)
                refusal = self._install(sha256, apk.path.stat().st_size)
        finally:
            self._forget(sha256)
        if refusal:
            raise refused_install(self._cable.serial, apk.app_id, refusal)
        package = self.find(apk.app_id)
        if package is None:
            what = f"{named(self._cable.serial)} reported that it installed {apk.app_id!r}, but does not have it"
            raise phone_error(PhoneTrouble.APP, what, serial=self._cable.serial, command="pm install")
        return package

    def _ensure(self, runtime: str) -> Package:
        app_id = app_id_of(runtime)
        installed, apk = self.find(app_id), self._source(runtime, self._abis)
        if apk is None:
            return self._check_installed(app_id, installed)
        if installed is not None and installed.version == apk.version_name:
            return installed
        return self.install(apk)

    def _check_installed(self, app_id: str, installed: Package | None) -> Package:
        """Accept an app of this phonebench version; without an APK built here there is nothing else to compare."""
        if installed is None:
            what = f"{named(self._cable.serial)} does not have {app_id!r}, and no APK of it is built here"
            raise phone_error(PhoneTrouble.APP, what, serial=self._cable.serial)
        # A version is that of phonebench, "+", and a digest of the app's sources.
        if installed.version.partition("+")[0] != __version__:
            what = f"{named(self._cable.serial)} has {app_id!r} {installed.version}, but phonebench is {__version__}"
            raise phone_error(PhoneTrouble.APP, what, serial=self._cable.serial)
        return installed

    def _install(self, sha256: str, size: int) -> str:
        """Install an APK from the store, and return why the phone refused, empty if it did not.

        The APK is passed on standard input, because some versions refuse a file name that does not end in ``.apk``.
        """
        # -r replaces an installed app, -t allows a test-only one, -S gives the size of standard input.
        result = self._cable.run(f"pm install -r -t -S {size} < {FOLDER}/{sha256}", seconds=INSTALL_S)
        # Old versions of pm always exit with 0.
        if "Success" in result.text and not result.exit_code:
            return ""
        return f"{result.text.strip()} {result.complaint}".strip() or f"exit code {result.exit_code}"

    def _forget(self, sha256: str) -> None:
        try:
            self._store.remove(sha256)
        except PhoneError as error:
            log.info("an APK stays in the store of %s: %s", self._cable.serial, error)


def refused_install(serial: str, app_id: str, refusal: str) -> PhoneError:
    """Return the error for an installation that the phone refused, with the advice for its code."""
    fallback = "check the phone's screen for a question, then run again"
    advice = next((advice for code, advice in INSTALL_ADVICE if code in refusal), fallback)
    code = re.search(r"INSTALL_[A-Z_]+", refusal)
    reason = code[0] if code else refusal[:200]
    message = f"{named(serial)} did not install {app_id!r} ({reason}); {advice.replace('APP', app_id)}"
    return PhoneError(message, trouble=PhoneTrouble.APP, serial=serial, command="pm install", output=refusal)


def built_here(folder: Path | None = None) -> ApkSource:
    """Return the source of the APKs in ``folder``, None for where ``phonebench runner build android`` puts them."""
    apks: dict[str, tuple[BuiltApk, ...]] | None = None

    def source(runtime: str, abis: Sequence[str]) -> RunnerApk | None:
        nonlocal apks
        if apks is None:
            from harness.runners.android.store import built_apks

            apks = {runtime.value: built for runtime, built in built_apks(folder).items()}
        return chosen(apks.get(runtime, ()), abis)

    return source


def chosen(built: Sequence[BuiltApk], abis: Sequence[str]) -> BuiltApk | None:
    """Return the APK for the first of the phone's ``abis`` that has one.

    If none has, it is any APK: the phone refuses it with a reason that says what to build.
    """
    fitting = (apk for abi in abis for apk in built if abi in apk.abis)
    return next(fitting, built[0] if built else None)
