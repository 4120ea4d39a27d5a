"""Generations as the runner times them against the loop that anybody would write over the same runtime.

``python -m tests.benchmarks language``. Both loops are in one process and take turns, generation by generation, so that
a machine that is busy with something else slows both. What a cell reports are medians of the first kind.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from harness.artifacts.build import build_artifacts
from harness.artifacts.cache import Cache
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build
from harness.progress import Silent
from harness.records.generation import decode_per_s
from harness.runners.host.runtimes.registry import open_language
from harness.spec.formats import Backend
from harness.wire import Delegate, Format, RuntimeRequest
from tests.artifacts.orders import order

TURNS, PROMPT, NEW = 100, 128, 64
FILES = (
    ("int4", Format.GENAI, None, Delegate.CPU),
    ("8da4w", Format.PTE, Backend.XNNPACK, Delegate.XNNPACK),
)

# One generation: the seconds to the first token, and tokens per second after it.
Bare = Callable[[list[int]], tuple[float, float]]


def bare_genai(path: Path) -> Bare:
    """The loop of ONNX Runtime GenAI's documentation."""
    import onnxruntime_genai as og

    config = og.Config(str(path.parent))
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": 1}}}}))
    model = og.Model(config)

    def generate(prompt: list[int]) -> tuple[float, float]:
        params = og.GeneratorParams(model)
        params.set_search_options(max_length=PROMPT + NEW, min_length=PROMPT + NEW, do_sample=False)
        generator = og.Generator(model, params)
        tokens = np.array(prompt, dtype=np.int32)
        begin = time.perf_counter()
        generator.append_tokens(tokens)
        generator.generate_next_token()
        there = time.perf_counter()
        for _ in range(NEW - 1):
            generator.generate_next_token()
        return there - begin, (NEW - 1) / (time.perf_counter() - there)

    return generate


def bare_pte(path: Path) -> Bare:
    """A loop over the method ``forward``."""
    import torch
    from executorch.extension.pybindings import _portable_lib as runtime

    # As the host device sets it for a launch.
    torch.set_num_threads(1)
    program: Any = runtime._load_program(str(path))
    forward = program.load_method("forward")

    def generate(prompt: list[int]) -> tuple[float, float]:
        begin = time.perf_counter()
        token = forward.call([torch.tensor([prompt]), torch.tensor([0])], False)[0].argmax()
        there = time.perf_counter()
        for place in range(PROMPT, PROMPT + NEW - 1):
            token = forward.call([token.reshape(1, 1), torch.tensor([place])], False)[0].argmax()
        return there - begin, (NEW - 1) / (time.perf_counter() - there)

    # The program object must outlive its method.
    generate.__dict__["program"] = program
    return generate


BARE: dict[Format, Callable[[Path], Bare]] = {Format.GENAI: bare_genai, Format.PTE: bare_pte}


def language(folder: Path) -> None:
    """Print the medians of both loops, and their ratio."""
    card = resolve("tiny_llama", ModelOptions())
    builds = [Build(model=card.name, variant=v, format=f, backend=b) for v, f, b, _ in FILES]
    outcome = build_artifacts(order([card], builds), Cache(folder), Silent())
    prompt = outcome.models[card.name].test_inputs()[0].reshape(-1)[:PROMPT].tolist()
    for build, (_, _, _, delegate) in zip(builds, FILES, strict=True):
        path = outcome.artifacts[build].path
        assert path is not None, outcome.artifacts[build].manifest.reason
        _compare(build, path, delegate, prompt)


def _compare(build: Build, path: Path, delegate: Delegate, prompt: list[int]) -> None:
    session = open_language(path, RuntimeRequest(delegate=delegate, threads=1), build.format)
    bare, ours, theirs = BARE[build.format](path), [], []
    for turn in range(TURNS):
        # By turns first, because each finds the caches of the processor as the other left them.
        if turn % 2:
            one, other = session.generate(prompt, NEW), bare(prompt)
        else:
            other, one = bare(prompt), session.generate(prompt, NEW)
        # The first ones allocate.
        if turn >= 3:
            ours.append((one.tokens_ns[0] / 1e9, decode_per_s(one) or 0.0))
            theirs.append(other)
    session.close()
    for at, (name, unit, scale) in enumerate((("first token", "ms", 1e3), ("decode rate", "tok/s", 1.0))):
        own, plain = (median(side[at] for side in sides) * scale for sides in (ours, theirs))
        print(
            f"language {build.variant} {build.format.value} {name}: runner {own:.4g} {unit}, bare loop {plain:.4g} "
            f"{unit}, median ratio of the pairs {median(o[at] / t[at] for o, t in zip(ours, theirs, strict=True)):.3f}"
        )
