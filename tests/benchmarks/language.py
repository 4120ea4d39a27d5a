"""Generations as the harness reports them against the loop that anybody would write over the same runtime, in turn.

``python -m tests.benchmarks language``. Each side is a process of its own on one thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from harness.artifacts.build import build_artifacts
from harness.artifacts.cache import Cache
from harness.devices.registry import open_device
from harness.measure.cell import measure
from harness.measure.job import Job
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Lengths, make_cell
from harness.progress import Silent
from harness.records.measurement import CellStatus
from harness.spec.profiles import PROFILES, ProfileName
from harness.system.clock import utc_now
from harness.wire import Delegate, Format
from tests.artifacts.orders import order

PAIRS, PROMPT, NEW, GENERATIONS = 7, 128, 64, 60
CELLS = (("int4", Format.GENAI, Delegate.CPU), ("8da4w", Format.PTE, Delegate.XNNPACK))

_GENAI = """
import sys, time, statistics, numpy, onnxruntime_genai as og
path, prompt, new, count = sys.argv[1], *map(int, sys.argv[3:])
tokens = numpy.fromfile(sys.argv[2], dtype="<i4")[:prompt]
config = og.Config(path.rpartition("/")[0])
config.overlay('{"model": {"decoder": {"session_options": {"intra_op_num_threads": 1}}}}')
model = og.Model(config)
first, rest = [], []
for _ in range(count):
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=prompt + new, min_length=prompt + new, do_sample=False)
    generator = og.Generator(model, params)
    begin = time.perf_counter()
    generator.append_tokens(tokens)
    generator.generate_next_token()
    there = time.perf_counter()
    for _ in range(new - 1):
        generator.generate_next_token()
    end = time.perf_counter()
    first.append(there - begin)
    rest.append((new - 1) / (end - there))
print(statistics.median(first[2:]), statistics.median(rest[2:]))
"""
_PTE = """
import sys, time, statistics, numpy, torch
from executorch.extension.pybindings import _portable_lib as runtime
import executorch.kernels.quantized, executorch.extension.llm.custom_ops.custom_ops
path, prompt, new, count = sys.argv[1], *map(int, sys.argv[3:])
tokens = torch.from_numpy(numpy.fromfile(sys.argv[2], dtype="<i4")[:prompt].astype("int64"))[None]
runtime._unsafe_reset_threadpool(1)
program = runtime._load_program(path)
forward = program.load_method("forward")
first, rest = [], []
for _ in range(count):
    begin = time.perf_counter()
    token = forward.call([tokens, torch.tensor([0])], False)[0].argmax()
    there = time.perf_counter()
    for place in range(prompt, prompt + new - 1):
        token = forward.call([token.reshape(1, 1), torch.tensor([place])], False)[0].argmax()
    end = time.perf_counter()
    first.append(there - begin)
    rest.append((new - 1) / (end - there))
print(statistics.median(first[2:]), statistics.median(rest[2:]))
"""
BARE = {Format.GENAI: _GENAI, Format.PTE: _PTE}


def language(folder: Path, keep: Callable[[bytes, str], str]) -> None:
    """Print the ratios of the time to the first token and of the decode rate."""
    for job in _jobs(folder):
        pairs = [(_ours(job, keep), _bare(job)) for _ in range(PAIRS)]
        for at, name in enumerate(("first token", "decode rate")):
            ratios = [ours[at] / bare[at] for ours, bare in pairs]
            print(
                f"language {job.cell.variant} {job.cell.format.value} {name}: harness / bare loop "
                f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
            )
        off = median((ours[0] - bare[0]) * 1e3 for ours, bare in pairs)
        print(f"language {job.cell.variant} {job.cell.format.value} first token: difference {off:+.3f} ms")


def _jobs(folder: Path) -> list[Job]:
    card = resolve("tiny_llama", ModelOptions())
    lengths = Lengths(prompt_tokens=PROMPT, new_tokens=NEW)
    cells = [make_cell(card.name, v, f, d, 1, "host", ProfileName.QUICK, lengths) for v, f, d in CELLS]
    outcome = build_artifacts(order([card], [c.build for c in cells]), Cache(folder), Silent())
    model = outcome.models[card.name]
    return [
        Job(cell=c, card=card, artifact=outcome.artifacts[c.build], model=model, profile=PROFILES[ProfileName.QUICK])
        for c in cells
    ]


class _Keeper:
    def __init__(self, keep: Callable[[bytes, str], str]) -> None:
        self.keep = keep


def _ours(job: Job, keep: Callable[[bytes, str], str]) -> tuple[float, float]:
    with open_device("host") as device:
        measurement = measure(job, device, _Keeper(keep), utc_now)
    generation = measurement.generation
    if measurement.status is not CellStatus.OK or generation is None or not (generation.ttft and generation.decode):
        sys.exit(f"{job.cell.key}: {measurement.reason}")
    return generation.ttft.value / 1e9, generation.decode.value


def _bare(job: Job) -> tuple[float, float]:
    files = [str(job.artifact.path), str(job.model.inputs_path)]
    command = [sys.executable, "-c", BARE[job.cell.format], *files, *map(str, (PROMPT, NEW, GENERATIONS))]
    threads = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=threads)
    first, rest = done.stdout.split()[-2:]
    return float(first), float(rest)
