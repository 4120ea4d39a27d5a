"""Makes builds on a build host: ``python -P -m harness.farm.builds.process JOB``, started by the host's agent.

A process of its own, because it runs the Python of a model: it can be killed, and its folder and its path are those of
the model. It prints one line of JSON per build that has ended, and leaves what it made in the cache of the agent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.artifacts.build import BuildOrder, Watch, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.identity import artifact_key
from harness.artifacts.manifest import Artifact, ArtifactState
from harness.artifacts.sources.made_variant import variant_key
from harness.artifacts.sources.prepared_model import PreparedModel, read_prepared
from harness.errors import PhonebenchError
from harness.farm.builds.calls import EntryKind
from harness.farm.builds.work import BuildWork, ModelSource, decode, unpack_source
from harness.model.card import ModelCard
from harness.model.source_key import source_key, source_packages
from harness.plan.cells import Build
from harness.progress import Silent
from harness.system.child_process import end_with_parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessJob:
    """Builds of one model. ``root`` has its files, ``source`` is its record, ``works`` are those of the builds."""

    root: str
    cache: str
    source: str
    works: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a build ended: entries in the cache, kind and key, or ``reason``."""

    key: str
    entries: tuple[tuple[EntryKind, str], ...] = ()
    reason: str = ""


def make(job: ProcessJob, tell: Callable[[Ended], None]) -> None:
    """Make the builds of ``job``; ``tell`` gets each as it ends. Raises `PhonebenchError` if none can be made."""
    source = decode(Path(job.source).read_bytes(), ModelSource)
    works = [decode(Path(path).read_bytes(), BuildWork) for path in job.works]
    card = unpack_source(source, Path(job.root))
    cache = Cache(Path(job.cache))
    refusal = _why_different(source, card)
    builds = [work for work in works if work.build is not None]
    if refusal:
        for work in works:
            tell(Ended(key=work.key, reason=refusal))
    elif builds:
        _export(card, builds, cache, tell)
    else:
        _prepare(card, cache, tell)


def _prepare(card: ModelCard, cache: Cache, tell: Callable[[Ended], None]) -> None:
    outcome = build_artifacts(BuildOrder(cards=[card], builds=(), recipes={}), cache, Silent())
    key = source_key(card)
    if card.name in outcome.models:
        tell(Ended(key=key, entries=((EntryKind.PREPARED, key),)))
    else:
        tell(Ended(key=key, reason=outcome.model_failures.get(card.name, "the model could not be prepared")))


def _export(card: ModelCard, works: list[BuildWork], cache: Cache, tell: Callable[[Ended], None]) -> None:
    model = cache.entry("prepared", source_key(card), read_prepared)
    if model is None:
        for work in works:
            tell(Ended(key=work.key, reason="what was prepared of the model did not arrive"))
        return
    by_build = {work.build: work for work in works if work.build is not None}
    for build, work in list(by_build.items()):
        if artifact_key(model.facts, work.recipe, build) != work.key:
            tell(
                Ended(key=work.key, reason="the packages here would make another file than those of the run's computer")
            )
            del by_build[build]
    recipes = {build.variant: work.recipe for build, work in by_build.items() if work.recipe is not None}

    def made(build: Build, artifact: Artifact) -> None:
        tell(_ended(by_build[build], artifact, model))

    order = BuildOrder(cards=[card], builds=tuple(by_build), recipes=recipes)
    # `made` is not called for what was in the cache already.
    outcome = build_artifacts(order, cache, Silent(), Watch(made=made))
    for build, artifact in outcome.artifacts.items():
        tell(_ended(by_build[build], artifact, model))


def _ended(work: BuildWork, artifact: Artifact, model: PreparedModel) -> Ended:
    manifest = artifact.manifest
    if not manifest.key or manifest.state is ArtifactState.FAILED:
        return Ended(key=work.key, reason=manifest.reason or "the build gave no reason")
    own = (EntryKind.ARTIFACT, work.key)
    if work.recipe is None or not work.recipe.steps:
        return Ended(key=work.key, entries=(own,))
    network = (EntryKind.VARIANT, variant_key(model.facts, work.recipe.steps))
    return Ended(key=work.key, entries=(network, own))


def _why_different(source: ModelSource, card: ModelCard) -> str:
    """Why the model is another one here; empty if it is the same."""
    ours = source_packages(card)
    apart = [
        f"{ours.get(name)} here and {version}" for name, version in source.packages.items() if ours.get(name) != version
    ]
    if apart:
        return f"the code of the model needs other packages than the build host has: {', '.join(apart)} there"
    if source_key(card) != source.key:
        return "the model reads files that were not sent with it: keep them in its folder"
    return ""


def main() -> None:
    """Do the job whose file is named by the first argument."""
    end_with_parent()
    job = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ProcessJob)
    lines = os.fdopen(os.dup(1), "wb")
    # Whatever the code of a model prints must not mix with our lines.
    os.dup2(2, 1)
    reported: set[str] = set()

    def tell(ended: Ended) -> None:
        if ended.key not in reported:
            reported.add(ended.key)
            lines.write(msgspec.json.encode(ended) + b"\n")
            lines.flush()

    try:
        make(job, tell)
    except PhonebenchError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
