"""The tables, the same for SQLite and PostgreSQL.

``value`` is narrow and stored in the order of its key (series, run, attempt), so one series is read from a few
neighbouring pages. The covering index (run, series, value, status) answers queries about whole nights without touching
the rows. Facts that repeat (devices, environments, artifacts) are stored once and referenced.
"""

from __future__ import annotations

from harness.history.sql import sa

# 1 (2026-11): the first.
SCHEMA = 1

metadata = sa.MetaData()

# One row. A database without it is not a history.
about = sa.Table("phonebench_history", metadata, sa.Column("schema_version", sa.Integer, nullable=False))

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("night", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text),
    sa.Column("commit_id", sa.Text),
    sa.Column("versions", sa.Text, nullable=False),
)

device = sa.Table(
    "device",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False, unique=True),
    sa.Column("serial_hash", sa.Text, nullable=False),
    sa.Column("device_class", sa.Text, nullable=False),
    sa.Column("soc", sa.Text, nullable=False),
    sa.Column("os_build", sa.Text, nullable=False),
)

environment = sa.Table(
    "environment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False, unique=True),
    sa.Column("device_id", sa.Integer, sa.ForeignKey("device.id"), nullable=False),
    sa.Column("runtime", sa.Text, nullable=False),
    sa.Column("runtime_version", sa.Text, nullable=False),
    sa.Column("delegate_used", sa.Text, nullable=False),
    sa.Column("runner", sa.Text, nullable=False),
    sa.Column("data_sha256", sa.Text, nullable=False),
)

# ``uri`` is where the file is kept, None if it is not kept.
artifact = sa.Table(
    "artifact",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("uri", sa.Text),
)

series = sa.Table(
    "series",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("cell", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("delegate", sa.Text, nullable=False),
    sa.Column("threads", sa.Integer, nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("polarity", sa.Text, nullable=False),
)

value = sa.Table(
    "value",
    metadata,
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), primary_key=True),
    sa.Column("run_id", sa.Integer, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("attempt", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("value", sa.Double),
    sa.Column("low", sa.Double),
    sa.Column("high", sa.Double),
    sa.Column("p90", sa.Double),
    sa.Column("mean", sa.Double),
    sa.Column("mad", sa.Double),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("artifact_id", sa.Integer, sa.ForeignKey("artifact.id"), nullable=False),
    sa.Column("environment_id", sa.Integer, sa.ForeignKey("environment.id"), nullable=False),
    sa.Column("conditions", sa.Text, nullable=False, server_default=""),
    sa.Index("value_by_run", "run_id", "series_id", "value", "status"),
    sqlite_with_rowid=False,
)

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), primary_key=True),
    sa.Column("seen_run_id", sa.Integer, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("first_run_id", sa.Integer, sa.ForeignKey("run.id"), nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("ratio", sa.Double),
    sa.Column("low", sa.Double),
    sa.Column("high", sa.Double),
)
