"""The network in each file as a graph, coloured by size, time, sensitivity, delegate or what the recipe changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.records.measurement import CellStatus
from harness.report.sections.section import Block, Fragment, Report
from harness.report.view import full_labels
from harness.store.reader import read_graph
from harness.store.scans import read_scan

if TYPE_CHECKING:
    from harness.report.network.networks import Source

_PAGE = """\
<h2 id="network">Network</h2>
<p class="muted">What each file computes, from top to bottom. Click a box, or press Enter on it, to open or close its
  module; arrow keys follow the edges. Times are from the profile of the cell that is named, and a colour without a
  value means that it is not known.</p>
<div id="network-find" class="find"></div>
<p id="network-said" class="said" role="status"></p>
<div class="network">
  <div id="network-graph" class="graph" tabindex="-1"></div>
  <div id="network-facts" class="card" role="status" aria-live="polite"></div>
</div>
<details id="network-list"><summary>The boxes as a table</summary>
<div class="scroll" tabindex="0" role="region" aria-label="The boxes as a table"></div></details>
{% if left_out %}
<p class="muted">{{ left_out }} more file{{ "s" if left_out > 1 else "" }} of this run
  {{- " are" if left_out > 1 else " is" }} not drawn: the page has no room for more nodes.</p>
{% endif %}
<noscript><p>The graph needs JavaScript.</p></noscript>
"""


def lines(report: Report) -> Iterable[Block]:  # noqa: ARG001
    """Return nothing: a terminal shows no graph."""
    return ()


def html(report: Report) -> Fragment | None:
    """Return the graphs of the files of this run, those of the cells to ship first."""
    from harness.report.house import template
    from harness.report.network.networks import network_json, networks

    sources = _sources(report)
    if not sources:
        return None
    scans = {model.name: scan for model in report.head.models if (scan := read_scan(report.run, model)) is not None}
    layers = {name: {layer: u.sqnr_db for u in scan.units for layer in u.layers} for name, scan in scans.items()}
    drawn = [network_json(network) for network in networks(sources, layers)]
    if not drawn:
        return None
    return Fragment(
        template=_PAGE,
        values={"left_out": len(sources) - len(drawn)},
        embedded={"network-data": {"networks": drawn}},
        script=template("network.js"),
    )


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the graphs are files of the run's folder."""
    return {}


def _sources(report: Report) -> list[Source]:
    """Each file once, with the cell that says most about it; the files to ship first, then those of fp32."""
    from harness.report.network.networks import Source

    shown = [v for v in report.views if v.artifact and v.status in (CellStatus.OK, CellStatus.BROKEN)]
    chosen = {view.cell.key for r in report.rankings for view in (r.best, r.smallest) if view is not None}
    shown.sort(key=lambda v: (v.cell.key not in chosen, v.measurement is None or v.measurement.operators is None))
    names = full_labels(shown, threads=False)
    sources: dict[str, Source] = {}
    for view in shown:
        digest = view.artifact.sha256 if view.artifact else ""
        graph = None if digest in sources else read_graph(report.run, digest)
        if graph is not None:
            sources[digest] = Source(view=view, graph=graph, label=names[view.cell.key])
    return list(sources.values())
