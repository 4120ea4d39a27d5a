"""ONNX Runtime's generate API runs a folder: a graph that keeps keys and values, and ``genai_config.json``.

The prompt goes in as token ids, so no tokenizer takes part. ``append_tokens`` evaluates the prompt and returns when its
logits are there; ``generate_next_token`` picks the likeliest token and, from the second on, evaluates the one before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.runners.host.runtimes.language import KvCache, LanguageLimits, Watch, computed_cache, token_scores
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
from harness.wire import Delegate, FailureKind, Generation, RuntimeReport, RuntimeRequest
from harness.wire.tensors import Array

NAME = "onnxruntime-genai"
TITLE = "ONNX Runtime GenAI"


def import_runtime(request: RuntimeRequest) -> None:
    """Import the library."""
    refuse_options(request, TITLE)
    _library()


def load(path: Path, request: RuntimeRequest) -> GenaiSession:
    """Load the folder that the configuration at ``path`` lies in."""
    # A job of another format does not pay for it.
    from harness.readers.genai import window_of_all_layers

    library = _library()
    if request.delegate is not Delegate.CPU:
        raise no_delegate(TITLE, request, [Delegate.CPU.value])
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        facts, window = described["model"], window_of_all_layers(described)
        config = library.Config(str(path.parent))
        if window is not None:
            # Longer texts overflow its caches, in the middle of a call.
            facts["context_length"] = min(facts["context_length"], window)
        config.clear_providers()
        config.overlay(json.dumps({"model": {"decoder": {"session_options": _options(request)}}}))
        return GenaiSession(library, library.Model(config), facts, request)
    except NATIVE_ERRORS as error:
        raise load_error(path, TITLE, error) from error


def _library() -> Any:
    return import_library("onnxruntime_genai", extra="genai")


def _options(request: RuntimeRequest) -> dict[str, object]:
    return {"intra_op_num_threads": request.threads, "inter_op_num_threads": 1, "log_severity_level": 4}


class GenaiSession:
    """A loaded folder. Every generation has a generator of its own, made before its clock starts."""

    def __init__(self, library: Any, model: Any, facts: dict[str, Any], request: RuntimeRequest) -> None:
        self._library, self._model, self._facts, self._request = library, model, facts, request

    def limits(self) -> LanguageLimits:
        return LanguageLimits(
            context_tokens=self._facts.get("context_length"), vocabulary=self._facts.get("vocab_size")
        )

    def generate(self, prompt: Sequence[int], new_tokens: int) -> Generation:
        try:
            generator = self._generator(len(prompt) + new_tokens)
            tokens = np.asarray(prompt, dtype=np.int32)
            watch = Watch.start()
            generator.append_tokens(tokens)
            watch.prefilled()
            for _ in range(new_tokens):
                generator.generate_next_token()
                watch.token()
            return watch.generation(tokens=int(generator.token_count()) - len(prompt))
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error

    def score(self, tokens: Sequence[int]) -> tuple[Array, Array]:
        try:
            # The last token is not fed, as nothing follows it. So a row may fill the whole context.
            known = np.asarray(tokens[:-1], dtype=np.int32)
            generator = self._generator(len(tokens))
            generator.append_tokens(known)
            logits = np.asarray(generator.get_output("logits"))[0]
        except NATIVE_ERRORS as error:
            raise run_error(TITLE, error) from error
        if len(logits) < len(known):
            msg = "this folder returns the logits of the last token only; build it without prune_lm_head"
            raise SessionError(FailureKind.RUN, msg, unsupported=True)
        return token_scores(logits, tokens[1:])

    def kv_cache(self, tokens: int) -> KvCache | None:
        decoder = self._facts.get("decoder", {})
        sizes = [decoder.get(name) for name in ("num_hidden_layers", "num_key_value_heads", "head_size")]
        if not all(isinstance(size, int) for size in sizes):
            return None
        layers, heads, size = sizes
        # The CPU provider keeps float32.
        return computed_cache((layers, heads, size), tokens, dtype="float32", origin="genai_config.json")

    def report(self) -> RuntimeReport:
        return cpu_report(NAME, library_version("onnxruntime-genai"), self._request)

    def close(self) -> None:
        self._model = None

    def _generator(self, length: int) -> Any:
        params = self._library.GeneratorParams(self._model)
        # The shortest length equals the longest, so a token that ends the text does not end the generation.
        params.set_search_options(max_length=length, min_length=length, do_sample=False, batch_size=1)
        return self._library.Generator(self._model, params)
