"""What measuring a language model adds to measuring a network: its passes, and what its likelihoods are worth."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.artifacts.sources.prepare_language import answer_of
from harness.artifacts.sources.prepared_model import PreparedLanguage
from harness.artifacts.verify.language import ComparedText, compare_text, perplexity_of, why_implausible
from harness.devices.device import Device
from harness.measure.fidelity import JudgedOutputs
from harness.measure.job import Job
from harness.readers.pte import TOKENIZERS
from harness.records import units
from harness.records.generation import GenerationSummary, LanguageQuality, summarise_generations
from harness.records.measurement import Accuracy, Fidelity, TaskScores
from harness.scoring.corpus import of_counts, replicates
from harness.spec.formats import FORMATS
from harness.spec.recipe import Precision
from harness.stats.intervals import wilson
from harness.stats.proportions import correct_to_bits
from harness.stats.resampling import LEAST_FOR_BOOTSTRAP, replicate_interval
from harness.wire import GeneratePass, MeasurePass, Passes, RunReply, ScorePass, WarmupPass
from harness.wire.tensors import Array

# What a number in the cache of keys and values takes where the runtime does not say: most keep float16.
CACHE_BYTES = 2
# A generation takes seconds on a phone, where a call of another network takes milliseconds. So fewer make a launch.
MOST_CALLS, MOST_MEMORY_CALLS = 5, 2
METRIC, CHOICES_METRIC = "perplexity", "multiple choice"


def why_too_large(job: Job, device: Device) -> str | None:
    """Return why a language model cannot fit into the memory of ``device``, or None if it may, or is another network.

    Its file alone must fit: every token reads all weights, so pages that the system drops are read again each time.
    """
    size, memory = job.artifact.manifest.bytes, device.info.memory_bytes
    if job.cell.lengths is None or size is None or memory is None or size < memory:
        return None
    return (
        f"the model's files have {units.size(size)} and device {job.cell.device!r} has {units.size(memory)} of memory: "
        "build it with fewer bits, or use a smaller model"
    )


def language_passes(job: Job, passes: Passes, *, outputs: bool) -> Passes:
    """Return the passes of a launch of a language model in place of ``passes``."""
    profile, lengths = job.profile, job.cell.lengths
    if lengths is None:
        return passes
    text, tokenizer = _text(job, lengths.prompt_tokens)
    generate = GeneratePass(
        prompt_tokens=lengths.prompt_tokens,
        new_tokens=lengths.new_tokens,
        warmup=WarmupPass(min_calls=min(1, profile.warmup_calls), min_ns=0),
        measure=MeasurePass(
            min_calls=min(MOST_CALLS, profile.measure_calls), min_ns=profile.measure_ns, max_ns=profile.cap_ns
        ),
        prompt_text=text,
        tokenizer=tokenizer,
    )
    memory = passes.memory and replace(passes.memory, calls=min(MOST_MEMORY_CALLS, passes.memory.calls))
    score = ScorePass(count=job.model.facts.test_count) if outputs else None
    return Passes(memory=memory, generate=generate, score=score, energy=passes.energy)


def _text(job: Job, tokens: int) -> tuple[str, str]:
    """The prompt as text and the name of the tokenizer beside the file, for runners that take text; else nothing."""
    row, language = FORMATS[job.cell.format].language, job.model.facts.language
    if row is None or not row.takes_text or language is None:
        return "", ""
    names = [part.file for part in job.artifact.manifest.companions if part.file in TOKENIZERS]
    text = language.prompt_text(tokens)
    return (text, names[0]) if names and text else ("", "")


def generation_of(job: Job, replies: Sequence[RunReply]) -> GenerationSummary | None:
    """Return how fast the model generated; the size of the cache comes from its folder where no runtime says it."""
    lengths, language = job.cell.lengths, job.model.facts.language
    if lengths is None or language is None:
        return None
    summary = summarise_generations(replies, lengths.new_tokens)
    if summary is None or summary.kv_cache_bytes is not None or language.cached_per_token is None:
        return summary
    return replace(
        summary,
        kv_cache_bytes=language.cached_per_token * lengths.total * CACHE_BYTES,
        kv_cache_source=(
            "computed: the numbers that the model keeps per token x 2 bytes of float16 x the tokens of prompt and "
            "output; the runtime does not report its own"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageAnswers:
    """What the likelihoods of a device are worth; None where there is nothing to judge by."""

    quality: LanguageQuality | None = None
    scores: TaskScores | None = None
    accuracy: Accuracy | None = None


def judge_text(job: Job, outputs: tuple[Array, ...] | None) -> JudgedOutputs:
    """Judge likelihoods by the float model's: whether they can be trusted, and how far they are away."""
    language, compared = job.model.facts.language, _compared(job, outputs)
    if compared is None or language is None or not language.real_text:
        return JudgedOutputs()
    recipe = job.artifact.manifest.recipe
    reason = why_implausible(compared, recipe.precision if recipe else Precision.FP32, language.vocabulary)
    far = compared.fidelity
    fidelity = Fidelity(
        sqnr_db=far.sqnr_db,
        sqnr_worst_db=far.sqnr_worst_db,
        cosine=far.cosine,
        max_error=far.max_error,
        agreement=compared.agreement,
        count=compared.tokens,
        sqnr_min_db=far.sqnr_min_db,
        worst_input=far.worst_input,
    )
    return JudgedOutputs(reason=f"on the device {reason}" if reason else None, fidelity=fidelity)


def judge_language(job: Job, outputs: tuple[Array, ...] | None) -> LanguageAnswers:
    """Return perplexity, agreement with the float model, and the share of questions answered rightly."""
    language = job.model.facts.language
    if outputs is None or language is None:
        return LanguageAnswers()
    # A broken file may have likelihoods that no perplexity can hold, and stored results hold finite numbers only.
    has_perplexity = language.real_text and math.isfinite(perplexity(outputs[0][language.text]))
    return LanguageAnswers(
        quality=_quality(job, outputs, language) if has_perplexity else None,
        scores=_scores(job, outputs[0], language) if has_perplexity else None,
        accuracy=_accuracy(job, outputs[0], language) if _all_asked(outputs[0], language) else None,
    )


def perplexity(nll: Array) -> float:
    """Return exp of the mean negative log-likelihood (nats) per scored token; infinite if none was scored."""
    values = np.asarray(nll, dtype=np.float64)
    scored = values[~np.isnan(values)]
    return perplexity_of(float(scored.mean())) if scored.size else math.inf


def _compared(job: Job, outputs: tuple[Array, ...] | None) -> ComparedText | None:
    reference, language = job.model.reference(), job.model.facts.language
    if outputs is None or reference is None or language is None:
        return None
    rows = language.text
    if np.isnan(outputs[0][rows]).all():
        return None
    return compare_text((reference[0][rows], reference[1][rows]), (outputs[0][rows], outputs[1][rows]))


def _quality(job: Job, outputs: tuple[Array, ...], language: PreparedLanguage) -> LanguageQuality:
    nll, compared = outputs[0][language.text], _compared(job, outputs)
    return LanguageQuality(
        perplexity=perplexity(nll),
        tokens=int(np.count_nonzero(~np.isnan(nll))),
        float_perplexity=compared.float_perplexity if compared else None,
        agreement=compared.agreement if compared else None,
    )


def _scores(job: Job, nll: Array, language: PreparedLanguage) -> TaskScores:
    """Perplexity as a metric of the model: over all rows together, and for the draws of a bootstrap over rows."""
    rows = nll[language.text]
    # Rows of which nothing was scored are rows of neither side.
    kept = ~np.isnan(rows).all(axis=1)
    unscored = np.isnan(rows[kept])
    rows = rows[kept]
    drawn, value = _replicates(rows), perplexity(rows)
    low, high = replicate_interval(value, drawn, len(rows)) or (None, None)
    reference = job.model.reference()
    floats = None if reference is None else np.where(unscored, np.nan, reference[0][language.text][kept])
    if floats is not None and not math.isfinite(perplexity(floats)):
        floats = None
    return TaskScores(
        metric=METRIC,
        value=value,
        low=low,
        high=high,
        count=len(rows),
        scores=(),
        higher_is_better=False,
        corpus=True,
        float_value=None if floats is None else perplexity(floats),
        replicates=drawn,
        float_replicates=() if floats is None else _replicates(floats),
    )


def _replicates(rows: Array) -> tuple[float, ...]:
    # In units of a whole row, so that rows of which all is scored count as 1.
    values = rows.astype(np.float64)
    means = np.stack([np.nansum(values, axis=1) / rows.shape[1], 1 - np.isnan(values).mean(axis=1)], axis=1)
    corpus = of_counts(means, lambda sums: perplexity_of(sums[0] / sums[1]))
    drawn = tuple(float(f"{value:.6g}") for value in replicates(corpus, least_inputs=LEAST_FOR_BOOTSTRAP))
    return drawn if all(map(math.isfinite, drawn)) else ()


def _accuracy(job: Job, nll: Array, language: PreparedLanguage) -> Accuracy:
    right = _right(nll, language)
    reference = job.model.reference()
    low, high = wilson(sum(right), len(right))
    return Accuracy(
        metric=CHOICES_METRIC,
        value=sum(right) / len(right),
        low=low,
        high=high,
        correct=sum(right),
        count=len(right),
        correct_bits=correct_to_bits(right),
        float_bits="" if reference is None else correct_to_bits(_right(reference[0], language)),
    )


def _all_asked(nll: Array, language: PreparedLanguage) -> bool:
    """Whether there are questions, and every answer was scored: cells are compared question by question."""
    answers = [choice for question in language.questions for choice in question.choices]
    return bool(answers) and not any(np.isnan(nll[c.row, c.begin - 1 : c.end - 1]).any() for c in answers)


def _right(nll: Array, language: PreparedLanguage) -> list[bool]:
    answer = functools.partial(answer_of, nll=nll)
    return [answer(question) == question.answer for question in language.questions]
