"""The JSON lines of LiteRT's leaderboard: one row per session, of networks and of language models.

Times are milliseconds, memory and sizes are in MB.
"""

from __future__ import annotations

from typing import Any

from harness.devices.android.shell.tools.benchmark_model import MEMORY_GROWTH
from harness.exchange.content import Content
from harness.exchange.fields import MB, MIB, MS, SECOND, count, items, mapping, number, scaled, settings, whole, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, LatencyFigures, peak_memory
from harness.records.origin import StatedFigure, StatedName
from harness.stats.medians import median
from harness.wire import MemoryReading

_PEAK = "the peak memory of the process as litert-lm tells it, absolute: nothing is subtracted"


def recognises(content: Content) -> bool:
    """Say whether every record is a row of the board."""
    rows = content.records
    return bool(rows) and all(
        "accelerator" in row
        and "model" in row
        and ("latency_ms" in row or "prefill_tok_s" in mapping(row.get("metrics")))
        for row in rows
    )


def read(content: Content) -> ImportedFile:
    """Return one cell per row; rows that failed have no figures."""
    return ImportedFile(cells=tuple(_cell(row) for row in content.records))


def _cell(row: dict[str, Any]) -> ImportedCell:
    conditions = mapping(row.get("conditions"))
    file, accelerator = word(row.get("file")), word(row.get("accelerator"))
    status = word(row.get("status"))
    language = "latency_ms" not in row
    return ImportedCell(
        model=word(row.get("model")) or "unknown",
        variant=file,
        format=file.rpartition(".")[2] if "." in file else "",
        delegate=word(row.get("delegate")) or accelerator,
        device=ImportedDevice(
            model=word(row.get("device")), os=word(row.get("os")), details=_present({"id": word(row.get("device_id"))})
        ),
        program=f"{word(row.get('runtime')) or 'LiteRT'} benchmark",
        runtime=word(row.get("runtime")),
        runtime_version=word(row.get("runtime_version")),
        settings=settings(
            {
                "accelerator": accelerator,
                "runner": row.get("runner"),
                "binary": row.get("binary"),
                "prompt tokens": conditions.get("prefill_tokens"),
                "generated tokens": conditions.get("decode_tokens"),
                "context": conditions.get("max_num_tokens"),
            }
        ),
        started_at=word(row.get("date")),
        failure="" if status in ("", "measured") else f"the board says: {status}",
        file_bytes=whole(row.get("model_size_mb"), MB),
        nodes_total=count(row.get("nodes_total")),
        nodes_delegated=_nodes(row.get("nodes_delegated")),
        partitions=count(row.get("partitions")),
        memory=_memory(row),
        **(_of_language_model(row) if language else _of_network(row)),
    )


def _of_network(row: dict[str, Any]) -> dict[str, Any]:
    times = mapping(row.get("latency_ms"))
    middle, mean, deviation = scaled(times.get("median"), MS), scaled(times.get("avg"), MS), number(times.get("stddev"))
    latency = None
    if middle is not None:
        latency = LatencyFigures(
            median_ns=middle,
            mean_ns=mean,
            min_ns=scaled(times.get("min"), MS),
            max_ns=scaled(times.get("max"), MS),
            p5_ns=scaled(times.get("p5"), MS),
            p95_ns=scaled(times.get("p95"), MS),
            variation=deviation * MS / mean if deviation is not None and mean else None,
            calls=count(row.get("runs")),
        )
    return {
        "latency": latency,
        "load_ns": whole(times.get("init"), MS),
        "first_ns": whole(times.get("first_inference"), MS),
    }


def _of_language_model(row: dict[str, Any]) -> dict[str, Any]:
    """The first iterations warm up, as many as the row says; the others are the launches of each figure."""
    metrics = mapping(row.get("metrics"))
    warm = number(mapping(row.get("conditions")).get("warmup_iterations")) or 0
    counted = [mapping(item) for item in items(row.get("iterations"))[int(warm) :]]
    names = (
        (StatedName.PREFILL, "prefill_tok_s", 1, "tokens per second"),
        (StatedName.DECODE, "decode_tok_s", 1, "tokens per second"),
        (StatedName.FIRST_TOKEN, "ttft_s", SECOND, "time to the first token"),
    )
    stated = []
    for name, key, unit, definition in names:
        launches = [value for item in counted if (value := scaled(item.get(key), unit)) is not None]
        value = scaled(metrics.get(key), unit) or (median(launches) if launches else None)
        if value is not None:
            stated.append(StatedFigure(name=name, value=value, definition=definition, launches=tuple(launches)))
    return {"stated": tuple(stated), "load_ns": whole(metrics.get("init_total_ms"), MS)}


def _memory(row: dict[str, Any]) -> MemoryReading | None:
    footprint = mapping(row.get("memory_mb"))
    overall = whole(footprint.get("overall_footprint"), MIB)
    peak = whole(mapping(row.get("metrics")).get("peak_mem_mb"), MIB)
    loaded = whole(footprint.get("init_footprint"), MIB)
    return peak_memory(overall, MEMORY_GROWTH, loaded_bytes=loaded, steady_bytes=overall) or peak_memory(peak, _PEAK)


def _nodes(value: object) -> int | None:
    # None of the nodes is a figure too.
    return 0 if value == 0 and not isinstance(value, bool) else count(value)


def _present(details: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in details.items() if value)
