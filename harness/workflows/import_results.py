"""Imports result files of other programs as one stored run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness import __version__
from harness.devices.host.facts import host_info
from harness.exchange.assemble import Assembled, Source, assemble
from harness.exchange.content import read_content
from harness.exchange.imported import agreed
from harness.exchange.importers.registry import importer_of
from harness.spec.profiles import ProfileName
from harness.spec.recipe import AS_IS
from harness.spec.spec import Spec
from harness.store.records import RunHead, RunRecord
from harness.store.writer import create_run, new_run_id
from harness.system.clock import utc_now
from harness.system.files import all_or_nothing

# The imported file itself, beside the replies.
SOURCE_SUFFIX = ".source"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """The stored run, and per file its format and how many cells it had; ``notes`` say what was not used."""

    run: RunRecord
    files: tuple[tuple[str, str, int], ...]
    notes: tuple[str, ...]


def import_results(paths: Sequence[Path], results: Path, kind: str | None = None) -> ImportedRun:
    """Read the files and store their cells as one run in ``results``.

    Every file is read before anything is stored. Raises `UsageError` for a file that cannot be imported, and
    `StoreError` if the run cannot be written.
    """
    sources = [_source(path, kind) for path in paths]
    kept: dict[tuple[bytes, str], str] = {}

    def keep(data: bytes, suffix: str) -> str:
        import hashlib

        return kept.setdefault((data, suffix), hashlib.sha256(data).hexdigest())

    assembled = assemble(sources, keep)
    head = _head(assembled, sources)
    # The files can be imported again, so half a run is of no use to anybody.
    with all_or_nothing((results / head.id,)), create_run(results, head) as writer:
        for source in sources:
            writer.keep(source.content.data, SOURCE_SUFFIX)
        for data, suffix in kept:
            writer.keep(data, suffix)
        writer.add_all(assembled.measurements)
        writer.update(finished_at=utc_now())
        run = writer.record()
    return ImportedRun(
        run=run,
        files=tuple((source.content.name, source.kind, len(source.imported.cells)) for source in sources),
        notes=tuple(f"{source.content.name}: {note}" for source in sources for note in _notes(source)),
    )


def _notes(source: Source) -> tuple[str, ...]:
    cut = ("the last line, which is cut off",) if source.content.cut_off else ()
    return (*source.imported.notes, *cut)


def _source(path: Path, kind: str | None) -> Source:
    content = read_content(path)
    importer = importer_of(content, kind)
    return Source(content=content, kind=importer.name, imported=importer.read(content))


def _head(assembled: Assembled, sources: Sequence[Source]) -> RunHead:
    cells = assembled.plan.cells
    return RunHead(
        id=new_run_id(datetime.now(UTC)),
        created_at=utc_now(),
        # Nobody asked phonebench to measure this, so of the spec only what was imported says anything.
        spec=Spec(
            model=tuple(dict.fromkeys(cell.model for cell in cells)),
            device=tuple(device.key for device in assembled.devices),
            format=tuple(dict.fromkeys(cell.format for cell in cells)),
            variant=(AS_IS,),
            threads=tuple(dict.fromkeys(cell.threads for cell in cells if cell.threads and cell.threads <= 256))
            or (1,),
            profile=ProfileName.IMPORTED,
        ),
        plan=assembled.plan,
        devices=assembled.devices,
        host=host_info(),
        versions={"phonebench": __version__},
        commit=agreed(source.imported.commit for source in sources),
    )
