"""Second opinions: the tools of libimobiledevice, which share no code with pymobiledevice3 or with us."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.viphone.usbmuxd import Usbmuxd

TOOLS = ("idevice_id", "ideviceinfo", "ideviceinstaller", "idevicepair", "idevicesyslog")
RUN_S = 30


def missing_tools() -> str:
    """The Debian packages that are missing here; empty if none is."""
    there = all(shutil.which(tool) for tool in TOOLS)
    return "" if there else "libimobiledevice-utils ideviceinstaller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a tool ended, with both its outputs together."""

    code: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The tools with one daemon; ``home`` takes what they store."""

    daemon: Usbmuxd
    home: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment in which they talk to that daemon alone."""
        return os.environ | {"USBMUXD_SOCKET_ADDRESS": self.daemon.address, "HOME": str(self.home)}

    def run(self, *words: str, timeout_s: float = RUN_S) -> Said:
        """Run one; raises `subprocess.TimeoutExpired`."""
        done = subprocess.run(
            words, env=self.env, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
        return Said(code=done.returncode, text=done.stdout + done.stderr)
