"""llama.cpp runs ``.gguf``, through the server inside the package xllamacpp, without a network in between.

The server takes token ids. Its callbacks bring pieces of text, so the number of tokens is what it counts itself. It
gives likelihoods only of the token that comes next, so a text is scored token by token, and only of a small vocabulary:
each answer lists all tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.runners.host.runtimes.language import KvCache, LanguageLimits, Watch, computed_cache
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

NAME, TITLE = "llama.cpp", "llama.cpp"
# The token that is picked must be whole text, or the server holds its likelihoods back; they do not depend on it.
_PLAIN = 'root ::= "a" | "e" | " " | "t"'
# A larger one makes each answer of a scored token megabytes long.
MOST_SCORED = 4096
# The cache holds this many tokens at most, unless the model holds fewer.
MOST_CONTEXT = 8192


def import_runtime(request: RuntimeRequest) -> None:
    """Import the library."""
    refuse_options(request, TITLE)
    import_library("xllamacpp", extra="gguf")


def load(path: Path, request: RuntimeRequest) -> GgufSession:
    """Start a server with one slot on the file at ``path``."""
    # A job of another format does not pay for it.
    from harness.readers.gguf import read_gguf_header

    library: Any = import_library("xllamacpp", extra="gguf")
    if request.delegate is not Delegate.CPU:
        raise no_delegate(TITLE, request, [Delegate.CPU.value])
    try:
        header = read_gguf_header(path)
        server = library.Server(_params(library, path, header, request))
        return GgufSession(server, header, request)
    except NATIVE_ERRORS as error:
        raise load_error(path, TITLE, error) from error


def _params(library: Any, path: Path, header: dict[str, Any], request: RuntimeRequest) -> Any:
    params = library.CommonParams()
    params.model.path = str(path)
    params.n_parallel = 1
    params.n_ctx = _context(header)
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = request.threads
    params.warmup = False
    params.verbosity = -1
    return params


def _context(header: dict[str, Any]) -> int:
    kind = header.get("general.architecture", "")
    return min(int(header.get(f"{kind}.context_length") or MOST_CONTEXT), MOST_CONTEXT)


class GgufSession:
    """A server with one model."""

    def __init__(self, server: Any, header: dict[str, Any], request: RuntimeRequest) -> None:
        self._server, self._header, self._request = server, header, request

    def limits(self) -> LanguageLimits:
        return LanguageLimits(context_tokens=_context(self._header), vocabulary=self._vocabulary)

    def generate(self, prompt: Sequence[int], new_tokens: int) -> Generation:
        ends: list[dict[str, Any]] = []
        watch = Watch.start()

        def take(answer: dict[str, Any]) -> None:
            # The last answer brings no text, but says how the generation ended.
            if answer["choices"][0]["finish_reason"] is None:
                watch.token()
            else:
                ends.append(answer)

        self._ask({"prompt": list(prompt), "n_predict": new_tokens, "stream": True}, take)
        usage = ends[-1]["usage"] if ends else {}
        if usage.get("prompt_tokens", len(prompt)) != len(prompt):
            msg = f"{TITLE} counted {usage['prompt_tokens']} tokens of a prompt of {len(prompt)}"
            raise SessionError(FailureKind.RUN, msg)
        tokens = int(usage.get("completion_tokens") or len(watch.tokens_ns))
        full = len(prompt) + tokens >= _context(self._header)
        ended = Ending.LENGTH if tokens == new_tokens else Ending.CONTEXT if full else Ending.END
        return watch.generation(tokens=tokens, ended=ended)

    def score(self, tokens: Sequence[int]) -> tuple[Array, Array]:
        if self._vocabulary is None or self._vocabulary > MOST_SCORED:
            msg = f"xllamacpp lists the likelihoods of all {self._vocabulary} tokens for each one, too many for a text"
            raise SessionError(FailureKind.RUN, msg, unsupported=True)
        count = len(tokens) - 1
        nll, top1 = np.empty(count, np.float32), np.empty(count, np.int32)
        for at in range(count):
            listed = self._likelihoods(tokens[: at + 1])
            top1[at] = max(listed, key=lambda token: listed[token])
            nll[at] = -listed.get(tokens[at + 1], -math.inf)
        return nll, top1

    def kv_cache(self, tokens: int) -> KvCache | None:
        kind = self._header.get("general.architecture", "")
        names = ("block_count", "attention.head_count_kv", "attention.key_length")
        # A list has a number per layer, of which only the count is known.
        sizes = [size for name in names if type(size := self._header.get(f"{kind}.{name}")) is int]
        if len(sizes) < len(names):
            return None
        layers, heads, size = sizes
        return computed_cache((layers, heads, size), tokens, dtype="float16", origin="the header of the file")

    def report(self) -> RuntimeReport:
        return cpu_report(NAME, f"xllamacpp {library_version('xllamacpp')}", self._request)

    def close(self) -> None:
        self._server = None

    @property
    def _vocabulary(self) -> int | None:
        count = self._header.get("tokenizer.ggml.tokens")
        return int(count) if isinstance(count, int) else None

    def _likelihoods(self, known: Sequence[int]) -> dict[int, float]:
        """The log-likelihood of every token after ``known``, whose cache is kept from one call to the next."""
        answers: list[dict[str, Any]] = []
        asked = {
            "prompt": list(known),
            "n_predict": 1,
            "logprobs": self._vocabulary,
            "cache_prompt": True,
            "grammar": _PLAIN,
        }
        self._ask(asked, answers.append)
        try:
            listed = answers[-1]["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
            return {entry["id"]: float(entry["logprob"]) for entry in listed}
        except (LookupError, TypeError) as error:
            msg = "llama.cpp's server returned no likelihoods of the next token"
            raise SessionError(FailureKind.RUN, msg, str(error)) from error

    def _ask(self, asked: dict[str, object], take: Callable[[dict[str, Any]], None]) -> None:
        """Send a request and pass each answer to ``take``. Raises `SessionError` for a refusal."""
        settled = {"temperature": 0.0, "ignore_eos": True, "cache_prompt": False}
        problems: list[str] = []

        def receive(answer: str) -> bool:
            plain = json.loads(answer)
            if "error" in plain:
                problems.append(str(plain["error"].get("message", plain["error"])))
            else:
                take(plain)
            # The server asks after each answer whether to stop.
            return False

        try:
            self._server.handle_completions(json.dumps(settled | asked), receive)
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error
        if problems:
            raise SessionError(FailureKind.RUN, f"{TITLE} refused: {problems[0]}")
