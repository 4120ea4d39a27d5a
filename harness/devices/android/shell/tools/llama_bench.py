"""llama.cpp's ``llama-bench``, which times prompts and generations of made-up tokens and prints every repetition.

Its flags and its JSON lines are those of ``tools/llama-bench`` in llama.cpp. A test reads a prompt (pp), generates from
an empty context (tg), or does both (pg); nothing is tokenised and nothing sampled. So its rates are shown as stated,
with this definition, and only the time of a whole pg repetition becomes a latency.
"""

from __future__ import annotations

from typing import Any

from harness.devices.android.shell.tools.tool import Complaint, PlainTool, ToolJob, ToolReport, failure
from harness.stats.medians import median
from harness.system.decoding import plain_json
from harness.wire import FailureKind, GenerationSamples, LatencyPass, LatencySamples, ToldRates

DEFINITION = (
    "llama-bench: prefill is tokens of a prompt / its time (pp); decode is tokens generated from an empty context / "
    "their time (tg); made-up tokens, no tokenising, no sampling; medians of the repetitions"
)
# One generation takes seconds, so a launch has few, and the first run of the program shows nothing more.
LEAST_CALLS = 3

_COMPLAINTS = (
    Complaint(
        pattern=r"error: invalid parameter for argument: (\S+)",
        kind=FailureKind.INPUT,
        sentence="this llama-bench does not know {0}: build it from a newer llama.cpp",
    ),
    Complaint(
        pattern=r"error: failed to load model '[^']*'",
        kind=FailureKind.LOAD,
        sentence="llama-bench cannot load the file: it is damaged, or of a newer version of GGUF",
    ),
    Complaint(
        pattern=r"error: failed to create context with model",
        kind=FailureKind.OOM,
        sentence="llama-bench has no memory for the cache of keys and values: shorten --prompt, or use a smaller model",
    ),
)


class LlamaBench(PlainTool):
    """The `ShellTool` of ``llama-bench``."""

    name = "llama-bench"
    runtime = "llama.cpp"
    complaints = _COMPLAINTS

    def arguments(self, job: ToolJob) -> tuple[str, ...]:
        prompt, new = str(job.prompt_tokens), str(job.new_tokens)
        lengths = ("-p", prompt, "-n", new, "-pg", f"{prompt},{new}")
        return ("-m", job.model, *lengths, "-t", str(job.threads), "-ngl", "0", "-r", str(job.calls), "-o", "jsonl")

    def read(self, output: str, job: ToolJob) -> ToolReport:
        tests = {(row["n_prompt"], row["n_gen"]): row for row in _rows(output)}
        prompt, new = job.prompt_tokens, job.new_tokens
        missing = [at for at in ((prompt, 0), (0, new), (prompt, new)) if not tests.get(at, {}).get("samples_ns")]
        if missing:
            message = f"llama-bench printed no repetitions of the test with {missing[0][0]} + {missing[0][1]} tokens"
            return failure(FailureKind.REPLY, message, output)
        prefill, decode, both = tests[prompt, 0], tests[0, new], tests[prompt, new]
        told = ToldRates(
            definition=DEFINITION,
            prefill_per_s=_rate(prefill, prompt),
            decode_per_s=_rate(decode, new),
            prefill_samples_per_s=tuple(prompt * 1e9 / ns for ns in prefill["samples_ns"]),
            decode_samples_per_s=tuple(new * 1e9 / ns for ns in decode["samples_ns"]),
        )
        return ToolReport(
            latency=LatencySamples(first_ns=None, warmup_ns=(), samples_ns=tuple(both["samples_ns"])),
            generation=GenerationSamples(prompt_tokens=prompt, told=told),
        )

    def calls(self, requested: LatencyPass, report: ToolReport | None) -> int:  # noqa: ARG002  one run must be enough
        return max(LEAST_CALLS, requested.measure.min_calls)


def _rows(output: str) -> list[dict[str, Any]]:
    """The tests among the printed lines; llama.cpp also prints what it loads."""
    rows = []
    for line in output.splitlines():
        if not line.lstrip().startswith("{"):
            continue
        try:
            row = plain_json(line)
        except ValueError:
            continue
        counts = [row.get("n_prompt"), row.get("n_gen")] if isinstance(row, dict) else [None]
        if all(type(count) is int for count in counts) and _positive(row.get("samples_ns")):
            rows.append(row)
    return rows


def _positive(samples: Any) -> bool:
    return isinstance(samples, list) and all(type(sample) is int and 0 < sample < 1 << 62 for sample in samples)


def _rate(row: dict[str, Any], tokens: int) -> float:
    return tokens * 1e9 / median(row["samples_ns"])
