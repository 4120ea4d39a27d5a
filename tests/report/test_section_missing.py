"""Cells without results: counted and grouped by their reason."""

from __future__ import annotations

from harness.plan.cells import Hole
from harness.report.sections.missing import lines, missing_groups
from harness.report.sections.section import report_of
from harness.report.view import cell_views
from tests.report.builders import broken, cells, failed, make_run, page_of

REASON = "its outputs have {} dB signal to noise; its file is kept as /cache/artifacts/{}/model.onnx"


def test_reasons_that_differ_in_figures_alone_are_one() -> None:
    planned = cells()[:9]
    measured = tuple(broken(c, REASON.format(f"{i}.{i}", "ab" * i)) for i, c in enumerate(planned))
    run = make_run(planned, measured)
    (group,) = missing_groups(cell_views(run))
    assert (len(group.names), group.differing) == (9, True)
    texts = [line.text for line in lines(report_of(run))]
    assert texts[0].startswith("broken: 9 cells: such as fp32 pte: its outputs have 0.0 dB")
    assert texts[1].endswith("and 3 more")
    assert len(texts) == 2
    page = page_of(run)
    assert all(f"its outputs have {i}.{i} dB" in page for i in range(9)), "the page has every reason"


def test_other_words_are_another_reason() -> None:
    planned = cells()[:3]
    measured = (broken(planned[0], "no output"), broken(planned[1], "no input"), failed(planned[2]))
    assert [len(g.names) for g in missing_groups(cell_views(make_run(planned, measured)))] == [1, 1, 1]


def test_a_reason_that_cells_share_word_for_word_is_no_example() -> None:
    planned = cells()[:20]
    run = make_run((), (), holes=tuple(Hole(cell=c, reason="no such kernels") for c in planned))
    texts = [line.text for line in lines(report_of(run))]
    assert texts[0] == "unsupported: 16 cells: no such kernels"
    assert texts[1].endswith("and 10 more")
