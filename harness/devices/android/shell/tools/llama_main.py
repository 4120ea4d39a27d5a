"""ExecuTorch's ``llama_main``, which answers one prompt and prints when it did what, in whole milliseconds.

Its flags are those of ``examples/models/llama/main.cpp``, and its line that of ``extension/llm/runner/stats.h``. It
takes text and a tokenizer, which lies beside the model. One start makes one generation, so it is started several times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.devices.android.shell.tools.executor_runner import with_program
from harness.devices.android.shell.tools.tool import Complaint, PlainTool, ToolJob, ToolReport, failure
from harness.stats.medians import median
from harness.wire import FailureKind, GenerationSamples, LatencyPass, LatencySamples, ToldRates

DEFINITION = (
    "llama_main: time to first token is from the text of the prompt to the first new token, tokenising included, "
    "loading not; prefill is tokens of the prompt / that time; decode is the counted new tokens, without the first "
    "one, / the time from then to the end; whole milliseconds; medians of the generations"
)
# Each generation loads the model again.
LEAST_CALLS = 3

_COMPLAINTS = (
    Complaint(
        pattern=r"unknown command line flag '(\w+)'",
        kind=FailureKind.INPUT,
        sentence="the program does not know the flag --{0}: language models need llama_main, not executor_runner",
    ),
    Complaint(
        pattern=r"(Max seq length exceeded|Prompt exceeds KV cache capacity|Max new tokens \S+ is less than)",
        kind=FailureKind.INPUT,
        sentence="prompt and new tokens do not fit into this file's context: shorten --prompt or --new-tokens ({0})",
        unsupported=True,
    ),
    Complaint(
        pattern=r"Backend (\w+) is not (?:registered|available)",
        kind=FailureKind.DELEGATE,
        sentence="this llama_main was built without the backend {0}, which the file needs",
        unsupported=True,
    ),
    Complaint(
        pattern=r"(Missing operator[^\n]*|operators? \S+ not found[^\n]*|Failed to (?:load|create) [^\n]+)",
        kind=FailureKind.LOAD,
        sentence="llama_main cannot load the model or its tokenizer: {0}",
    ),
    Complaint(pattern=r"(Failed to run llama runner)", kind=FailureKind.RUN, sentence="the generation failed: {0}"),
)
_LINE = re.compile(r"PyTorchObserver\s+(\{.*\})")
_MOMENTS = ("model_load_start_ms", "model_load_end_ms", "inference_start_ms", "prompt_eval_end_ms", "first_token_ms")
_NUMBERS = (*_MOMENTS, "inference_end_ms", "prompt_tokens", "generated_tokens")
_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """One generation: its counts, and its times in ms."""

    prompt_tokens: int
    generated_tokens: int
    load_ms: int
    first_ms: int
    prefill_ms: int
    decode_ms: int


class LlamaMain(PlainTool):
    """The `ShellTool` of ``llama_main``."""

    name = "llama_main"
    runtime = "executorch"
    log_tag = "ExecuTorch"
    takes_text = True
    one_call = True
    complaints = _COMPLAINTS

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        return (
            f"--model_path={job.model}",
            f"--tokenizer_path={job.tokenizer}",
            f"--prompt={job.prompt_text}",
            "--temperature=0",
            f"--cpu_threads={job.threads}",
            f"--warmup={'true' if job.latency.warmup.min_calls else 'false'}",
            # Older programs know the sum of the lengths only, and stop at the end of a text.
            f"--seq_len={job.prompt_tokens + job.new_tokens}",
            f"--max_new_tokens={job.new_tokens}",
            "--ignore_eos=true",
            "--undefok=max_new_tokens,ignore_eos",
        )

    def read(self, output: str, job: ToolJob) -> ToolReport:
        answers = [answer for text in _LINE.findall(output) if (answer := _answer(text)) is not None]
        if len(answers) != job.calls:
            message = f"llama_main printed the times of {len(answers)} out of {job.calls} generations"
            return failure(FailureKind.REPLY, message, output)
        for answer in answers:
            reason = _why_not(answer, job)
            if reason is not None:
                return failure(FailureKind.RUN, reason, output)
        wholes = tuple((answer.prefill_ms + answer.decode_ms) * _MS for answer in answers)
        return ToolReport(
            latency=LatencySamples(first_ns=None, warmup_ns=(), samples_ns=wholes),
            load_ns=answers[0].load_ms * _MS,
            generation=GenerationSamples(prompt_tokens=job.prompt_tokens, told=_told(answers)),
        )

    def with_file(self, report: ToolReport, artifact: Path) -> ToolReport:
        """Add the backends and nodes, which the program does not print."""
        return with_program(report, artifact)

    def calls(self, requested: LatencyPass, report: ToolReport | None) -> int:  # noqa: ARG002  one round must be enough
        return max(LEAST_CALLS, requested.measure.min_calls)


def _answer(text: str) -> _Answer | None:
    try:
        plain: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(plain, dict) or any(type(plain.get(name)) is not int for name in _NUMBERS):
        return None
    began, evaluated = plain["inference_start_ms"], plain["prompt_eval_end_ms"]
    return _Answer(
        prompt_tokens=plain["prompt_tokens"],
        generated_tokens=plain["generated_tokens"],
        load_ms=plain["model_load_end_ms"] - plain["model_load_start_ms"],
        first_ms=plain["first_token_ms"] - began,
        prefill_ms=evaluated - began,
        decode_ms=plain["inference_end_ms"] - evaluated,
    )


def _why_not(answer: _Answer, job: ToolJob) -> str | None:
    """Return why a generation cannot count, or None if it can."""
    if answer.prompt_tokens != job.prompt_tokens:
        return (
            f"llama_main counted {answer.prompt_tokens} tokens of the prompt, and {job.prompt_tokens} were sent: the "
            "tokenizer does not belong to this model, or the program adds tokens of its own"
        )
    # The first new token comes from the prompt's evaluation and is not counted.
    if answer.generated_tokens not in (job.new_tokens - 1, job.new_tokens):
        return (
            f"llama_main counted {answer.generated_tokens} new tokens after the first, and {job.new_tokens - 1} were "
            "requested: the model ended the text, or its context was full"
        )
    if min(answer.prefill_ms, answer.first_ms, answer.decode_ms) < 1 or answer.load_ms < 0:
        return "a phase took less than a millisecond, which is the step of llama_main's clock: use longer lengths"
    return None


def _told(answers: Sequence[_Answer]) -> ToldRates:
    prefill = tuple(answer.prompt_tokens * 1000 / answer.prefill_ms for answer in answers)
    decode = tuple(answer.generated_tokens * 1000 / answer.decode_ms for answer in answers)
    return ToldRates(
        definition=DEFINITION,
        ttft_ns=round(median([answer.first_ms for answer in answers]) * _MS),
        prefill_per_s=median(prefill),
        decode_per_s=median(decode),
        prefill_samples_per_s=prefill,
        decode_samples_per_s=decode,
    )
