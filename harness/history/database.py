"""Opens a history, and turns whatever a database raises into a sentence.

A new file is created under a private name and then linked, so it appears complete or not at all. An empty file is
therefore always a truncated one, and is never mistaken for a new history. Every write is one transaction that takes
its lock at the start, so two writers wait for each other instead of failing halfway.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import MissingPackageError, StoreError
from harness.history import tables
from harness.history.sql import exc, postgresql, sa, sqlite
from harness.system.files import storage_errors

# A night of tens of thousands of series takes a second or two to write; this waits for several.
WAIT_S = 30.0
CONNECT_TIMEOUT_S = 10
# With SQLite's default of 2 MiB, adding a night to a history of years would reread pages of the index.
CACHE_KIB = 65_536
# An arbitrary number, the same in every process: it keeps two of them from creating the tables at the same time.
_SERVER_LOCK = 4_201_867

AGAIN = "the runs themselves are stored; to add one: phonebench history ingest RUN"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An open history. ``where`` names it in messages, without a password."""

    engine: sa.Engine
    where: str

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that only reads. Raises `StoreError`."""
        with _explained(self.where), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction: everything is written, or nothing. Raises `StoreError`."""
        with _explained(self.where), self.engine.connect() as connection:
            connection = connection.execution_options(write=True)
            with connection.begin():
                yield connection


@contextmanager
def open_history(where: str, *, create: bool = False, wait_s: float = WAIT_S) -> Iterator[History]:
    """Open the history at ``where``, a path or a database URL. With ``create``, create it if it does not exist.

    ``wait_s``: how long to wait for another writer. Raises `StoreError`, or `MissingPackageError` without the driver.
    """
    url = _url(where)
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite":
        shown = url.database or ""
        _check_file(Path(shown), create=create)
    history = History(engine=_engine(url, shown, wait_s), where=shown)
    try:
        if create and url.get_backend_name() != "sqlite":
            _create_tables(history)
        _check_schema(history)
        yield history
    finally:
        history.engine.dispose()


def insert_new(connection: sa.Connection, table: sa.Table) -> sa.Insert:
    """Return an insert that skips rows whose key exists already."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _url(where: str) -> sa.URL:
    if "://" not in where:
        return sa.URL.create("sqlite", database=where)
    try:
        url = sa.make_url(where)
        name = url.get_backend_name()
    except (exc.ArgumentError, exc.NoSuchModuleError, ValueError) as error:
        msg = f"{_without_password(where)!r} is not a database URL: {error}; {_FORMS}"
        raise StoreError(msg) from error
    if name in ("postgresql", "postgres"):
        # SQLAlchemy would choose psycopg2 by default, which the extra does not install.
        return url.set(drivername="postgresql+psycopg")
    if name == "sqlite" and url.database:
        return url
    msg = f"{url.render_as_string(hide_password=True)!r} is not a database that can hold a history; {_FORMS}"
    raise StoreError(msg)


_FORMS = "use a file, or a URL such as postgresql://USER@HOST/DATABASE"


def _without_password(where: str) -> str:
    """Mask everything before the last @: in a malformed URL the password may be anywhere there."""
    scheme, _, rest = where.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else where


def _engine(url: sa.URL, shown: str, wait_s: float) -> sa.Engine:
    try:
        if url.get_backend_name() != "sqlite":
            # Check a pooled connection before each use, so that a restarted server is reconnected to.
            return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S})
        engine = sa.create_engine(_file_url(Path(shown)), connect_args={"timeout": wait_s})
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            package=error.name or "psycopg", extra="history", purpose="a history on a server"
        ) from error
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _file_url(path: Path) -> sa.URL:
    """The URL of a file.

    On a read-only disk SQLite cannot create its side files, and opens the file only if it is told that nobody writes.
    An existing write-ahead log rules that out, because it may hold the newest nights.
    """
    side = path.with_name(f"{path.name}-wal")
    if (_may_write(path.parent) and _may_write(path)) or (side.exists() and side.stat().st_size):
        return sa.URL.create("sqlite", database=str(path))
    query = {"uri": "true", "mode": "ro", "immutable": "1"}
    return sa.URL.create("sqlite", database=f"file:{path.absolute()}", query=query)


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # Transactions are started by `_begin`. sqlite3 would start its own only at the first write, too late for the lock.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("write", False)
    # IMMEDIATE takes the write lock now. Upgrading a read lock later fails at once if another process writes.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _check_file(path: Path, *, create: bool) -> None:
    """Create the file if allowed. Raises `StoreError` if it does not exist, is empty, or is not a file."""
    if path.is_file():
        if path.stat().st_size == 0:
            msg = f"the history {str(path)!r} is empty, so it was truncated: restore a copy, or remove it; {AGAIN}"
            raise StoreError(msg)
        return
    if path.exists():
        msg = f"the history {str(path)!r} is not a file: use a file, or a database URL"
        raise StoreError(msg)
    if not create:
        msg = (
            f"there is no history {str(path)!r} yet; to begin one, run a night (phonebench nightly SPEC) or add a "
            "stored run (phonebench history ingest RUN)"
        )
        raise StoreError(msg)
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _create_file(path)


def _create_file(path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(part)))
    try:
        with _explained(str(path)), engine.connect() as connection:
            # With a write-ahead log readers do not block a writer. The mode is stored in the file.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            _fill(connection)
            connection.commit()
        engine.dispose()
        # A link and not a rename: if another process was faster, its history must not be replaced.
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        engine.dispose()
        part.unlink(missing_ok=True)


def _create_tables(history: History) -> None:
    with history.writing() as connection:
        # Released with the transaction, even if this process dies.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SERVER_LOCK)))
        if not sa.inspect(connection).has_table(tables.about.name):
            _fill(connection)


def _fill(connection: sa.Connection) -> None:
    tables.metadata.create_all(connection)
    connection.execute(tables.about.insert().values(schema_version=tables.SCHEMA))


def _check_schema(history: History) -> None:
    with history.reading() as connection:
        exists = sa.inspect(connection).has_table(tables.about.name)
        version = connection.execute(sa.select(tables.about.c.schema_version)).scalar() if exists else None
    if version is None:
        msg = f"{history.where!r} is not a phonebench history; {AGAIN}"
        raise StoreError(msg)
    if version != tables.SCHEMA:
        msg = (
            f"the history {history.where!r} has schema {version}, but this phonebench reads schema {tables.SCHEMA}: "
            "use the version that wrote it"
        )
        raise StoreError(msg)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except exc.SQLAlchemyError as error:
        msg = f"{_reason(error, where)}; {AGAIN}"
        raise StoreError(msg) from error


# Words in SQLite's errors, and what they mean for the user.
_MEANINGS = {
    "database is locked": "is being written by another process: wait, then try again",
    "malformed": "is damaged: restore a copy, or remove it and add the runs again",
    "not a database": "is damaged or is not a history: restore a copy, or use another file",
    "disk i/o error": "cannot be read completely: the disk is failing, or the file was truncated",
    "readonly": "cannot be written: make the file and its folder writable",
    "unable to open": "cannot be opened: make the file and its folder readable and writable",
    "disk is full": "cannot grow because its disk is full: free some space",
}


def _reason(error: exc.SQLAlchemyError, where: str) -> str:
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    words = " ".join(str(original).split()) or type(original).__name__
    if not where.startswith("postgresql"):
        for sign, meaning in _MEANINGS.items():
            if sign in words.lower():
                return f"the history {where!r} {meaning} (SQLite: {words})"
    if isinstance(error, exc.OperationalError):
        return f"the server of the history {where!r} cannot be reached, or the connection was lost: {words}"
    return f"the history {where!r} reported an error: {words}"
