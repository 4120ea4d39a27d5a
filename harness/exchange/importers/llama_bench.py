"""The JSON, JSON lines and CSV of llama.cpp's ``llama-bench``: a test per record, with every repetition. Times are ns.

A test reads a prompt (pp), generates (tg) or both (pg); its speed is in tokens per second.
"""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath
from typing import Any

from harness.exchange.content import Content
from harness.exchange.definitions import MEAN_OF_REPETITIONS
from harness.exchange.fields import count, items, number, scaled, settings, times_ns, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile
from harness.records.origin import StatedFigure, StatedName

# What changes the speed, beside the prompt, the answer and the threads.
_SETTINGS = (
    "n_batch", "n_ubatch", "n_depth", "n_gpu_layers", "n_cpu_moe", "type_k", "type_v", "flash_attn", "split_mode",
    "main_gpu", "no_kv_offload", "devices", "tensor_split", "tensor_buft_overrides", "use_mmap", "embeddings",
    "cpu_mask", "cpu_strict", "poll", "no_op_offload", "load_mode", "moe_cache", "repack",
)  # fmt: skip


def recognises(content: Content) -> bool:
    """Say whether every record is a test of the program."""
    rows = _rows(content)
    return bool(rows) and all({"build_commit", "n_prompt", "n_gen", "avg_ns"} <= row.keys() for row in rows)


def read(content: Content) -> ImportedFile:
    """Return one cell per test."""
    return ImportedFile(cells=tuple(_cell(row) for row in _rows(content)))


def _rows(content: Content) -> list[dict[str, Any]]:
    """The records; CSV has the same columns without the repetitions."""
    if content.records or not content.head.startswith("build_commit,"):
        return list(content.records)
    return list(csv.DictReader(io.StringIO(content.text)))


def _cell(row: dict[str, Any]) -> ImportedCell:
    file = word(row.get("model_filename"))
    samples = times_ns(row.get("samples_ns"), 1)
    mean = scaled(row.get("avg_ns"), 1)
    suffix = PurePosixPath(file.replace("\\", "/")).suffix.removeprefix(".")
    gpu = word(row.get("gpu_info"))
    return ImportedCell(
        model=word(row.get("model_type")) or PurePosixPath(file).stem or "unknown",
        variant=_test(row),
        format=suffix,
        delegate=word(row.get("backends")),
        threads=count(row.get("n_threads")),
        device=ImportedDevice(cpu=word(row.get("cpu_info")), details=(("gpu", gpu),) if gpu else ()),
        program="llama-bench",
        program_version=word(row.get("build_commit")),
        runtime="llama.cpp",
        runtime_version=word(row.get("build_commit")),
        settings=settings({key: row.get(key) for key in _SETTINGS}),
        started_at=word(row.get("test_time")),
        samples_ns=samples,
        stated=(*_speed(row), *(_mean(mean) if mean and not samples else ())),
        file_bytes=count(row.get("model_size")),
        parameters=count(row.get("model_n_params")),
    )


def _test(row: dict[str, Any]) -> str:
    """The name of the test as the program prints it, such as pp512 or tg128 @ d512."""
    prompt, generated, depth = (count(row.get(key)) for key in ("n_prompt", "n_gen", "n_depth"))
    parts = [f"pp{prompt}" if prompt else "", f"tg{generated}" if generated else ""]
    return "+".join(filter(None, parts)) + (f" @ d{depth}" if depth else "")


def _speed(row: dict[str, Any]) -> tuple[StatedFigure, ...]:
    """The mean speed. A test that reads and generates has one speed for both, which is neither of the two."""
    prompt, generated = count(row.get("n_prompt")), count(row.get("n_gen"))
    mean = scaled(row.get("avg_ts"), 1)
    if mean is None:
        return ()
    name = StatedName.THROUGHPUT if prompt and generated else StatedName.PREFILL if prompt else StatedName.DECODE
    speeds = [number(value) for value in items(row.get("samples_ts"))]
    launches = tuple(speed for speed in speeds if speed is not None and speed > 0)
    words = "tokens per second, mean of the repetitions"
    return (StatedFigure(name=name, value=mean, definition=words, launches=launches),)


def _mean(mean: float) -> tuple[StatedFigure, ...]:
    return (StatedFigure(name=StatedName.LATENCY, value=mean, definition=MEAN_OF_REPETITIONS),)
