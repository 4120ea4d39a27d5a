"""The files that a night writes: JUnit XML for the CI job, Markdown for people. Both are functions of the record.

The one decision: only a confirmed regression is a failure. A fault of phonebench or the device is an error, an absent
device is a skipped test, and a suspicion is a test that passes with a message.
"""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from harness.records.metrics import metric_named
from harness.system.text import xml_text
from harness.workflows.nightly.device_words import USAGE_TITLES, device_lines, usage_rows
from harness.workflows.nightly.record import CommonShift, GroupKind, NightRecord, SeriesNight, State, Suspect, Trigger

JUNIT_FILE = "junit.xml"
MARKDOWN_FILE = "summary.md"

# CI services refuse a job summary of more than 1024 KiB; this many rows stay far below.
MOST_ROWS = 200

# The order of the table: what needs attention first.
_ORDER = (
    State.REGRESSION,
    State.NOT_JUDGED,
    State.FAILED,
    State.INCOMPLETE,
    State.SUSPICIOUS,
    State.IMPROVEMENT,
)


def junit(record: NightRecord) -> bytes:
    """Return the night as JUnit XML, one test case per series."""
    series = record.series or ()
    count = Counter(night.state for night in series)
    suite = ElementTree.Element(
        "testsuite",
        name="phonebench nightly",
        timestamp=record.created_at,
        tests=str(len(series) + len(record.causes)),
        failures=str(count[State.REGRESSION]),
        errors=str(count[State.FAILED] + count[State.NOT_JUDGED]),
        skipped=str(count[State.INCOMPLETE]),
    )
    for cause in record.causes:
        _cause_case(suite, cause)
    for night in series:
        _case(suite, night)
    ElementTree.indent(suite)
    data: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def markdown(record: NightRecord) -> str:
    """Return the night as Markdown: the verdict, the coverage, and the series that need attention."""
    series = record.series or ()
    count = Counter(night.state for night in series)
    causes = "\n".join(f"- {_cell(describe_cause(cause))}" for cause in record.causes)
    parts = [f"# Night {record.id}", _verdict(count), *([causes] if causes else []), _coverage(record, count)]
    shown = [night for state in _ORDER for night in series if night.state is state]
    if shown:
        parts.append("\n".join(_table(shown[:MOST_ROWS])))
    if len(shown) > MOST_ROWS:
        parts.append(f"{len(shown) - MOST_ROWS} more rows are not shown here; night.json has all of them.")
    if len(record.usage) > 1:
        parts.append("\n".join(_usage_table(record)))
    return "\n\n".join(parts) + "\n"


def describe(night: SeriesNight) -> str:
    """Return what there is to say about a series beside its state."""
    parts = [night.reason] if night.reason else []
    confirmation = night.confirmation
    if confirmation is not None and confirmation.ratio is not None:
        interval = ""
        if confirmation.low is not None and confirmation.high is not None:
            ends = f"{_change(confirmation.low)} to {_change(confirmation.high)}"
            interval = f" (95 % interval {ends}, {confirmation.pairs} pairs)"
        parts.insert(0, f"{_change(confirmation.ratio)} compared with {_good(night)}{interval}")
    suspect = night.suspect
    if suspect is not None:
        parts.append(f"{_why(suspect)}, {_commits(night)}")
    return "; ".join(parts)


def describe_cause(cause: CommonShift) -> str:
    """Return a common shift as one sentence: how many series, where, by how much, since when, and what changed."""
    way = "worse" if cause.worse else "better"
    what = metric_named(cause.metric).label
    since = f"since run {cause.since}, three nights in a row" if cause.lasting else "tonight"
    parts = [f"{_who(cause)}: {what} {_change(cause.ratio)} ({way}), {since}"]
    if cause.changed:
        parts.append(f"what changed: {', '.join(cause.changed)}")
    if cause.by_files:
        parts.append(f"side by side {cause.confirmed} of a sample of {cause.sampled} confirm it, so the files changed")
    elif cause.sampled:
        parts.append(f"side by side {cause.confirmed} of a sample of {cause.sampled} confirm it: not the files")
    if cause.lasting:
        parts.append("these series begin a new level")
    return "; ".join(parts)


def _who(cause: CommonShift) -> str:
    match cause.kind:
        case GroupKind.FARM:
            return f"All {cause.series} series of all devices"
        case GroupKind.DEVICE:
            return f"All {cause.series} series on {cause.name}"
        case GroupKind.RUNTIME | GroupKind.FORMAT:
            return f"All {cause.series} series of {cause.kind.value} {cause.name}"


def _good(night: SeriesNight) -> str:
    match night.suspect.trigger if night.suspect else None:
        case Trigger.NEW_FILE:
            return "last night's artifact"
        case Trigger.BASELINE:
            return "the baseline"
        case _:
            return "the last good artifact"


def _why(suspect: Suspect) -> str:
    """Why the two artifacts were compared."""
    match suspect.trigger:
        case Trigger.NEW_FILE:
            return f"compared because the file is new: {_change(suspect.ratio)} tonight"
        case Trigger.BASELINE:
            return f"compared because the level moved from the baseline: {_change(suspect.ratio)}"
        case Trigger.COMMON:
            return f"compared in a sample of a common shift: {_change(suspect.ratio)}"
        case _:
            return f"suspected by {suspect.trigger.value}: {_change(suspect.ratio)}"


def show_value(value: float | None, metric: str) -> str:
    """Return a value of the metric of that name, in the unit that suits it."""
    return metric_named(metric).formatter.text(value)


def _case(suite: ElementTree.Element, night: SeriesNight) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=xml_text(night.cell), name=night.metric)
    facts = {"state": night.state.value, "value": night.value, "level": night.level, "nights": night.nights}
    properties = ElementTree.SubElement(case, "properties")
    for name, value in facts.items():
        if value is not None:
            ElementTree.SubElement(properties, "property", name=name, value=str(value))
    words = xml_text(describe(night))
    match night.state:
        case State.REGRESSION:
            ElementTree.SubElement(case, "failure", message=words, type="regression")
        case State.FAILED | State.NOT_JUDGED:
            ElementTree.SubElement(case, "error", message=words, type=night.state.value)
        case State.INCOMPLETE:
            ElementTree.SubElement(case, "skipped", message=words)
        case _:
            if words:
                ElementTree.SubElement(case, "system-out").text = words


def _cause_case(suite: ElementTree.Element, cause: CommonShift) -> None:
    """A common shift is a test of its own that passes with a message: its series fail only if their files changed."""
    name = f"{cause.kind.value} {cause.name}".strip()
    case = ElementTree.SubElement(suite, "testcase", classname="common shift", name=xml_text(f"{name} {cause.metric}"))
    ElementTree.SubElement(case, "system-out").text = xml_text(describe_cause(cause))


def _verdict(count: Counter[State]) -> str:
    if count[State.REGRESSION]:
        return f"**{count[State.REGRESSION]} of {count.total()} series regressed**, confirmed side by side."
    missing = count[State.FAILED] + count[State.INCOMPLETE] + count[State.NOT_JUDGED]
    if missing:
        verb = "is" if missing == 1 else "are"
        return f"**No regression in what was measured**; {missing} of {count.total()} series {verb} missing."
    return "**No regression.**"


def _coverage(record: NightRecord, count: Counter[State]) -> str:
    measured = count.total() - count[State.FAILED] - count[State.INCOMPLETE]
    lines = [f"{measured} of {count.total()} series measured at commit {record.commit or 'unknown'}."]
    words = {state: state.value for state in State} | {State.NONE: "nothing suspected"}
    lines += [f"{count[state]} series: {words[state]}." for state in State if count[state]]
    lines += device_lines(record)
    if record.baseline is not None:
        lines.append(f"Compared with the baseline {record.baseline.name}. {record.baseline.missing}".strip())
    skipped = sum(confirmation.skipped for confirmation in record.confirmations)
    if skipped:
        minutes = f"{record.budget_min:g} minutes"
        lines.append(f"{skipped} comparisons were left out when the {minutes} for them were used up (--budget).")
    if record.again:
        lines.append(f"Outlying values were measured again in {', '.join(record.again)}.")
    return "\n".join(f"- {_cell(line)}" for line in lines)


def _table(series: list[SeriesNight]) -> list[str]:
    rows = ["| state | series | tonight | level before | |", "| --- | --- | ---: | ---: | --- |"]
    for night in series:
        cells = (
            night.state.value,
            f"`{night.series}`",
            show_value(night.value, night.metric),
            show_value(night.level, night.metric),
            describe(night),
        )
        rows.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return rows


def _usage_table(record: NightRecord) -> list[str]:
    rows = [USAGE_TITLES, ("---", *["---:"] * (len(USAGE_TITLES) - 1)), *usage_rows(record.usage[:MOST_ROWS])]
    return [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]


def _cell(text: str) -> str:
    """Text that ends neither a cell of a Markdown table nor a line."""
    return " ".join(xml_text(text).replace("|", "\\|").split())


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _commits(night: SeriesNight) -> str:
    suspect = night.suspect
    if suspect is None or suspect.first_bad is None:
        return "commit unknown"
    return f"commits {suspect.last_good or '?'}..{suspect.first_bad}"
