"""An A/B session as a page: the verdict, the pairs in their order, and the table of them."""

from __future__ import annotations

from harness.records import units
from harness.report.charts.pairs import PairDot, pair_ratios
from harness.report.pages import PageChart, PageTable, page
from harness.store.records import RunRecord
from harness.workflows.ab.chain import ABRecord
from harness.workflows.ab.words import COLUMNS, pair_rows, sentences

PAGE_FILE = "ab.html"
_CAPTION = (
    "Each dot is a pair of blocks, one of A and one of B, in random order. Two heights by colour would mean that "
    "the order matters. The green band is the interval of the result. Where it lies within the grey band, any "
    "difference is too small to matter."
)


def ab_page(record: ABRecord, run: RunRecord) -> str:
    """Return the session as HTML; it may have no pairs."""
    session = record.session
    pairs = session.pairs if session else ()
    estimate = None
    if session and session.ratio is not None and session.low is not None and session.high is not None:
        estimate = (session.ratio, session.low, session.high)
    dots = [
        PairDot(order=p.order, ratio=p.b_ns / p.a_ns if p.a_ns and p.b_ns else None, dropped=p.dropped) for p in pairs
    ]
    margin = session.margin if session else 0.03
    chart = PageChart(
        name="pairs",
        heading="Pairs",
        caption=_CAPTION,
        draw=lambda: pair_ratios(dots, estimate=estimate, margin=margin),
    )
    told = [sentence[:1].upper() + sentence[1:] + "." for sentence in sentences(record)]
    table = PageTable(
        heading="Each pair",
        titles=[title or "note" for title in COLUMNS],
        rows=pair_rows(session) if session else [],
        texts=(1, 5),
    )
    return page(
        title=f"A/B: {record.a} and {record.b}",
        lead=f"A is {record.a}, B is {record.b} · run {run.head.id} · {units.stamp(run.head.created_at)}",
        answer=told,
        charts=[chart],
        tables=[table],
    )
