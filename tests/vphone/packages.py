"""The apps on the phone, installed and removed by the package manager's rules from the real APK's contents."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.vphone.apk import Apk, ApkError, Refusal, read_apk
from tests.vphone.jail import Jail
from tests.vphone.state import PhoneState

FIRST_UID = 10100


class InstallError(Exception):
    """The package manager refuses; the message is what ``Failure [...]`` has in its brackets: a code and a reason."""

    def __init__(self, code: Refusal, why: str) -> None:
        super().__init__(f"{code}: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An app that is installed."""

    apk: Apk
    uid: int
    path: str
    """The installed file, as the phone names it."""
    abi: str | None
    """The instruction set of its native libraries; None if it has none."""

    @property
    def name(self) -> str:
        """The app id."""
        return self.apk.package

    @property
    def files(self) -> str:
        """The first user's folder for files of the app, as the phone names it."""
        return self.files_of(0)

    def files_of(self, user: int) -> str:
        """A user's folder for files of the app, as the phone names it: each user's app has its own."""
        return f"/data/data/{self.name}/files" if not user else f"/data/user/{user}/{self.name}/files"

    def shared_of(self, user: int) -> str:
        """A user's folder for files of the app that the shell may read, too."""
        return f"/data/media/{user}/Android/data/{self.name}/files"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallOptions:
    """The options besides the file."""

    replace: bool = True
    downgrade: bool = False


class Packages:
    """The apps of one phone by their names."""

    def __init__(self, state: PhoneState, jail: Jail) -> None:
        self._state, self._jail = state, jail
        self._lock = threading.Lock()
        self._installed: dict[str, Package] = {}

    def all(self) -> tuple[Package, ...]:
        """Every app that was installed."""
        with self._lock:
            return tuple(self._installed.values())

    def find(self, name: str) -> Package | None:
        """The app of that name."""
        with self._lock:
            return self._installed.get(name)

    def of_authority(self, authority: str) -> Package | None:
        """The app whose provider has this name."""
        return next((package for package in self.all() if authority in package.apk.authorities), None)

    def install(self, file: Path, options: InstallOptions) -> Package:
        """Install an APK that is on the phone. Raises `InstallError`."""
        try:
            apk = read_apk(file)
        except ApkError as error:
            raise InstallError(error.code, str(error)) from error
        old = self.find(apk.package)
        self._check_phone(apk, file)
        if old is not None:
            _check_update(old.apk, apk, options)
        package = Package(
            apk=apk,
            uid=old.uid if old else FIRST_UID + len(self.all()),
            path=f"/data/app/{apk.package}-1/base.apk",
            abi=next((abi for abi in self._state.all_abis if abi in apk.abis), None),
        )
        self._store(package, file)
        with self._lock:
            self._installed[apk.package] = package
        return package

    def remove(self, name: str, *, keep_data: bool = False) -> bool:
        """Remove an app; False if it is not installed."""
        with self._lock:
            package = self._installed.pop(name, None)
        if package is None:
            return False
        shutil.rmtree(self._jail.resolve(package.path).parent, ignore_errors=True)
        if not keep_data:
            self.clear(name)
        return True

    def clear(self, name: str) -> None:
        """Remove everything that an app has stored."""
        shutil.rmtree(self._jail.resolve(f"/data/data/{name}"), ignore_errors=True)
        if (package := self.find(name)) is not None:
            self._jail.resolve(package.files).mkdir(parents=True)

    def _check_phone(self, apk: Apk, file: Path) -> None:
        if self._state.install_restricted:
            raise InstallError(Refusal.USER_RESTRICTED, "Install canceled by user")
        if apk.min_api > self._state.api:
            msg = f"Requires newer sdk version #{apk.min_api} (current version is #{self._state.api})"
            raise InstallError(Refusal.OLDER_SDK, msg)
        if apk.abis and not set(apk.abis) & set(self._state.all_abis):
            raise InstallError(Refusal.NO_MATCHING_ABIS, "Failed to extract native libraries, res=-113")
        disk = os.statvfs(self._jail.resolve("/data"))
        if disk.f_bavail * disk.f_frsize < file.stat().st_size:
            raise InstallError(Refusal.INSUFFICIENT_STORAGE, "Failed to override installation location")

    def _store(self, package: Package, file: Path) -> None:
        place = self._jail.resolve(package.path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            self._jail.resolve(package.files).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InstallError(Refusal.INSUFFICIENT_STORAGE, os.strerror(error.errno or 0)) from error


def _check_update(old: Apk, new: Apk, options: InstallOptions) -> None:
    if not options.replace:
        msg = f"Attempt to re-install {new.package} without first uninstalling."
        raise InstallError(Refusal.ALREADY_EXISTS, msg)
    if old.signer != new.signer:
        msg = f"Existing package {new.package} signatures do not match newer version; ignoring!"
        raise InstallError(Refusal.UPDATE_INCOMPATIBLE, msg)
    if new.version_code < old.version_code and not (options.downgrade and old.debuggable):
        msg = f"Downgrade detected: Update version code {new.version_code} is older than current {old.version_code}"
        raise InstallError(Refusal.VERSION_DOWNGRADE, msg)
