"""The history: what each night measured, a series at a time, for years. SQLite by default, PostgreSQL by URL.

    database   opens a history, and words what can go wrong with one
    tables     what it holds
    figures    from a stored run to the figures that enter
    ingest     enters them, once
    queries    the series, the nights of one, the newest night of all
    story      segments, changes and swaps of one series
    export     everything, as Parquet

The one decision: a night that has entered never changes. Entering a run again adds what is missing and nothing else.
SQLAlchemy belongs to the extra ``history``; importing anything from here without it raises `MissingPackageError`.
"""

from __future__ import annotations

import importlib.util

from harness.errors import MissingPackageError

if importlib.util.find_spec("sqlalchemy") is None:
    raise MissingPackageError(package="sqlalchemy", extra="history", purpose="the history of nights")
