"""How to read the figures of the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.report.sections.section import Block, Fragment, Report
from harness.spec.profiles import ProfileName

_PAGE = """\
<h2>How to read the figures</h2>
<p><strong>Latency</strong> is the median of the calls. With several launches it is that of a typical launch, and the
  small line under it is the 95&nbsp;% interval <em>over launches</em>. One launch gives no interval: the small
  line is then the spread of its calls, p5 to p90. A percentile is left out when there are too few
  calls for it, or when launches differ more than their calls do.</p>
{% if memory_definitions and imported %}
<p><strong>Memory</strong> is what the program that measured says: {{ memory_definitions | join("; ") }}.</p>
{% elif memory_definitions %}
<p><strong>Memory</strong> is what the runner's process held, minus what the same process held with the runtime up and
  no model loaded. Read from: {{ memory_definitions | join("; ") }}.</p>
{% endif %}
{% if imported %}
<p>These figures are those of other programs, which measured by their own rules. A dash means that the file says
  nothing; it never stands for zero.</p>
{% else %}
<p><strong>Accuracy</strong> is computed from the outputs of the device itself, with its Wilson 95&nbsp;% interval.
  <strong>SQNR</strong> and <strong>agreement</strong> compare those outputs with the float model's on the same inputs.
  A dash means that something was not measured; it never stands for zero.</p>
{% endif %}
"""


def lines(report: Report) -> Iterable[Block]:  # noqa: ARG001
    """Return nothing: ``docs/report.md`` says this for the terminal."""
    return ()


def html(report: Report) -> Fragment:
    """Return the explanations, with the definition of memory that the runners gave."""
    definitions = list(dict.fromkeys(view.memory.definition for view in report.views if view.memory))
    imported = bool(report.views) and all(v.cell.profile is ProfileName.IMPORTED for v in report.views)
    return Fragment(template=_PAGE, values={"memory_definitions": definitions, "imported": imported})


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: this explains what other sections show."""
    return {}
