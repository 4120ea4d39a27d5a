"""Rows of LiteRT's leaderboard, one per cell. What a cell lacks is null, as in the board's own rows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from harness.exchange.outgoing import (
    ACCELERATORS,
    KIB,
    MB,
    MS,
    SECOND,
    Files,
    Outgoing,
    call_times,
    delegate_used,
    json_lines,
    platform_of,
    scaled,
)
from harness.plan.cells import Lengths
from harness.records.generation import GenerationFigure
from harness.records.origin import StatedFigure, StatedName
from harness.records.stated_metrics import stated_figure
from harness.report.view import CellView, memory_growth
from harness.system.text import whole_number

# What the board names the speeds of language models, and what they depend on.
_SPEEDS = {
    StatedName.PREFILL: "prefill_tok_s",
    StatedName.DECODE: "decode_tok_s",
    StatedName.FIRST_TOKEN: "ttft_s",
}
_CONDITIONS = {
    "prefill_tokens": "prompt tokens",
    "decode_tokens": "generated tokens",
    "max_num_tokens": "context",
}
_OF_NETWORKS = ("latency_ms", "memory_mb", "runs", "warmup_runs", "throughput_mb_s")
_RUNNERS = {"android-app": "app", "ios-app": "app", "host": "local"}


def rows(outgoing: Outgoing) -> Files:
    """Return the rows of all cells with results."""
    return {"measurements.jsonl": json_lines([_row(outgoing, view) for view in outgoing.ok])}


def _row(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    cell, runtime, device = view.cell, view.runtime, outgoing.device(view)
    accelerator, version = ACCELERATORS.get(cell.delegate), runtime.version if runtime else None
    file = f"{cell.variant}.{cell.format.value}"
    platform = platform_of(device)
    model, measurement = device.model if device else None, view.measurement
    words = [f"{cell.model}:{file}@{version or 'unknown'}", platform, model, accelerator]
    if cell.lengths is not None:
        words.append(f"p{cell.lengths.prompt_tokens}-d{cell.lengths.new_tokens}-n{cell.lengths.total}")
    row = {
        "row_id": "/".join(word or "unknown" for word in words),
        "model": cell.model,
        "file": file,
        "task": next((facts.task for facts in outgoing.head.models if facts.name == cell.model), None),
        "model_size_mb": scaled(view.artifact.bytes if view.artifact else None, MB),
        "platform": platform,
        "device_id": cell.device,
        "device": model,
        "os": device.os if device else None,
        "accelerator": accelerator,
        "delegate": delegate_used(view),
        "nodes_delegated": runtime.nodes_delegated if runtime else None,
        "nodes_total": runtime.nodes_total if runtime else None,
        "partitions": runtime.partitions if runtime else None,
        "latency_ms": _latency(outgoing, view),
        "memory_mb": _memory(view),
        "runs": call_times(outgoing, view).count,
        "warmup_runs": None,
        "throughput_mb_s": None,
        "source": "phonebench",
        "runtime": runtime.name if runtime else None,
        "runtime_version": version,
        "binary": f"{view.runner.kind} {view.runner.version}" if view.runner else None,
        "runner": _RUNNERS.get(view.runner.kind, view.runner.kind) if view.runner else None,
        "session": outgoing.head.id,
        "job": cell.key,
        "status": "measured",
        "date": measurement.started_at[:10] if measurement else None,
    }
    if cell.lengths is not None:
        language = _measured_speeds(view, cell.lengths)
    else:
        language = {} if view.latency else _stated_speeds(view)
    # The board's rows of language models have these figures in place of those of a network.
    return {key: value for key, value in row.items() if key not in _OF_NETWORKS} | language if language else row


def _stated_speeds(view: CellView) -> dict[str, Any]:
    """The speeds of a language model as its program states them; nothing for another network."""
    told = {key: stated_figure(view.measurement, name) for name, key in _SPEEDS.items()}
    if not any(told.values()):
        return {}
    settings = view.measurement.origin.settings if view.measurement and view.measurement.origin else {}
    conditions = {key: whole_number(settings.get(name, "")) for key, name in _CONDITIONS.items()}
    return _language(view, conditions, told)


def _measured_speeds(view: CellView, lengths: Lengths) -> dict[str, Any]:
    """The speeds of a cell's own generations."""
    made = view.measurement.generation if view.measurement else None
    figures = (made.prefill, made.decode, made.ttft) if made else (None, None, None)
    counts = (lengths.prompt_tokens, lengths.new_tokens, lengths.total)
    conditions = dict(zip(_CONDITIONS, counts, strict=True))
    return {"task": "text-generation"} | _language(view, conditions, dict(zip(_SPEEDS.values(), figures, strict=True)))


def _language(
    view: CellView,
    conditions: Mapping[str, int | None],
    speeds: Mapping[str, GenerationFigure | StatedFigure | None],
) -> dict[str, Any]:
    """What a row has of a language model. A launch is an iteration, without the generations that warmed it up."""
    launches = zip_longest(*(figure.launches if figure else () for figure in speeds.values()))
    iterations = [_in_units(dict(zip(speeds, values, strict=True))) for values in launches]
    loading = {
        "init_total_ms": scaled(view.load.first_ns if view.load else None, MS),
        "init_executor_ms": None,
        "peak_mem_mb": scaled(view.memory.peak_bytes if view.memory else None, KIB * KIB),
    }
    return {
        "conditions": {**conditions, "iterations": len(iterations), "warmup_iterations": 0},
        "metrics": _in_units({key: figure.value if figure else None for key, figure in speeds.items()}) | loading,
        "iterations": iterations,
    }


def _in_units(speeds: Mapping[str, float | None]) -> dict[str, float | None]:
    """The speeds in the units of the board: tokens per second, and seconds."""
    return {
        key: scaled(value, SECOND if key == _SPEEDS[StatedName.FIRST_TOKEN] else 1) for key, value in speeds.items()
    }


def _latency(outgoing: Outgoing, view: CellView) -> dict[str, float | None]:
    latency, load, calls = view.latency, view.load, call_times(outgoing, view)
    return {
        "median": scaled(calls.median, MS),
        "avg": scaled(calls.mean, MS),
        "p5": scaled(latency.p5_ns if latency else None, MS),
        "p95": scaled(latency.p95_ns if latency else None, MS),
        "min": scaled(calls.least, MS),
        "max": scaled(calls.most, MS),
        "stddev": scaled(calls.deviation, MS),
        "init": scaled(load.first_ns if load else None, MS),
        "first_inference": scaled(load.first_inference_ns if load else None, MS),
        "warm_up_avg": None,
    }


def _memory(view: CellView) -> dict[str, float | None]:
    growth = memory_growth(view.memory)
    return {
        "init_footprint": scaled(growth.loaded_bytes if growth else None, KIB * KIB),
        "overall_footprint": scaled(growth.peak_bytes if growth else None, KIB * KIB),
    }
