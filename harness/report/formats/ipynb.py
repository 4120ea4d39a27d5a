"""A Jupyter notebook that loads a run and shows its frames. Nothing is computed while it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.report.ranking import rankings
from harness.report.sections.registry import ANSWER
from harness.report.sections.section import Line, report_of
from harness.store.records import RunRecord


def notebook_text(run: RunRecord, folder: Path) -> str:
    """Return a notebook, format 4.5, that loads the run from ``folder``."""
    report = report_of(run)
    answer = [block.text.strip() for section in ANSWER for block in section.lines(report) if isinstance(block, Line)]
    models = ", ".join(dict.fromkeys(r.model for r in rankings(run))) or "no model"
    cells = [
        _markdown("intro", [f"# {models}: run {run.head.id}", *answer]),
        _code("load", f"import harness\n\nrun = harness.load({str(folder.resolve())!r})\nrun"),
        _markdown("cells-words", ["One row per cell. The unit of a column is the end of its name."]),
        _code("cells", "run.cells"),
        _markdown("launches-words", ["One row per launch, with the gate before it."]),
        _code("launches", "run.launches"),
        _markdown("calls-words", ["One row per timed call."]),
        _code("calls", "run.samples.groupby('key').describe() if len(run.samples) else run.samples"),
    ]
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _markdown(name: str, paragraphs: list[str]) -> dict[str, Any]:
    # A name must not become markup.
    text = "\n\n".join(paragraph.replace("<", "&lt;") for paragraph in paragraphs)
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(name: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }
