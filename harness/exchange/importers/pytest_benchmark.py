"""The JSON of pytest-benchmark: statistics of each test over its rounds, and the rounds where they were saved. Seconds.

A round may be several calls; then it is their mean.
"""

from __future__ import annotations

from typing import Any

from harness.exchange.content import Content
from harness.exchange.fields import SECOND, count, mapping, number, objects, scaled, settings, times_ns, word
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile, LatencyFigures

Entry = dict[str, Any]


def recognises(content: Content) -> bool:
    """Say whether the file has a machine and tests with statistics."""
    tests = objects(content.object.get("benchmarks"))
    return "machine_info" in content.object and bool(tests) and all("stats" in test for test in tests)


def read(content: Content) -> ImportedFile:
    """Return one cell per test."""
    document = content.object
    device = _device(mapping(document["machine_info"]))
    cells = tuple(_cell(document, test, device) for test in objects(document["benchmarks"]))
    return ImportedFile(cells=cells, commit=word(mapping(document.get("commit_info")).get("id")) or None)


def _cell(document: Entry, test: Entry, device: ImportedDevice) -> ImportedCell:
    stats, options = mapping(test["stats"]), mapping(test.get("options"))
    samples = times_ns(stats.get("data"), SECOND)
    python = mapping(document["machine_info"])
    return ImportedCell(
        model=word(test.get("fullname")) or word(test.get("name")) or "unknown",
        device=device,
        program="pytest-benchmark",
        program_version=word(document.get("version")),
        runtime=word(python.get("python_implementation")),
        runtime_version=word(python.get("python_version")),
        settings=settings(
            {
                "timer": options.get("timer"),
                "garbage collection off": options.get("disable_gc"),
                "warm-up": options.get("warmup"),
                "calls per round": stats.get("iterations"),
            }
        ),
        started_at=word(document.get("datetime")),
        samples_ns=samples,
        latency=None if samples else _figures(stats),
    )


def _figures(stats: Entry) -> LatencyFigures | None:
    middle, mean, deviation = (
        scaled(stats.get("median"), SECOND),
        scaled(stats.get("mean"), SECOND),
        number(stats.get("stddev")),
    )
    if middle is None:
        return None
    return LatencyFigures(
        median_ns=middle,
        mean_ns=mean,
        min_ns=scaled(stats.get("min"), SECOND),
        max_ns=scaled(stats.get("max"), SECOND),
        p25_ns=scaled(stats.get("q1"), SECOND),
        p75_ns=scaled(stats.get("q3"), SECOND),
        variation=deviation * SECOND / mean if deviation is not None and mean else None,
        calls=count(stats.get("rounds")),
    )


def _device(machine: Entry) -> ImportedDevice:
    cpu = mapping(machine.get("cpu"))
    node = word(machine.get("node"))
    return ImportedDevice(
        model=node,
        os=f"{word(machine.get('system'))} {word(machine.get('release'))}".strip(),
        cpu=word(cpu.get("brand_raw")) or word(cpu.get("brand")) or word(machine.get("processor")),
        cores=count(cpu.get("count")),
        abi=word(machine.get("machine")),
    )
