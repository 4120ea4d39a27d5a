"""What all tests share: a cache with the digits artifacts, built once, and the command line as a function."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.loop.durations import Recorder
from tests.loop.shared import SharedFolder, kept, session_folder, sources_of_artifacts

# A skip whose reason starts with this is due to the machine, not the code: continuous integration must not have one.
MISSING = "missing: "

# A build of a language model takes three minutes on a slow computer, and others compute beside it.
CALL_S = 600

# If this is set, every process that a test starts recompiles torch, pandas and so on, which takes minutes in total.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return standard output, read as JSON."""
        return json.loads(self.out)


CommandLine = Callable[..., Called]


def call_phonebench(*args: str, cwd: Path, env: dict[str, str] | None = None, timeout_s: float = CALL_S) -> Called:
    """Run the real command line in a separate process, as a user would."""
    return call_python("-m", "harness", *args, cwd=cwd, env=env, timeout_s=timeout_s)


def call_python(*args: str, cwd: Path, env: dict[str, str] | None = None, timeout_s: float = CALL_S) -> Called:
    """Run Python in a separate process that finds this package."""
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Called(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedFolder:
    """The folder that all test processes of this session share."""
    return session_folder(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def built_cache(shared: SharedFolder) -> Path:
    """A cache folder that holds the sixteen digits artifacts and nothing else; only to be read or copied."""

    def build(folder: Path) -> None:
        done = call_phonebench("build", "digits", "--cache-dir", str(folder), cwd=folder)
        assert done.code == 0, done.err

    return shared.once("built-cache", lambda folder: kept("digits", sources_of_artifacts("digits"), build, folder))


@pytest.fixture(scope="session")
def working_cache(built_cache: Path, shared: SharedFolder) -> Path:
    """A copy of that cache for tests that build more; every test process may add to it, and none removes anything."""
    return shared.once("working-cache", lambda folder: shutil.copytree(built_cache, folder, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def digits_files(built_cache: Path) -> dict[tuple[str, str], Path]:
    """The digits artifacts by format and variant."""
    manifests = [(path, json.loads(path.read_text())) for path in built_cache.glob("artifacts/*/*/manifest.json")]
    return {(facts["format"], facts["variant"]): path.with_name(facts["file"]) for path, facts in manifests}


@pytest.fixture
def phonebench(tmp_path: Path, working_cache: Path) -> CommandLine:
    """The command line with results in ``tmp_path / "results"`` and the session's working cache."""
    places = {"PHONEBENCH_RESULTS": str(tmp_path / "results"), "PHONEBENCH_CACHE": str(working_cache)}

    def call(*args: str, env: dict[str, str] | None = None, timeout_s: float = CALL_S) -> Called:
        return call_phonebench(*args, cwd=tmp_path, env=places | (env or {}), timeout_s=timeout_s)

    return call


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Turn a skip for something that is not installed into a failure in continuous integration."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and MISSING in str(report.longrepr):
        report.outcome = "failed"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that measures how long tests take."""
    parser.addoption("--store-durations", action="store_true", help="write tests/loop/durations.json from this session")


def pytest_configure(config: pytest.Config) -> None:
    """Measure in the process that gets the reports of all tests."""
    if config.getoption("--store-durations") and "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Recorder(), "durations")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Schedule tests with `tests.loop.schedule` when they are distributed by file."""
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.loop.schedule import LongestFirst

    return LongestFirst(config, log)
