"""The result file of the MLPerf Mobile app. Latencies are seconds, accuracies shares from 0 to 1.

Files of before 2023 have a throughput and no latency; newer ones have a mean and a 90th percentile. None has samples.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from harness.exchange.content import Content
from harness.exchange.definitions import MEAN_OF_QUERIES, MLPERF_SCORE
from harness.exchange.fields import SECOND, above_zero, clean, mapping, number, objects, scaled, settings, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile
from harness.records.origin import StatedFigure, StatedName

Entry = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the file has the parts of a result of the app."""
    return {"meta", "results", "environment_info", "build_info"} <= content.object.keys()


def read(content: Content) -> ImportedFile:
    """Return one cell per benchmark. A run that the app calls invalid is kept, and says so."""
    document = content.object
    device = _device(mapping(document["environment_info"]))
    version = word(mapping(document["build_info"]).get("version"))
    return ImportedFile(cells=tuple(_cell(result, device, version) for result in objects(document["results"])))


def _cell(result: Entry, device: ImportedDevice, version: str) -> ImportedCell:
    backend, told = mapping(result.get("backend_settings")), mapping(result.get("backend_info"))
    performance = mapping(result.get("performance_run"))
    file = clean(word(backend.get("model_path")))
    extra = {f"setting {word(item.get('id'))}": item.get("value") for item in objects(backend.get("extra_settings"))}
    return ImportedCell(
        model=word(result.get("benchmark_name")) or word(result.get("benchmark_id")) or "unknown",
        variant=PurePosixPath(file).name,
        format=PurePosixPath(file).suffix.removeprefix("."),
        delegate=_delegate(backend, told),
        device=device,
        program="MLPerf Mobile",
        program_version=version,
        runtime=word(told.get("backend_name")) or word(backend.get("framework")),
        settings=settings(
            {
                "scenario": result.get("loadgen_scenario"),
                "accelerator": backend.get("accelerator_desc"),
                "batch": above_zero(backend.get("batch_size")),
                "dataset": mapping(performance.get("dataset")).get("type"),
                "valid": False if _is_invalid(performance) else None,
                **extra,
            }
        ),
        started_at=word(performance.get("start_datetime")),
        failure="" if performance or result.get("accuracy_run") else "the app stored no run of this benchmark",
        stated=(*_speeds(performance), *_accuracy(result)),
    )


def _is_invalid(run: Entry) -> bool:
    """Whether the app says that the run broke its rules, such as the least time."""
    return mapping(run.get("loadgen")).get("is_result_valid") is False or (
        mapping(run.get("loadgen_info")).get("validity") is False
    )


def _delegate(backend: Entry, told: Entry) -> str:
    delegate = word(backend.get("delegate"))
    return delegate if delegate.lower() not in ("", "unknown") else word(told.get("accelerator_name"))


def _speeds(run: Entry) -> tuple[StatedFigure, ...]:
    loadgen = mapping(run.get("loadgen"))
    told = run.get("throughput")
    throughput = above_zero(mapping(told).get("value") if isinstance(told, dict) else told)
    values = (
        (StatedName.LATENCY, scaled(loadgen.get("latency_mean"), SECOND), MEAN_OF_QUERIES),
        (StatedName.P90, scaled(loadgen.get("latency90"), SECOND), "90th percentile of the queries, by LoadGen"),
        (StatedName.THROUGHPUT, throughput, MLPERF_SCORE),
        (
            StatedName.FIRST_TOKEN,
            scaled(loadgen.get("latency_first_token_mean"), SECOND),
            "mean time to the first token",
        ),
        (StatedName.DECODE, above_zero(loadgen.get("token_throughput")), "tokens per second"),
    )
    return tuple(StatedFigure(name=n, value=v, definition=words) for n, v, words in values if v is not None)


def _accuracy(result: Entry) -> tuple[StatedFigure, ...]:
    """The accuracy of the accuracy run, which takes the whole data set where the performance run takes a part."""
    run = mapping(result.get("accuracy_run"))
    value = number(mapping(run.get("accuracy")).get("normalized"))
    if value is None or not 0 <= value <= 1:
        return ()
    dataset = word(mapping(run.get("dataset")).get("name"))
    words = f"normalised accuracy on {dataset}" if dataset else "normalised accuracy"
    return (StatedFigure(name=StatedName.ACCURACY, value=value, definition=words),)


def _device(environment: Entry) -> ImportedDevice:
    platform = word(environment.get("platform"))
    facts = mapping(mapping(environment.get("value")).get(platform.lower()))
    maker, model = word(facts.get("manufacturer")), word(facts.get("model_name")) or word(facts.get("model_code"))
    soc = word(facts.get("proc_cpuinfo_soc_name")) or word(facts.get("soc_name")) or word(facts.get("cpu_full_name"))
    version = word(facts.get("os_version"))
    return ImportedDevice(
        model=model if model.startswith(maker) else f"{maker} {model}",
        os=f"{platform} {version}".strip() if version else "",
        cpu=soc,
    )
