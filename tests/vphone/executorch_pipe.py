"""ExecuTorch behind pipes: what the desktop runner starts in place of the library that Android has.

A real ``.pte`` is run by ExecuTorch's own runner of language models and by its method ``forward``. The questions and
answers are those of ``PipedLanguage.java``.
"""

from __future__ import annotations

import importlib.util
import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from harness.runners.host.runtimes.pte_language import CACHE_METHOD
from harness.runners.host.runtimes.registry import open_language
from harness.wire import Delegate, Format, RuntimeRequest


def llm_runner() -> Any:
    """ExecuTorch's runners of language models, without the packages that the module beside them imports."""
    import executorch.extension.llm as package

    (file,) = Path(next(iter(package.__path__))).glob("runner/_llm_runner*.so")
    spec = importlib.util.spec_from_file_location("_llm_runner", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Pipe:
    """One loaded program, asked over ``into`` and answering over ``out``."""

    def __init__(self, model: str, tokenizer: str | None, into: BinaryIO, out: BinaryIO) -> None:
        self._into, self._out = into, out
        request = RuntimeRequest(delegate=Delegate.XNNPACK, threads=1)
        self._program: Any = open_language(Path(model), request, Format.PTE)
        self._runners = llm_runner() if tokenizer else None
        self._runner = self._runners.TextLLMRunner(model, tokenizer) if self._runners else None

    def serve(self) -> None:
        """Answer until the other end closes."""
        answers = {b"F": self._facts, b"R": self._run, b"G": self._generate}
        while question := self._into.read(1):
            try:
                answers[question]()
            except RuntimeError as error:
                self._text(b"E", str(error))
            self._out.flush()

    def _facts(self) -> None:
        limits, cache = self._program.limits(), self._program._known.get(CACHE_METHOD)
        values = (limits.context_tokens, limits.vocabulary, cache)
        self._out.write(b"F" + struct.pack(">3q", *(-1 if value is None else value for value in values)))

    def _run(self) -> None:
        place, count = self._numbers(2)
        row = self._program._feed(self._numbers(count), place)[-1].numpy()
        self._out.write(b"R" + struct.pack(">i", len(row)) + row.astype(">f4").tobytes())

    def _generate(self) -> None:
        (size,) = self._numbers(1)
        prompt = self._into.read(size).decode()
        (all_tokens,) = self._numbers(1)
        assert self._runners is not None
        config = self._runners.GenerationConfig()
        config.echo, config.temperature, config.seq_len = False, 0.0, all_tokens
        assert self._runner is not None
        self._runner.reset()
        told: list[str] = []
        self._runner.generate(prompt, config, lambda _: self._piece(), lambda one: told.append(one.to_json_string()))
        self._text(b"S", told[0])

    def _piece(self) -> None:
        self._out.write(b"P")
        self._out.flush()

    def _numbers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f">{count}i", self._into.read(4 * count))

    def _text(self, kind: bytes, text: str) -> None:
        data = text.encode()
        self._out.write(kind + struct.pack(">i", len(data)) + data)


if __name__ == "__main__":
    # The library prints what it generates, which must not get between the answers.
    kept = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(kept, "wb") as answers:
        Pipe(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None, sys.stdin.buffer, answers).serve()
