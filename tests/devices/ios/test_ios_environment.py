"""The environment of the iPhone driver: made once from locked wheels, apart from phonebench's own packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.devices.ios.environment import LOCK, default_folder, driver_python, driver_version, make_environment
from harness.errors import IosError, IosTrouble


@pytest.fixture(scope="module")
def python() -> Path:
    return make_environment()


def test_the_environment_holds_the_pinned_library_and_nothing_of_ours(python: Path) -> None:
    code = (
        "import importlib.metadata as m, importlib.util as u; "
        "print('pymobiledevice3', m.version('pymobiledevice3'), u.find_spec('msgspec'), u.find_spec('harness'))"
    )
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*driver_version().split(), "None", "None"]


def test_our_own_environment_does_not_hold_the_library(python: Path) -> None:
    assert Path(sys.executable) != python
    code = "import importlib.util as u; print(u.find_spec('pymobiledevice3'))"
    assert subprocess.check_output([sys.executable, "-I", "-c", code], text=True).strip() == "None"


def test_making_it_again_changes_nothing(python: Path) -> None:
    before = python.parent.parent.stat().st_mtime_ns
    assert make_environment() == python
    assert python.parent.parent.stat().st_mtime_ns == before


def test_an_environment_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    with pytest.raises(IosError, match="phonebench runner install ios --runtime driver") as raised:
        driver_python(tmp_path)
    assert raised.value.trouble is IosTrouble.NO_DRIVER


def test_the_lock_pins_every_package_by_digest_and_names_no_place() -> None:
    text = LOCK.read_text()
    assert "://" not in text
    assert "index-url" not in text
    pinned = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
    assert len(pinned) > 50
    assert text.count("--hash=sha256:") >= len(pinned)


def test_the_folder_says_which_version_it_holds() -> None:
    assert driver_version().split()[1] in default_folder().name
