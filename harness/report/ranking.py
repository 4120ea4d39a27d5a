"""What to ship: the fastest of the cells that keep the accuracy, and the front of accuracy against latency.

A ranking claims no more than the figures support. On a desktop CPU it leaves out the latency of fp16 and int8, which
does not predict their speed on a phone. It never prefers a cell of unknown quality to one that was judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.records.conditions import ConditionId
from harness.records.metrics import ACCURACY, LATENCY
from harness.report.view import CellView, cell_views, groups, ok_views
from harness.spec.recipe import AS_IS, Precision
from harness.stats.pareto import pareto_front
from harness.store.records import ModelFacts, RunRecord

# Used only where accuracy was not measured: the share of inputs with the float model's answer, and for outputs without
# classes the SQNR that a sound int8 model reaches.
MIN_AGREEMENT = 0.99
MIN_SQNR_DB = 20.0

# With untrained weights, or noise as input, the distance of the outputs from the float model's means nothing.
_NO_FIDELITY = (ConditionId.RANDOM_WEIGHTS, ConditionId.RANDOM_INPUTS)

# Without this slack, 0.98 would not be within 0.01 of 0.99 in floating point.
_SLACK = 1e-9


class Quality(StrEnum):
    """Whether a cell's answers are as good as the float model's."""

    HOLDS = "holds"
    LOST = "lost"
    UNKNOWN = "unknown"


class QualityBasis(StrEnum):
    """What quality was judged by, best first."""

    ACCURACY = "accuracy"
    AGREEMENT = "agreement with the float model"
    SQNR = "SQNR against the float model"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The cells of one model on one device, judged.

    ``candidates``, fastest first, keep their quality (or none could be judged) and may be ranked by latency.
    ``as_fast`` are the candidates with no measurable difference to the fastest. ``smallest`` keeps its quality and has
    the smallest file. ``front`` holds cell keys, fastest first. ``reference`` is the accuracy (0…1) that the cells are
    compared with. ``latency_ranked`` is False on a desktop CPU, where only fp32 cells are candidates and on the front.
    """

    model: str
    device: str
    ok: tuple[CellView, ...]
    quality: dict[str, Quality]
    basis: QualityBasis
    reference: float | None
    candidates: tuple[CellView, ...]
    as_fast: tuple[CellView, ...]
    smallest: CellView | None
    front: tuple[str, ...]
    latency_ranked: bool

    @property
    def best(self) -> CellView | None:
        """The cell to ship; None if the figures do not support a choice."""
        return self.candidates[0] if self.candidates and self.latency_ranked else None

    def is_ranked(self, view: CellView) -> bool:
        """Return whether the latency of ``view`` may be compared with that of the others."""
        return self.latency_ranked or comparable_on_desktop(view)


def rankings(run: RunRecord) -> tuple[Ranking, ...]:
    """Return one ranking per (model, device) of the run, in the order of the plan."""
    facts = {m.name: m for m in run.head.models}
    return tuple(rank(views, facts.get(model)) for (model, _), views in groups(cell_views(run)).items())


def rank(views: tuple[CellView, ...], facts: ModelFacts | None) -> Ranking:
    """Rank ``views``, which are of one model on one device; at least one."""
    ok = ok_views(views)
    desktop = any(c.id is ConditionId.DESKTOP_CPU for v in ok for c in v.conditions)
    reference = _reference_accuracy(ok, facts)
    quality = {v.cell.key: _judge(v, reference) for v in ok}
    judged = [v for v in ok if quality[v.cell.key] is not Quality.UNKNOWN]
    # Where nothing can be judged, quality cannot exclude anything.
    good = [v for v in judged if quality[v.cell.key] is Quality.HOLDS] if judged else list(ok)
    rankable = [v for v in ok if not desktop or comparable_on_desktop(v)]
    candidates = sorted((v for v in good if v in rankable and v.latency), key=median_ns)
    return Ranking(
        model=views[0].cell.model,
        device=views[0].cell.device,
        ok=ok,
        quality=quality,
        basis=_basis(judged, reference),
        reference=reference,
        candidates=tuple(candidates),
        as_fast=tuple(v for v in candidates[1:] if _is_tied(candidates[0], v)),
        smallest=min((v for v in good if v.artifact), key=_bytes, default=None),
        front=_front(rankable),
        latency_ranked=not desktop,
    )


def comparable_on_desktop(view: CellView) -> bool:
    """Return whether the latency of ``view`` on a desktop CPU can be compared with others measured there."""
    return view.cell.variant in (Precision.FP32, AS_IS)


def quality_share(view: CellView) -> float | None:
    """Return the quality axis of the front: accuracy, or agreement where there is none (0…1)."""
    return view.accuracy.value if view.accuracy else view.agreement


def median_ns(view: CellView) -> float:
    """Return the latency to sort by; a cell without one comes last."""
    return view.latency.median_ns if view.latency else float("inf")


def _reference_accuracy(ok: tuple[CellView, ...], facts: ModelFacts | None) -> float | None:
    """The best fp32 accuracy on the device, else that of the float network here, else the best of any cell."""
    # On the device first: its runtime may compute fp32 slightly differently from PyTorch here.
    floats = [v.accuracy.value for v in ok if v.accuracy and v.cell.variant == Precision.FP32]
    if floats:
        return max(floats)
    if facts is not None and facts.float_accuracy is not None:
        return facts.float_accuracy
    return max((v.accuracy.value for v in ok if v.accuracy), default=None)


def _judge(view: CellView, reference: float | None) -> Quality:
    if view.accuracy is not None and reference is not None:
        tolerance = ACCURACY.absolute_tolerance
        return _holds(view.accuracy.value >= reference - tolerance - _SLACK)
    if any(c.id in _NO_FIDELITY for c in view.conditions):
        return Quality.UNKNOWN
    if view.agreement is not None:
        return _holds(view.agreement >= MIN_AGREEMENT - _SLACK)
    if view.sqnr_db is not None:
        return _holds(view.sqnr_db >= MIN_SQNR_DB)
    return Quality.UNKNOWN


def _holds(does: bool) -> Quality:
    return Quality.HOLDS if does else Quality.LOST


def _basis(judged: list[CellView], reference: float | None) -> QualityBasis:
    if any(v.accuracy for v in judged) and reference is not None:
        return QualityBasis.ACCURACY
    if any(v.agreement is not None for v in judged):
        return QualityBasis.AGREEMENT
    return QualityBasis.SQNR if judged else QualityBasis.NOTHING


def _front(views: list[CellView]) -> tuple[str, ...]:
    """The keys on the Pareto front. One front never mixes accuracy and agreement, which are on different scales."""
    with_accuracy = [v for v in views if v.latency and v.accuracy]
    drawn = with_accuracy or [v for v in views if v.latency and v.agreement is not None]
    points = [(median_ns(v), quality_share(v) or 0.0) for v in drawn]
    return tuple(drawn[i].cell.key for i in pareto_front(points))


def _is_tied(best: CellView, other: CellView) -> bool:
    """Whether the latencies are within the tolerance, or their intervals overlap."""
    if best.latency is None or other.latency is None:
        return False
    if other.latency.median_ns <= best.latency.median_ns * (1 + LATENCY.relative_tolerance):
        return True
    # Overlapping intervals are no proof of equality, but too little to prefer one.
    high, low = best.latency.high_ns, other.latency.low_ns
    return high is not None and low is not None and low <= high


def _bytes(view: CellView) -> int:
    return view.artifact.bytes if view.artifact else 0
