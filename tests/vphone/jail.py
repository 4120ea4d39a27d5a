"""The phone's processes: their own root folder, mounts and process ids, which all end together.

The first process of the namespace waits on a pipe from this process. When the pipe closes, because the phone was closed
or because this process died, however it did, the kernel ends everything in the namespace and drops its mounts.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.vphone.rootfs import build_root

# Android's own; toybox and mksh take what they need from it.
ENVIRONMENT = {
    "ANDROID_DATA": "/data",
    "ANDROID_ROOT": "/system",
    "EXTERNAL_STORAGE": "/sdcard",
    "HOME": "/",
    "LANG": "C.UTF-8",
    "PATH": "/system/bin:/system/xbin:/vendor/bin",
    "SHELL": "/system/bin/sh",
    "TMPDIR": "/data/local/tmp",
    "USER": "shell",
}
# The least that /data can have; 0 would be no limit at all.
PAGE_BYTES = 4096
# By their full names, because a command of the phone is started with the phone's own PATH.
NSENTER, SETSID = "/usr/bin/nsenter", "/usr/bin/setsid"
# The mounts of one phone. $1 is its root, $2 the size of /data. SIGCHLD is ignored so that no orphan stays a zombie.
MOUNT = """
set -e
read pid rest < /proc/self/stat
mount -t proc proc "$1/proc"
mount -t tmpfs -o "size=$2,mode=0771" data "$1/data"
for node in null zero full random urandom tty; do mount --bind "/dev/$node" "$1/dev/$node"; done
mount --bind /dev/pts "$1/dev/pts"
mount --bind "$1/fake/sys" "$1/sys"
mount -o remount,bind,ro "$1/sys"
for file in meminfo loadavg; do mount --bind "$1/fake/proc/$file" "$1/proc/$file"; done
mount --bind "$1/fake/proc/boot_id" "$1/proc/sys/kernel/random/boot_id"
mkdir -p -m 0771 "$1/data/local/tmp" "$1/data/data" "$1/data/app" "$1/data/media/0"
echo "$pid"
trap '' CHLD
exec chroot "$1" /system/bin/toybox cat
"""


class JailError(RuntimeError):
    """The namespaces could not be made, or a command in them failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """The standard streams of a process of the phone, as file descriptors or subprocess constants."""

    stdin: int | IO[bytes]
    stdout: int | IO[bytes]
    stderr: int | IO[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a line of shell ended."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both outputs together, for messages and for tests that look for a word."""
        return (self.out + self.err).decode(errors="replace")


class Jail:
    """The namespaces of one phone. ``outer`` is its root folder on this computer, before the mounts."""

    def __init__(self, folder: Path, *, data_bytes: int) -> None:
        self.outer = folder / "root"
        self.fill_after_bytes: int | None = None
        build_root(self.outer)
        joined = ("-m", "-p", *(("-U", "--preserve-credentials") if os.geteuid() else ()))
        first = [*_unshare(), "sh", "-c", MOUNT, "sh", str(self.outer)]
        self._first = subprocess.Popen(
            [*first, str(data_bytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._first.stdout is not None
        line = self._first.stdout.readline()
        if not line.strip():
            _, complaint = self._first.communicate()
            msg = f"the virtual phone could not make its namespaces: {complaint.decode(errors='replace').strip()}"
            raise JailError(msg)
        self.pid = int(line)
        self._enter = (NSENTER, "-t", str(self.pid), *joined)

    @property
    def root(self) -> Path:
        """The phone's root as its own processes see it, mounts included."""
        return Path(f"/proc/{self.pid}/root")

    def resolve(self, path: str, *, follow_last: bool = True) -> Path:
        """Where a path of the phone is on this computer; symbolic links are followed within the phone's root."""
        done, todo, hops = Path("/"), [p for p in path.split("/") if p not in ("", ".")], 0
        while todo:
            name = todo.pop(0)
            if name == "..":
                done = done.parent
                continue
            here = self.root / str(done / name).lstrip("/")
            if (follow_last or todo) and here.is_symlink() and hops < 40:
                hops += 1
                target = here.readlink()
                todo = [part for part in target.parts if part != "/"] + todo
                done = Path("/") if target.is_absolute() else done
            else:
                done = done / name
        return self.root / str(done).lstrip("/")

    def spawn(self, command: list[str], pipes: Pipes, *, terminal: bool = False) -> subprocess.Popen[bytes]:
        """Start a command of the phone, in its root; with ``terminal`` stdin is a terminal that it controls."""
        enter = [*self._enter, f"-r{self.root}", f"-w{self.root}"]
        return self._start([*((SETSID, "--ctty") if terminal else ()), *enter, "--", *command], pipes, ENVIRONMENT)

    def spawn_outside(self, command: list[str], pipes: Pipes) -> subprocess.Popen[bytes]:
        """Start a program of this computer among the phone's processes, with its mounts, but not in its root."""
        return self._start([*self._enter, "--", *command], pipes, dict(os.environ))

    def call(self, script: str, stdin: bytes = b"") -> Ended:
        """Run a line of shell on the phone, without adb, until it ends."""
        pipes = Pipes(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.spawn(["/system/bin/sh", "-c", script], pipes) as process:
            out, err = process.communicate(stdin)
        return Ended(code=process.returncode, out=out, err=err)

    def run(self, script: str) -> str:
        """Run a line of shell on the phone and return what it prints; raises `JailError` when it fails."""
        ended = self.call(script)
        if ended.code:
            msg = f"on the phone {script!r} ended with {ended.code}: {ended.text}"
            raise JailError(msg)
        return ended.out.decode()

    def used_bytes(self) -> int:
        """How much is stored on /data."""
        disk = os.statvfs(self.root / "data")
        return (disk.f_blocks - disk.f_bfree) * disk.f_frsize

    def wrote(self, size: int) -> None:
        """Count what was pushed; once it is what ``fill_after_bytes`` allows, somebody else has taken the rest."""
        if self.fill_after_bytes is None:
            return
        self.fill_after_bytes -= size
        if self.fill_after_bytes <= 0:
            self.fill_after_bytes = None
            self.resize_data(max(self.used_bytes(), PAGE_BYTES))

    def resize_data(self, size_bytes: int) -> None:
        """Set the size of /data; raises `JailError` if more than that is stored."""
        command = ["mount", "--options-source=disable", "-o", f"remount,size={size_bytes}", str(self.outer / "data")]
        pipes = Pipes(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with self.spawn_outside(command, pipes) as process:
            _, err = process.communicate()
        if process.returncode:
            msg = f"/data cannot have {size_bytes} bytes: {err.decode(errors='replace').strip()}"
            raise JailError(msg)

    def kill_all(self) -> None:
        """End every process of the phone but the first, as a reboot does."""
        with self.spawn(["/system/bin/toybox", "kill", "-9", "-1"], _nothing()) as process:
            process.wait()

    def close(self) -> None:
        """End every process of the phone, drop its mounts, and remove its root."""
        if self._first.poll() is None:
            self._first.send_signal(signal.SIGKILL)
        self._first.communicate()
        shutil.rmtree(self.outer, ignore_errors=True)

    @staticmethod
    def _start(command: list[str], pipes: Pipes, env: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            stderr=pipes.stderr,
            env=env,
        )


@functools.cache
def namespaces_refused() -> str:
    """Why this machine does not allow a phone's namespaces; empty if it does."""
    done = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def _unshare() -> list[str]:
    """Create new namespaces for mounts and process ids; an ordinary user becomes root in a user namespace."""
    user = ["--user", "--map-root-user"] if os.geteuid() else []
    return ["unshare", *user, "-m", "-p", "-f", "--kill-child"]


def _nothing() -> Pipes:
    return Pipes(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
