"""The build stage: from the plan's builds to artifacts, out of the cache where it can, by workers where it must.

Nothing heavy is imported here: when everything is cached, no worker starts and no torch is loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.artifacts.cache import Cache
from harness.artifacts.identity import artifact_key
from harness.artifacts.manifest import Artifact, ArtifactState, Manifest
from harness.artifacts.needs import why_missing
from harness.artifacts.pool import Group, run_groups
from harness.artifacts.prepared import PreparedModel, read_prepared
from harness.artifacts.tasks import ExportTask, PrepareTask, TaskFailure, VaryTask, WorkerResult, WorkerTask
from harness.model import ModelCard, SourceKind, source_key
from harness.plan import Build
from harness.progress import Progress
from harness.recipe import Recipe
from harness.wire import Format

# The order in which backends are started: what takes longest first.
LONGEST_FIRST = (Format.PTE, Format.TFLITE, Format.ONNX, Format.MLPACKAGE, Format.PTL)


@dataclass(slots=True, kw_only=True)
class BuildOutcome:
    """Everything the build stage came to: an entry for every model and build that it was asked for, in that order."""

    models: dict[str, PreparedModel] = field(default_factory=dict)
    model_failures: dict[str, str] = field(default_factory=dict)
    artifacts: dict[Build, Artifact] = field(default_factory=dict)
    built: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What is wanted: artifacts of models, and the recipe of each variant by name."""

    cards: Sequence[ModelCard]
    builds: Sequence[Build]
    recipes: Mapping[str, Recipe]


def build_artifacts(order: BuildOrder, cache: Cache, progress: Progress) -> BuildOutcome:
    """Prepare the models of ``order`` and make its builds. A build that fails is an artifact with state and reason.

    Raises `StoreError` when the cache cannot be written.
    """
    return _Stage(order, cache, progress).run()


class _Stage:
    """The state of one build stage; results come in from several threads."""

    def __init__(self, order: BuildOrder, cache: Cache, progress: Progress) -> None:
        self._cards = {card.name: card for card in order.cards}
        self._keys = {card.name: source_key(card) for card in order.cards}
        self._builds = order.builds
        self._recipes = order.recipes
        self._cache = cache
        self._progress = progress
        self._outcome = BuildOutcome()
        self._lock = threading.Lock()

    def run(self) -> BuildOutcome:
        """Look up, do what is missing, and return what there is."""
        for name, key in self._keys.items():
            found = self._cache.entry("prepared", key, read_prepared)
            if found is not None:
                self._outcome.models[name] = found
        wanted = [build for build in self._builds if not self._at_hand(build)]
        unprepared = [self._prepare_task(name) for name in self._cards if name not in self._outcome.models]
        unprepared += self._vary_tasks(wanted)
        if wanted or unprepared:
            self._progress.start("build", len(wanted))
            try:
                self._work(unprepared, wanted)
            finally:
                self._progress.finish()
        self._outcome.artifacts = {build: self._outcome.artifacts[build] for build in self._builds}
        return self._outcome

    def _at_hand(self, build: Build) -> bool:
        """Whether ``build`` is in the cache, or cannot be made at all; then it is entered."""
        recipe = self._recipe(build)
        missing = why_missing(self._cards[build.model], build)
        if missing is not None:
            self._enter(build, _unmade(build, ArtifactState.UNSUPPORTED, missing))
            return True
        model = self._outcome.models.get(build.model)
        found = self._cache.artifact(artifact_key(model.facts, recipe, build)) if model else None
        if found is not None:
            self._outcome.artifacts[build] = found
        return found is not None

    def _work(self, unprepared: list[WorkerTask], wanted: list[Build]) -> None:
        groups = [
            self._group(format_.value, [b for b in wanted if b.format is format_ and not self._of_keras(b.model)])
            for format_ in LONGEST_FIRST
        ]
        groups = [group for group in groups if group.tasks]
        first = [task for task in unprepared if not _is_keras(task)]
        if first and not groups:
            groups = [self._group("prepare", [])]
        # TensorFlow and torch crash when both are in one process, so that Keras models have a worker of their own.
        own = self._group(SourceKind.KERAS.value, [b for b in wanted if self._of_keras(b.model)])
        own = replace(own, tasks=(*(task for task in unprepared if _is_keras(task)), *own.tasks))
        groups += [own] if own.tasks else []
        self._progress.begin(", ".join(group.name for group in groups))
        run_groups(first, groups, self._report)

    def _group(self, name: str, builds: list[Build]) -> Group:
        log = self._cache.root / "logs" / f"{name}.log"
        return Group(name=name, warm=name, log=log, tasks=tuple(self._export_task(b) for b in builds))

    def _of_keras(self, model: str) -> bool:
        return self._cards[model].kind is SourceKind.KERAS

    def _report(self, task: WorkerTask, result: WorkerResult) -> None:
        with self._lock:
            if task.prepare is not None:
                self._report_model(task.prepare, result)
            elif task.export is not None:
                self._report_artifact(task.export.build, result)

    def _report_model(self, task: PrepareTask, result: WorkerResult) -> None:
        found = self._cache.entry("prepared", task.key, read_prepared) if result.prepared else None
        if found is not None:
            self._outcome.models[task.card.name] = found
            return
        failure = result.failure or TaskFailure(message="its prepared data vanished from the cache; run again", log="")
        self._outcome.model_failures[task.card.name] = failure.message

    def _report_artifact(self, build: Build, result: WorkerResult) -> None:
        label = f"{build.model} {build.variant} {build.format.value}"
        model_failure = self._outcome.model_failures.get(build.model)
        if result.manifest is not None:
            self._outcome.built += not result.cached
            artifact = self._cache.artifact(result.manifest.key)
            self._enter(build, artifact or Artifact(manifest=result.manifest, path=None))
        else:
            failure = result.failure or TaskFailure(message="no answer", log="")
            self._enter(build, _unmade(build, ArtifactState.FAILED, model_failure or failure.message, failure.log))
        manifest = self._outcome.artifacts[build].manifest
        self._progress.step(label, f"{manifest.state.value}, {manifest.seconds:.1f} s")

    def _enter(self, build: Build, artifact: Artifact) -> None:
        self._outcome.artifacts[build] = artifact

    def _recipe(self, build: Build) -> Recipe | None:
        return None if self._cards[build.model].ready is not None else self._recipes[build.variant]

    def _prepare_task(self, name: str) -> WorkerTask:
        root = str(self._cache.root)
        return WorkerTask(prepare=PrepareTask(card=self._cards[name], key=self._keys[name], cache_root=root))

    def _vary_tasks(self, wanted: list[Build]) -> list[WorkerTask]:
        """One task for each network that graph steps have to make first."""
        needed = dict.fromkeys((b.model, recipe.steps) for b in wanted if (recipe := self._recipe(b)) and recipe.steps)
        return [
            WorkerTask(
                vary=VaryTask(
                    card=self._cards[name],
                    steps=steps,
                    prepared_key=self._keys[name],
                    cache_root=str(self._cache.root),
                )
            )
            for name, steps in needed
        ]

    def _export_task(self, build: Build) -> WorkerTask:
        task = ExportTask(
            card=self._cards[build.model],
            build=build,
            recipe=self._recipe(build),
            prepared_key=self._keys[build.model],
            cache_root=str(self._cache.root),
        )
        return WorkerTask(export=task)


def _is_keras(task: WorkerTask) -> bool:
    part = task.prepare or task.vary or task.export
    return part is not None and part.card.kind is SourceKind.KERAS


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
