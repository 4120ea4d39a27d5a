"""ExecuTorch's ``benchmark_results.json`` of its benchmark apps: a list of one mean per metric.

``deviceInfo.device`` holds the brand and ``arch`` the phone's model. Units stand in the names of the metrics.
"""

from __future__ import annotations

from typing import Any

from harness.exchange.content import Content
from harness.exchange.definitions import MEAN_OF_CALLS
from harness.exchange.fields import MB, MS, count, mapping, scaled, whole, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, peak_memory
from harness.records.origin import StatedFigure, StatedName

# The Android app reports the proportional set size after the calls less that before the load, the iOS app a peak.
_MEMORY = {
    "ram_pss_usage(mb)": "what the proportional set size grew by from before the load until after the calls, "
    "as ExecuTorch's Android app tells it: no peak",
    "peak_inference_mem_usage(mb)": "the peak physical memory while it ran, as XCTest tells it: nothing is subtracted",
}
_MEANS = (
    ("avg_inference_latency(ms)", MEAN_OF_CALLS),
    ("trimmean_inference_latency(ms)", "mean of the middle 80 % of the calls"),
    ("generate_time(ms)", "time to generate the whole answer"),
)


def recognises(content: Content) -> bool:
    """Say whether the file is a list of metrics of models."""
    rows = content.records
    return bool(rows) and all("benchmarkModel" in row and "actualValue" in row and "metric" in row for row in rows)


def read(content: Content) -> ImportedFile:
    """Return one cell per model, device and method."""
    grouped: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in content.records:
        model, device = mapping(row["benchmarkModel"]), mapping(row.get("deviceInfo"))
        keys = [model.get("name"), model.get("backend"), model.get("quantization"), device.get("device")]
        key = (*map(word, keys), word(device.get("arch")), word(device.get("os")), word(row.get("method")))
        grouped.setdefault(key, []).append(row)
    return ImportedFile(cells=tuple(_cell(key, rows) for key, rows in grouped.items()))


def _cell(key: tuple[str, ...], rows: list[dict[str, Any]]) -> ImportedCell:
    name, backend, quantization, brand, model, system, method = key
    values = {word(row.get("metric")): row.get("actualValue") for row in rows}
    info = mapping(rows[0].get("deviceInfo"))
    # The app calls any other status of the load a failure.
    loaded = values.get("load_status")
    return ImportedCell(
        model=name or "unknown",
        variant=" ".join(filter(None, (quantization, method))),
        format="pte",
        delegate=backend,
        device=ImportedDevice(
            model=model or brand,
            os=system,
            # The app leaves both at 0, because it never asks the system.
            memory_bytes=count(info.get("totalMem")),
            details=(("brand", brand),) if brand and model else (),
        ),
        program="ExecuTorch's benchmark app",
        runtime="executorch",
        failure=f"the app could not load the model (status {word(loaded)})"
        if isinstance(loaded, int | float) and loaded
        else "",
        load_ns=whole(values.get("model_load_time(ms)") or values.get("llm_model_load_time(ms)"), MS),
        memory=next(
            (reading for key, words in _MEMORY.items() if (reading := peak_memory(whole(values.get(key), MB), words))),
            None,
        ),
        stated=_stated(values),
    )


def _stated(values: dict[str, Any]) -> tuple[StatedFigure, ...]:
    mean = next(((time, words) for key, words in _MEANS if (time := scaled(values.get(key), MS)) is not None), None)
    figures = [] if mean is None else [StatedFigure(name=StatedName.LATENCY, value=mean[0], definition=mean[1])]
    speed = scaled(values.get("token_per_sec"), 1)
    if speed is not None:
        figures.append(StatedFigure(name=StatedName.DECODE, value=speed, definition="tokens per second"))
    return tuple(figures)
