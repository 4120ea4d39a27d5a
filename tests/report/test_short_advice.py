"""The advice is short however many cells there are: files are counted by reason, and a note is given once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.plan.cells import Cell, Hole, make_cell
from harness.records.measurement import Passed, TargetFacts
from harness.report.formats.html import render_page
from harness.report.formats.terminal import run_lines
from harness.report.sections.advice import html
from harness.report.sections.advice import lines as advice_lines
from harness.report.sections.extras import extra_sentences
from harness.report.sections.missing import missing_groups
from harness.report.sections.section import report_of
from harness.report.view import cell_views
from harness.spec.profiles import ProfileName
from harness.store.records import RunRecord
from tests.report.builders import PHONE, accuracy_of, broken, cells, failed, make_run, measurement

THREADS = (1, 2, 4)
TARGET = TargetFacts(
    preset="high", metric="top-1", wanted=0.99, value=0.98, low=0.95, high=0.99, passed=Passed.UNDECIDED
)


def on_threads(cell: Cell) -> tuple[Cell, ...]:
    return tuple(
        make_cell(cell.model, cell.variant, cell.format, cell.delegate, n, cell.device, ProfileName.STANDARD)
        for n in THREADS
    )


def many() -> RunRecord:
    """Sixteen files on three thread counts of a phone: of four, two lose a third of their answers, two are broken."""
    planned = tuple(one for cell in cells(device=PHONE.key, profile=ProfileName.STANDARD) for one in on_threads(cell))
    measured = [measurement(cell, launches=3) for cell in planned]
    for number, cell in enumerate(planned):
        if cell.variant == "int8" and cell.format.value in ("pte", "onnx"):
            measured[number] = replace(measured[number], accuracy=accuracy_of(240))
        elif cell.variant == "int8-dynamic" and cell.format.value in ("pte", "onnx"):
            measured[number] = broken(cell)
    return make_run(planned, tuple(measured), device=PHONE)


def test_three_lines_name_what_to_ship_and_what_it_was_chosen_from() -> None:
    told = [line.text.strip() for line in advice_lines(report_of(many()))]
    assert len(told) <= 3
    assert told[0].startswith("Ship int8 ")
    assert told[1].startswith("Chosen from 16 files in 42 cells: 12 keep the quality, ")
    assert "2 lose more than 1 percentage point, 2 give wrong outputs" in told[1]


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 loses more than"), (2, "2 lose more than")], ids=["one file", "two files"]
)
def test_the_verb_agrees_with_the_number_of_files(count: int, words: str) -> None:
    planned = cells(device=PHONE.key)[:4]
    bad = [replace(measurement(c), accuracy=accuracy_of(120)) for c in planned[2 : 2 + count]]
    good = [measurement(c) for c in planned if c.key not in {m.cell for m in bad}]
    run = make_run(planned, (*good, *bad), device=PHONE)
    assert words in list(advice_lines(report_of(run)))[1].text


def test_the_page_folds_the_names_of_what_was_left_out() -> None:
    (box,) = html(report_of(many())).values["advice"]
    assert [(group.words, group.names) for group in box.left_out] == [
        ("lose more than 1 percentage point", ("int8 pte", "int8 onnx")),
        ("give wrong outputs", ("int8-dynamic pte", "int8-dynamic onnx")),
    ]


def test_of_many_models_each_answer_is_a_line_and_the_rest_is_folded() -> None:
    planned = tuple(cell for model in "abcdef" for cell in cells(model=model, device=PHONE.key)[:3])
    run = make_run(planned, tuple(measurement(cell, launches=3) for cell in planned), device=PHONE)
    page = render_page(run, ())
    assert page.count("What it was chosen from") == 6
    assert page.count('class="headline"') == 0


def test_a_file_that_ran_on_one_thread_count_is_not_left_out() -> None:
    one, two, _ = on_threads(cells(device=PHONE.key)[4])
    other = cells(device=PHONE.key)[0]
    run = make_run((one, two, other), (measurement(one), failed(two), measurement(other)), device=PHONE)
    assert "1 failed" not in " ".join(line.text for line in advice_lines(report_of(run)))


def test_what_never_ran_is_counted_too() -> None:
    ran, *others = cells(device=PHONE.key)[:5]
    holes = tuple(Hole(cell=cell, reason="no such kernels") for cell in others)
    run = make_run((ran,), (measurement(ran),), holes=holes, device=PHONE)
    assert "Chosen from 5 files: 1 keeps the quality, 4 cannot be built or run." in " ".join(run_lines(run, None))


def test_a_target_is_named_once_for_a_file_and_not_on_every_thread_count() -> None:
    planned = on_threads(cells()[0])
    measured = tuple(replace(measurement(cell), target=TARGET) for cell in planned)
    assert len(list(extra_sentences(cell_views(make_run(planned, measured))))) == 1


def test_a_reason_lists_each_file_once() -> None:
    planned = on_threads(cells()[0])
    (group,) = missing_groups(cell_views(make_run(planned, tuple(failed(cell) for cell in planned))))
    assert (group.cells, group.names) == (3, ("fp32 pte",))
