"""LiteRT-LM runs ``.litertlm``: a network, its tokenizer and what it needs to know about both, in one file.

It takes text, not token ids. So a prompt is handed over as the text of its tokens, and the runtime's own count shows
whether it became as many tokens again; tokenising is in the time of the prompt. Where text and tokens do not fit
together, because a row ends within a word or a character, a prompt of plain English takes its place, and tokens of a
text stay unscored (NaN). Scores say nothing of the likeliest token (-1).

A session prepends the token that begins a text. Scoring does not, and it ignores what the session was told before, so
it gets whole rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.runners.host.runtimes.language import KvCache, LanguageLimits, Watch
from harness.runners.host.runtimes.session import (
    NATIVE_ERRORS,
    SessionError,
    cpu_report,
    import_library,
    library_version,
    load_error,
    no_delegate,
    refuse_options,
    run_error,
)
from harness.wire import Delegate, Ending, FailureKind, Generation, RuntimeReport, RuntimeRequest
from harness.wire.tensors import Array

if TYPE_CHECKING:
    from harness.readers.litertlm import LitertlmFacts

NAME, TITLE = "litert-lm", "LiteRT-LM"
# Its cache of packed weights would be written beside the model, and change the load time of the next process.
_NO_CACHE = ":nocache"
# How often a shorter piece of a row is tried, after the first token that does not come back from its text.
_MOST_CUTS = 8
_ENGLISH = "The house stood at the end of a long road, and in the evening the light of its windows was seen from afar. "
UNKNOWN_TOKEN = -1


def import_runtime(request: RuntimeRequest) -> None:
    """Import the library."""
    refuse_options(request, TITLE)
    library = _library()
    # It prints the tensors and settings of every model.
    library.set_min_log_severity(library.LogSeverity.ERROR)


def load(path: Path, request: RuntimeRequest) -> LitertlmSession:
    """Start an engine on the file at ``path``."""
    # A job of another format does not pay for it.
    from harness.readers.litertlm import read_litertlm

    library = _library()
    if request.delegate is not Delegate.CPU:
        raise no_delegate(TITLE, request, [Delegate.CPU.value])
    try:
        # The library aborts the process on a file without its end.
        facts = read_litertlm(path)
        engine = library.Engine(
            str(path),
            backend=library.Backend.CPU(thread_count=request.threads),
            cache_dir=_NO_CACHE,
            # Without it, the runtime counts no tokens.
            enable_benchmark=True,
        )
        return LitertlmSession(library, engine, facts, request)
    except NATIVE_ERRORS as error:
        raise load_error(path, TITLE, error) from error


def _library() -> Any:
    return import_library("litert_lm", extra="litertlm")


class LitertlmSession:
    """An engine with one model. Every generation has a session of its own, made before its clock starts."""

    def __init__(self, library: Any, engine: Any, facts: LitertlmFacts, request: RuntimeRequest) -> None:
        self._library, self._engine, self._facts, self._request = library, engine, facts, request
        self._prompts: dict[tuple[int, ...], str] = {}

    def limits(self) -> LanguageLimits:
        return LanguageLimits(context_tokens=self._facts.context, vocabulary=self._facts.vocabulary, text_prompt=True)

    def generate(self, prompt: Sequence[int], new_tokens: int) -> Generation:
        text = self._text_of_prompt(tuple(prompt))
        greedy = self._library.SamplerConfig(top_k=1, top_p=1.0, temperature=1.0, seed=0)
        try:
            session = self._engine.create_session(
                apply_prompt_template=False, sampler_config=greedy, max_output_tokens=new_tokens
            )
            try:
                watch = Watch.start()
                session.run_prefill([text])
                watch.prefilled()
                for _ in session.run_decode_async():
                    watch.token()
                counted = session.get_benchmark_info()
            finally:
                session.close()
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error
        if counted.last_prefill_token_count != len(prompt):
            msg = f"{TITLE} counted {counted.last_prefill_token_count} tokens of a prompt of {len(prompt)}"
            raise SessionError(FailureKind.RUN, msg)
        tokens = int(counted.last_decode_token_count)
        context = self._facts.context
        full = context is not None and len(prompt) + tokens >= context
        ended = Ending.LENGTH if tokens == new_tokens else Ending.CONTEXT if full else Ending.END
        return watch.generation(tokens=tokens, ended=ended)

    def score(self, tokens: Sequence[int]) -> tuple[Array, Array]:
        nll = np.full(len(tokens) - 1, np.nan, np.float32)
        top1 = np.full(len(tokens) - 1, UNKNOWN_TOKEN, np.int32)
        try:
            # One place of the context stays empty.
            most = len(tokens) if self._facts.context is None else min(len(tokens), self._facts.context - 1)
            text, count = self._text_of_row(tuple(tokens[:most]))
            if count > 1:
                session = self._engine.create_session(apply_prompt_template=False)
                try:
                    (scores,) = session.run_text_scoring([text]).token_scores
                finally:
                    session.close()
                if len(scores) != count:
                    msg = f"{TITLE} scored {len(scores)} tokens of {count}"
                    raise SessionError(FailureKind.RUN, msg)
                if np.isnan(scores[1:]).any():
                    # Here NaN means that a token was not scored, so it must not come from a broken network.
                    raise SessionError(FailureKind.RUN, "the likelihoods of the tokens are not numbers")
                # The first token follows nothing, so its score has no meaning.
                nll[: count - 1] = [-score for score in scores[1:]]
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error
        return nll, top1

    def kv_cache(self, tokens: int) -> KvCache | None:  # noqa: ARG002  it has one size, whatever it holds
        size, context = self._facts.cache_bytes, self._facts.context
        source = f"read in the file: the inputs kv_cache_* of its network, for the whole context of {context} tokens"
        return KvCache(bytes=size, source=source) if size else None

    def report(self) -> RuntimeReport:
        return cpu_report(NAME, library_version("litert-lm-api"), self._request)

    def close(self) -> None:
        self._engine.close()

    def _text_of_row(self, tokens: tuple[int, ...]) -> tuple[str, int]:
        """The text of the longest beginning of ``tokens`` that becomes the same tokens again, and its length."""
        count = len(tokens)
        for _ in range(_MOST_CUTS):
            text = self._engine.detokenize(list(tokens[:count]))
            again = self._engine.tokenize(text)
            if again == list(tokens[:count]):
                return text, count
            differs = (at for at, (one, other) in enumerate(zip(tokens, again, strict=False)) if one != other)
            count = min(next(differs, len(again)), count - 1)
            if count < 2:
                break
        return "", 0

    def _text_of_prompt(self, prompt: tuple[int, ...]) -> str:
        """A text of which the runtime makes as many tokens as ``prompt`` has: that of its own tokens if possible."""
        if prompt not in self._prompts:
            begin = self._engine.bos_token_id
            # The session prepends the token that begins a text, if the file names one.
            body = prompt if begin is None else prompt[1:] if prompt[0] == begin else prompt[:-1]
            try:
                text, count = self._text_of_row(body) if len(body) > 1 else ("", 0)
                self._prompts[prompt] = text if count == len(body) else self._english(len(body))
            except NATIVE_ERRORS as error:
                raise run_error(TITLE, error) from error
        return self._prompts[prompt]

    def _english(self, count: int) -> str:
        """Plain English of ``count`` tokens. Raises `SessionError` if none is found."""
        if count == 0:
            return ""
        # A word has at least one token.
        tokens = self._engine.tokenize(_ENGLISH * (1 + count // len(_ENGLISH.split())))
        for start in range(len(tokens) - count + 1):
            text = self._engine.detokenize(tokens[start : start + count])
            if len(self._engine.tokenize(text)) == count:
                return str(text)
        msg = f"no text was found of which this file's tokenizer makes {count} tokens: use another length of prompt"
        raise SessionError(FailureKind.INPUT, msg)
