"""What the table of cells leaves out of language models: the first call, the cache, and what each figure means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.records import units
from harness.records.generation import GenerationFigure, GenerationSummary
from harness.report.sections.section import Block, Fragment, Line, Report, Tone
from harness.report.view import CellView, full_labels, memory_growth

_PAGE = """\
<h2>Language models</h2>
<p class="muted">The first generation of a process is no part of the other figures. The cache of keys and values grows
  with the tokens that the model holds; its share is that of the peak memory over the runtime without a model.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Language models">
<table id="language">
<thead><tr>
{% for title, hint in columns %}
  <th class="{{ "name" if loop.first else "" }}" title="{{ hint }}" scope="col">{{ title }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for text in row %}<td class="{{ "name" if loop.first else "" }}">{{ text }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
<ul class="muted">{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
"""

_COLUMNS = (
    ("cell", "variant, format and tokens of the prompt"),
    ("first call: first token", "of the first generation of a process"),
    ("first call: decode tok/s", "of the first generation of a process"),
    ("cache", "keys and values at the end of a generation"),
    ("share of peak", "of the peak memory over the runtime without a model"),
    ("new tokens", "as the runtime counted them, of those requested"),
    ("perplexity", "of the device's own likelihoods; the float model's on the same tokens"),
    ("same top-1 %", "positions with the same likeliest token as the float model"),
)


def lines(report: Report) -> Iterator[Block]:
    """Yield what the figures mean, and what is wrong with single cells."""
    for sentence in sentences(report.views):
        yield Line(text=sentence, tone=Tone.QUIET)


def html(report: Report) -> Fragment | None:
    """Return the table and the definitions; None without language models."""
    views = [view for view in report.views if _generation(view) is not None]
    if not views:
        return None
    names = full_labels(report.views)
    rows = [(names[view.cell.key], *_row(view)) for view in views]
    values = {"columns": _COLUMNS, "rows": rows, "sentences": list(sentences(report.views))}
    return Fragment(template=_PAGE, values=values)


def json(report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every cell carries its generations."""
    return {}


def sentences(views: Iterable[CellView]) -> Iterator[str]:
    """Yield the definition of each figure that a cell has, then what is special about single cells."""
    listed = [view for view in views if _generation(view) is not None]
    names = full_labels(listed)
    found: dict[str, None] = {}
    for view in listed:
        for figure in _figures(view):
            found[f"{figure.definition[0].upper()}{figure.definition[1:]}."] = None
        for stated in view.measurement.stated if view.measurement else ():
            found[f"As stated by the program that ran the model: {stated.definition}. Compare with no other."] = None
    for view in listed:
        for note in _notes(view):
            found[f"{names[view.cell.key]}: {note}"] = None
    for view in listed:
        generation = _generation(view)
        if generation is not None and generation.kv_cache_source:
            found[f"Cache of keys and values, {generation.kv_cache_source}."] = None
    yield from found


def _notes(view: CellView) -> Iterator[str]:
    generation = _generation(view)
    if generation is None:
        return
    if generation.tokens < generation.new_tokens:
        ended = ", ".join(generation.endings)
        yield f"the model gave {generation.tokens} of {generation.new_tokens} tokens ({ended}), so its time is shorter"
    if generation.chunks:
        yield "callbacks brought pieces of text; rates use the tokens that the runtime counted"


def _generation(view: CellView) -> GenerationSummary | None:
    return view.measurement.generation if view.measurement else None


def _figures(view: CellView) -> Iterator[GenerationFigure]:
    generation = _generation(view)
    if generation is not None:
        yield from (f for f in (generation.ttft, generation.prefill, generation.decode) if f is not None)


def _row(view: CellView) -> tuple[str, ...]:
    generation, quality = _generation(view), view.measurement.language if view.measurement else None
    if generation is None:
        return ()
    perplexity = units.NONE
    if quality is not None:
        perplexity = f"{quality.perplexity:.4g}"
        perplexity += f" (float {quality.float_perplexity:.4g})" if quality.float_perplexity is not None else ""
    decode = generation.first_decode_per_s
    return (
        units.time(generation.first_ttft_ns) if generation.first_ttft_ns is not None else units.NONE,
        units.NONE if decode is None else f"{decode:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}"),
        units.NONE if generation.kv_cache_bytes is None else units.size(generation.kv_cache_bytes),
        _share(view, generation.kv_cache_bytes),
        f"{generation.tokens} of {generation.new_tokens}",
        perplexity,
        units.PERCENT.show(quality.agreement) if quality is not None else units.NONE,
    )


def _share(view: CellView, cache_bytes: int | None) -> str:
    growth = memory_growth(view.memory)
    if cache_bytes is None or growth is None or not growth.peak_bytes or growth.peak_bytes < cache_bytes:
        return units.NONE
    return f"{cache_bytes / growth.peak_bytes:.0%}"
