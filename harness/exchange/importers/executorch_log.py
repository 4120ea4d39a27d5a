"""The log of ExecuTorch's ``benchmark_android.sh``, or of ``executor_runner`` alone: a line per call, in ms."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from harness.exchange.content import Content
from harness.exchange.fields import MS, clean, count, scaled, settings, whole
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile
from harness.records.origin import StatedFigure, StatedName

_CALL = re.compile(r"Iteration (\d+) of (\d+): ([0-9.]+) ms")
_LOADED = re.compile(r"(?:Model loaded in|Load:) +([0-9.]+) ms")
_SUMMARY = re.compile(r"^(Model|Device|Warmup|Benchmark|Average|Min|Max|Threads): +(.+?)\s*$", re.MULTILINE)
_EXECUTED = re.compile(r"Model executed successfully (\d+) time")


def recognises(content: Content) -> bool:
    """Say whether the text has the lines of the calls, or the summary of the script."""
    said = dict(_SUMMARY.findall(content.text))
    return bool(
        _CALL.search(content.text) or _EXECUTED.search(content.text) or {"Model", "Average", "Warmup"} <= said.keys()
    )


def read(content: Content) -> ImportedFile:
    """Return the one cell of the log. Without the lines of the calls there is only the script's average."""
    said = dict(_SUMMARY.findall(content.text))
    calls = {int(number): whole(ms, MS) for number, _, ms in _CALL.findall(content.text)}
    expected = next((int(of) for _, of, _ in _CALL.findall(content.text)), 0)
    samples = tuple(time for _, time in sorted(calls.items()) if time is not None)
    loaded = _LOADED.search(content.text)
    average = scaled(said.get("Average", "").partition(" ")[0], MS)
    stated = StatedFigure(name=StatedName.LATENCY, value=average or 0.0, definition="mean of the calls")
    model = clean(said.get("Model", ""))
    missing = expected - len(samples)
    cell = ImportedCell(
        model=PurePosixPath(model).stem or content.stem,
        format="pte",
        threads=count(said.get("Threads")),
        device=ImportedDevice(details=(("serial", clean(said["Device"])),) if "Device" in said else ()),
        program="executor_runner",
        runtime="executorch",
        settings=settings({"warm-up calls": said.get("Warmup", "").partition(" ")[0]}),
        samples_ns=samples,
        load_ns=whole(loaded[1], MS) if loaded else None,
        stated=(stated,) if average and not samples else (),
    )
    notes = (f"{missing} of {expected} calls have no line in the log",) if missing > 0 else ()
    return ImportedFile(cells=(cell,), notes=notes)
