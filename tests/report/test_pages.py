"""Pages that are not of one run: an A/B session, a search, the nights of a series, a night. And their charts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness.measure.pairs import PairResult, PairSession
from harness.report.charts.figure import svg_of
from harness.report.charts.forest import ForestRow, forest
from harness.report.charts.pairs import PairDot, pair_ratios
from harness.report.charts.path import search_path
from harness.report.nights_page import story_page
from harness.spec.shorthand import parse_recipe
from harness.stats.verdicts import Verdict
from harness.wire import Format
from harness.workflows.ab.chain import ABRecord
from harness.workflows.ab.page import ab_page
from tests.report.builders import host_run
from tests.report.test_html import Page
from tests.report.test_nights import story
from tests.search.found import findings_of, point

PAIRS = tuple(
    PairResult(order="AB" if i % 2 else "BA", a_ns=1e6, b_ns=1e6 * (1.1 + 0.001 * i), log_ratio=0.1) for i in range(12)
)
SESSION = PairSession(
    verdict=Verdict.REGRESSED,
    margin=0.03,
    seed=7,
    pairs=(*PAIRS, PairResult(order="AB", a_ns=1e6, b_ns=3e6, log_ratio=None, dropped="<throttled>")),
    effect=None,
    ratio=1.105,
    low=1.101,
    high=1.11,
    hodges_lehmann_ratio=1.105,
    pairs_to_decide=None,
)
RECORD = ABRecord(a="digits:fp32:pte", b="<b>:int8:pte", cell_a="a", cell_b="b", session=SESSION)


def titles(figure: object) -> list[str]:
    """What a pointer shows."""
    return re.findall(r"<title>(.*?)</title>", svg_of(figure))  # type: ignore[arg-type]


def whole(text: str) -> Page:
    """The page, which is closed, names no address and has no link that leads nowhere."""
    parsed = Page(text)
    assert parsed.open == []
    assert "http" not in text
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    return parsed


def test_the_page_of_a_session_opens_with_the_verdict_and_shows_each_pair() -> None:
    parsed = whole(ab_page(RECORD, host_run()))
    assert "Regressed: B takes 1.1050 times as long as A" in parsed.text
    assert "dropped: <throttled>" in parsed.text
    assert "b" not in parsed.tags
    assert parsed.text.count("+10.") >= 10


def test_a_session_without_pairs_has_a_page_that_says_so() -> None:
    text = whole(ab_page(replace(RECORD, session=None), host_run())).text
    assert "Undecided: a verdict needs at least" in text


def test_pairs_are_drawn_in_their_order_with_the_interval_and_the_band() -> None:
    dots = [PairDot(order=p.order, ratio=1.1, dropped=p.dropped) for p in SESSION.pairs]
    figure = pair_ratios(dots, estimate=(1.105, 1.101, 1.11), margin=0.03)
    assert figure is not None
    told = titles(figure)
    assert told[0] == "pair 1, BA: +10.00 %"
    assert told[-1].endswith("dropped: &lt;throttled&gt;")
    svg = svg_of(figure)
    assert "n = 12 good pairs" in svg
    assert "± 3 % counts as equal" in svg
    assert pair_ratios([], estimate=None, margin=0.03) is None
    assert pair_ratios([PairDot(order="AB", ratio=1.0)], estimate=None, margin=0.03) is not None


@pytest.mark.parametrize("rows", [1, 200])
def test_a_forest_has_the_worst_on_top_and_says_what_it_left_out(rows: int) -> None:
    listed = [
        ForestRow(name=f"cell {i}", change=0.001 * i, low=None, high=None, margin=0.03, verdict=Verdict.UNDECIDED)
        for i in range(rows)
    ]
    figure = forest(listed, label="change")
    assert figure is not None
    assert titles(figure)[0].startswith(f"cell {rows - 1}: ")
    assert ("120 more are not drawn" in svg_of(figure)) == (rows == 200)
    assert forest([], label="change") is None


def test_the_path_of_a_search_shows_each_point_and_what_is_shipped() -> None:
    recipes = [parse_recipe(name) for name in ("fp32", "int8", "prune50")]
    points = [point(recipe, Format.TFLITE, drop=0.2 if recipe.steps else 0.0) for recipe in recipes]
    found = findings_of(points)
    figure = search_path(found)
    assert figure is not None
    told = titles(figure)
    assert len(told) == 3
    assert [word.rsplit("; ", 1)[1] for word in told][2] == "left out"
    assert sum(word.endswith("ship") for word in told) == (found.ship is not None)
    assert search_path(findings_of(points[:1])) is None


def test_the_page_of_a_series_has_the_chart_and_the_newest_night_first() -> None:
    parsed = whole(story_page(story()))
    assert "+20.0 % confirmed" in parsed.text
    rows = [word for word in parsed.words if re.fullmatch(r"20\d\d-\d\d-\d\d", word.strip())]
    assert len(rows) == len(story().nights) + len(story().gaps)
    assert rows == sorted(rows, reverse=True)
