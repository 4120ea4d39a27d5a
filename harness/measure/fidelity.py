"""How close a device's outputs are to those of the float model, and whether they can be trusted at all."""

from __future__ import annotations

from dataclasses import dataclass

from harness.artifacts.sources.made_variant import references
from harness.artifacts.verify.judge import ComparedOutput, Judgement, judge, terms_of, why_nothing_finite
from harness.measure.job import Job
from harness.records.conditions import Condition
from harness.records.measurement import Fidelity, OutputFacts
from harness.spec.recipe import Precision
from harness.wire.tensors import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOutputs:
    """The outputs of a device, judged.

    ``reason`` says why they are garbage, None if they are not. ``fidelity`` compares them with the float model's; None
    if nothing can be compared.
    """

    reason: str | None = None
    fidelity: Fidelity | None = None
    conditions: tuple[Condition, ...] = ()


def judge_outputs(job: Job, outputs: tuple[Array, ...] | None) -> JudgedOutputs:
    """Judge ``outputs``, one array per output of shape ``(count, *output shape)``; None if there are none."""
    if outputs is None:
        return JudgedOutputs()
    own, original = references(job.model, job.varied)
    if original is None or own is None:
        return JudgedOutputs(reason=_on_the_device(why_nothing_finite(outputs)))
    recipe = job.artifact.manifest.recipe
    terms = terms_of(job.card, job.model, recipe.precision if recipe else Precision.FP32, job.cell.delegate)
    # The file must compute the network that the graph steps made, and the report shows what those cost.
    judged = judge(own, outputs, terms)
    shown = judged if job.varied is None else judge(original, outputs, terms)
    return JudgedOutputs(reason=_on_the_device(judged.reason), fidelity=_fidelity(shown), conditions=judged.conditions)


def _on_the_device(reason: str | None) -> str | None:
    return f"on the device {reason}" if reason else None


def _fidelity(judgement: Judgement) -> Fidelity | None:
    """The figures of the first output, and those of each."""
    if not judgement.compared:
        return None
    first = judgement.compared[0]
    lead = first.fidelity
    return Fidelity(
        sqnr_db=lead.sqnr_db,
        sqnr_worst_db=lead.sqnr_worst_db,
        cosine=lead.cosine,
        max_error=lead.max_error,
        agreement=judgement.agreement,
        count=lead.count,
        outputs=tuple(map(_of_output, judgement.compared)),
        sqnr_min_db=lead.sqnr_min_db,
        worst_input=lead.worst_input,
        differing=len(first.differing),
    )


def _of_output(one: ComparedOutput) -> OutputFacts:
    return OutputFacts(
        name=one.name,
        sqnr_db=one.fidelity.sqnr_db,
        sqnr_worst_db=one.fidelity.sqnr_worst_db,
        cosine=one.fidelity.cosine,
        max_error=one.fidelity.max_error,
        sqnr_min_db=one.fidelity.sqnr_min_db,
        worst_input=one.fidelity.worst_input,
        differing=len(one.differing),
    )
