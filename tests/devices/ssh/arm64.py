"""A board with an ARM processor: an arm64 root made of Debian's packages, which qemu runs, behind a native ssh server.

The root is made once and kept in the developer's cache folder. Nothing in it is configured; unpacked packages are
enough for a shell and Python. What qemu computes depends on the processor that it imitates, so that is fixed, and the
kernel's description of the processor is replaced by one that matches it.

The kernel keeps the interpreter for such programs until the next boot; it has a name of ours.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock

from tests.conftest import MISSING
from tests.devices.ssh.lab import Lab, NamespaceBoard, need_namespaces

PACKAGES = ("python3-minimal", "python3", "libstdc++6", "coreutils", "dash", "grep", "sed", "procps", "base-files")
QEMU = Path("/usr/bin/qemu-aarch64-static")
# The developer's own cache: a lab sets another one for phonebench while its tests run.
KEPT = platformdirs.user_cache_path("phonebench-tests")
# Raised when what is made here changes.
VERSION = 3
# From binfmt.d(5): an ELF file for 64-bit ARM. With F, the interpreter is opened now and is there in any root.
BINFMT = (
    r":phonebench-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
    f"{QEMU}:F"
)
_CPUINFO = """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: {part}
CPU revision\t: 1

"""
A76_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
A72_FEATURES = "fp asimd evtstrm crc32 cpuid"


def cpuinfo(part: str, features: str, *, cores: int = 4) -> str:
    """The text of /proc/cpuinfo on a board."""
    return "".join(_CPUINFO.format(core=core, part=part, features=features) for core in range(cores))


def need_arm64() -> Path:
    """Return the arm64 root, made if need be; skip the test where that is not possible."""
    need_namespaces()
    if not QEMU.exists():
        pytest.skip(f"{MISSING}qemu-user-static")
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip(f"{MISSING}apt and dpkg, which make the arm64 root")
    KEPT.mkdir(parents=True, exist_ok=True)
    root = KEPT / f"arm64-{VERSION}"
    with FileLock(KEPT / "arm64.lock"):
        if not root.exists():
            begun = KEPT / "arm64.begun"
            shutil.rmtree(begun, ignore_errors=True)
            _make_root(begun)
            begun.rename(root)
    return root


def _make_root(root: Path) -> None:
    """Fetch the packages with all that they need, and unpack them."""
    apt = root / "apt"
    (apt / "state" / "lists" / "partial").mkdir(parents=True)
    (apt / "cache" / "archives" / "partial").mkdir(parents=True)
    (apt / "status").touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Debug::NoLocking": "1",
    }
    apt_get = ["apt-get", "-qq", "-y", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    for command in (["update"], ["install", "--no-install-recommends", "--download-only", *PACKAGES]):
        done = subprocess.run([*apt_get, *command], capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            pytest.skip(f"{MISSING}Debian's arm64 packages ({done.stderr.strip()[:300]})")
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True, timeout=120)
    shutil.rmtree(apt)
    # The ssh server starts the shell that root has on this computer.
    for shell in ("sh", "bash"):
        (root / "bin" / shell).unlink(missing_ok=True)
        (root / "bin" / shell).symlink_to("dash")
    for folder in ("proc", "sys", "dev", "tmp", "root", "var/cache", "run"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    _compile(root)


def _compile(root: Path) -> None:
    """Compile the library of Debian's Python here, if this Python writes the same files: qemu takes minutes for it."""
    library = root / "usr" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if library.is_dir():
        compileall.compile_dir(library, quiet=2, stripdir=str(root), workers=0)


class ArmBoard(NamespaceBoard):
    """A board that qemu imitates. ``machine`` is the folder with what stands in for its hardware."""

    def __init__(self, lab: Lab, name: str, number: int, root: Path) -> None:
        super().__init__(lab, name, number)
        self._arm = root

    def boot(
        self, *, qemu_cpu: str = "cortex-a76", cpu: str, sysfs: Path | None = None, tools: Path | None = None
    ) -> None:
        """Boot with this processor, its description ``cpu``, a tree for /sys, and programs of the board's maker."""
        (self.root / "cpuinfo").write_text(cpu)
        for name in ("upper", "work"):
            (self.root / name).mkdir(exist_ok=True)
        # The server wants every folder above the root to belong to root alone.
        top = "/mnt"
        layers = f"lowerdir={self._arm},upperdir={self.root}/upper,workdir={self.root}/work"
        setup = [
            # Each board writes into a layer of its own.
            f"mount -t overlay overlay -o {layers} {top}",
            f"mount -t proc proc {top}/proc",
            f"mount --bind {self.root}/cpuinfo {top}/proc/cpuinfo",
            f"mount --bind {self.root}/boot_id {top}/proc/sys/kernel/random/boot_id",
            f"mount --bind /dev {top}/dev",
            f"mount -t tmpfs tmpfs {top}/tmp",
            "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null || true",
            "[ -e /proc/sys/fs/binfmt_misc/phonebench-aarch64 ] ||"
            f" printf '%s' '{BINFMT}' > /proc/sys/fs/binfmt_misc/register",
        ]
        if sysfs is not None:
            setup.append(f"mount --bind {sysfs} {top}/sys")
        if tools is not None:
            setup += [f"mkdir -p {top}/usr/local/bin", f"mount --bind {tools} {top}/usr/local/bin"]
        values = {
            "QEMU_CPU": qemu_cpu,
            "XDG_CACHE_HOME": "/var/cache",
            "HOME": "/root",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }
        self.start(environment=values, setup=setup, lines=[f"ChrootDirectory {top}"])
