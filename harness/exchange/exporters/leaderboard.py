"""Rows of LiteRT's leaderboard, one per cell. What a cell lacks is null, as in the board's own rows."""

from __future__ import annotations

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
    said,
    scaled,
    stated,
)
from harness.plan.cells import Lengths
from harness.records.generation import GenerationFigure
from harness.records.origin import StatedName
from harness.report.view import CellView, memory_growth

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
        language = {"task": "text-generation"} | _generated(view, cell.lengths)
    else:
        language = {} if view.latency else _of_language_model(view)
    # The board's rows of language models have these figures in place of those of a network.
    return {key: value for key, value in row.items() if key not in _OF_NETWORKS} | language if language else row


def _of_language_model(view: CellView) -> dict[str, Any]:
    """The speeds of a language model as its program states them; nothing for another network."""
    told = {key: figure for name, key in _SPEEDS.items() if (figure := stated(view, name))}
    if not told:
        return {}
    units = {"ttft_s": SECOND}
    metrics = {key: scaled(figure.value, units.get(key, 1)) for key, figure in told.items()}
    metrics |= {
        "init_total_ms": scaled(view.load.first_ns if view.load else None, MS),
        "peak_mem_mb": scaled(view.memory.peak_bytes if view.memory else None, KIB * KIB),
    }
    launches = {key: figure.launches for key, figure in told.items() if figure.launches}
    times = min(map(len, launches.values()), default=0)
    settings = view.measurement.origin.settings if view.measurement and view.measurement.origin else {}
    conditions = {key: int(words) for key, name in _CONDITIONS.items() if (words := settings.get(name, "")).isdecimal()}
    return {
        "metrics": said(metrics),
        "conditions": {**conditions, "warmup_iterations": 0},
        "iterations": [
            {key: scaled(values[index], units.get(key, 1)) for key, values in launches.items()}
            for index in range(times)
        ],
    }


def _generated(view: CellView, lengths: Lengths) -> dict[str, Any]:
    """The rates of a cell's own generations. A launch is an iteration, without the generations that warmed it up."""
    made = view.measurement.generation if view.measurement else None
    figures = (made.prefill, made.decode, made.ttft) if made else (None, None, None)
    launches = zip_longest(*(figure.launches if figure else () for figure in figures))
    iterations = [_rates(prefill, decode, ttft) for prefill, decode, ttft in launches]
    return {
        "conditions": {
            "prefill_tokens": lengths.prompt_tokens,
            "decode_tokens": lengths.new_tokens,
            "max_num_tokens": lengths.total,
            "iterations": len(iterations),
            "warmup_iterations": 0,
        },
        "metrics": {
            **_rates(*map(_value, figures)),
            "init_total_ms": scaled(view.load.first_ns if view.load else None, MS),
            "init_executor_ms": None,
            "peak_mem_mb": scaled(view.memory.peak_bytes if view.memory else None, KIB * KIB),
        },
        "iterations": iterations,
    }


def _rates(prefill: float | None, decode: float | None, ttft_ns: float | None) -> dict[str, float | None]:
    return {"prefill_tok_s": scaled(prefill, 1), "decode_tok_s": scaled(decode, 1), "ttft_s": scaled(ttft_ns, SECOND)}


def _value(figure: GenerationFigure | None) -> float | None:
    return None if figure is None else figure.value


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
