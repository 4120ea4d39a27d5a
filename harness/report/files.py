"""Writes the report of a run beside its results. It may be called at any time, also on an unfinished run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness.records.sensitivity import Scan
from harness.report.charts.charts import FEW_GROUPS, MOST_FIGURES, charts
from harness.report.charts.sensitivity import scan_chart, scan_json
from harness.report.evidence import steady_calls, stored_evidence
from harness.report.formats.csv import csv_text
from harness.report.formats.html import render_page
from harness.report.view import cell_views, groups
from harness.store.records import RunRecord
from harness.store.scans import SCANS_FOLDER
from harness.store.writer import write_beside, write_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Where the report's files are."""

    html: Path
    csv: Path
    charts: tuple[Path, ...]


def write_report(run: RunRecord, folder: Path | None = None) -> Written:
    """Write ``report.html``, ``table.csv`` and ``charts/``, beside the results or into ``folder``.

    Each chart is an .svg, and a .png unless there are many models and devices. Raises `StoreError` if a file cannot be
    written.
    """
    evidence, where = stored_evidence(run), folder or run.directory
    # Drawing takes most of the time, so it is done once for the page and the files.
    # Pictures of dozens of charts would double that time; `phonebench report --to png` draws all.
    few = len(groups(cell_views(run))) <= FEW_GROUPS
    drawn = charts(run, steady_calls(evidence), evidence, most=MOST_FIGURES, png=few)
    files = [write_beside(where, f"charts/{chart.name}.svg", chart.svg) for chart in drawn]
    files += [write_data(where, f"charts/{chart.name}.png", chart.png) for chart in drawn if chart.png]
    return Written(
        html=write_beside(where, "report.html", render_page(run, drawn, evidence=evidence)),
        csv=write_beside(where, "table.csv", csv_text(run)),
        charts=tuple(files),
    )


def write_scan(results: Path, scan: Scan) -> tuple[Path, Path]:
    """Write the chart and the figures of a scan below ``results`` and return their paths. Raises `StoreError`."""
    text = json.dumps(scan_json(scan), indent=1)
    chart = write_beside(results, f"{SCANS_FOLDER}/{scan.model}.svg", scan_chart(scan))
    return chart, write_beside(results, f"{SCANS_FOLDER}/{scan.model}.json", text)
