"""A comparison of two runs for continuous integration: Markdown for a comment, and JUnit XML.

The one decision: only a confirmed regression is a failure. What could not be compared is a skipped test.
"""

from __future__ import annotations

from xml.etree import ElementTree

from harness.compare.metrics import MetricComparison
from harness.compare.runs import CellComparison, Comparison
from harness.compare.words import COLUMNS, comparison_rows, metric_row
from harness.records.metrics import metric_named
from harness.stats.verdicts import Verdict
from harness.system.text import xml_text

# GitHub refuses a comment of more than 65,536 characters; the rest is for what the caller adds.
MOST_CHARACTERS = 60_000
# The order of the table: what needs attention first.
_ORDER = (Verdict.REGRESSED, Verdict.UNDECIDED, Verdict.NOT_COMPARABLE, Verdict.IMPROVED, Verdict.EQUIVALENT)
_OPEN = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNDECIDED)


def comparison_markdown(comparison: Comparison) -> str:
    """Return the verdict, what changed with its 95 % interval, and everything else folded away."""
    rows = _rows(comparison)
    changed = [row for row in rows if row[6] in {verdict.value for verdict in _OPEN}]
    parts = [f"**{_headline(comparison)}**", f"Run `{comparison.run_b}` against `{comparison.run_a}`."]
    if changed:
        parts.append(_table(changed))
    parts += [f"- {_cell(note)}" for note in comparison.notes]
    text = "\n\n".join(parts)
    rest = [row for row in rows if row not in changed]
    if rest:
        text += f"\n\n<details><summary>Everything else: {len(rest)} rows</summary>\n\n{_table(rest)}\n\n</details>"
    return f"{text if len(text) <= MOST_CHARACTERS else _cut(parts, changed)}\n"


def comparison_junit(comparison: Comparison) -> bytes:
    """Return one test case per metric of each cell, and one per cell that could not be compared."""
    suite = ElementTree.Element("testsuite", name=f"phonebench {comparison.run_b} against {comparison.run_a}")
    for cell in comparison.cells:
        for metric in cell.metrics:
            _metric_case(suite, cell, metric)
        if not cell.metrics:
            _skipped(suite, cell.key, _why(cell))
    for run, keys in ((comparison.run_a, comparison.only_a), (comparison.run_b, comparison.only_b)):
        for key in keys:
            _skipped(suite, key, f"only in run {run}")
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    for tag in ("failure", "skipped"):
        suite.set({"failure": "failures"}.get(tag, tag), str(sum(case.find(tag) is not None for case in cases)))
    ElementTree.indent(suite)
    data: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _headline(comparison: Comparison) -> str:
    counts = {verdict: sum(cell.verdict is verdict for cell in comparison.cells) for verdict in _ORDER}
    words = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    alone = len(comparison.only_a) + len(comparison.only_b)
    more = f", {alone} in one run only" if alone else ""
    return f"{comparison.verdict.value.capitalize()}: {words or 'no cell in both runs'}{more}"


def _rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The rows of the table with the cell in each of them, the worst verdict first."""
    rows: list[tuple[str, ...]] = []
    for row in comparison_rows(comparison):
        # The table of the terminal names a cell only once.
        rows.append((row[0] or rows[-1][0], *row[1:]))
    order = {verdict.value: place for place, verdict in enumerate(_ORDER)}
    return sorted(rows, key=lambda row: order.get(row[6], len(order)))


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cut(parts: list[str], changed: list[tuple[str, ...]]) -> str:
    """As much as fits: the headline, and the first rows."""
    fits: list[tuple[str, ...]] = []
    for row in changed:
        if len(_table([*fits, row])) > MOST_CHARACTERS - 2000:
            break
        fits.append(row)
    more = f"{len(changed) - len(fits)} more rows, and what did not change, are in the report."
    return "\n\n".join([*parts[:2], *([_table(fits)] if fits else []), more])


def _cell(text: str) -> str:
    """Text that ends neither a cell of a table nor a line, and is no markup."""
    return " ".join(xml_text(text).replace("|", "\\|").replace("<", "&lt;").replace("@", "@\u200b").split())


def _metric_case(suite: ElementTree.Element, cell: CellComparison, comparison: MetricComparison) -> None:
    metric = metric_named(comparison.metric)
    case = ElementTree.SubElement(suite, "testcase", classname=xml_text(cell.key), name=metric.name)
    _, a, b, change, interval, verdict, reason = metric_row(comparison)
    words = f"{a} to {b}, {change}" + (f" (95 % interval {interval})" if interval else "")
    message = xml_text("; ".join(part for part in (words, verdict, reason) if part))
    if comparison.verdict is Verdict.REGRESSED:
        ElementTree.SubElement(case, "failure", message=message, type="regressed")
    elif comparison.verdict is Verdict.NOT_COMPARABLE:
        ElementTree.SubElement(case, "skipped", message=message)
    else:
        ElementTree.SubElement(case, "system-out").text = message


def _skipped(suite: ElementTree.Element, name: str, why: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=xml_text(name), name="comparison")
    ElementTree.SubElement(case, "skipped", message=xml_text(why))


def _why(cell: CellComparison) -> str:
    differing = "; ".join(f"{one.key}: {one.a!r} and {one.b!r}" for one in cell.differing)
    return "; ".join(part for part in (cell.verdict.value, differing, cell.reason) if part)
