"""``perf.yaml`` of Qualcomm's AI Hub Models: one estimate per precision, component, device and runtime.

Anchors and aliases are refused, because a few lines of them can stand for billions of values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harness.errors import MissingPackageError, UsageError
from harness.exchange.content import Content
from harness.exchange.fields import MB, MS, US, clean, count, mapping, objects, scaled, settings, whole, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, peak_memory
from harness.exchange.importers.aihub_profile import ESTIMATE
from harness.records.origin import StatedFigure, StatedName

_MEMORY = "the upper end of the estimated range of the peak memory, as AI Hub tells it: nothing is subtracted"
_MARKS = (
    re.compile(r"^\s*performance_metrics:", re.M),
    re.compile(r"^(?:models|precisions|aggregated|bundled_assets):", re.M),
)
# The runtimes by the first word of their key, such as tflite or precompiled_qnn_onnx.
_FORMATS = {"tflite": "tflite", "onnx": "onnx", "precompiled_qnn_onnx": "onnx", "onnx_ep": "onnx"}

Entry = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the text has the keys of such a file. It is parsed only then."""
    return content.document is None and all(mark.search(content.head) for mark in _MARKS)


def read(content: Content) -> ImportedFile:
    """Return one cell per figure. Raises `UsageError` for damaged YAML, `MissingPackageError` without PyYAML."""
    document = mapping(_parsed(content))
    cells = tuple(
        _cell(content, (precision, component, device, runtime), mapping(figures))
        for precision, details in mapping(document.get("precisions")).items()
        for component, parts in mapping(mapping(details).get("components")).items()
        for device, runtimes in mapping(mapping(parts).get("performance_metrics")).items()
        for runtime, figures in mapping(runtimes).items()
    )
    return ImportedFile(cells=(*cells, *_old_cells(document)))


def _old_cells(document: Entry) -> Iterator[ImportedCell]:
    """The cells of the layout until 2025: a list of models, each with a list of devices, in microseconds and bytes."""
    for model in objects(document.get("models")):
        for entry in objects(model.get("performance_metrics")):
            device = mapping(entry.get("reference_device_info")) or {"name": entry.get("device")}
            for runtime, figures in entry.items():
                if "inference_time" in mapping(figures) or "job_status" in mapping(figures):
                    yield _old_cell(word(model.get("name")), device, word(runtime), mapping(figures))


def _old_cell(model: str, device: Entry, runtime: str, figures: Entry) -> ImportedCell:
    layers, status = mapping(figures.get("layer_info")), word(figures.get("job_status"))
    total, on_cpu = count(layers.get("total_layers")), count(layers.get("layers_on_cpu")) or 0
    time = scaled(figures.get("inference_time"), US)
    return ImportedCell(
        model=model or "unknown",
        variant=word(figures.get("precision")),
        format=next((format_ for key, format_ in _FORMATS.items() if key in runtime.split("_")[-1:]), runtime),
        delegate=word(figures.get("primary_compute_unit")),
        device=ImportedDevice(
            model=word(device.get("name")),
            os=f"{word(device.get('os_name'))} {word(device.get('os'))}".strip(),
            cpu=word(device.get("chipset")),
        ),
        program="AI Hub",
        runtime=runtime,
        failure="" if time is not None or status in ("", "Passed", "Success") else f"the job ended as {status}",
        memory=peak_memory(count(mapping(figures.get("estimated_peak_memory_range")).get("max")), _MEMORY),
        nodes_total=total,
        nodes_delegated=total - on_cpu if total is not None else None,
        stated=() if time is None else (StatedFigure(name=StatedName.LATENCY, value=time, definition=ESTIMATE),),
    )


def _parsed(content: Content) -> object:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingPackageError(package="pyyaml", extra="exchange", purpose="reading perf.yaml") from error
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in _events(content.text)):
            msg = f"{content.name!r} has YAML aliases, which a perf.yaml does not need: write their values out"
            raise UsageError(msg)
        return yaml.load(content.text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        words = clean(str(error).partition("\n")[0]) or "nested too deeply"
        msg = f"{content.name!r} looks like a perf.yaml, but its YAML is damaged ({words}): get the file again"
        raise UsageError(msg) from error


def _events(text: str) -> Iterator[object]:
    import yaml

    return iter(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _cell(content: Content, keys: tuple[object, ...], figures: Entry) -> ImportedCell:
    precision, component, device, runtime = (word(key) for key in keys)
    layers, memory = mapping(figures.get("layer_counts")), mapping(figures.get("estimated_peak_memory_range_mb"))
    versions = {f"{key} version": value for key, value in mapping(figures.get("tool_versions")).items()}
    total, on_cpu = count(layers.get("total")), count(layers.get("cpu")) or 0
    status = word(figures.get("job_status"))
    return ImportedCell(
        model=component or content.stem,
        variant=precision,
        format=next((format_ for key, format_ in _FORMATS.items() if runtime.startswith(key)), runtime),
        delegate=word(figures.get("primary_compute_unit")),
        device=ImportedDevice(model=device),
        program="AI Hub",
        runtime=runtime,
        settings=settings(versions),
        failure="" if status in ("", "Passed", "Success") or _stated(figures) else f"the job ended as {status}",
        memory=peak_memory(whole(memory.get("max"), MB), _MEMORY),
        nodes_total=total,
        nodes_delegated=total - on_cpu if total is not None else None,
        stated=_stated(figures),
    )


def _stated(figures: Entry) -> tuple[StatedFigure, ...]:
    """The estimate; of a language model the figures of its shortest context, which come first."""
    time = scaled(figures.get("inference_time_milliseconds"), MS)
    estimate = () if time is None else (StatedFigure(name=StatedName.LATENCY, value=time, definition=ESTIMATE),)
    told = next(iter(objects(figures.get("llm_metrics"))), figures)
    length = count(told.get("context_length"))
    context = f", context of {length}" if length else ""
    speed = scaled(told.get("tokens_per_second"), 1)
    first = scaled(mapping(told.get("time_to_first_token_range_milliseconds")).get("min"), MS)
    values = (
        (StatedName.DECODE, speed, f"tokens per second{context}"),
        (StatedName.FIRST_TOKEN, first, f"shortest time to the first token{context}"),
    )
    return (*estimate, *(StatedFigure(name=n, value=v, definition=w) for n, v, w in values if v is not None))
