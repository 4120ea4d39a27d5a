"""LiteRT-LM's ``litert_lm_main`` or ``litert_lm_advanced_main``, which times prompts and generations of given lengths.

Its flags are those of ``runtime/engine/shared_flags.cc``, and its output that of ``BenchmarkInfo`` in
``runtime/framework/io_types.cc``, versions 0.6 to 0.18. In its benchmark mode the prompt is cut or filled up to the
requested number of tokens, so no tokenizer takes part. Its rates are shown as stated, with this definition.
"""

from __future__ import annotations

import re

from harness.devices.android.shell.tools.tool import Complaint, PlainTool, ToolJob, ToolReport, failure
from harness.stats.medians import median
from harness.wire import FailureKind, GenerationSamples, LatencyPass, LatencySamples, ToldRates

DEFINITION = (
    "litert_lm_main: prefill is tokens of a made-up prompt / their time; decode is new tokens / their time; time to "
    "first token is computed as LiteRT-LM does, the prompt's time plus the mean time of a new token; medians of the "
    "repetitions after the first"
)
# One generation takes seconds, so a launch has few.
LEAST_CALLS = 3

_COMPLAINTS = (
    Complaint(
        pattern=r"Unknown command line flag '(\w+)'",
        kind=FailureKind.INPUT,
        sentence="this program does not know the flag --{0}: build litert_lm_advanced_main from a newer LiteRT-LM",
    ),
    Complaint(
        pattern=r"Exceeding the maximum number of tokens allowed: (\d+) >= (\d+)",
        kind=FailureKind.INPUT,
        sentence="{0} tokens do not fit into this file's context of {1}: shorten --prompt or --new-tokens",
        unsupported=True,
    ),
    Complaint(
        pattern=r"Failed to create engine(?:: ([^\n]+))?",
        kind=FailureKind.LOAD,
        sentence="LiteRT-LM cannot load the file: it is damaged, or of a newer version",
    ),
)
_TURN = re.compile(r"(Prefill|Decode) Turn \d+: Processed (\d+) tokens in (\S+) duration")
_LOADED = re.compile(r"(?:Init Total|Total init time): ([0-9.]+) ms")
# Abseil writes durations as in Go: 1m2.5s, 31.25ms, 800us.
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_PART = re.compile(r"([0-9.]+)(h|ms|m|us|s|ns)")


class LitertLmMain(PlainTool):
    """The `ShellTool` of LiteRT-LM."""

    name = "litert_lm_main"
    runtime = "litert-lm"
    complaints = _COMPLAINTS

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        return (
            "--backend=cpu",
            f"--model_path={job.model}",
            "--benchmark=true",
            f"--benchmark_prefill_tokens={job.prompt_tokens}",
            f"--benchmark_decode_tokens={job.new_tokens}",
            # In asynchronous mode it ignores the lengths.
            "--async=false",
            f"--num_cpu_threads={job.threads}",
            f"--num_iterations={job.calls}",
            # Packed weights would be written beside the model, and the next launch would load faster.
            "--disable_cache=true",
        )

    def read(self, output: str, job: ToolJob) -> ToolReport:
        turns = [(kind, int(tokens), duration_ns(took)) for kind, tokens, took in _TURN.findall(output)]
        for kind, requested in (("Prefill", job.prompt_tokens), ("Decode", job.new_tokens)):
            counts = {tokens for of_kind, tokens, _ in turns if of_kind == kind}
            if counts - {requested}:
                return failure(FailureKind.RUN, _other_count(kind, min(counts - {requested}), requested), output)
        prefill, decode = ([ns for of_kind, _, ns in turns if of_kind == kind and ns] for kind in ("Prefill", "Decode"))
        if not len(prefill) == len(decode) == job.calls:
            shorter = min(len(prefill), len(decode))
            message = f"litert_lm_main printed the times of {shorter} out of {job.calls} repetitions"
            return failure(FailureKind.REPLY, message, output)
        wholes = [one + other for one, other in zip(prefill, decode, strict=True)]
        loaded = _LOADED.search(output)
        return ToolReport(
            latency=LatencySamples(first_ns=wholes[0], warmup_ns=(), samples_ns=tuple(wholes[1:])),
            load_ns=round(float(loaded[1]) * _UNITS["ms"]) if loaded else None,
            generation=GenerationSamples(prompt_tokens=job.prompt_tokens, told=_told(prefill[1:], decode[1:], job)),
        )

    def calls(self, requested: LatencyPass, report: ToolReport | None) -> int:  # noqa: ARG002  one run must be enough
        # The first repetition is not part of the samples.
        return 1 + max(LEAST_CALLS, requested.measure.min_calls)


def duration_ns(text: str) -> int:
    """Convert a duration as Abseil prints it (``1m2.5s``, ``31.25ms``) to ns. Other text gives 0."""
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        return 0
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def _told(prefill: list[int], decode: list[int], job: ToolJob) -> ToldRates:
    # It prints the time to the first token in hundredths of a second, and the times that this is made of in full.
    firsts = [of_prompt + of_output / job.new_tokens for of_prompt, of_output in zip(prefill, decode, strict=True)]
    return ToldRates(
        definition=DEFINITION,
        ttft_ns=round(median(firsts)),
        prefill_per_s=job.prompt_tokens * 1e9 / median(prefill),
        decode_per_s=job.new_tokens * 1e9 / median(decode),
        prefill_samples_per_s=tuple(job.prompt_tokens * 1e9 / ns for ns in prefill),
        decode_samples_per_s=tuple(job.new_tokens * 1e9 / ns for ns in decode),
    )


def _other_count(kind: str, counted: int, requested: int) -> str:
    what = "the prompt" if kind == "Prefill" else "the output"
    return (
        f"the program counted {counted} tokens of {what}, and {requested} were requested: give "
        "litert_lm_advanced_main, because litert_lm_main ignores these lengths in newer versions"
    )
