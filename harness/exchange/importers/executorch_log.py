"""The log of ExecuTorch's ``benchmark_android.sh``, or of ``executor_runner`` alone: a line per call, in ms."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from harness.exchange.content import Content
from harness.exchange.definitions import MEAN_OF_CALLS
from harness.exchange.fields import MS, clean, count, scaled, settings, whole
from harness.exchange.imported import ImportedCell, ImportedDevice, ImportedFile
from harness.records.origin import StatedFigure, StatedName

_CALL = re.compile(r"Iteration (\d+) of (\d+): ([0-9.]+) ms")
_LOADED = re.compile(r"(?:Model loaded in|Load:) +([0-9.]+) ms")
_SUMMARY = re.compile(r"^(Model|Device|Warmup|Benchmark|Average|Min|Max|Threads): +(.+?)\s*$", re.MULTILINE)
_EXECUTED = re.compile(
    r"(?:Model executed successfully|^Benchmark:) +(\d+) (?:time|iteration)(?:\(s\)|s)? in ([0-9.]+) ms", re.MULTILINE
)
# A run begins with the push of its files, or with one of the first lines of the runner.
_BEGIN = re.compile(
    r"Pushing files to device|Resetting threadpool|Model file \S.* is loaded|Model loaded in|Iteration 1 of "
)
# What the runner itself says of the file and of the threads.
_FILE = re.compile(r"Model file (\S.*?) is loaded\.")
_POOL = re.compile(r"Resetting threadpool with num threads = (\d+)")


def recognises(content: Content) -> bool:
    """Say whether the text has the lines of the calls, or the summary of the script."""
    return _has_figures(content.text)


def read(content: Content) -> ImportedFile:
    """Return a cell per run in the log. Without the lines of the calls there is only their mean."""
    read_runs = [_run(content, text) for text in _runs(content.text)]
    return ImportedFile(cells=tuple(cell for cell, _ in read_runs), notes=tuple(note for _, note in read_runs if note))


def _runs(text: str) -> list[str]:
    """The text cut before the first line of each run: the outputs of several models may be in one file."""
    runs: list[list[str]] = [[]]
    called = summed_up = False
    for line in text.splitlines():
        if (summed_up and line.startswith("Model:")) or ((called or summed_up) and _BEGIN.search(line)):
            runs.append([])
            called = summed_up = False
        call = _CALL.search(line)
        called |= bool(_EXECUTED.search(line) or (call and call[1] == call[2]))
        summed_up |= line.startswith("Average:")
        runs[-1].append(line)
    texts = ["\n".join(lines) for lines in runs]
    return [text for text in texts if _has_figures(text)]


def _has_figures(text: str) -> bool:
    said = dict(_SUMMARY.findall(text))
    return bool(_CALL.search(text) or _EXECUTED.search(text) or {"Model", "Average", "Warmup"} <= said.keys())


def _run(content: Content, text: str) -> tuple[ImportedCell, str]:
    """The cell of one run, and what is missing of it."""
    said = dict(_SUMMARY.findall(text))
    calls = {int(number): whole(ms, MS) for number, _, ms in _CALL.findall(text)}
    expected = next((int(of) for _, of, _ in _CALL.findall(text)), 0)
    samples = tuple(time for _, time in sorted(calls.items()) if time is not None)
    loaded, file, pool = (pattern.search(text) for pattern in (_LOADED, _FILE, _POOL))
    mean = _mean(text) or scaled(said.get("Average", "").partition(" ")[0], MS)
    stated = StatedFigure(name=StatedName.LATENCY, value=mean or 0.0, definition=MEAN_OF_CALLS)
    model = clean(said.get("Model", "") or (file[1] if file else ""))
    missing = expected - len(samples)
    cell = ImportedCell(
        model=PurePosixPath(model).stem or content.stem,
        format="pte",
        threads=count(said.get("Threads")) or (count(pool[1]) if pool else None),
        device=ImportedDevice(details=(("serial", clean(said["Device"])),) if "Device" in said else ()),
        program="executor_runner",
        runtime="executorch",
        settings=settings({"warm-up calls": said.get("Warmup", "").partition(" ")[0]}),
        samples_ns=samples,
        load_ns=whole(loaded[1], MS) if loaded else None,
        stated=(stated,) if mean and not samples else (),
    )
    return cell, f"{missing} of {expected} calls have no line in the log" if missing > 0 else ""


def _mean(text: str) -> float | None:
    """The mean of the calls from the time of all of them, which has more digits than the mean of the script."""
    done = _EXECUTED.search(text)
    total, calls = (scaled(done[2], MS), count(done[1])) if done else (None, None)
    return total / calls if total and calls else None
