"""The environment of the worker process: pymobiledevice3 and what it needs, apart from phonebench's own packages.

It is apart for three reasons. Its packages want other versions than the converters for ``.tflite``. It is published
under the GPL, so it stays a separate program. And an iOS tunnel in user space takes one process per phone. The folder
is named by the digest of the lock file, so a new version of phonebench makes a new one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from harness.devices.ios.advice import ios_error
from harness.errors import IosError, IosTrouble, MissingPackageError

LOCK = Path(__file__).with_name("driver.lock")
# The one command that makes the environment.
COMMAND = "phonebench runner install ios --runtime driver"
_PACKAGE = "pymobiledevice3"
_READY = ".complete"
_INSTALL_S = 600.0


def default_folder() -> Path:
    """Return where this user's environment is, whether or not it has been made."""
    from platformdirs import user_cache_path

    return user_cache_path("phonebench") / "ios" / f"{_PACKAGE}-{_version()}-{_digest()}"


def driver_python(folder: Path | None = None) -> Path:
    """Return the interpreter of the environment. Raises `IosError` if it has not been made."""
    folder = folder or default_folder()
    python = _interpreter(folder)
    if not (folder / _READY).is_file() or not python.exists():
        what = f"the iPhone driver ({_PACKAGE} {_version()}) is not installed"
        raise ios_error(IosTrouble.NO_DRIVER, what)
    return python


def make_environment(folder: Path | None = None) -> Path:
    """Make the environment where it is missing, and return its interpreter; nothing is downloaded if it is there.

    Raises `MissingPackageError` without uv, and `IosError` if the packages cannot be installed.
    """
    from filelock import FileLock

    folder = folder or default_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        try:
            return driver_python(folder)
        except IosError:
            _make(folder)
    return _interpreter(folder)


def driver_version() -> str:
    """Return the pinned version, such as ``pymobiledevice3 11.45.0``."""
    return f"{_PACKAGE} {_version()}"


def _make(folder: Path) -> None:
    uv = _uv()
    shutil.rmtree(folder, ignore_errors=True)
    _run([*uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)])
    # Every file is a wheel with a known digest, so no compiler is needed and nothing else can get in.
    into = ["pip", "install", "--quiet", "--python", str(_interpreter(folder)), "--require-hashes", "--no-deps"]
    _run([*uv, *into, "--only-binary", ":all:", "--requirement", str(LOCK)])
    (folder / _READY).write_text(_digest(), encoding="utf-8")


def _uv() -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    program = shutil.which("uv")
    if program is None:
        raise MissingPackageError(package="uv", extra="ios", purpose="the iPhone driver")
    return [program]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ios_error(IosTrouble.NO_DRIVER, f"the iPhone driver could not be installed: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        what = f"the iPhone driver could not be installed: {said[-1].strip() if said else 'uv said nothing'}"
        raise ios_error(IosTrouble.NO_DRIVER, what, output=done.stderr)


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@cache
def _digest() -> str:
    """The digest of the lock file and of the Python installation that it is made from."""
    text = f"{sys.version_info.major}.{sys.version_info.minor} {sys.base_prefix}\n".encode() + LOCK.read_bytes()
    return hashlib.sha256(text).hexdigest()[:12]


@cache
def _version() -> str:
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return next(line.split("==")[1].split()[0] for line in lines if line.startswith(f"{_PACKAGE}=="))
