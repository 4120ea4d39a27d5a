"""What to ship: the fastest of the cells that are good enough; of equally fast ones, the smallest and closest.

A ranking claims no more than the figures support. Quality is judged by `harness.compare.quality`; speed counts only
where intervals are apart. On a desktop CPU it leaves out the latency of fp16 and int8, which does not predict their
speed on a phone. It never prefers a cell of unknown quality to one that was judged. It never recommends a cell that ran
on a GPU imitated in software.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.compare.choice import Candidate, preferred
from harness.compare.quality import (
    GOOD,
    Quality,
    QualityBasis,
    QualityFacts,
    Reference,
    judge_quality,
    reference_of,
)
from harness.compare.speed import is_slower, range_of
from harness.records.conditions import ConditionId
from harness.records.metric import Metric
from harness.records.metrics import QUALITY
from harness.report.view import CellView, cell_views, groups, ok_views
from harness.spec.profiles import ProfileName
from harness.spec.recipe import AS_IS, Precision
from harness.stats.pareto import pareto_front
from harness.store.records import ModelFacts, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The cells of one model on one device, judged.

    ``quality`` has the facts of each cell that ran, by key. ``good`` are the cells that are good enough; if none could
    be judged, all but those of networks that were pruned and not trained again. ``candidates``, fastest first, are
    those of them that may be ranked by latency. ``best`` is the one to ship, None if the figures do not support a
    choice; ``as_fast`` are the other candidates that are not measurably slower than the fastest. ``smallest`` is the
    best of the smallest files of ``good``. ``front`` holds cell keys, fastest first. ``latency_ranked`` is False on a
    desktop CPU, where only fp32 cells are candidates and on the front.
    """

    model: str
    device: str
    ok: tuple[CellView, ...]
    quality: dict[str, QualityFacts]
    basis: QualityBasis
    reference: Reference
    good: tuple[CellView, ...]
    candidates: tuple[CellView, ...]
    best: CellView | None
    as_fast: tuple[CellView, ...]
    smallest: CellView | None
    front: tuple[str, ...]
    latency_ranked: bool

    def is_ranked(self, view: CellView) -> bool:
        """Return whether the latency of ``view`` may be compared with that of the others."""
        return not on_software_gpu(view) and (self.latency_ranked or comparable_on_desktop(view))

    @property
    def files(self) -> int:
        """The number of different files among the cells that ran. One file may run in several cells."""
        return len({v.cell.build for v in self.ok})

    def judged(self, *qualities: Quality) -> tuple[CellView, ...]:
        """Return the cells of one of these qualities, in the order of the plan."""
        return tuple(v for v in self.ok if self.quality[v.cell.key].quality in qualities)


def rankings(run: RunRecord) -> tuple[Ranking, ...]:
    """Return one ranking per (model, device) of the run, in the order of the plan.

    Imported cells are not ranked: nobody checked what their files answer, and each program measures by its own rules.
    """
    facts = {m.name: m for m in run.head.models}
    own = (view for view in cell_views(run) if view.cell.profile is not ProfileName.IMPORTED)
    return tuple(rank(views, facts.get(model)) for (model, _), views in groups(own).items())


def rank(views: tuple[CellView, ...], facts: ModelFacts | None) -> Ranking:
    """Rank ``views``, which are of one model on one device; at least one."""
    ok = ok_views(views)
    desktop = any(c.id is ConditionId.DESKTOP_CPU for v in ok for c in v.conditions)
    measured = [(v.cell, v.measurement) for v in ok if v.measurement is not None]
    reference = reference_of(measured, facts)
    quality = {m.cell: judge_quality(m, reference) for _, m in measured}
    judged = [v for v in ok if quality[v.cell.key].quality is not Quality.UNKNOWN]
    # Where nothing can be judged, quality cannot exclude anything but what is known to be damaged.
    good = [v for v in judged if quality[v.cell.key].quality in GOOD] if judged else [v for v in ok if not _damaged(v)]
    real = [v for v in ok if not on_software_gpu(v)]
    rankable = [v for v in _of_one_length(real) if not desktop or comparable_on_desktop(v)]
    candidates = sorted((v for v in good if v in rankable and v.latency), key=median_ns)
    tied = [v for v in candidates if not _is_slower(v, candidates[0])]
    best = None if desktop else _preferred(tied, quality)
    return Ranking(
        model=views[0].cell.model,
        device=views[0].cell.device,
        ok=ok,
        quality=quality,
        basis=_basis(judged, quality),
        reference=reference,
        good=tuple(good),
        candidates=tuple(candidates),
        best=best,
        as_fast=tuple(v for v in tied if v is not (best or tied[0])),
        smallest=_preferred([v for v in good if v.artifact and v in real], quality),
        front=_front(rankable),
        latency_ranked=not desktop,
    )


def _of_one_length(views: list[CellView]) -> list[CellView]:
    """Those with the longest prompt that ran, because generations after prompts of different lengths do not compare."""
    longest = max((v.cell.lengths.prompt_tokens for v in views if v.cell.lengths is not None), default=None)
    return [v for v in views if v.cell.lengths is None or v.cell.lengths.prompt_tokens == longest]


def _damaged(view: CellView) -> bool:
    """Whether a graph step changed the network and nothing repaired it."""
    return any(c.id is ConditionId.NOT_FINE_TUNED for c in view.conditions)


def _preferred(views: Iterable[CellView], quality: dict[str, QualityFacts]) -> CellView | None:
    by_key = {view.cell.key: view for view in views}
    chosen = preferred(
        [
            Candidate(
                key=key,
                bytes=view.artifact.bytes if view.artifact else math.inf,
                closeness_db=quality[key].closeness_db,
                latency_ns=median_ns(view),
            )
            for key, view in by_key.items()
        ]
    )
    return by_key[chosen.key] if chosen else None


def comparable_on_desktop(view: CellView) -> bool:
    """Return whether the latency of ``view`` on a desktop CPU can be compared with others measured there."""
    return view.cell.variant in (Precision.FP32, AS_IS)


def on_software_gpu(view: CellView) -> bool:
    """Return whether ``view`` ran on a GPU that the processor imitates, so that its figures are no GPU's."""
    return any(c.id is ConditionId.SOFTWARE_GPU for c in view.conditions)


def quality_metric(views: Iterable[CellView]) -> Metric | None:
    """Return the metric whose values are the quality axis of the front; None for agreement with the float model."""
    listed = list(views)
    return next((m for m in QUALITY if any(m.shown(v.measurement) for v in listed)), None)


def quality_of(view: CellView, metric: Metric | None) -> float | None:
    """Return the place of ``view`` on that axis, in the unit of the metric, or of agreement (0…1)."""
    if metric is None:
        return view.agreement
    reading = metric.shown(view.measurement)
    return None if reading is None else reading.value


def median_ns(view: CellView) -> float:
    """Return the latency to sort by; a cell without one comes last."""
    return view.latency.median_ns if view.latency else float("inf")


def _basis(judged: list[CellView], quality: dict[str, QualityFacts]) -> QualityBasis:
    present = {quality[v.cell.key].basis for v in judged}
    return next((basis for basis in QualityBasis if basis in present), QualityBasis.NOTHING)


def _front(views: list[CellView]) -> tuple[str, ...]:
    """The keys on the Pareto front. One front never mixes two measures of quality, which are on different scales."""
    metric = quality_metric(v for v in views if v.latency)
    sign = 1.0 if metric is None or metric.higher_is_better else -1.0
    drawn = [(v, value) for v in views if v.latency and (value := quality_of(v, metric)) is not None]
    points = [(median_ns(v), sign * value) for v, value in drawn]
    return tuple(drawn[i][0].cell.key for i in pareto_front(points))


def _is_slower(view: CellView, fastest: CellView) -> bool:
    if view.latency is None or fastest.latency is None:
        return False
    return is_slower(range_of(view.latency), range_of(fastest.latency))
