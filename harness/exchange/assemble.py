"""From the cells of imported files to what a run stores: cells with keys, devices, and measurements with their origin.

The one decision: equal cells, with equal settings, are launches of one cell. Cells that only their settings tell apart
have these settings in their variant, because a key must be unique.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.exchange.content import Content
from harness.exchange.imported import UNKNOWN, ImportedCell, ImportedDevice, ImportedFile
from harness.exchange.summary import Keep, latency_of, launches_of, load_of, memory_of, stated_of
from harness.plan.cells import Cell, Plan, make_cell
from harness.records.artifact import ArtifactFacts
from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo
from harness.records.measurement import CellStatus, Measurement
from harness.records.origin import Origin
from harness.spec.profiles import ProfileName
from harness.spec.recipe import AS_IS
from harness.wire import Delegate, Format, RunnerInfo, RuntimeReport

# Beyond this a report could not be read, and a hostile file could fill the disk.
MOST_CELLS = 10_000

_FORMATS = {
    "pte": Format.PTE, "executorch": Format.PTE, "tflite": Format.TFLITE, "litert": Format.TFLITE,
    "onnx": Format.ONNX, "ort": Format.ONNX, "ptl": Format.PTL, "mlpackage": Format.MLPACKAGE,
}  # fmt: skip
# By what the word contains, the more telling part first.
_DELEGATES = (
    ("xnnpack", Delegate.XNNPACK), ("coreml", Delegate.COREML), ("core ml", Delegate.COREML), ("nnapi", Delegate.NNAPI),
    ("qnn", Delegate.QNN),
    ("vulkan", Delegate.GPU), ("opencl", Delegate.GPU), ("litert_cl", Delegate.GPU), ("metal", Delegate.GPU),
    ("gpu", Delegate.GPU), ("cpu", Delegate.CPU),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One imported file: its content, the name of its format, and its cells."""

    content: Content
    kind: str
    imported: ImportedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What a run stores of the files."""

    plan: Plan
    devices: tuple[DeviceInfo, ...]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The launches of one cell, all from files of one kind."""

    source: Source
    launches: tuple[ImportedCell, ...]

    @property
    def cell(self) -> ImportedCell:
        return self.launches[0]


def assemble(sources: Iterable[Source], keep: Keep) -> Assembled:
    """Return the cells of all files as one plan with its measurements; ``keep`` stores what goes beside them.

    Raises `UsageError` if the files have no cells or too many.
    """
    groups = _groups(sources)
    if not groups:
        msg = "the files have no results: there is nothing to import"
        raise UsageError(msg)
    if len(groups) > MOST_CELLS:
        msg = f"the files have {len(groups):,} cells, and at most {MOST_CELLS:,} are taken: import fewer at a time"
        raise UsageError(msg)
    devices = _devices(group.cell.device for group in groups)
    cells = [
        _cell(group, variant, devices[group.cell.device].key)
        for group, variant in zip(groups, _variants(groups), strict=True)
    ]
    return Assembled(
        plan=Plan(cells=tuple(cells), holes=()),
        devices=tuple(devices.values()),
        measurements=tuple(_measurement(group, cell, keep) for group, cell in zip(groups, cells, strict=True)),
    )


def format_of(word: str) -> Format:
    """Return our format for another program's word, `Format.OTHER` if it is none of ours."""
    return _FORMATS.get(word.lower(), Format.OTHER)


def delegate_of(word: str) -> Delegate:
    """Return our delegate for another program's word, `Delegate.UNKNOWN` if it is none of ours."""
    return next((delegate for part, delegate in _DELEGATES if part in word.lower()), Delegate.UNKNOWN)


def _groups(sources: Iterable[Source]) -> list[_Group]:
    grouped: dict[object, tuple[Source, list[ImportedCell]]] = {}
    for source in sources:
        for cell in source.imported.cells:
            grouped.setdefault((source.kind, _identity(cell)), (source, []))[1].append(cell)
    return [_Group(source=source, launches=tuple(cells)) for source, cells in grouped.values()]


def _identity(cell: ImportedCell) -> tuple[object, ...]:
    return (*_named(cell), cell.program, cell.program_version, cell.runtime_version, tuple(cell.settings.items()))


def _named(cell: ImportedCell) -> tuple[object, ...]:
    """What the key of a cell is made of."""
    return cell.model, cell.variant, cell.format, cell.delegate, cell.threads, cell.device


def _variants(groups: Sequence[_Group]) -> list[str]:
    """The variant of each cell, with what else tells it apart from cells that would have the same key."""
    variants = [group.cell.variant or AS_IS for group in groups]
    for tell in (_words, _settings, _program):
        variants = _apart(groups, variants, tell)
    seen: Counter[tuple[object, ...]] = Counter()
    for index, group in enumerate(groups):
        key = _key_parts(group, variants[index])
        seen[key] += 1
        variants[index] += f" #{seen[key]}" if seen[key] > 1 else ""
    return variants


def _key_parts(group: _Group, variant: str) -> tuple[object, ...]:
    cell = group.cell
    return cell.model, variant, format_of(cell.format), delegate_of(cell.delegate), cell.threads, cell.device


def _apart(groups: Sequence[_Group], variants: list[str], tell: Callable[[ImportedCell], dict[str, str]]) -> list[str]:
    """Add to the variants that share a key those of ``tell``'s values in which they differ."""
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        alike[_key_parts(group, variants[index])].append(index)
    result = list(variants)
    for indices in (listed for listed in alike.values() if len(listed) > 1):
        told = {index: tell(groups[index].cell) for index in indices}
        keys = dict.fromkeys(key for values in told.values() for key in values)
        differing = [key for key in keys if len({values.get(key, "") for values in told.values()}) > 1]
        for index in indices:
            words = [f"{key}={told[index].get(key, UNKNOWN)}" for key in differing]
            result[index] = " ".join((variants[index], *words))
    return result


def _words(cell: ImportedCell) -> dict[str, str]:
    return {"format": cell.format, "delegate": cell.delegate}


def _settings(cell: ImportedCell) -> dict[str, str]:
    return cell.settings


def _program(cell: ImportedCell) -> dict[str, str]:
    return {"program": cell.program, "version": cell.program_version, "runtime": cell.runtime_version}


def _devices(devices: Iterable[ImportedDevice]) -> dict[ImportedDevice, DeviceInfo]:
    """Each device once, with a key of its own."""
    infos: dict[ImportedDevice, DeviceInfo] = {}
    used: Counter[str] = Counter()
    for device in dict.fromkeys(devices):
        name = device.model or "unknown device"
        used[name] += 1
        infos[device] = DeviceInfo(
            key=name if used[name] == 1 else f"{name} ({used[name]})",
            kind="imported",
            model=device.model or UNKNOWN,
            os=device.os or UNKNOWN,
            cpu=device.cpu,
            cores=device.cores,
            memory_bytes=device.memory_bytes,
            abi=device.abi,
            details=dict(device.details),
        )
    return infos


def _cell(group: _Group, variant: str, device: str) -> Cell:
    cell = group.cell
    made = make_cell(
        cell.model,
        variant,
        format_of(cell.format),
        delegate_of(cell.delegate),
        cell.threads,
        device,
        ProfileName.IMPORTED,
    )
    # The backend that a .pte was lowered to is in the file, which nobody has seen.
    return replace(made, backend=None)


def _measurement(group: _Group, cell: Cell, keep: Keep) -> Measurement:
    first, content = group.cell, group.source.content
    launches = [launch for launch in group.launches if launch.has_figures and not launch.failure]
    failures = [launch for launch in group.launches if launch.failure]
    status = CellStatus.OK if launches else CellStatus.FAILED
    reason = None if launches else (failures[0].failure if failures else "the file has no figures of it")
    if not launches and failures and failures[0].skipped:
        status = CellStatus.UNSUPPORTED
    profile = next((launch.operators for launch in launches if launch.operators), None)
    return Measurement(
        cell=cell.key,
        status=status,
        reason=reason,
        started_at=first.started_at,
        ended_at="",
        artifact=_artifact(first),
        launches=launches_of(cell, launches, keep),
        latency=latency_of(launches),
        load=load_of(launches),
        memory=memory_of(launches),
        runtime=_runtime(first),
        runner=RunnerInfo(kind=first.program, version=first.program_version or UNKNOWN),
        conditions=_conditions(group),
        operators=replace(profile, source=f"{profile.source} in {content.name}") if profile else None,
        origin=Origin(
            kind=group.source.kind,
            program=" ".join(filter(None, (first.program, first.program_version))),
            file=content.name,
            sha256=content.sha256,
            format=first.format,
            delegate=first.delegate,
            settings=first.settings,
        ),
        stated=stated_of(launches),
    )


def _artifact(cell: ImportedCell) -> ArtifactFacts | None:
    """The size of the file, if it is said; the file itself is not at hand, so its digest is empty."""
    if cell.file_bytes is None:
        return None
    return ArtifactFacts(sha256="", bytes=cell.file_bytes, sqnr_db=None, agreement=None, parameters=cell.parameters)


def _runtime(cell: ImportedCell) -> RuntimeReport | None:
    told = (cell.runtime, cell.delegate, cell.threads, cell.nodes_total)
    if not any(told):
        return None
    return RuntimeReport(
        name=cell.runtime or UNKNOWN,
        version=cell.runtime_version or UNKNOWN,
        delegate_requested=delegate_of(cell.delegate),
        delegate_used=cell.delegate or UNKNOWN,
        threads=cell.threads,
        nodes_total=cell.nodes_total,
        nodes_delegated=cell.nodes_delegated,
        partitions=cell.partitions,
    )


def _conditions(group: _Group) -> tuple[Condition, ...]:
    imported = Condition(
        id=ConditionId.IMPORTED, summary=f"measured by {group.cell.program} under its own rules, and imported"
    )
    own = (condition for launch in group.launches for condition in launch.conditions)
    return tuple({condition.id: condition for condition in (*own, imported)}.values())
