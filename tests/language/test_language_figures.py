"""Likelihoods and rates against counts by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.manifest import Artifact
from harness.artifacts.sources.prepare_language import answer_of
from harness.artifacts.sources.prepared_model import Choice, PreparedLanguage, Question
from harness.artifacts.verify.language import compare_text, why_implausible
from harness.devices.fake.fake import fake_info
from harness.measure.job import Job
from harness.measure.language import judge_language, why_too_large
from harness.plan.cells import Cell, Lengths, make_cell
from harness.records.device import DeviceInfo
from harness.records.generation import (
    PREFILL_TO_FIRST_DEFINITION,
    decode_per_s,
    summarise_generations,
)
from harness.runners.host.runtimes.language import token_scores
from harness.runners.host.runtimes.session import SessionError
from harness.spec.profiles import PROFILES, ProfileName
from harness.spec.recipe import Precision
from harness.wire import Delegate, Ending, Format, Generation, GenerationSamples, ReplyStatus, RunnerInfo, RunReply
from tests.artifacts.builders import CARD, make_manifest, make_prepared


def a_generation(*tokens_ns: int, prefill_ns: int | None = None, tokens: int | None = None) -> Generation:
    count = len(tokens_ns) if tokens is None else tokens
    return Generation(begin_ns=0, prefill_ns=prefill_ns, tokens_ns=tokens_ns, tokens=count)


def a_reply(*measured: Generation, prompt: int = 100) -> RunReply:
    samples = GenerationSamples(prompt_tokens=prompt, first=a_generation(9_000, 10_000), measured=measured)
    runner = RunnerInfo(kind="host", version="1")
    return RunReply(cell="c", launch=0, status=ReplyStatus.OK, runner=runner, generation=samples)


def text_job(folder: Path, language: PreparedLanguage) -> Job:
    """A job of a model whose text has ``language``."""
    model = make_prepared(folder, np.zeros((language.windows, 4), np.float32), outputs=(), language=language)
    artifact, profile = Artifact(manifest=make_manifest(), path=folder), PROFILES[ProfileName.QUICK]
    cell = make_cell("m", "fp32", Format.GGUF, Delegate.CPU, 1, "host", ProfileName.QUICK)
    return Job(cell=cell, card=CARD, artifact=artifact, model=model, profile=profile)


def test_likelihoods_are_those_of_a_softmax() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])) + 7
    nll, top1 = token_scores(logits, [1, 2])
    assert nll.tolist() == pytest.approx([math.log(4), -math.log(0.7)])
    assert top1.tolist() == [0, 2]


def test_large_logits_do_not_overflow_and_others_are_refused() -> None:
    nll, _ = token_scores(np.array([[1e4, 0.0]]), [0])
    assert nll.tolist() == [0.0]
    with pytest.raises(SessionError, match="logits of token 1 are not finite"):
        token_scores(np.array([[0.0, 0.0], [math.nan, 0.0]]), [0, 0])


def test_rates_are_those_of_the_definitions() -> None:
    one = a_generation(2_000_000, 3_000_000, 4_000_000, 5_000_000, prefill_ns=1_000_000)
    assert decode_per_s(one) == pytest.approx(3 / 3e-3)
    summary = summarise_generations([a_reply(one), a_reply(one)], 4)
    assert summary is not None
    assert summary.ttft is not None
    assert summary.prefill is not None
    assert [summary.ttft.value, summary.prefill.value] == pytest.approx([2_000_000, 100 / 1e-3])
    assert (summary.first_ttft_ns, summary.tokens) == (9_000, 4)


def test_tokens_are_counted_by_the_runtime_and_not_by_callbacks() -> None:
    # Eight tokens in three pieces of text.
    one = a_generation(1_000_000, 4_000_000, 8_000_000, tokens=8)
    assert decode_per_s(one) == pytest.approx(7 / 7e-3)


def test_without_the_moment_of_prefill_the_definition_says_so() -> None:
    summary = summarise_generations([a_reply(a_generation(2_000_000, 3_000_000))], 2)
    assert summary is not None
    assert summary.prefill is not None
    assert summary.prefill.value == pytest.approx(100 / 2e-3)
    assert summary.prefill.definition == PREFILL_TO_FIRST_DEFINITION


def test_a_model_that_ends_early_is_reported_with_its_reason() -> None:
    one = replace(a_generation(1_000, 2_000), ended=Ending.CONTEXT)
    summary = summarise_generations([a_reply(one)], 64)
    assert summary is not None
    assert (summary.tokens, summary.new_tokens, summary.endings) == (2, 64, ("context",))


def test_the_likeliest_answer_has_the_largest_sum_over_its_tokens() -> None:
    question = Question(choices=(Choice(row=0, begin=2, end=4), Choice(row=1, begin=2, end=3)), answer=0)
    # One token of 2 nats is likelier than two of 1.5.
    assert answer_of(question, np.array([[9, 1.5, 1.5], [9, 2.0, 9]])) == 1
    assert answer_of(question, np.array([[9, 0.5, 0.5], [9, 2.0, 9]])) == 0


def test_a_broken_file_is_refused_and_rounding_is_not() -> None:
    rng = np.random.default_rng(0)
    nll, top1 = rng.gamma(2, 2, (4, 255)), rng.integers(0, 1000, (4, 255))
    near = compare_text((nll, top1), (nll + rng.normal(0.05, 0.2, nll.shape), top1))
    broken = compare_text((nll, top1), (nll + 3, top1))
    assert why_implausible(near, Precision.INT4_WEIGHT, 1024) is None
    reason = why_implausible(broken, Precision.INT4_WEIGHT, 1024)
    assert reason is not None
    assert f"{math.exp(float(nll.mean()) + 3):.4g}" in reason
    others = compare_text((nll, top1), (nll, rng.integers(0, 1000, (4, 255))))
    assert "likeliest token agrees" in (why_implausible(others, Precision.INT4_WEIGHT, 1024) or "")


def test_an_untrained_model_is_judged_by_perplexity_alone() -> None:
    nll = np.full((2, 255), math.log(1024))
    others = compare_text((nll, np.zeros((2, 255))), (nll, np.ones((2, 255))))
    assert why_implausible(others, Precision.FP32, 1024) is None


def test_another_network_is_refused_even_where_its_mean_is_the_same() -> None:
    # As of weights or tokens drawn at random: both know nothing, each in its own way.
    rng = np.random.default_rng(0)
    nll, top1 = rng.normal(7, 1.5, (4, 255)), np.zeros((4, 255), np.int32)
    other = rng.normal(0, 1.5, nll.shape)
    other += nll.mean() - other.mean()
    away = float(np.abs(other - nll).mean())
    for precision in (Precision.FP32, Precision.INT8_WEIGHT, Precision.INT4_WEIGHT):
        reason = why_implausible(compare_text((nll, top1), (other, top1)), precision, 1024)
        assert reason is not None
        assert f"{away:.3g} nats per token away" in reason
    rounded = compare_text((nll, top1), (nll + rng.normal(0, 1e-3, nll.shape), top1))
    assert why_implausible(rounded, Precision.FP32, 1024) is None


@pytest.mark.parametrize("nats", [1000.0, math.inf])
def test_likelihoods_that_no_perplexity_can_hold_break_the_file_and_not_the_results(
    tmp_path: Path, nats: float
) -> None:
    job = text_job(tmp_path, PreparedLanguage(windows=2, real_text=True, vocabulary=8))
    top1 = np.zeros((2, 4), np.int32)
    sound, broken = np.full((2, 4), 2, np.float32), np.full((2, 4), nats, np.float32)
    quality = judge_language(job, (sound, top1)).quality
    assert quality is not None
    assert quality.perplexity == pytest.approx(math.exp(2))
    answers = judge_language(job, (broken, top1))
    assert (answers.quality, answers.scores) == (None, None)
    assert why_implausible(compare_text((sound, top1), (broken, top1)), Precision.FP32, 8) is not None


def test_tokens_that_were_not_scored_count_on_neither_side(tmp_path: Path) -> None:
    nan, unknown = math.nan, np.full((3, 4), -1, np.int32)
    ours = np.array([[1, 2, 3, nan], [nan, nan, nan, nan], [4, nan, nan, nan]], np.float32)
    floats = np.array([[1, 2, 3, 90], [90, 90, 90, 90], [2, 90, 90, 90]], np.float32)
    compared = compare_text((floats, np.zeros((3, 4), np.int32)), (ours, unknown))
    assert (compared.tokens, compared.agreement) == (4, None)
    assert (compared.nats, compared.float_nats) == pytest.approx((10 / 4, 8 / 4))
    assert why_implausible(compared, Precision.INT4_WEIGHT, 1024) is None
    question = Question(choices=(Choice(row=0, begin=3, end=4), Choice(row=2, begin=1, end=2)), answer=0)
    for questions, accuracy in (((question,), 1.0), ((replace(question, answer=1),), 0.0)):
        language = PreparedLanguage(windows=3, real_text=True, vocabulary=8, questions=questions)
        answers = judge_language(text_job(tmp_path, language), (ours, unknown))
        assert answers.quality is not None
        assert answers.quality.tokens == 4
        assert answers.quality.perplexity == pytest.approx(math.exp(10 / 4))
        assert answers.scores is not None
        # The row of which nothing was scored is no row.
        assert answers.scores.count == 2
        assert answers.accuracy is not None
        assert answers.accuracy.value == accuracy
    # An answer that was not scored wholly can be neither right nor wrong.
    short = replace(question, choices=(replace(question.choices[0], end=5), question.choices[1]))
    language = PreparedLanguage(windows=3, real_text=True, vocabulary=8, questions=(short,))
    assert judge_language(text_job(tmp_path, language), (ours, unknown)).accuracy is None


def test_a_prompt_that_was_text_has_its_tokenising_in_the_definitions() -> None:
    told = a_reply(a_generation(2_000_000, 3_000_000, prefill_ns=1_000_000))
    assert told.generation is not None
    reply = replace(told, generation=replace(told.generation, text_prompt=True))
    summary = summarise_generations([reply], 2)
    assert summary is not None
    assert summary.ttft is not None
    assert summary.prefill is not None
    assert "tokenising is in it" in summary.ttft.definition
    assert "tokenised" in summary.prefill.definition


@dataclass
class SmallDevice:
    """A device with three gigabytes of memory."""

    info: DeviceInfo


def test_a_model_that_is_larger_than_the_memory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    lengths = Lengths(prompt_tokens=8, new_tokens=4)
    cell = make_cell("m", "int4", Format.GGUF, Delegate.CPU, 1, "host", ProfileName.QUICK, lengths)
    model = make_prepared(tmp_path, np.zeros((4, 2), np.float32))
    device: Any = SmallDevice(info=replace(fake_info("fake"), memory_bytes=3 << 30))

    def reason(size: int, cell: Cell = cell) -> str | None:
        artifact = Artifact(manifest=make_manifest(bytes=size), path=tmp_path)
        profile = PROFILES[ProfileName.QUICK]
        return why_too_large(Job(cell=cell, card=CARD, artifact=artifact, model=model, profile=profile), device)

    assert reason(2 << 30) is None
    assert reason(4 << 30, replace(cell, lengths=None)) is None
    said = reason(4 << 30)
    assert said is not None
    assert "4.00 GiB" in said
    assert "3.00 GiB of memory" in said
