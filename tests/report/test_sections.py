"""The seam for sections: one that is written here alone reaches the page, the terminal and the JSON."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.report.formats.html import render_page
from harness.report.formats.json import SCHEMA, show_json
from harness.report.formats.terminal import run_lines
from harness.report.sections.registry import SECTIONS
from harness.report.sections.section import Block, Fragment, Line, Report, Section, report_of
from harness.store.records import RunRecord
from tests.report.builders import cells, host_run, make_run, phone_run


class Energy:
    """A section that phonebench does not have: the energy of each call, from a made-up power."""

    def lines(self, report: Report) -> Iterable[Block]:
        return [Line(text=f"Energy: {name} takes {joules:.1e} J") for name, joules in self.joules(report).items()]

    def html(self, report: Report) -> Fragment:
        template = "<h2>Energy</h2><ul>{% for name in joules %}<li>{{ name }}</li>{% endfor %}</ul>"
        return Fragment(template=template, values={"joules": self.joules(report)})

    def json(self, report: Report) -> dict[str, Any]:
        return {"energy_joules": self.joules(report)}

    def joules(self, report: Report) -> dict[str, float]:
        return {v.cell.key: 2.5e-9 * v.latency.median_ns for v in report.views if v.latency}


SECTIONS_AND_ENERGY: tuple[Section, ...] = (*SECTIONS, Energy())
REPORT = Path(harness.__file__).parent / "report"
SIBLINGS = ("harness.report.sections", "harness.report.formats")
KEY = "digits-fp32-pte-xnnpack-t1-host-quick"


def test_a_new_section_is_on_the_page() -> None:
    page = render_page(host_run(), (), SECTIONS_AND_ENERGY)
    assert f"<h2>Energy</h2><ul><li>{KEY}</li>" in page
    assert page.index("<h2>Energy</h2>") < page.index("</main>")


def test_a_new_section_is_in_the_terminal_before_the_answer() -> None:
    lines = list(run_lines(host_run(), 160, SECTIONS_AND_ENERGY))
    energy = next(i for i, line in enumerate(lines) if line.startswith(f"Energy: {KEY} takes "))
    assert any("the closest to the float model is int8-dynamic onnx" in line for line in lines[energy:])


def test_a_new_section_is_in_the_json_and_changes_nothing_else() -> None:
    shown = show_json(host_run(), SECTIONS_AND_ENERGY)
    assert shown.pop("energy_joules")[KEY] > 0
    assert shown == show_json(host_run())


def test_what_a_section_puts_on_the_page_is_escaped() -> None:
    bad = "<script>alert(1)</script>"

    class Bad(Energy):
        def joules(self, report: Report) -> dict[str, float]:  # noqa: ARG002
            return {bad: 1.0}

    assert bad not in render_page(host_run(), (), (Bad(),))


def test_sections_do_not_overwrite_each_others_keys() -> None:
    keys = Counter(key for section in SECTIONS for key in ["schema", *section.json(report_of(phone_run()))])
    assert keys == {"schema": len(SECTIONS), "run": 1, "cells": 1, "parts": 1, "advice": 1}
    assert show_json(phone_run())["schema"] == SCHEMA


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__.rpartition(".")[2])
@pytest.mark.parametrize("run", [make_run((), ()), make_run(cells()[:1], ())], ids=["no cells", "nothing ran"])
def test_every_section_copes_with_a_run_that_has_nothing(section: Section, run: RunRecord) -> None:
    render_page(run, (), (section,))
    assert not [line for line in run_lines(run, 80, (section,)) if "None" in line]


def imported(path: Path) -> set[str]:
    """The modules of the report that a file imports, anywhere in it."""
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom) and node.module)
    return {str(node.module) for node in nodes if str(node.module).startswith("harness.report")}


@pytest.mark.parametrize("path", sorted(REPORT.glob("sections/*.py")), ids=lambda path: path.stem)
def test_a_section_knows_no_other_and_no_format(path: Path) -> None:
    if path.stem == "registry":
        return
    siblings = {
        name for name in imported(path) if name.startswith(("harness.report.sections", "harness.report.formats"))
    }
    assert siblings <= {"harness.report.sections.section"}


@pytest.mark.parametrize("path", sorted(REPORT.glob("formats/*.py")), ids=lambda path: path.stem)
def test_a_format_knows_no_other_and_no_section_by_name(path: Path) -> None:
    siblings = {
        name for name in imported(path) if name.startswith(("harness.report.sections", "harness.report.formats"))
    }
    assert siblings <= {"harness.report.sections.registry", "harness.report.sections.section"}


@pytest.mark.parametrize("name", ["view", "ranking", "footnotes", "columns", "cell_json", "step_words"])
def test_what_sections_share_knows_none_of_them(name: str) -> None:
    assert not {module for module in imported(REPORT / f"{name}.py") if "sections" in module or "formats" in module}
