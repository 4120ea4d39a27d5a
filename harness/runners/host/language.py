"""The passes of language models: generations with all their raw times, memory, and the likelihood of given tokens.

One generation is one call. So the rules of the latency pass decide how many there are, and the time of a whole
generation is also reported as the latency of a call, beside the times of its tokens.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.runners.host.runtimes.language import LanguageSession, clock
from harness.runners.host.runtimes.session import SessionError
from harness.wire import (
    FailureKind,
    GeneratePass,
    Generation,
    GenerationSamples,
    LatencySamples,
    OutputsRef,
    RunRequest,
)
from harness.wire.tensors import Array, describe, raw, read_record

OUTPUT_NAMES = ("nll", "top1")


@dataclass(slots=True, kw_only=True)
class Generations:
    """What the pass has recorded so far."""

    first: Generation
    warmup: list[Generation] = field(default_factory=list)
    measured: list[Generation] = field(default_factory=list)

    def latency(self) -> LatencySamples:
        """Return the time of each whole generation, from its begin to its last token."""
        began_ns = self.measured[0].begin_ns
        return LatencySamples(
            first_ns=total_ns(self.first),
            warmup_ns=tuple(map(total_ns, self.warmup)),
            samples_ns=tuple(map(total_ns, self.measured)),
            at_ns=tuple(one.begin_ns - began_ns for one in self.measured),
            began_ns=began_ns,
        )


def total_ns(one: Generation) -> int:
    """Return the time from the begin of a generation to its last token."""
    return one.tokens_ns[-1]


def check_lengths(session: LanguageSession, asked: GeneratePass) -> None:
    """Raise `SessionError` for a prompt of nothing, or for more tokens than the model can hold."""
    if asked.prompt_tokens < 1 or asked.new_tokens < 1:
        msg = (
            f"the request has a prompt of {asked.prompt_tokens} tokens and {asked.new_tokens} new ones: both must be "
            "at least 1"
        )
        raise SessionError(FailureKind.INPUT, msg)
    context = session.limits().context_tokens
    total = asked.prompt_tokens + asked.new_tokens
    if context is not None and total > context:
        msg = (
            f"a prompt of {asked.prompt_tokens} tokens and {asked.new_tokens} new ones need a context of {total} "
            f"tokens; this file has {context}: shorten --prompt or --new-tokens, or build it with a longer context"
        )
        raise SessionError(FailureKind.INPUT, msg, unsupported=True)


def prompt_of(path: Path, request: RunRequest, session: LanguageSession) -> tuple[int, ...]:
    """Return the prompt: the first tokens of the inputs, from the start again where they are too few.

    Raises `SessionError` for tokens that the model does not have.
    """
    asked = request.passes.generate
    length = asked.prompt_tokens if asked is not None else 0
    rows = (tokens_at(path, request, index, session) for index in itertools.cycle(range(request.inputs.count)))
    return tuple(itertools.islice(itertools.chain.from_iterable(rows), length))


def tokens_at(path: Path, request: RunRequest, index: int, session: LanguageSession) -> tuple[int, ...]:
    """Return the token ids of input ``index``. Raises `SessionError`."""
    try:
        (row,) = read_record(path, request.inputs.tensors, index)
    except (OSError, ValueError) as error:
        msg = f"cannot read input {index} of {path.name!r} as one tensor of token ids: {error}"
        raise SessionError(FailureKind.INPUT, msg) from error
    vocabulary = session.limits().vocabulary
    if row.size == 0 or row.min() < 0 or (vocabulary is not None and row.max() >= vocabulary):
        msg = (
            f"input {index} has the token {int(row.max()) if row.size else 'of nothing'}, and the model has the tokens "
            f"0 to {(vocabulary or 1) - 1}: the tokenizer does not belong to this model"
        )
        raise SessionError(FailureKind.INPUT, msg)
    return tuple(row.reshape(-1).tolist())


def measure_generations(session: LanguageSession, prompt: Sequence[int], asked: GeneratePass) -> Generations:
    """Generate until the minima of warm-up and measuring are met. Whatever the session raises is passed on.

    As in the latency pass, ``measure.max_ns`` cuts either phase short, and at least one generation is measured.
    """

    def call() -> Generation:
        return _checked(session.generate(prompt, asked.new_tokens), asked)

    gc.collect()
    # A collection in the middle of a generation would be measured as part of it.
    gc.disable()
    try:
        done = Generations(first=call())
        warm, measure = asked.warmup, asked.measure
        if warm.min_calls or warm.min_ns:
            done.warmup += _calls(call, warm.min_calls, warm.min_ns, measure.max_ns)
        done.measured += _calls(call, measure.min_calls, measure.min_ns, measure.max_ns)
        return done
    finally:
        gc.enable()


def _calls(call: Callable[[], Generation], min_calls: int, min_ns: int, max_ns: int) -> Iterator[Generation]:
    began, count = clock(), 0
    while True:
        yield call()
        count += 1
        elapsed = clock() - began
        if (count >= min_calls and elapsed >= min_ns) or elapsed >= max_ns:
            return


def _checked(one: Generation, asked: GeneratePass) -> Generation:
    """Return a generation that can be timed. Raises `SessionError` for one without a decode step, or too long."""
    if len(one.tokens_ns) < min(2, asked.new_tokens):
        msg = (
            f"the model ended after {one.tokens} of {asked.new_tokens} tokens ({one.ended.value}), so there is no "
            "decode rate: use another prompt, or a build that ignores the end of a text"
        )
        raise SessionError(FailureKind.RUN, msg)
    if one.tokens > asked.new_tokens:
        msg = (
            f"the runtime counted {one.tokens} new tokens, and {asked.new_tokens} were requested: its figures are wrong"
        )
        raise SessionError(FailureKind.RUN, msg)
    return one


def generation_samples(session: LanguageSession, done: Generations, asked: GeneratePass) -> GenerationSamples:
    """Return the record for the reply."""
    cache = session.kv_cache(asked.prompt_tokens + asked.new_tokens)
    return GenerationSamples(
        prompt_tokens=asked.prompt_tokens,
        first=done.first,
        warmup=tuple(done.warmup),
        measured=tuple(done.measured),
        chunks=any(len(one.tokens_ns) != one.tokens for one in done.measured),
        text_prompt=session.limits().text_prompt,
        context_tokens=session.limits().context_tokens,
        kv_cache_bytes=cache.bytes if cache else None,
        kv_cache_source=cache.source if cache else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOf:
    """A language model as the memory pass takes it: one generation is one call."""

    session: LanguageSession
    prompt: Sequence[int]
    new_tokens: int

    def invoke(self) -> None:
        """Generate once."""
        self.session.generate(self.prompt, self.new_tokens)

    def close(self) -> None:
        """Release the model."""
        self.session.close()


def write_scores(path: Path, rows: Iterator[tuple[int, ...]], session: LanguageSession, count: int) -> OutputsRef:
    """Score ``count`` rows of tokens and write their likelihoods and likeliest tokens. Raises `SessionError`.

    The error is marked unsupported if the runtime cannot be asked for any of them.
    """
    tensors, scored = None, False
    try:
        with path.open("wb") as file:
            for row in rows:
                arrays: tuple[Array, Array] = session.score(row)
                file.write(raw(arrays))
                tensors = tensors or describe(arrays, OUTPUT_NAMES)
                scored = scored or not np.isnan(arrays[0]).all()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        msg = f"cannot write {path.name!r}: {error.strerror}; free some disk space"
        raise SessionError(FailureKind.STORAGE, msg, str(error)) from error
    if not scored:
        msg = f"the runtime's tokenizer makes other tokens of each of the {count} rows, so none can be scored"
        raise SessionError(FailureKind.RUN, msg, unsupported=True)
    return OutputsRef(file=path.name, count=count, tensors=tensors or ())
