"""The pinned baseline of ``nightly --baseline``: a stored run, or one artifact, that every night is compared with.

Its artifacts are copied beside those of the nights and used every night, so they are never removed to make room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.artifacts.build import BuildOutcome
from harness.artifacts.cache import MANIFEST_FILE, Cache
from harness.artifacts.manifest import RUNNABLE, Artifact
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.errors import StoreError, UsageError
from harness.history.database import History
from harness.model.card import KINDS, SourceKind
from harness.plan.cells import Cell
from harness.progress import Progress
from harness.records.artifact import ArtifactFacts
from harness.records.measurement import CellStatus, Measurement
from harness.signing.require import require_signatures
from harness.spec.read import make_spec
from harness.spec.spec import Spec
from harness.store.reader import find_run, read_folder
from harness.store.records import RUN_FILE, RunRecord
from harness.workflows.bench import Places
from harness.workflows.check import check
from harness.workflows.nightly.artifacts import find_kept, identity_of, keep_artifacts
from harness.workflows.nightly.record import RECORD_FILE, Baseline, BaselineCell, read_night
from harness.workflows.run import build_spec
from harness.workflows.signatures import refuse_unsigned


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineTools:
    """Where artifacts are found and kept."""

    history: History
    places: Places
    progress: Progress


def read_baseline(name: str, spec: Spec, tools: BaselineTools) -> Baseline:
    """Resolve ``name`` for the cells of ``spec``: a run (an id, a prefix, ``latest``, its folder) or an artifact file.

    Raises `UsageError` for something that cannot stand for any of the cells, `StoreError` for what is damaged.
    """
    if _is_artifact(Path(name)):
        return _from_file(Path(name), spec, tools)
    places, cells = tools.places, check(spec).plan.cells
    folder = _run_folder(name, places.results)
    if spec.require_signature is not None:
        require_signatures([folder], Path(spec.require_signature).expanduser())
    run = read_folder(folder)
    measured = {m.cell: m for m in run.measurements if m.status is CellStatus.OK}
    ran = {key: m.artifact for key, m in measured.items() if m.artifact is not None}
    common = [cell for cell in cells if cell.key in ran]
    if not common:
        raise UsageError(_nothing_in_common(name, run, cells))
    # Many cells share an artifact, and each look reads the whole file.
    facts = {ran[cell.key].identity: ran[cell.key] for cell in common}
    kept = {identity for identity, one in facts.items() if _keep(one, tools)}
    known = [cell for cell in common if ran[cell.key].identity in kept]
    if not known:
        msg = (
            f"no artifact of the baseline {name!r} is here any more: name a run whose artifacts are in the cache "
            f"or in {str(places.results)!r}, or the file itself, such as release.{cells[0].format.value}"
        )
        raise UsageError(msg)
    missing = [cell.key for cell in cells if cell not in known]
    return Baseline(
        name=name,
        cells=tuple(_cell(measured[cell.key]) for cell in known),
        missing=f"{len(missing)} cells have no baseline: {', '.join(missing[:4])}" if missing else "",
    )


def baseline_artifacts(
    baseline: Baseline | None, history: History, results: Path, outcome: BuildOutcome, cells: Sequence[Cell]
) -> Iterator[Artifact]:
    """Yield each kept artifact of ``baseline`` once, so that they can be marked as used.

    Raises `StoreError` if one has changed.
    """
    by_key = {cell.key: cell for cell in cells}
    likes = {
        pinned.sha256: outcome.artifacts[cell.build]
        for pinned in (baseline.cells if baseline else ())
        if (cell := by_key.get(pinned.cell)) is not None and cell.build in outcome.artifacts
    }
    for sha256, like in likes.items():
        kept = find_kept(history, results, sha256)
        if kept is not None:
            yield kept.as_artifact(like)


def _run_folder(name: str, results: Path) -> Path:
    path = Path(name)
    # A file of the run, as saved by another job, stands for its folder.
    if path.name == RUN_FILE and path.is_file():
        return path.parent
    if path.name == RECORD_FILE and path.is_file():
        night = read_night(path.parent.parent.parent, path.parent.name)
        return find_run(path.parent.parent.parent, night.run or night.id)
    try:
        return find_run(results, name)
    except UsageError as error:
        msg = f"--baseline: {error}. A baseline is a stored run or an artifact file"
        raise UsageError(msg) from error


def _nothing_in_common(name: str, run: RunRecord, cells: Sequence[Cell]) -> str:
    """A sentence that names the first thing in which the baseline and tonight differ altogether."""
    theirs = run.head.plan.cells
    for what in ("model", "device", "format", "variant", "delegate", "threads", "profile"):
        there, here = ({str(getattr(cell, what)) for cell in side} for side in (theirs, cells))
        if not there & here:
            return (
                f"the baseline {name!r} has {what} {', '.join(sorted(there))}, but tonight has "
                f"{', '.join(sorted(here))}: name a run of the same cells"
            )
    return f"the baseline {name!r} has no measured cell of tonight: name a run of the same cells"


def _cell(measurement: Measurement) -> BaselineCell:
    assert measurement.artifact is not None
    latency = measurement.latency
    return BaselineCell(
        cell=measurement.cell, sha256=measurement.artifact.identity, latency_ns=latency.median_ns if latency else None
    )


def _keep(facts: ArtifactFacts, tools: BaselineTools) -> bool:
    """Whether the artifact with those facts is kept; if only the cache has it, it is copied from there."""
    if find_kept(tools.history, tools.places.results, facts.identity) is not None:
        return True
    artifact = _in_cache(Cache(tools.places.cache), facts)
    if artifact is None:
        return False
    keep_artifacts(tools.history, tools.places.results, [artifact])
    return True


def _in_cache(cache: Cache, facts: ArtifactFacts) -> Artifact | None:
    """The artifact of the cache with those files; entries are named by what made them."""
    for path in sorted((cache.root / "artifacts").glob(f"*/*/{MANIFEST_FILE}")):
        if facts.sha256.encode() in path.read_bytes():
            artifact = cache.artifact(path.parent.name)
            if artifact is not None and artifact.path is not None and identity_of(artifact) == facts.identity:
                return artifact
    return None


def _is_artifact(path: Path) -> bool:
    return KINDS.get(path.suffix.lower()) is SourceKind.READY and not path.is_dir()


def _from_file(path: Path, spec: Spec, tools: BaselineTools) -> Baseline:
    """A file stands for the cells of its format, which must all be of one build: it was made from one recipe."""
    if not path.is_file():
        msg = f"there is no baseline {str(path)!r}: name a stored run or an artifact file"
        raise UsageError(msg)
    checked, tonight = build_spec(spec, tools.places, tools.progress)
    artifact, model = _ready(path, spec.require_signature, tools)
    fitting = [cell for cell in checked.plan.cells if cell.format is artifact.manifest.format]
    builds = {cell.build: cell for cell in fitting}
    if len(builds) != 1:
        what = ", ".join(f"{build.model} {build.variant}" for build in builds) or "none"
        msg = (
            f"the baseline {str(path)!r} must stand for one model and variant of format "
            f"{artifact.manifest.format.value!r}, but tonight has {what}: name a run, or a spec with that one alone"
        )
        raise UsageError(msg)
    _refuse_other_inputs(path, model, tonight.models.get(fitting[0].model))
    keep_artifacts(tools.history, tools.places.results, [artifact])
    sha256 = identity_of(artifact)
    # The file was built for no device, so the cells of every device are compared with it.
    cells = check(spec).plan.cells
    return Baseline(
        name=str(path),
        cells=tuple(BaselineCell(cell=c.key, sha256=sha256) for c in cells if c.build == fitting[0].build),
    )


def _ready(path: Path, key_file: str | None, tools: BaselineTools) -> tuple[Artifact, PreparedModel | None]:
    """The file as any ready-made model: run once in its own runtime, so that half of a file is refused now."""
    spec = replace(make_spec({"model": [str(path)]}), require_signature=key_file)
    checked, outcome = build_spec(spec, tools.places, tools.progress)
    refuse_unsigned(outcome.artifacts.values(), checked.verified)
    artifact = next(iter(outcome.artifacts.values()), None)
    if artifact is None or artifact.path is None or artifact.manifest.state not in RUNNABLE:
        failures = [artifact.manifest.reason if artifact else None, *outcome.model_failures.values()]
        why = next((reason for reason in failures if reason), "it cannot be run")
        msg = f"the baseline {str(path)!r} is damaged or only half written ({why}): copy it again"
        raise StoreError(msg)
    return artifact, outcome.models.get(checked.cards[0].name)


def _refuse_other_inputs(path: Path, model: PreparedModel | None, tonight: PreparedModel | None) -> None:
    """Raise `UsageError` if the file takes other inputs than tonight's: it is another model."""
    if model is None or tonight is None:
        return
    theirs, ours = (_inputs(one) for one in (model, tonight))
    if theirs != ours:
        msg = f"the baseline {str(path)!r} takes {theirs}, but tonight's model takes {ours}: it is another model"
        raise UsageError(msg)


def _inputs(model: PreparedModel) -> str:
    # In any order of the dimensions: a .tflite takes the channels last.
    return ", ".join(f"{spec.dtype} {'x'.join(map(str, sorted(spec.shape)))}" for spec in model.facts.inputs)
