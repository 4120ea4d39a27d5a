"""The phone's root folder: Android's shell and toolbox, commands that ask the phone, and empty places to mount on."""

from __future__ import annotations

import functools
import re
import shutil
import stat
import subprocess
from pathlib import Path

MKSH = Path("/bin/mksh-static")
TOYBOX = Path("/usr/bin/toybox")
# What a machine must have to run a phone, by the Debian package that brings it.
NEEDED = {"mksh": MKSH, "toybox": TOYBOX, "util-linux": Path("/usr/bin/nsenter")}

# The commands that the phone process answers, see `calls`.
ASKED = (
    "perfetto",
    "am",
    "cmd",
    "content",
    "date",
    "dumpsys",
    "getconf",
    "getprop",
    "input",
    "liblog",
    "log",
    "logcat",
    "pm",
    "reboot",
    "setprop",
    "settings",
    "svc",
    "wm",
)
ASK = """#!/system/bin/sh
# A file is written through a pipe: opened anew by the phone process, it would not share this shell's place in it.
if [ -f "/proc/$$/fd/1" ]; then set -o pipefail; "$0" "$@" | toybox cat; exit "$?"; fi
# The phone process answers on this shell's own standard streams, so it needs to know its number and the arguments.
# While it forks for the line below the shell has both elsewhere, so they get numbers that stay.
exec 8<&0 9>&1
code=$(print -rN -- "$$" "${0##*/}" "$#" "$@" | toybox nc -U /dev/socket/phone)
exit "${code:-1}"
"""
# Whether it is allowed is asked of the phone; the command then runs here, in the app's own folder.
RUN_AS = """#!/system/bin/sh
exec 8<&0 9>&1
code=$(print -rN -- "$$" run-as "$#" "$@" | toybox nc -U /dev/socket/phone)
[ "$code" = 0 ] || exit "${code:-1}"
cd "/data/data/$1" && shift && exec 8<&- 9>&- && exec "$@"
"""
FOLDERS = ("dev/pts", "dev/socket", "system/etc", "system/xbin", "vendor/bin", "apex", "storage", "lib", "lib64")
MOUNTED = ("data", "proc", "sys", "fake/proc", "fake/sys")
PASSWD = "root:x:0:0::/:/system/bin/sh\nshell:x:2000:2000::/:/system/bin/sh\n"
GROUP = "root:x:0:\nshell:x:2000:\n"
LINKS = {"bin": "system/bin", "etc": "system/etc", "sdcard": "storage/emulated/0", "storage/emulated": "/data/media"}
NODES = ("null", "zero", "full", "random", "urandom", "tty")


def missing() -> str:
    """Name the Debian packages that a phone needs and this machine lacks; empty when it has all."""
    return " ".join(package for package, path in NEEDED.items() if not path.exists())


def build_root(root: Path) -> None:
    """Make the root folder of a phone."""
    for folder in (*FOLDERS, *MOUNTED, "system/bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    for node in NODES:
        (root / "dev" / node).touch()
    for file in ("meminfo", "loadavg", "boot_id"):
        (root / "fake/proc" / file).touch()
    (root / "system/etc/passwd").write_text(PASSWD)
    (root / "system/etc/group").write_text(GROUP)
    _install_toolbox(root)
    for name, script in {**dict.fromkeys(ASKED, ASK), "run-as": RUN_AS}.items():
        _write_program(root / "system/bin" / name, script)


def _install_toolbox(root: Path) -> None:
    programs = root / "system/bin"
    shutil.copy(MKSH, programs / "sh")
    shutil.copy(TOYBOX, programs / "toybox")
    for library in _libraries():
        place = root / str(library).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    for applet in _applets():
        (programs / applet).symlink_to("toybox")


@functools.cache
def _applets() -> tuple[str, ...]:
    """The commands that toybox has."""
    output = subprocess.run([TOYBOX], capture_output=True, text=True, check=True).stdout
    return tuple(word for word in output.split() if "/" not in word)


@functools.cache
def _libraries() -> tuple[Path, ...]:
    """The shared libraries and the loader that toybox needs."""
    output = subprocess.run(["ldd", TOYBOX], capture_output=True, text=True, check=True).stdout
    return tuple(Path(found) for found in re.findall(r"(/\S+) \(0x", output))


def _write_program(path: Path, script: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
