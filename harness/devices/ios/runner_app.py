"""The runner app on an iPhone: installed where it is missing or is not the one in the IPA that was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import __version__
from harness.devices.ios.advice import ios_error, named
from harness.devices.ios.facts import version_of
from harness.devices.ios.hold import Tether
from harness.devices.ios.ipa import DEFAULT_ID, Ipa, check_ipa
from harness.errors import IosError, IosTrouble

INSTALL_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledApp:
    """The runner app that is installed; ``digest`` is that of the sources that it was built from.

    ``path`` is its folder on the iPhone: every installation makes a new one, also that of the same build.
    """

    bundle_id: str
    executable: str
    version: str
    digest: str
    runtimes: tuple[str, ...]
    path: str


class RunnerApp:
    """The runner app of one iPhone. All methods raise `IosError`."""

    def __init__(self, tether: Tether) -> None:
        self._tether = tether
        self._app: InstalledApp | None = None
        tether.on_return(self._forget)

    def ensure(self) -> InstalledApp:
        """Return the app, installing it where that is needed and possible. Looked up once per session."""
        if self._app is None:
            self._app = self._ensure()
            self._tether.use(self._app.bundle_id)
        return self._app

    def find(self) -> InstalledApp | None:
        """Return the app that is installed, None if there is none."""
        ipa = self._tether.options.ipa
        values = self._tether.call("app", bundle_id=ipa.bundle_id if ipa else DEFAULT_ID)
        return installed_app(values) if values else None

    def has_changed(self) -> bool:
        """Return whether the app that was looked up is not there any more, or is another one now; also if unknown."""
        return self._app is None or self.find() != self._app

    def install(self, ipa: Ipa) -> InstalledApp:
        """Check the IPA's profile and install it."""
        udid = self._tether.udid
        check_ipa(ipa, udid=udid, ios=version_of(self._tether.facts))
        self._tether.call("install", seconds=INSTALL_S, path=str(ipa.path.resolve()), developer=True)
        app = self.find()
        if app is None:
            what = f"{named(udid)} reported that it installed {ipa.bundle_id!r}, but does not have it"
            raise ios_error(IosTrouble.APP, what, udid=udid, command="install")
        return app

    def renew(self, refusal: IosError) -> InstalledApp:
        """Return the app, installed anew with the profile of the IPA, after iOS refused to start it.

        Raises ``refusal`` if another profile does not help, or an error that says that the profile has expired.
        """
        if not self._tether.call("expired"):
            raise refusal
        ipa = self._tether.options.ipa
        if ipa is None:
            udid = self._tether.udid
            what = f"{named(udid)} has a runner app whose profile has expired"
            raise ios_error(IosTrouble.PROFILE, what, udid=udid, output=refusal.output) from refusal
        self._app = self.install(ipa)
        return self._app

    def _ensure(self) -> InstalledApp:
        installed, ipa = self.find(), self._tether.options.ipa
        if ipa is not None:
            self._check_version(repr(str(ipa.path)), ipa.version)
            return installed if installed is not None and _is_from(installed, ipa) else self.install(ipa)
        udid = self._tether.udid
        if installed is None:
            raise ios_error(IosTrouble.APP, f"{named(udid)} does not have the runner app", udid=udid)
        self._check_version(named(udid), installed.version)
        return installed

    def _check_version(self, place: str, version: str) -> None:
        if version != __version__:
            what = f"{place} has runner app {version or 'without a version'}, phonebench is {__version__}"
            raise ios_error(IosTrouble.APP, what, udid=self._tether.udid)

    def _forget(self) -> None:
        self._app = None


def _is_from(app: InstalledApp, ipa: Ipa) -> bool:
    """Whether an app was built as the one in an IPA; the profiles that they are signed with may differ."""
    there = (app.bundle_id, app.version, app.digest, app.runtimes)
    return bool(ipa.digest) and there == (ipa.bundle_id, ipa.version, ipa.digest, ipa.runtimes)


def installed_app(values: dict[str, Any]) -> InstalledApp:
    """Read what an iPhone says about an installed app."""
    return InstalledApp(
        bundle_id=str(values["CFBundleIdentifier"]),
        executable=str(values.get("CFBundleExecutable") or ""),
        version=str(values.get("CFBundleShortVersionString") or ""),
        digest=str(values.get("PhonebenchRunnerDigest") or ""),
        runtimes=tuple(map(str, values.get("PhonebenchRuntimes") or ())),
        path=str(values.get("Path") or ""),
    )
