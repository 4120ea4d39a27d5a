"""Everything that can go wrong with a database: each error says what to do, and nothing is half written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from harness.errors import StoreError
from harness.history.database import History, open_history
from harness.history.ingest import append
from harness.history.queries import list_series, nights_of
from tests.history.conftest import Cluster
from tests.history.nights import SERIES, entry, run_facts


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A history of a hundred nights in a file."""
    path = tmp_path / "history.sqlite"
    with open_history(str(path), create=True) as history:
        for night in range(100):
            append(history, run_facts(night), [entry(1e6)])
    return path


def test_a_locked_file(filled: Path) -> None:
    other = sqlite3.connect(filled, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_history(str(filled), wait_s=0.1) as history:
        with pytest.raises(StoreError, match="being written by another process"):
            append(history, run_facts(100), [entry(1e6)])
        assert len(nights_of(history, SERIES.name)) == 100
        other.execute("ROLLBACK")
        assert append(history, run_facts(100), [entry(1e6)]).added == 1
    other.close()


@pytest.mark.parametrize("share", [0.9, 0.5, 0.02])
def test_a_truncated_file(filled: Path, share: float) -> None:
    os.truncate(filled, int(filled.stat().st_size * share))
    with pytest.raises(StoreError, match="damaged|cut off"), open_history(str(filled)) as history:
        nights_of(history, SERIES.name)


def test_an_empty_file_is_not_a_new_history(filled: Path) -> None:
    filled.write_bytes(b"")
    with pytest.raises(StoreError, match="is empty"), open_history(str(filled), create=True):
        pass
    assert filled.read_bytes() == b""


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("the nights were long\n" * 500)
    with pytest.raises(StoreError, match="is not a history"), open_history(str(path), create=True):
        pass
    assert path.read_text().startswith("the nights")


def test_a_foreign_database(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE value (a)")
    other.close()
    with pytest.raises(StoreError, match="is not a phonebench history"), open_history(str(path), create=True):
        pass


def test_another_version(filled: Path) -> None:
    with sqlite3.connect(filled) as other:
        other.execute("UPDATE phonebench_history SET schema_version = 99")
    other.close()
    with pytest.raises(StoreError, match="schema 99, but this phonebench reads schema 1"), open_history(str(filled)):
        pass


@pytest.mark.parametrize("name", ["none.sqlite", ".", "missing/none.sqlite"])
def test_a_missing_history(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="no history|not a file"), open_history(str(tmp_path / name)):
        pass


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that this test can read and not write. Root can write everywhere, so the test drops its privileges."""
    folder = Path(tempfile.mkdtemp(prefix="phonebench-readonly-"))
    with open_history(str(folder / "history.sqlite"), create=True) as history:
        append(history, run_facts(0), [entry(1e6)])
    (folder / "history.sqlite").chmod(0o444)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_disk_can_be_read(as_nobody: Path) -> None:
    with open_history(str(as_nobody / "history.sqlite")) as history:
        assert [n.figures for n in nights_of(history, SERIES.name)] == [entry(1e6).figures]
        with pytest.raises(StoreError, match="cannot be written"):
            append(history, run_facts(1), [entry(1e6)])


def test_a_new_history_on_a_read_only_disk(as_nobody: Path) -> None:
    with pytest.raises(StoreError, match="cannot"), open_history(str(as_nobody / "new.sqlite"), create=True):
        pass


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres://u:secret@/d?host=/nowhere", "cannot be reached"),
        ("mysql://u:secret@h/d", "can hold a history"),
        ("postgresql://u:secret@h:port/d", "not a database URL"),
        ("sqlite://", "can hold a history"),
        ("://", "not a database URL"),
        ("postgresql://u:secret@127.0.0.1:1/d", "cannot be reached"),
        ("postgresql://u:secret@/d?host=/nowhere", "cannot be reached"),
    ],
)
def test_a_wrong_url(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught, open_history(url, create=True):
        pass
    assert "secret" not in str(caught.value)
    assert "history ingest" in str(caught.value) or "postgresql://USER@HOST" in str(caught.value)


def test_a_database_that_does_not_exist(cluster: Cluster) -> None:
    with pytest.raises(StoreError, match="does not exist"), open_history(cluster.url("nothing"), create=True):
        pass


def test_a_server_without_a_history(cluster: Cluster) -> None:
    with pytest.raises(StoreError, match="is not a phonebench history"), open_history(cluster.new_database()):
        pass


def test_a_connection_that_breaks_halfway_writes_nothing(cluster: Cluster) -> None:
    url = cluster.new_database()
    with open_history(url, create=True) as history:
        append(history, run_facts(0), [entry(1e6)])
        with pytest.raises(StoreError, match="connection was lost"):
            delete_and_break(history, url)
        assert len(nights_of(history, SERIES.name)) == 1


def delete_and_break(history: History, url: str) -> None:
    """Delete everything in a transaction whose connection the server ends before the commit."""
    with history.writing() as connection:
        connection.exec_driver_sql("DELETE FROM value")
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (own,))
        connection.exec_driver_sql("DELETE FROM series")


def test_a_server_that_stops_and_comes_back(own_cluster: Cluster) -> None:
    with open_history(own_cluster.new_database(), create=True) as history:
        append(history, run_facts(0), [entry(1e6)])
        own_cluster.control("stop", "--mode", "immediate")
        with pytest.raises(StoreError, match=r"connection was lost.*history ingest RUN"):
            append(history, run_facts(1), [entry(1e6)])
        own_cluster.start()
        assert append(history, run_facts(1), [entry(1e6)]).added == 1
        assert len(nights_of(history, SERIES.name)) == 2
        assert len(list_series(history)) == 1
