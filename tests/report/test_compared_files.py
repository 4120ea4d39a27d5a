"""A comparison as a comment and as JUnit XML: what changed comes first, and names are no markup."""

from __future__ import annotations

from xml.etree import ElementTree

from harness.compare.keys import KeyDifference
from harness.compare.metrics import MetricComparison
from harness.compare.runs import CellComparison, Comparison
from harness.records.metrics import ACCURACY, LATENCY
from harness.report.formats.compared_files import MOST_CHARACTERS, comparison_junit, comparison_markdown
from harness.stats.verdicts import Verdict


def cell(key: str, verdict: Verdict, change: float = 0.1) -> CellComparison:
    latency = MetricComparison(
        metric=LATENCY.name,
        verdict=verdict,
        a=1e6,
        b=1e6 * (1 + change),
        change=change,
        margin=0.03,
        low=change - 0.01,
        high=change + 0.01,
    )
    accuracy = MetricComparison(metric=ACCURACY.name, verdict=Verdict.EQUIVALENT, a=0.9, b=0.9, change=0.0, margin=0.01)
    return CellComparison(key=key, verdict=verdict, metrics=(latency, accuracy))


UNLIKE = CellComparison(key="c3", verdict=Verdict.NOT_COMPARABLE, differing=(KeyDifference(key="os", a="14", b="15"),))
COMPARISON = Comparison(
    run_a="base",
    run_b="new",
    cells=(cell("c1", Verdict.EQUIVALENT, 0.0), cell("c2", Verdict.REGRESSED), UNLIKE),
    only_b=("c4",),
)


def test_the_comment_begins_with_the_verdict_and_what_changed() -> None:
    head, folded = comparison_markdown(COMPARISON).split("<details>")
    assert head.startswith("**Regressed: 1 regressed, 1 not-comparable, 1 equivalent, 1 in one run only**")
    assert "| c2 | latency | 1 ms | 1.1 ms | +10.0 % | +9.0 % to +11.0 % | regressed |" in head
    assert "c1" not in head
    assert "Everything else: 5 rows" in folded
    assert "os: '14' and '15'" in folded
    # The second metric of a cell names the cell too.
    assert "| c2 | accuracy |" in folded


def test_nothing_changed_is_one_line_and_a_fold() -> None:
    same = Comparison(run_a="a", run_b="b", cells=(cell("c", Verdict.EQUIVALENT, 0.0),))
    assert comparison_markdown(same).startswith("**Equivalent: 1 equivalent**\n\nRun `b` against `a`.\n\n<details>")
    empty = comparison_markdown(Comparison(run_a="a", run_b="b", cells=()))
    assert empty.startswith("**Not-comparable: no cell in both runs**")


def test_names_are_neither_markup_nor_mentions() -> None:
    hostile = "<img src=x> | @everyone \n| a | b |"
    text = comparison_markdown(Comparison(run_a="a", run_b="b", cells=(cell(hostile, Verdict.REGRESSED),)))
    assert "<img" not in text
    assert "@everyone" not in text
    (row,) = [line for line in text.splitlines() if "src=x" in line and "latency" in line]
    assert row.replace("\\|", "").count("|") == 9


def test_a_comment_is_never_too_long_and_says_what_it_leaves_out() -> None:
    cells = tuple(cell(f"model-{number:04d}" + "x" * 60, Verdict.REGRESSED) for number in range(2000))
    text = comparison_markdown(Comparison(run_a="a", run_b="b", cells=cells))
    assert len(text) <= MOST_CHARACTERS
    shown = text.count("| regressed |")
    assert shown > 300
    assert f"{2000 - shown} more rows" in text
    few = tuple(cell(f"model-{number:04d}" + "x" * 60, Verdict.EQUIVALENT) for number in range(2000))
    assert len(comparison_markdown(Comparison(run_a="a", run_b="b", cells=few))) <= MOST_CHARACTERS


def test_only_a_regression_is_a_failure_in_junit() -> None:
    suite = ElementTree.fromstring(comparison_junit(COMPARISON))
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "6",
        "failures": "1",
        "skipped": "2",
    }
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "1 ms to 1.1 ms, +10.0 % (95 % interval +9.0 % to +11.0 %); regressed"
    reasons = [skipped.get("message") or "" for skipped in suite.iter("skipped")]
    assert reasons == ["not-comparable; os: '14' and '15'", "only in run new"]
    hostile = Comparison(run_a="a", run_b="b", cells=(cell("\x00<&\ud800", Verdict.REGRESSED),))
    assert ElementTree.fromstring(comparison_junit(hostile)).get("failures") == "1"
