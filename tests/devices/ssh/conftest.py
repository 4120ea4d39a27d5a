"""A lab with keys and a client per test file, and the wheels of the runtimes, which are fetched once and kept."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import platformdirs
import pytest

from tests.devices.ssh.lab import Lab, need_sshd


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Generator[Lab]:
    """A lab whose client and cache are those of this process for as long as the file lasts."""
    need_sshd()
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.prepare()
    cache = made.folder / "cache" / "phonebench"
    cache.mkdir(parents=True)
    # The developer's own cache keeps the wheels between sessions; nothing else of it is touched.
    kept = platformdirs.user_cache_path("phonebench") / "board-wheels"
    kept.mkdir(parents=True, exist_ok=True)
    (cache / "board-wheels").symlink_to(kept)
    before = dict(os.environ)
    os.environ.update(made.environment())
    yield made
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """An empty folder to run commands in."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder
