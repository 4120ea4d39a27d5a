"""How fast a language model generates, and how good it is: records of a cell, and their figures per launch.

Raw times stay in the replies. Every rate here has a definition that is stored with it, because programs define figures
of the same name differently; readings of different definitions are never compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.records.origin import StatedFigure, StatedName
from harness.stats.medians import median
from harness.wire import Generation, GenerationSamples, RunReply, ToldRates

TTFT_DEFINITION = (
    "time to first token: from handing over the token ids of the prompt to the first new token; loading, tokenising "
    "and making the generator are not in it"
)
TEXT_TTFT_DEFINITION = (
    "time to first token: from handing over the text of the prompt to the first new token; tokenising is in it, "
    "because the runtime takes text; loading and making the session are not"
)
PREFILL_DEFINITION = "prefill rate: tokens of the prompt / the time until the prompt was evaluated"
PREFILL_TO_FIRST_DEFINITION = "prefill rate: tokens of the prompt / the time to the first token"
TEXT_PREFILL_DEFINITION = (
    "prefill rate: tokens of the prompt / the time until its text was tokenised and evaluated, because the runtime "
    "takes text"
)
DECODE_DEFINITION = "decode rate: (new tokens - 1) / the time from the first new token to the last"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFigure:
    """One figure over launches: that of a typical launch, its 95 % interval (None for one launch), and each launch's.

    ``definition`` says in words what it is.
    """

    value: float
    low: float | None
    high: float | None
    launches: tuple[float, ...]
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSummary:
    """Generations at one length of prompt: the time to the first token in ns, and rates in tokens per second.

    ``tokens`` is the median of the new tokens as the runtime counted them; ``new_tokens`` were requested. ``first_*``
    are those of the first call of a process, which are no part of the figures. ``kv_cache_bytes``: the cache of keys
    and values at the end of a generation, and how that is known. ``chunks``: callbacks brought pieces of text.
    """

    prompt_tokens: int
    new_tokens: int
    tokens: int
    ttft: GenerationFigure | None = None
    prefill: GenerationFigure | None = None
    decode: GenerationFigure | None = None
    first_ttft_ns: float | None = None
    first_decode_per_s: float | None = None
    context_tokens: int | None = None
    kv_cache_bytes: int | None = None
    kv_cache_source: str = ""
    chunks: bool = False
    endings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageQuality:
    """A language model's answers beside the float model's on the same ``tokens`` tokens of text.

    ``agreement``: the share (0…1) of positions with the same likeliest token. The last two are None without a float
    model.
    """

    perplexity: float
    tokens: int
    float_perplexity: float | None = None
    agreement: float | None = None


def ttft_of_launch(reply: RunReply) -> float | None:
    """Return the median time to the first token of one launch in ns; None if it was not timed here."""
    samples = reply.generation
    return None if samples is None else _median(samples, lambda one: one.tokens_ns[0])


def prefill_of_launch(reply: RunReply) -> float | None:
    """Return the median prefill rate of one launch in tokens per second; None if it was not timed here."""
    samples = reply.generation
    if samples is None:
        return None
    took = _median(samples, lambda one: one.prefill_ns if one.prefill_ns is not None else one.tokens_ns[0])
    return _per_second(samples.prompt_tokens, took)


def decode_of_launch(reply: RunReply) -> float | None:
    """Return the median decode rate of one launch in tokens per second; None if it was not timed here."""
    samples = reply.generation
    return None if samples is None else _median(samples, decode_per_s)


def decode_per_s(one: Generation) -> float | None:
    """Return the decode rate of one generation; None for fewer than two callbacks."""
    if len(one.tokens_ns) < 2:
        return None
    return _per_second(one.tokens - 1, one.tokens_ns[-1] - one.tokens_ns[0])


def summarise_generations(replies: Sequence[RunReply], new_tokens: int) -> GenerationSummary | None:
    """Summarise the launches of a cell. None if they generated nothing."""
    # Every command that shows a run loads this module; few need the statistics, and numpy with them.
    from harness.stats.launches import typical

    samples = [reply.generation for reply in replies if reply.generation is not None]
    if not samples:
        return None
    last = samples[-1]
    counts = [one.tokens for each in samples for one in each.measured]
    firsts = [each.first for each in samples if each.first is not None]
    decoded = [rate for one in firsts if (rate := decode_per_s(one)) is not None]
    return GenerationSummary(
        prompt_tokens=last.prompt_tokens,
        new_tokens=new_tokens,
        tokens=round(median(counts)) if counts else new_tokens,
        ttft=_figure(replies, ttft_of_launch, TEXT_TTFT_DEFINITION if last.text_prompt else TTFT_DEFINITION),
        prefill=_figure(replies, prefill_of_launch, _prefill_definition(samples)),
        decode=_figure(replies, decode_of_launch, DECODE_DEFINITION),
        first_ttft_ns=typical([one.tokens_ns[0] for one in firsts]) if firsts else None,
        first_decode_per_s=typical(decoded) if decoded else None,
        context_tokens=last.context_tokens,
        kv_cache_bytes=last.kv_cache_bytes,
        kv_cache_source=last.kv_cache_source,
        chunks=any(each.chunks for each in samples),
        endings=tuple(dict.fromkeys(one.ended.value for each in samples for one in each.measured)),
    )


def stated_rates(replies: Sequence[RunReply]) -> tuple[StatedFigure, ...]:
    """Return the figures that another program computed by its own definitions, each with the values of its launches."""
    told = [reply.generation.told for reply in replies if reply.generation is not None and reply.generation.told]
    if not told:
        return ()
    reads: dict[StatedName, Callable[[ToldRates], float | None]] = {
        StatedName.FIRST_TOKEN: lambda one: one.ttft_ns,
        StatedName.PREFILL: lambda one: one.prefill_per_s,
        StatedName.DECODE: lambda one: one.decode_per_s,
    }
    figures = []
    for name, read in reads.items():
        values = tuple(float(value) for one in told if (value := read(one)) is not None)
        if values:
            definition = told[0].definition
            figures.append(StatedFigure(name=name, value=median(values), definition=definition, launches=values))
    return tuple(figures)


def _prefill_definition(samples: Sequence[GenerationSamples]) -> str:
    if any(one.prefill_ns is None for each in samples for one in each.measured):
        return PREFILL_TO_FIRST_DEFINITION
    return TEXT_PREFILL_DEFINITION if samples[-1].text_prompt else PREFILL_DEFINITION


def _figure(
    replies: Sequence[RunReply], read: Callable[[RunReply], float | None], definition: str
) -> GenerationFigure | None:
    from harness.stats.launches import launch_interval, typical

    values = tuple(value for reply in replies if (value := read(reply)) is not None)
    if not values:
        return None
    # Times and rates alike vary by factors, so the interval of latencies serves both.
    interval = launch_interval(values)
    return GenerationFigure(
        value=typical(values),
        low=interval.low_ns if interval else None,
        high=interval.high_ns if interval else None,
        launches=values,
        definition=definition,
    )


def _median(samples: GenerationSamples, read: Callable[[Generation], float | None]) -> float | None:
    values = [value for one in samples.measured if one.tokens_ns and (value := read(one)) is not None]
    return median(values) if values else None


def _per_second(tokens: int, took_ns: float | None) -> float | None:
    return tokens * 1e9 / took_ns if took_ns else None
