"""Writes a stored run in the format of another program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import StoreError, UsageError
from harness.exchange.exporters.registry import Exporter, exporter_named
from harness.exchange.outgoing import Files, Outgoing, outgoing_of
from harness.records.measurement import Measurement
from harness.report.evidence import stored_evidence
from harness.store.records import RunRecord
from harness.system.files import all_or_nothing, storage_errors, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The files that were written, what the format has no place for, and the cells that are missing from them."""

    files: tuple[Path, ...]
    loses: tuple[str, ...]
    left_out: tuple[str, ...]


def export_results(run: RunRecord, name: str, target: Path, *, cells: str = "") -> Exported:
    """Write the cells of ``run`` whose key contains ``cells`` to ``target``: a file, or a folder for several.

    Raises `UsageError` for a format that there is not or cells that there are not, and `StoreError` if nothing can be
    written there.
    """
    exporter, evidence = exporter_named(name), stored_evidence(run)

    def samples(measurement: Measurement) -> dict[int, list[int]]:
        return {launch.index: launch.steady_ns.tolist() for launch in evidence(measurement) if len(launch.steady_ns)}

    chosen = outgoing_of(run, samples, cells=cells)
    outgoing = of_its_formats(chosen, exporter)
    _check(chosen, outgoing, exporter, cells)
    files = _write(exporter.write(outgoing), target)
    return Exported(files=files, loses=exporter.loses, left_out=_left_out(chosen, outgoing, exporter))


def of_its_formats(outgoing: Outgoing, exporter: Exporter) -> Outgoing:
    """Drop the cells that the exporter cannot be about: a result of LiteRT is not one of ONNX Runtime."""
    if not exporter.formats:
        return outgoing
    return replace(outgoing, views=tuple(view for view in outgoing.views if view.cell.format in exporter.formats))


def _check(chosen: Outgoing, outgoing: Outgoing, exporter: Exporter, cells: str) -> None:
    run = outgoing.head.id
    if not chosen.views:
        problem = f"no cell of run {run!r} has {cells!r} in its key" if cells else f"run {run!r} has no cells"
        msg = f"{problem}: see them with phonebench show {run}"
        raise UsageError(msg)
    if not outgoing.views:
        formats = " or ".join(f".{format_.value}" for format_ in exporter.formats)
        msg = f"--to {exporter.name} is for {formats} files, and run {run!r} has none: use another format"
        raise UsageError(msg)
    if not outgoing.ok and not exporter.all_cells:
        msg = (
            f"none of the {len(outgoing.views)} cells has results, and --to {exporter.name} has no place for them: "
            "use a format that has, such as --to junit"
        )
        raise UsageError(msg)


def _left_out(chosen: Outgoing, outgoing: Outgoing, exporter: Exporter) -> tuple[str, ...]:
    others = len(chosen.views) - len(outgoing.views)
    of_others = (f"{others} of another format",) if others else ()
    if exporter.all_cells:
        return of_others
    missing = [view for view in outgoing.views if view not in outgoing.ok]
    counts = Counter(view.status.value for view in missing)
    return (*of_others, *(f"{count} {status}" for status, count in counts.items()))


def _write(files: Files, target: Path) -> tuple[Path, ...]:
    """Write one file as ``target``, or into it if it is a folder; several files into the folder ``target``."""
    alone = len(files) == 1 and "/" not in next(iter(files)) and not target.is_dir()
    paths = {target if alone else target / name: data for name, data in files.items()}
    if not alone and target.exists() and not target.is_dir():
        msg = f"{str(target)!r} is a file, and the export has {len(files)} files: name a folder with --output"
        raise StoreError(msg)
    with storage_errors(target if not alone else target.parent), all_or_nothing(paths):
        for path, data in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A folder can be written again; waiting for the disk after each of thousands of files takes minutes.
            write_whole(path, data, wait=alone)
    return tuple(paths)
