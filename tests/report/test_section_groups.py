"""The classes and inputs that pay for an optimisation, in the terminal, on the page, in JSON and CSV."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest

from harness.records.measurement import ChangedInput, GroupFacts, GroupKind, GroupScore, Measurement
from harness.report.cell_json import cell_json
from harness.report.formats.csv import csv_text
from harness.report.sections.groups import html, lines
from harness.report.sections.section import Line, report_of
from harness.report.view import cell_views
from harness.store.records import REPLIES_FOLDER, RunRecord
from tests.report.builders import host_run, page_of

PICTURE = b"RIFF....WEBP, or so"
NAME = f"{hashlib.sha256(PICTURE).hexdigest()}.webp"

FACTS = GroupFacts(
    kind=GroupKind.CLASS,
    metric="top-1",
    share=True,
    groups=(
        GroupScore(name="7", count=36, value=0.75, float_value=1.0, drop=0.25, low=0.13, high=0.4),
        GroupScore(name="3", count=36, value=1.0, float_value=1.0, drop=0.0),
    ),
    lost=9,
    won=1,
    changed=tuple(
        ChangedInput(index=10 * i, loss=1.0, label=7, answer=1, float_answer=7, picture=NAME) for i in range(9)
    ),
)


def run_with(folder: Path, facts: GroupFacts, *, cells: int = 1) -> RunRecord:
    """A run of which ``cells`` from the second on have these groups, with the picture stored as a measurement does."""
    run = host_run()
    changed: tuple[Measurement, ...] = tuple(
        replace(m, groups=facts) if 1 <= number <= cells else m for number, m in enumerate(run.measurements)
    )
    (folder / REPLIES_FOLDER).mkdir()
    (folder / REPLIES_FOLDER / f"{NAME}.gz").write_bytes(gzip.compress(PICTURE))
    return replace(run, measurements=changed, directory=folder)


def said(run: RunRecord) -> list[str]:
    return [line.text for line in lines(report_of(run)) if isinstance(line, Line)]


def test_the_terminal_names_the_class_that_lost_most_and_the_inputs(tmp_path: Path) -> None:
    (sentence,) = said(run_with(tmp_path, FACTS))
    assert "class 7 lost most, top-1 75.0" in sentence
    assert "against the float model's 100.0" in sentence
    assert "9 inputs lost, 1 won: 0, 10, 20, 30, 40, 50, 60, 70, …" in sentence


def small(name: str, count: int, drop: float) -> GroupScore:
    return GroupScore(name=name, count=count, value=1 - drop, float_value=1.0, drop=drop)


@pytest.mark.parametrize(("count", "named"), [(1, "5"), (5, "5"), (6, "4")])
def test_a_class_of_too_few_answers_is_not_named(tmp_path: Path, count: int, named: str) -> None:
    """Class 4 lost all of its answers. With fewer than six, chance may explain that, and class 5 is named."""
    facts = replace(FACTS, groups=(small("4", count, 1.0), small("5", 20, 0.1)), lost=count + 2)
    run = run_with(tmp_path, facts)
    (sentence,) = said(run)
    assert f"class {named} lost most" in sentence
    assert [name for name in "45" if f"class {name}\n</td>" in page_of(run)] == [named]


def test_one_photo_of_twenty_is_counted_and_its_class_is_not_blamed(tmp_path: Path) -> None:
    facts = replace(FACTS, groups=(small("7", 1, 1.0), small("3", 2, 0.0)), lost=1, won=0, changed=FACTS.changed[:1])
    (sentence,) = said(run_with(tmp_path, facts))
    assert sentence.endswith(": 1 input lost, 0 won: 0")
    assert "most" not in sentence


@pytest.mark.parametrize(("cells", "ending"), [(4, ()), (5, ("1 more cell lost inputs; the page lists it.",))])
def test_the_terminal_lists_four_cells(tmp_path: Path, cells: int, ending: tuple[str, ...]) -> None:
    assert tuple(said(run_with(tmp_path, FACTS, cells=cells))[4:]) == ending


@pytest.mark.parametrize(
    "facts", [replace(FACTS, groups=FACTS.groups[1:], lost=0, changed=()), replace(FACTS, groups=(), lost=0)]
)
def test_where_nothing_was_lost_there_is_nothing_to_say(tmp_path: Path, facts: GroupFacts) -> None:
    run = run_with(tmp_path, facts)
    assert said(run) == []
    assert html(report_of(run)) is None


def test_the_page_shows_each_input_once_with_its_picture(tmp_path: Path) -> None:
    page = page_of(run_with(tmp_path, FACTS))
    assert page.count(f"data:image/webp;base64,{base64.b64encode(PICTURE).decode()}") == 9
    assert "input 20, class 7" in page
    assert "25 pp (13 to 40)" in page


def test_a_missing_picture_costs_only_itself(tmp_path: Path) -> None:
    run = run_with(tmp_path, FACTS)
    (tmp_path / REPLIES_FOLDER / f"{NAME}.gz").unlink()
    assert "data:image/webp" not in page_of(run)


def test_scripts_find_the_worst_group(tmp_path: Path) -> None:
    run = run_with(tmp_path, FACTS)
    row = list(csv.DictReader(io.StringIO(csv_text(run))))[1]
    assert [row[c] for c in ("worst_group", "worst_group_drop", "inputs_lost", "inputs_won")] == ["7", "0.25", "9", "1"]
    shown = cell_json(cell_views(run)[1])["groups"]
    assert (shown["kind"], shown["groups"][0]["name"], shown["changed"][0]["index"]) == ("class", "7", 0)


def test_a_metric_that_is_no_share_keeps_its_scale(tmp_path: Path) -> None:
    worst = GroupScore(name="night", count=12, value=28.0, float_value=32.0, drop=4.0)
    facts = GroupFacts(kind=GroupKind.GROUP, metric="PSNR", share=False, groups=(worst,))
    assert facts.worst_drop == 0.125
    (sentence,) = said(run_with(tmp_path, facts))
    assert "group night lost most, PSNR 28.0 against the float model's 32.0 (12 inputs)" in sentence
