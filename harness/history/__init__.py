"""The history: what was measured each night, series by series, for years. SQLite by default, PostgreSQL by URL.

    sql        SQLAlchemy, or the name of the extra that installs it
    database   opens a history, and explains what a database raises
    tables     the tables
    figures    turns a stored run into the values to add
    ingest     adds them, once
    queries    all series, the nights of one series, the newest night of all
    story      segments, changes and swaps of one series
    export     everything as Parquet

A night in the history never changes: adding a run again only adds what is missing. SQLAlchemy comes with the extra
``history``; without it, importing a module that needs it raises `MissingPackageError`.
"""
