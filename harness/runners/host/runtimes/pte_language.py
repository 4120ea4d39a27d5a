"""ExecuTorch runs the ``.pte`` of a language model: its method ``forward`` takes tokens and where they begin.

The loop is phonebench's own, over the same method that ExecuTorch's runner calls: the prompt in as few calls as the
program takes, then the likeliest token, one call each. So times are in nanoseconds, where the runner's own statistics
are in whole milliseconds, and token ids go in without a tokenizer. Keys and values of an earlier generation are
overwritten from the first place on, and the mask of the attention hides the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.runners.host.runtimes import pte
from harness.runners.host.runtimes.language import KvCache, LanguageLimits, Watch, token_scores
from harness.runners.host.runtimes.session import (
    NATIVE_ERRORS,
    SessionError,
    import_library,
    load_error,
    run_error,
)
from harness.wire import FailureKind, Generation, RuntimeReport, RuntimeRequest
from harness.wire.tensors import Array

if TYPE_CHECKING:
    from harness.readers.pte import PteFacts

# Methods without inputs that exporters write beside ``forward``. The last one is phonebench's own.
CONTEXT_METHODS = ("get_max_context_len", "get_max_seq_len")
VOCABULARY_METHOD, CACHE_METHOD = "get_vocab_size", "get_kv_cache_bytes"
_CACHE_SOURCE = "computed at export: 2 x layers x heads of keys x head size x 4 bytes of float32 x the whole context, "


def import_runtime(request: RuntimeRequest) -> None:
    """Import the bindings with the kernels of attention that keep keys and values."""
    pte.import_runtime(request)
    # The module beside the library would import the whole exporter, and count as memory of the runtime.
    package = import_library("executorch.extension.llm.custom_ops", extra="torch")
    files = [file for folder in package.__path__ for file in Path(folder).glob("*custom_ops_aot_lib.*")]
    if not files:
        msg = "this build of ExecuTorch has no kernels for language models (libcustom_ops_aot_lib): install another"
        raise SessionError(FailureKind.LOAD, msg, unsupported=True)
    import torch

    torch.ops.load_library(str(files[0]))


def load(path: Path, request: RuntimeRequest) -> PteLanguageSession:
    """Load the program, its method ``forward`` and what its other methods say."""
    library, facts = pte.library(), pte.checked_facts(path)
    try:
        program = library._load_program(str(path))
        known = {name: _constant(program, name) for name in facts.methods if name != pte.METHOD}
        return PteLanguageSession(program, program.load_method(pte.METHOD), known, facts, request)
    except NATIVE_ERRORS as error:
        raise load_error(path, pte.TITLE, error) from error


def _constant(program: Any, name: str) -> int | None:
    """What a method without inputs returns, if that is one whole number."""
    try:
        values = program.load_method(name).call([], False)
    except NATIVE_ERRORS:
        return None
    return values[0] if len(values) == 1 and type(values[0]) is int else None


class PteLanguageSession:
    """A program with its method ``forward`` loaded."""

    def __init__(
        self, program: Any, method: Any, known: dict[str, int | None], facts: PteFacts, request: RuntimeRequest
    ) -> None:
        self._program, self._method, self._known, self._facts, self._request = program, method, known, facts, request
        meta = method.method_meta()
        if meta.num_inputs() != 2:
            msg = f"its method forward takes {meta.num_inputs()} inputs, not the tokens and where they begin"
            raise SessionError(FailureKind.LOAD, msg, unsupported=True)
        sizes = [tuple(meta.input_tensor_meta(index).sizes()) for index in range(2)]
        # The most tokens of one call, and whether it wants the place of the first token or of each.
        self._most, self._all_places = int(sizes[0][-1]), sizes[1] != (1,)
        pte.keep_alive(self)

    def limits(self) -> LanguageLimits:
        context = next((self._known[name] for name in CONTEXT_METHODS if self._known.get(name)), None)
        return LanguageLimits(context_tokens=context, vocabulary=self._known.get(VOCABULARY_METHOD))

    def generate(self, prompt: Sequence[int], new_tokens: int) -> Generation:
        import torch

        call = self._method.call
        try:
            watch = Watch.start()
            logits = self._feed(prompt, 0)
            watch.prefilled()
            token = logits[-1].argmax()
            watch.token()
            for place in range(len(prompt), len(prompt) + new_tokens - 1):
                token = call([token.reshape(1, 1), torch.tensor([place])], False)[0].argmax()
                watch.token()
            return watch.generation(tokens=len(watch.tokens_ns))
        except NATIVE_ERRORS as error:
            raise run_error(pte.TITLE, error) from error

    def score(self, tokens: Sequence[int]) -> tuple[Array, Array]:
        known = tokens[:-1]
        try:
            logits = self._feed(known, 0).numpy()
            # Most programs return the logits of the last token only.
            if len(logits) != len(known):
                steps = [np.array(self._feed((token,), at)[-1].numpy()) for at, token in enumerate(known)]
                logits = np.stack(steps)
        except NATIVE_ERRORS as error:
            raise run_error(pte.TITLE, error) from error
        return token_scores(logits, tokens[1:])

    def kv_cache(self, tokens: int) -> KvCache | None:  # noqa: ARG002  it has one size, whatever it holds
        size = self._known.get(CACHE_METHOD)
        context = self.limits().context_tokens
        return KvCache(bytes=size, source=f"{_CACHE_SOURCE}which is {context} tokens") if size else None

    def report(self) -> RuntimeReport:
        return pte.report_of(self._facts, self._request)

    def close(self) -> None:
        self._method = self._program = None
        pte.let_go(self)

    def _feed(self, tokens: Sequence[int], place: int) -> Any:
        """Run ``tokens``, the first of which is at ``place``; return the logits of the last call as (rows, tokens)."""
        import torch

        logits: Any = None
        for start in range(0, len(tokens), self._most):
            piece = list(tokens[start : start + self._most])
            first = place + start
            places = list(range(first, first + len(piece))) if self._all_places else [first]
            logits = self._method.call([torch.tensor([piece]), torch.tensor(places)], False)[0]
        return logits.reshape(-1, logits.shape[-1])
