"""Fixes a board's clocks while it is measured, and puts them back, even after a crash.

The governors are written to a file before anything changes. If a session cannot put them back, the next one does.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from harness.runners.host.readings import ROOT, read_text

FIXED = "performance"
_FILE = "governors.json"
_SUDO_S = 10.0


def policies(root: Path = ROOT) -> list[Path]:
    """Return the folders with the clock settings of each core, in order."""
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")
    return sorted(folders, key=lambda folder: int(folder.parent.name.removeprefix("cpu")))


def fix_clocks(store: Path, root: Path = ROOT) -> str | None:
    """Set every core to its highest clock (governor ``performance``); return why that is not possible, or None."""
    files = [folder / "scaling_governor" for folder in policies(root)]
    before = {str(file): read_text(file) for file in files}
    if not before:
        return "the system has no settings for its clocks (cpufreq)"
    half = store / f"{_FILE}.tmp"
    half.write_text(json.dumps(before), encoding="utf-8")
    half.rename(store / _FILE)
    for file in files:
        if not _write(file, FIXED):
            put_back_clocks(store)
            return f"the user may not write {str(file)!r}, neither directly nor with sudo without a password"
    return None


def put_back_clocks(store: Path) -> None:
    """Put back the governors that were changed, if any were."""
    kept = store / _FILE
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for file, governor in before.items():
        if governor and read_text(Path(file)) != governor:
            _write(Path(file), governor)
    kept.unlink(missing_ok=True)


def _write(file: Path, text: str) -> bool:
    try:
        file.write_text(text, encoding="ascii")
    except OSError:
        command = ["sudo", "-n", "tee", str(file)]
        try:
            subprocess.run(command, input=text, text=True, capture_output=True, timeout=_SUDO_S, check=False)
        except (OSError, subprocess.SubprocessError):
            return False
    return read_text(file) == text
