"""An A/B session as text and as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.measure.pairs import PairSession
from harness.records.metrics import LATENCY, speeds_in_words
from harness.stats.sessions import LEAST_PAIRS
from harness.stats.speeds import speeds_of
from harness.stats.verdicts import Verdict
from harness.workflows.ab.chain import ABRecord

COLUMNS = ("pair", "order", "A", "B", "B vs. A", "")


def pair_rows(session: PairSession) -> list[tuple[str, ...]]:
    """Return one row per pair, in the order they ran."""
    return [
        (
            str(number),
            pair.order,
            _ms(pair.a_ns),
            _ms(pair.b_ns),
            _percent(pair.b_ns / pair.a_ns) if pair.a_ns and pair.b_ns else "",
            f"dropped: {pair.dropped}" if pair.dropped else "",
        )
        for number, pair in enumerate(session.pairs, start=1)
    ]


def sentences(record: ABRecord) -> list[str]:
    """Return the result of the session as sentences; the first is the verdict."""
    session = record.session
    if session is None or session.ratio is None or session.low is None or session.high is None:
        few = [f"undecided: a verdict needs at least {LEAST_PAIRS} good pairs"]
        return [*few, session.reason] if session and session.reason else few
    good = sum(pair.log_ratio is not None for pair in session.pairs)
    text = [
        f"{session.verdict.value}: B takes {session.ratio:.4f} times as long as A, interval {session.low:.4f} to "
        f"{session.high:.4f} (95 % over both looks), from {good} pairs in random order, seed {session.seed}",
        _meaning(session),
    ]
    text += [session.reason] if session.reason else []
    return [*text, *_speeds(session)]


def ab_json(record: ABRecord, run: str) -> dict[str, Any]:
    """Return plain values: times in ns, ratios B over A."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return {"schema": plain.pop("schema"), "run": run, **plain}


def _speeds(session: PairSession) -> list[str]:
    """A sentence for each side whose blocks ran at several speeds: that is where most of the noise comes from."""
    good = [pair for pair in session.pairs if pair.log_ratio is not None]
    sides = {"A": [pair.a_ns for pair in good], "B": [pair.b_ns for pair in good]}
    speeds = {side: speeds_of([ns for ns in times if ns is not None]) for side, times in sides.items()}
    return [
        f"the blocks of {side} ran at {len(found)} speeds: {speeds_in_words(LATENCY, found)}"
        for side, found in speeds.items()
        if found
    ]


def _meaning(session: PairSession) -> str:
    margin = f"{100 * session.margin:g} %"
    match session.verdict:
        case Verdict.EQUIVALENT:
            return f"the whole interval lies within ± {margin}, so any difference is too small to matter"
        case Verdict.REGRESSED | Verdict.IMPROVED:
            return f"the interval excludes 1 and reaches the margin of {margin}"
        case _:
            return _how_to_decide(session)


def _how_to_decide(session: PairSession) -> str:
    if session.pairs_to_decide is None or session.effect is None:
        return "more pairs are needed"
    spread, pairs = f"{100 * session.effect.spread:.1f} %", session.pairs_to_decide
    return f"pairs vary by {spread}; deciding would take about {pairs} of them: use --most-pairs {pairs}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:.4g} ms"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.2f} %"
