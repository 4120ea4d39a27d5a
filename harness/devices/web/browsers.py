"""The browsers that can be driven: by name, where they usually are, or by the path of any of Chromium's family."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DeviceError, suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A browser by its commands in PATH, its places on macOS, and the Debian package that brings it, if any."""

    commands: tuple[str, ...]
    applications: tuple[str, ...] = ()
    package: str = ""


# By the name in ``web:NAME``.
BROWSERS: dict[str, Family] = {
    "chromium": Family(
        commands=("chromium", "chromium-browser"),
        applications=("Chromium.app/Contents/MacOS/Chromium",),
        package="chromium",
    ),
    "chrome": Family(
        commands=("google-chrome", "google-chrome-stable"),
        applications=("Google Chrome.app/Contents/MacOS/Google Chrome",),
    ),
    "edge": Family(
        commands=("microsoft-edge", "microsoft-edge-stable"),
        applications=("Microsoft Edge.app/Contents/MacOS/Microsoft Edge",),
    ),
    "brave": Family(
        commands=("brave-browser", "brave"),
        applications=("Brave Browser.app/Contents/MacOS/Brave Browser",),
    ),
}
_APPLICATIONS = Path("/Applications")


def find_browser(name: str) -> Path:
    """Return the program of a browser, given by name or path. Raises `DeviceError` if it is not there."""
    if is_path(name):
        path = Path(name).expanduser()
        if path.is_file() and os.access(path, os.X_OK):
            return path
        what = "is not a program that can be run" if path.exists() else "does not exist"
        msg = f"the browser {str(path)!r} {what}; give the path of a browser of Chromium's family"
        raise DeviceError(msg)
    found = installed(name)
    if found is None:
        family = BROWSERS[name]
        how = f"run: apt-get install {family.package}" if family.package else "install it"
        msg = f"there is no browser {name!r} in PATH; {how}, or give the path of another one: web:/path/to/browser"
        raise DeviceError(msg)
    return found


def installed(name: str) -> Path | None:
    """Return the program of a browser given by name, None if it is not installed."""
    family = BROWSERS[name]
    inside = (_APPLICATIONS / place for place in family.applications)
    command = next((path for path in map(shutil.which, family.commands) if path), None)
    return Path(command) if command else next((path for path in inside if path.is_file()), None)


def first_installed() -> str:
    """Return the name of the first browser of `BROWSERS` that is installed. Raises `DeviceError` if there is none."""
    name = next((name for name in BROWSERS if installed(name)), None)
    if name is None:
        msg = (
            "there is no browser in PATH; run: apt-get install chromium, give the path of one of Chromium's family "
            "(web:/path/to/browser), or drive another one by hand: web:link"
        )
        raise DeviceError(msg)
    return name


def is_path(name: str) -> bool:
    """Return whether the name of a device is a path and not one of `BROWSERS`."""
    return name.startswith(("/", "./", "../", "~"))


def check_browser(name: str, others: tuple[str, ...]) -> None:
    """Raise `DeviceError` unless ``name`` is a path, a browser of `BROWSERS`, or one of ``others``."""
    if not is_path(name) and name not in BROWSERS and name not in others:
        names = (*BROWSERS, *others)
        msg = f"device 'web:{name}' is not known; {suggestion(name, names)}, or a path such as web:/opt/browser/chrome"
        raise DeviceError(msg)
