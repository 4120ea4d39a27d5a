"""The history: what each night measured, a series at a time, for years. SQLite by default, PostgreSQL by URL.

    database   opens a history, and words what can go wrong with one
    tables     what it holds
    figures    from a stored run to the figures that enter
    ingest     enters them, once
    queries    the series, the nights of one, the newest night of all
    story      segments, changes and swaps of one series
    export     everything, as Parquet

A night that has been entered never changes: entering a run again only adds what is missing. SQLAlchemy comes with the
extra ``history``; without it, importing a module that needs it raises `MissingPackageError`.
"""
