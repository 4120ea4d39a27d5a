"""What a notebook shows of a run: HTML without scripts, in which names from outside are text."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import harness
from harness.api.runs import Run
from tests.report.builders import host_run

STORED = Path(__file__).parents[1] / "golden" / "results"


class Tags(HTMLParser):
    """The tags of a page and the text of its table cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "td":
            self.cells[-1] += data.strip()


def test_a_run_shows_its_table_and_its_charts() -> None:
    run = harness.load("finished", results=STORED)
    page = Tags(run._repr_html_())
    assert "script" not in page.tags
    # The table of the terminal has no rows for cells that cannot exist; a sentence names them.
    assert page.tags.count("tr") == 1 + (run.cells["status"] == "ok").sum()
    assert {"int8", "fp32"} <= set(page.cells)
    assert page.tags.count("img") == len(run.charts) > 2
    for encoded in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", run._repr_html_()):
        assert b"<svg" in base64.b64decode(encoded, validate=True)


def test_names_from_outside_are_text() -> None:
    record = host_run()
    hostile = "<script>alert(1)</script><b onclick=x>'\"&"
    head = record.head
    plan = replace(head.plan, cells=tuple(replace(cell, model=hostile) for cell in head.plan.cells))
    models = tuple(replace(model, name=hostile) for model in head.models)
    page = Tags(Run(replace(record, head=replace(head, plan=plan, models=models)))._repr_html_())
    assert "script" not in page.tags
    # The only bold text is the heading in front of each caption.
    assert page.tags.count("b") == page.tags.count("figcaption") > 0
