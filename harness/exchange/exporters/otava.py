"""A CSV for Apache Otava: one row per run, one column per cell and metric. Rows of later runs can be appended."""

from __future__ import annotations

import csv
import io

from harness.exchange.outgoing import Files, Outgoing, readings


def table(outgoing: Outgoing) -> Files:
    """Return the header and the row of the run."""
    columns = {"time": outgoing.head.created_at, "commit": outgoing.head.commit or "", "run": outgoing.head.id}
    for view in outgoing.ok:
        for metric, reading in readings(view):
            columns[f"{view.cell.key}.{metric.name}"] = repr(reading.value)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerow(columns.values())
    return {"otava.csv": text.getvalue().encode("utf-8", "replace")}
