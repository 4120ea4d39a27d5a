"""The forms in which a run can be written, one row each. `write_as` writes one of them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from harness.errors import UnknownNameError
from harness.report.charts.charts import charts
from harness.report.evidence import steady_calls, stored_evidence
from harness.report.files import write_report
from harness.report.formats.csv import csv_text, operators_csv_text
from harness.report.formats.ipynb import notebook_text
from harness.report.formats.markdown import markdown_text
from harness.report.formats.model_explorer import node_data
from harness.report.formats.pdf import print_page
from harness.store.records import RunRecord
from harness.store.writer import write_beside, write_data
from harness.system.files import check_writable


class Output(StrEnum):
    """The names that ``phonebench report --to`` takes."""

    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"
    PNG = "png"
    SVG = "svg"
    NOTEBOOK = "ipynb"
    PDF = "pdf"
    MODEL_EXPLORER = "model-explorer"


def output_named(name: str) -> Output:
    """Return the form ``name``. Raises `UnknownNameError` if there is none."""
    if name not in set(Output):
        raise UnknownNameError(name, kind="form of a report", allowed=[output.value for output in Output])
    return Output(name)


def write_as(output: Output, run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write ``run`` into ``folder`` and return the files, the main one first.

    Raises `StoreError` if they cannot be written, `UsageError` if the form needs a program that is not installed.
    """
    # Drawing takes up to a minute, so find out first whether the result can be written.
    check_writable(folder)
    return _WRITERS[output](run, folder)


def _html(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    written = write_report(run, folder)
    return written.html, written.csv, *written.charts


def _markdown(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    return (write_beside(folder, "report.md", markdown_text(run)),)


def _csv(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    table, operators = write_beside(folder, "table.csv", csv_text(run)), operators_csv_text(run)
    return (table, write_beside(folder, "operators.csv", operators)) if operators else (table,)


def _png(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    return _charts(run, folder, png=True)


def _svg(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    return _charts(run, folder, png=False)


def _charts(run: RunRecord, folder: Path, *, png: bool) -> tuple[Path, ...]:
    """All charts, also those that a page has no room for."""
    evidence = stored_evidence(run)
    drawn = charts(run, steady_calls(evidence), evidence, png=png)
    if png:
        return tuple(write_data(folder, f"charts/{chart.name}.png", chart.png or b"") for chart in drawn)
    return tuple(write_beside(folder, f"charts/{chart.name}.svg", chart.svg) for chart in drawn)


def _notebook(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    return (write_beside(folder, "report.ipynb", notebook_text(run, run.directory)),)


def _pdf(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    page = write_report(run, folder).html
    return print_page(page, page.with_suffix(".pdf")), page


def _model_explorer(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    return tuple(write_beside(folder, name, text) for name, text in node_data(run))


_WRITERS: dict[Output, Callable[[RunRecord, Path], tuple[Path, ...]]] = {
    Output.HTML: _html,
    Output.MARKDOWN: _markdown,
    Output.CSV: _csv,
    Output.PNG: _png,
    Output.SVG: _svg,
    Output.NOTEBOOK: _notebook,
    Output.PDF: _pdf,
    Output.MODEL_EXPLORER: _model_explorer,
}
