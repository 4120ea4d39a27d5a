"""The build stage: from the plan's builds to artifacts, from the cache where possible and by worker processes if not.

Nothing heavy is imported here. If everything is cached, no worker starts and torch is not loaded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.artifacts.cache import Cache
from harness.artifacts.identity import artifact_key
from harness.artifacts.manifest import Artifact, ArtifactState, Manifest
from harness.artifacts.needs import why_missing
from harness.artifacts.sealed import KEY_VARIABLE, SUFFIX
from harness.artifacts.sources.prepared_model import PreparedModel, read_prepared
from harness.artifacts.workers.pool import Crew, run_groups
from harness.artifacts.workers.schedule import Group
from harness.artifacts.workers.tasks import ExportTask, PrepareTask, TaskFailure, VaryTask, WorkerResult, WorkerTask
from harness.model.card import ModelCard, SourceKind
from harness.model.source_key import source_key
from harness.plan.cells import Build
from harness.progress import Progress
from harness.spec.formats import FORMATS, longest_first
from harness.spec.recipe import Precision, Recipe, Step, step_name
from harness.wire import Format


@dataclass(slots=True, kw_only=True)
class BuildOutcome:
    """The result of the build stage: an entry for every model and build that was requested, in that order."""

    models: dict[str, PreparedModel] = field(default_factory=dict)
    model_failures: dict[str, str] = field(default_factory=dict)
    artifacts: dict[Build, Artifact] = field(default_factory=dict)
    built: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What to build: artifacts of models, and the recipe of each variant by name."""

    cards: Sequence[ModelCard]
    builds: Sequence[Build]
    recipes: Mapping[str, Recipe]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Follows a build stage from outside: ``made`` gets each build as it ends, and setting ``stop`` ends the stage.

    ``made`` is called from several threads, one at a time.
    """

    made: Callable[[Build, Artifact], None] = lambda _build, _artifact: None
    stop: threading.Event = field(default_factory=threading.Event)


def stored_outcome(outcome: BuildOutcome, root: Path) -> BuildOutcome:
    """Return ``outcome`` with the paths in the cache. If that is encrypted, the plain files end with this process."""
    if not os.environ.get(KEY_VARIABLE):
        return outcome

    def stored(artifact: Artifact) -> Artifact:
        if artifact.path is None:
            return artifact
        key = artifact.manifest.key
        return replace(artifact, path=root / "artifacts" / key[:2] / key / f"{artifact.path.name}{SUFFIX}")

    return replace(outcome, artifacts={build: stored(artifact) for build, artifact in outcome.artifacts.items()})


def build_artifacts(order: BuildOrder, cache: Cache, progress: Progress, watch: Watch | None = None) -> BuildOutcome:
    """Prepare the models of ``order`` and make its builds. A build that fails gives an artifact with state and reason.

    Raises `StoreError` if the cache cannot be written, `StoppedError` if ``watch`` ends it.
    """
    return _Stage(order, cache, progress, watch or Watch()).run()


class _Stage:
    """The state of one build stage. Results come in from several threads."""

    def __init__(self, order: BuildOrder, cache: Cache, progress: Progress, watch: Watch) -> None:
        self._watch = watch
        self._cards = {card.name: card for card in order.cards}
        self._keys = {card.name: source_key(card) for card in order.cards}
        self._builds = order.builds
        self._recipes = order.recipes
        self._cache = cache
        self._progress = progress
        self._outcome = BuildOutcome()
        self._variant_failures: dict[str, TaskFailure] = {}
        self._lock = threading.Lock()

    def run(self) -> BuildOutcome:
        """Look up what is cached, make what is missing, and return everything."""
        for name, key in self._keys.items():
            model = self._cache.entry("prepared", key, read_prepared)
            if model is not None:
                self._outcome.models[name] = model
        missing = [build for build in self._builds if not self._is_settled(build)]
        if missing or len(self._outcome.models) < len(self._cards):
            self._progress.start("build", len(missing))
            try:
                self._work(missing)
            finally:
                self._progress.finish()
        # Results arrive in any order; callers get the order they asked for.
        self._outcome.artifacts = {build: self._outcome.artifacts[build] for build in self._builds}
        return self._outcome

    def _is_settled(self, build: Build) -> bool:
        """Return whether ``build`` needs no work, because it is cached or cannot be made. It is then recorded."""
        recipe = self._recipe(build)
        lacking = why_missing(self._cards[build.model], build, recipe.steps if recipe else ())
        if lacking is not None:
            self._outcome.artifacts[build] = _unmade(build, ArtifactState.UNSUPPORTED, lacking)
            return True
        model = self._outcome.models.get(build.model)
        artifact = self._cache.artifact(artifact_key(model.facts, recipe, build)) if model else None
        if artifact is not None:
            self._outcome.artifacts[build] = artifact
        return artifact is not None

    def _work(self, missing: list[Build]) -> None:
        groups = [*self._prepare_groups(), *self._vary_groups(missing), *self._export_groups(missing)]
        crew = Crew(warm=self._warm(missing), cache=self._cache, stop=self._watch.stop)
        run_groups(groups, crew, self._report, lambda task: self._progress.begin(_unit(task)))

    def _warm(self, missing: list[Build]) -> tuple[str, ...]:
        """What workers import in advance, the slowest first: the exporters of formats, or TensorFlow.

        A ready-made file is only verified, so exporters, and PyTorch with them, need not even be installed.
        """
        exported = [b for b in missing if self._cards[b.model].kind is not SourceKind.READY]
        keras = [b for b in exported if self._cards[b.model].kind is SourceKind.KERAS]
        formats = [f.value for f in longest_first() if any(b.format is f and b not in keras for b in exported)]
        return (*formats, *([SourceKind.KERAS.value] if keras else [])) or ("",)

    def _prepare_groups(self) -> list[Group]:
        """One group for each model that is not in the cache."""
        missing = [name for name in self._cards if name not in self._outcome.models]
        return [Group(name=_model_group(name), tasks=(self._prepare_task(name),), seconds=10) for name in missing]

    def _vary_groups(self, missing: list[Build]) -> list[Group]:
        """One group for each network that graph steps have to make first."""
        needed = dict.fromkeys((b.model, recipe.steps) for b in missing if (recipe := self._recipe(b)) and recipe.steps)
        return [
            Group(
                name=_network_group(model, steps),
                tasks=(self._vary_task(model, steps),),
                after=(_model_group(model),),
                seconds=20,
            )
            for model, steps in needed
        ]

    def _export_groups(self, missing: list[Build]) -> list[Group]:
        """One group for each network and format, because its variants share one conversion."""
        builds_by_group: dict[tuple[str, tuple[Step, ...], Format], list[Build]] = {}
        for build in missing:
            recipe = self._recipe(build)
            builds_by_group.setdefault((build.model, recipe.steps if recipe else (), build.format), []).append(build)
        return [
            Group(
                name=f"{_network_group(model, steps)} {format_.value}",
                tasks=tuple(self._export_task(b) for b in sorted(builds, key=self._order)),
                after=(_network_group(model, steps) if steps else _model_group(model),),
                seconds=FORMATS[format_].export_seconds,
                shared=FORMATS[format_].exports_independently,
            )
            for (model, steps, format_), builds in builds_by_group.items()
        ]

    def _order(self, build: Build) -> tuple[bool, bool]:
        """The sort key of a build: longest first. Quantised graphs have several times the nodes of a float one.

        Builds that need a scan of the layers come last among their kind: by then another worker may have made the scan.
        """
        recipe = self._recipe(build)
        if recipe is None:
            return True, False
        is_float = recipe.precision in (Precision.FP32, Precision.FP16, Precision.BF16)
        return is_float, recipe.quantisation.keep_float is not None

    def _report(self, task: WorkerTask, result: WorkerResult) -> None:
        with self._lock:
            if task.prepare is not None:
                self._report_model(task.prepare, result)
                self._progress.end(_unit(task))
            elif task.vary is not None:
                self._report_variant(task.vary, result)
                self._progress.end(_unit(task))
            elif task.export is not None:
                self._report_artifact(task.export.build, result)

    def _report_model(self, task: PrepareTask, result: WorkerResult) -> None:
        # The worker returns the record only; the arrays are in the cache.
        model = self._cache.entry("prepared", task.key, read_prepared) if result.prepared else None
        if model is not None:
            self._outcome.models[task.card.name] = model
            return
        failure = result.failure or TaskFailure(
            message="its prepared data disappeared from the cache; run again", log=""
        )
        self._outcome.model_failures[task.card.name] = failure.message

    def _report_variant(self, task: VaryTask, result: WorkerResult) -> None:
        if result.failure is not None:
            self._variant_failures[_network_group(task.card.name, task.steps)] = result.failure

    def _report_artifact(self, build: Build, result: WorkerResult) -> None:
        if result.manifest is not None:
            self._outcome.built += not result.cached
            artifact = self._cache.artifact(result.manifest.key)
            self._outcome.artifacts[build] = artifact or Artifact(manifest=result.manifest, path=None)
        else:
            failure = self._failure_of(build, result.failure or TaskFailure(message="no answer", log=""))
            self._outcome.artifacts[build] = _unmade(build, ArtifactState.FAILED, failure.message, failure.log)
        manifest = self._outcome.artifacts[build].manifest
        self._progress.step(_file(build), f"{manifest.state.value}, {manifest.seconds:.1f} s")
        self._watch.made(build, self._outcome.artifacts[build])

    def _failure_of(self, build: Build, own: TaskFailure) -> TaskFailure:
        """The failure that came first: of the model, of the recipe's steps, or of the export itself."""
        model_failure = self._outcome.model_failures.get(build.model)
        if model_failure is not None:
            return TaskFailure(message=model_failure, log=own.log)
        recipe = self._recipe(build)
        return self._variant_failures.get(_network_group(build.model, recipe.steps if recipe else ()), own)

    def _recipe(self, build: Build) -> Recipe | None:
        return None if self._cards[build.model].ready is not None else self._recipes[build.variant]

    def _prepare_task(self, name: str) -> WorkerTask:
        root = str(self._cache.root)
        return WorkerTask(prepare=PrepareTask(card=self._cards[name], key=self._keys[name], cache_root=root))

    def _vary_task(self, model: str, steps: tuple[Step, ...]) -> WorkerTask:
        root = str(self._cache.root)
        key = self._keys[model]
        return WorkerTask(vary=VaryTask(card=self._cards[model], steps=steps, prepared_key=key, cache_root=root))

    def _export_task(self, build: Build) -> WorkerTask:
        task = ExportTask(
            card=self._cards[build.model],
            build=build,
            recipe=self._recipe(build),
            prepared_key=self._keys[build.model],
            cache_root=str(self._cache.root),
        )
        return WorkerTask(export=task)


def _unit(task: WorkerTask) -> str:
    """What a task makes, in the words of the progress display."""
    if task.export is not None:
        return _file(task.export.build)
    if task.vary is not None:
        return f"{task.vary.card.name} {'+'.join(step_name(step) for step in task.vary.steps)} (network)"
    return f"{task.prepare.card.name} (model and data)" if task.prepare is not None else "scan"


def _file(build: Build) -> str:
    return f"{build.model} {build.variant} {build.format.value}"


def _model_group(model: str) -> str:
    return f"model {model}"


def _network_group(model: str, steps: tuple[Step, ...]) -> str:
    """The name of a group. Steps are plain data, so two equal lists of steps print alike."""
    return f"network {model} {steps}"


def _unmade(build: Build, state: ArtifactState, reason: str, log: str = "") -> Artifact:
    manifest = Manifest(
        key="",
        model=build.model,
        variant=build.variant,
        recipe=None,
        format=build.format,
        backend=build.backend,
        state=state,
        reason=reason,
        versions={},
        log=log or None,
    )
    return Artifact(manifest=manifest, path=None)
