"""The page as PDF, printed by a browser of this computer: no library lays out HTML as browsers do."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from harness.devices.web.browsers import find_browser, first_installed
from harness.errors import DeviceError, StoreError, UsageError

# A page of 3,000 cells takes half a minute to print.
DEADLINE_S = 300.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
)


def print_page(page: Path, path: Path) -> Path:
    """Print the file ``page`` to ``path`` and return that. Raises `UsageError` without a browser, else `StoreError`."""
    try:
        browser = find_browser(first_installed())
    except DeviceError as error:
        msg = (
            "a PDF is printed by a browser, and there is none in PATH; run: apt-get install chromium, or use --to html"
        )
        raise UsageError(msg) from error
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(browser), *_FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={path.resolve()}"]
        try:
            done = subprocess.run(
                [*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=DEADLINE_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            msg = f"the browser {str(browser)!r} did not print {str(page)!r}: {error}; use --to html"
            raise StoreError(msg) from error
    if done.returncode or not path.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        msg = (
            f"the browser {str(browser)!r} could not print to {str(path)!r}: {last}; check the folder, or use --to html"
        )
        raise StoreError(msg)
    return path
