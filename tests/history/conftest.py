"""Two places for a history: a file, and a database of a real PostgreSQL server that the tests start."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import MISSING

SERVER_USER = "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A private PostgreSQL server on a unix socket in ``folder``."""

    folder: Path
    programs: Path

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://{SERVER_USER}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Create an empty schema and return its URL; it is as separate as a database and faster to create."""
        import psycopg

        name = f"history_{uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def start(self) -> None:
        """Start the server and wait until it answers; no TCP port is opened."""
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self.control("start", "--wait", "--options", options, "--log", str(self.folder / "log"))

    def control(self, *args: str) -> None:
        """Call ``pg_ctl``."""
        as_server_user([str(self.programs / "pg_ctl"), "--pgdata", str(self.folder / "data"), *args])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running server for all tests, stopped at the end."""
    with running() as started:
        yield started


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A running server for one test, which may stop it."""
    with running() as started:
        yield started


@pytest.fixture(params=["file", "server"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a new history; the test runs once with each kind."""
    if request.param == "file":
        return str(tmp_path / "history.sqlite")
    found: Cluster = request.getfixturevalue("cluster")
    return found.new_database()


class running:  # noqa: N801  a context manager is read as a verb
    """Create and start a cluster in a folder with a short name: the path of a socket is limited to 107 bytes."""

    def __enter__(self) -> Cluster:
        programs = server_programs()
        folder = Path(tempfile.mkdtemp(prefix="phonebench-pg-"))
        if os.geteuid() == 0:
            shutil.chown(folder, SERVER_USER, SERVER_USER)
        self._cluster = Cluster(folder=folder, programs=programs)
        arguments = ["--pgdata", str(folder / "data"), "--username", SERVER_USER, "--auth", "trust", "--no-sync"]
        as_server_user([str(programs / "initdb"), *arguments, "--encoding", "UTF8"])
        self._cluster.start()
        return self._cluster

    def __exit__(self, *_: object) -> None:
        if (self._cluster.folder / "data" / "postmaster.pid").exists():
            self._cluster.control("stop", "--mode", "immediate")
        shutil.rmtree(self._cluster.folder)


def server_programs() -> Path:
    """The folder of the server's programs, which Debian does not add to the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    other = shutil.which("initdb")
    if other is None:
        pytest.skip(f"{MISSING}PostgreSQL's server (Debian: apt-get install postgresql)")
    return Path(other).parent


def as_server_user(command: list[str]) -> None:
    """Run ``command`` as a user that the server accepts: it refuses to run as root."""
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": SERVER_USER, "group": SERVER_USER, "extra_groups": []}
    # Output goes to a file, because the server would keep a pipe open for as long as it runs.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, timeout=120, check=False, cwd="/", **who)
        output.seek(0)
        assert done.returncode == 0, output.read().decode()
