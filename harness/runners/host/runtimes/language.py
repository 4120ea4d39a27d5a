"""What a runtime of language models provides to the runner, and the one way in which likelihoods become figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.runners.host.runtimes.session import SessionError
from harness.wire import Ending, FailureKind, Generation, RuntimeReport, RuntimeRequest
from harness.wire.tensors import Array

clock = time.perf_counter_ns

# Logits are handled in pieces: those of a long text and a large vocabulary take gigabytes as float64.
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageLimits:
    """What the runtime knows of a loaded model; None for what it does not say.

    ``context_tokens``: the most tokens it can hold. ``vocabulary``: the number of its tokens. ``text_prompt``: it takes
    the prompt as text, so tokenising is in the times.
    """

    context_tokens: int | None = None
    vocabulary: int | None = None
    text_prompt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KvCache:
    """The size of the cache of keys and values in bytes, and how it is known, in words."""

    bytes: int
    source: str


def computed_cache(shape: tuple[int, int, int], tokens: int, *, dtype: str, origin: str) -> KvCache:
    """Return the cache of ``tokens`` tokens: ``shape`` is (layers, heads of keys, head size), of numpy's ``dtype``.

    ``origin`` names where the shape was read. Each token has a key and a value per layer.
    """
    layers, heads, size = shape
    element = np.dtype(dtype).itemsize
    source = (
        f"computed: 2 x layers x heads of keys x head size x {element} bytes of {dtype} x the tokens of prompt and "
        f"output, from {origin}"
    )
    return KvCache(bytes=2 * layers * heads * size * element * tokens, source=source)


class LanguageSession(Protocol):
    """A loaded language model. All methods raise `SessionError`."""

    def limits(self) -> LanguageLimits:
        """Return what the runtime knows of the model."""

    def generate(self, prompt: Sequence[int], new_tokens: int) -> Generation:
        """Start afresh, feed ``prompt`` and generate ``new_tokens`` tokens greedily; return the raw times."""

    def score(self, tokens: Sequence[int]) -> tuple[Array, Array]:
        """Return what `token_scores` makes of the logits after each of ``tokens`` but the last.

        A likelihood is NaN if the runtime cannot be asked for it, and a likeliest token -1 if it does not say.
        """

    def kv_cache(self, tokens: int) -> KvCache | None:
        """Return the size of the cache when it serves ``tokens`` tokens, or None if it is not known."""

    def report(self) -> RuntimeReport:
        """Return what the runtime is and what it actually runs on."""

    def close(self) -> None:
        """Release the model."""


class LanguageRuntime(Protocol):
    """A runtime of language models. Each sibling module that holds one has these functions."""

    def import_runtime(self, request: RuntimeRequest) -> None:
        """Import the library and make the settings that hold for the whole process. Raises `SessionError`."""

    def load(self, path: Path, request: RuntimeRequest) -> LanguageSession:
        """Load the artifact. Raises `SessionError`."""


def token_scores(logits: Array, following: Sequence[int]) -> tuple[Array, Array]:
    """Return the negative log-likelihood of each of ``following`` in nats (float32), and the likeliest tokens (int32).

    ``logits`` has one row per token of ``following``: those of the position before it. The softmax is computed in
    float64. Raises `SessionError` for logits that are not finite in a whole row.
    """
    count = len(following)
    nll, top1 = np.empty(count, np.float32), np.empty(count, np.int32)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = np.asarray(logits[start : start + _ROWS_AT_ONCE], dtype=np.float64)
        highest = rows.max(axis=1)
        if not np.isfinite(highest).all():
            msg = f"the logits of token {start + int(np.flatnonzero(~np.isfinite(highest))[0])} are not finite"
            raise SessionError(FailureKind.RUN, msg)
        total = highest + np.log(np.exp(rows - highest[:, None]).sum(axis=1))
        chosen = rows[np.arange(len(rows)), np.asarray(following[start : start + len(rows)])]
        nll[start : start + len(rows)] = total - chosen
        top1[start : start + len(rows)] = rows.argmax(axis=1)
    return nll, top1


@dataclass(slots=True)
class Watch:
    """Takes the times of one generation. Create it right before the prompt is handed over."""

    begin_ns: int
    prefill_ns: int | None
    tokens_ns: list[int]

    @classmethod
    def start(cls) -> Watch:
        """Begin now."""
        return cls(begin_ns=clock(), prefill_ns=None, tokens_ns=[])

    def prefilled(self) -> None:
        """Note that the prompt has been evaluated."""
        self.prefill_ns = clock() - self.begin_ns

    def token(self) -> None:
        """Note that a token, or a piece of text, is there."""
        self.tokens_ns.append(clock() - self.begin_ns)

    def generation(self, *, tokens: int, ended: Ending = Ending.LENGTH) -> Generation:
        """Return the record of ``tokens`` new tokens, as the runtime counted them."""
        return Generation(
            begin_ns=self.begin_ns,
            prefill_ns=self.prefill_ns,
            tokens_ns=tuple(self.tokens_ns),
            tokens=tokens,
            ended=ended,
        )
