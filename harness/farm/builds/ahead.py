"""The owner's side of builds: orders them on the farm, takes what was made into its cache, and makes the rest itself.

Everything happens beside the measuring, in threads: a device gets its first cell as soon as one file is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.artifacts.build import BuildOrder, BuildOutcome, Watch, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.identity import artifact_key
from harness.artifacts.manifest import Artifact
from harness.artifacts.needs import why_missing
from harness.artifacts.sources.made_variant import find_varied, variant_key
from harness.artifacts.sources.prepared_model import PreparedModel, read_prepared
from harness.artifacts.workers.tasks import prepare_decoding
from harness.errors import StoreError
from harness.farm.builds.calls import (
    BuildAsk,
    BuildOrders,
    BuildPost,
    BuildsOf,
    BuildStage,
    BuildState,
    EntryKind,
    EntryRef,
)
from harness.farm.builds.versions import differences, needed_versions
from harness.farm.builds.work import BuildWork, ModelSource, PackedSource, encode, entry_of, keep_entry, pack_source
from harness.farm.link import DepotError
from harness.model.card import ModelCard
from harness.model.source_key import source_key
from harness.plan.cells import Build
from harness.progress import Progress, Silent
from harness.spec.formats import FORMATS
from harness.spec.recipe import Recipe
from harness.system.files import json_sha256

LOOK_S = 1.0
# After this time without a build host, or without the farm, the builds are made here.
ALONE_S = 45.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orderer:
    """Who orders builds, and what for. ``folder`` is for files on their way.

    ``signed``: the run takes only models that a key has signed, and so no code that a build host sends. After
    ``alone_s`` without a build host, or without the farm, the builds are made here.
    """

    run: str
    user: str
    priority: int
    folder: Path
    signed: bool = False
    alone_s: float = ALONE_S


def usable_hosts(order: BuildOrder, post: BuildPost) -> tuple[str, ...]:
    """Return the build hosts of a farm that are there and have this computer's packages; report the others.

    Raises `DepotError`.
    """
    needs = needed_versions(order, order.builds)
    usable = []
    for host in post.build_hosts().hosts:
        if not host.present:
            continue
        apart = differences(host.versions, needs)
        if apart:
            log.warning(
                "the build host %r is not used: %s; install the same versions, or its files would differ",
                host.name,
                apart,
            )
        else:
            usable.append(host.name)
    return tuple(usable)


@dataclass(slots=True, kw_only=True)
class _Model:
    """A model of the run; ``packed`` once something of it was ordered."""

    card: ModelCard
    key: str
    prepared: PreparedModel | None = None
    packed: PackedSource | None = None
    source: str = ""
    entry: EntryRef | None = None


@dataclass(slots=True, kw_only=True)
class _Table:
    """What has not ended: builds on the farm by their keys, and models by theirs."""

    models: dict[str, _Model]
    far: dict[Build, str] = field(default_factory=dict)
    waiting: dict[str, None] = field(default_factory=dict)
    asked: dict[str, BuildAsk] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)


class BuildsAhead:
    """Makes the builds of ``order`` on a farm; `take` gives what has ended since the last time."""

    def __init__(
        self, order: BuildOrder, cache: Cache, post: BuildPost, orderer: Orderer, progress: Progress | None = None
    ) -> None:
        self._order, self._cache, self._post, self._orderer = order, cache, post, orderer
        self._progress = progress or Silent()
        self._stop = threading.Event()
        self._ended: queue.SimpleQueue[BuildOutcome] = queue.SimpleQueue()
        self._here: queue.SimpleQueue[tuple[Build, ...] | None] = queue.SimpleQueue()
        self._left = set(order.builds)
        self._offered: set[str] = set()
        self._pool = ThreadPoolExecutor(2)
        self._running: list[Future[None]] = []

    def start(self) -> None:
        """Begin to order builds, and to make here what the farm cannot make."""
        prepare_decoding()
        self._running = [self._pool.submit(work) for work in (self._follow, self._build_here)]

    def close(self) -> None:
        """End what is being made here, and wait until nothing of it runs."""
        self._stop.set()
        self._here.put(None)
        self._pool.shutdown()

    @property
    def open(self) -> bool:
        """Whether something will still end."""
        return bool(self._left)

    def take(self) -> list[BuildOutcome]:
        """Return what has ended since the last call, at once. Raises what ended the work here, such as `StoreError`."""
        outcomes: list[BuildOutcome] = []
        with contextlib.suppress(queue.Empty):
            while True:
                outcomes.append(self._ended.get_nowait())
        self._left -= {build for outcome in outcomes for build in outcome.artifacts}
        if self._left and not outcomes:
            for work in self._running:
                if work.done():
                    work.result()
        return outcomes

    # -- on the farm

    def _follow(self) -> None:
        table = self._begin()
        self._follow_farm(table)
        self._here.put(None)

    def _begin(self) -> _Table:
        """Hand over what the cache has, and return what is left to build."""
        models = {card.name: _Model(card=card, key=source_key(card)) for card in self._order.cards}
        table = _Table(models=models)
        for model in models.values():
            model.prepared = self._cache.entry("prepared", model.key, read_prepared)
        there = [build for build in self._order.builds if self._is_here(build, models[build.model])]
        if there:
            self._give(there)
        table.far = {build: "" for build in self._order.builds if build not in there}
        return table

    def _is_here(self, build: Build, model: _Model) -> bool:
        recipe = self._recipe(build)
        if why_missing(model.card, build, recipe.steps if recipe else ()) is not None:
            return model.prepared is not None
        if model.prepared is None:
            return False
        return self._cache.artifact(artifact_key(model.prepared.facts, recipe, build)) is not None

    def _follow_farm(self, table: _Table) -> None:
        """Follow the farm until every build has been taken from it or is made here. Raises `StoreError`."""
        heard_s = time.monotonic()
        while table.far and not self._stop.is_set():
            try:
                self._order_new(table)
                states = self._post.builds_of(BuildsOf(run=self._orderer.run))
                for state in states.builds:
                    self._take_state(state, table)
                # A depot that was started again knows of no order.
                ordered = {state.key for state in states.builds}
                table.waiting = {key: None for key in table.waiting if key in ordered}
                if states.hosts:
                    heard_s = time.monotonic()
            except DepotError as error:
                log.info("%s", error)
            if table.far and time.monotonic() - heard_s > self._orderer.alone_s:
                log.warning("no build host is left on the farm: the files that are missing are built here")
                self._build_rest(table, tuple(table.far))
            self._stop.wait(LOOK_S)

    def _order_new(self, table: _Table) -> None:
        """Order what can be made now and was not ordered yet."""
        self._build_rest(table, [build for build in table.far if self._is_ours(build, table)])
        asks: dict[str, BuildAsk] = {}
        for build in table.far:
            ask = self._ask(build, table)
            if ask.key not in table.waiting:
                asks[ask.key] = ask
        if asks:
            needs = needed_versions(self._order, self._order.builds)
            run = self._orderer
            orders = BuildOrders(
                run=run.run, user=run.user, priority=run.priority, needs=needs, builds=tuple(asks.values())
            )
            self._post.order_builds(orders)
            table.waiting |= dict.fromkeys(asks)

    def _is_ours(self, build: Build, table: _Table) -> bool:
        """Whether a build is made here: a network that steps made is a pickle, so code that no signature covers."""
        recipe = self._recipe(build)
        has_steps = recipe is not None and bool(recipe.steps)
        return self._orderer.signed and has_steps and table.models[build.model].prepared is not None

    def _ask(self, build: Build, table: _Table) -> BuildAsk:
        """What the farm has to make next for a build: its model, or the file."""
        model, recipe = table.models[build.model], self._recipe(build)
        prepared = model.prepared
        key = model.key if prepared is None else artifact_key(prepared.facts, recipe, build)
        table.far[build] = key
        if key not in table.asked:
            table.asked[key] = self._prepare_ask(model) if prepared is None else self._export_ask(build, model, key)
        return table.asked[key]

    def _prepare_ask(self, model: _Model) -> BuildAsk:
        work = BuildWork(source=self._source(model), key=model.key)
        name = f"{model.card.name} (model and data)"
        return BuildAsk(
            kind=EntryKind.PREPARED, key=model.key, name=name, group=model.key, work=self._offer_record(work)
        )

    def _export_ask(self, build: Build, model: _Model, key: str) -> BuildAsk:
        recipe = self._recipe(build)
        steps = recipe.steps if recipe else ()
        work = BuildWork(
            source=self._source(model),
            key=key,
            build=build,
            recipe=recipe,
            entries=(*self._prepared_entry(model), *self._network_entry(model, recipe)),
        )
        # What steps make of a network is made once, so all its files come from one host. Other files share a
        # conversion if they share a format, unless each is converted by itself.
        alone = FORMATS[build.format].exports_independently
        shared = [str(steps)] if steps else [build.format.value, build.variant if alone else ""]
        return BuildAsk(
            kind=EntryKind.ARTIFACT,
            key=key,
            name=f"{build.model} {build.variant} {build.format.value}",
            group=json_sha256([self._orderer.run, model.source, *shared]),
            work=self._offer_record(work),
        )

    def _source(self, model: _Model) -> str:
        if model.packed is None:
            packed = pack_source(model.card)
            for sha256, path in packed.places.items():
                self._offer(path, sha256)
            model.packed, model.source = packed, self._offer_record(packed.source)
        return model.source

    def _prepared_entry(self, model: _Model) -> tuple[EntryRef, ...]:
        if model.entry is None:
            model.entry = self._offer_entry(EntryKind.PREPARED, model.key)
        return (model.entry,) if model.entry is not None else ()

    def _network_entry(self, model: _Model, recipe: Recipe | None) -> tuple[EntryRef, ...]:
        varied = find_varied(self._cache, model.prepared, recipe)
        entry = None if varied is None else self._offer_entry(EntryKind.VARIANT, varied.facts.key)
        return () if entry is None else (entry,)

    def _offer_entry(self, kind: EntryKind, key: str) -> EntryRef | None:
        packed = entry_of(self._cache, kind, key)
        if packed is None:
            return None
        for sha256, path in packed[1].items():
            self._offer(path, sha256)
        return packed[0]

    def _offer_record(self, record: BuildWork | ModelSource) -> str:
        data = encode(record)
        sha256 = hashlib.sha256(data).hexdigest()
        folder = self._orderer.folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / sha256
        path.write_bytes(data)
        self._offer(path, sha256)
        return sha256

    def _offer(self, path: Path, sha256: str) -> None:
        if sha256 not in self._offered:
            self._post.offer(path, sha256)
            self._offered.add(sha256)

    # -- what comes back

    def _take_state(self, state: BuildState, table: _Table) -> None:
        ask = table.asked.get(state.key)
        if ask is None or state.key not in table.far.values():
            return
        match state.stage:
            case BuildStage.BUILDING if table.shown.get(state.key) != state.host:
                self._hide(state.key, table)
                table.shown[state.key] = state.host
                self._progress.begin(_on(ask, state.host))
            case BuildStage.DONE:
                self._hide(state.key, table)
                self._keep(state, table)
            case BuildStage.FAILED:
                self._hide(state.key, table)
                log.warning("%s is built here; on %s it failed: %s", ask.name, state.host or "the farm", state.reason)
                self._build_rest(table, tuple(build for build, key in table.far.items() if key == state.key))
            case _:
                pass

    def _hide(self, key: str, table: _Table) -> None:
        host = table.shown.pop(key, None)
        if host is not None:
            self._progress.end(_on(table.asked[key], host))

    def _keep(self, state: BuildState, table: _Table) -> None:
        """Take what was made into the cache. What cannot be read there is built here."""
        builds = tuple(build for build, key in table.far.items() if key == state.key)
        try:
            for entry in state.entries:
                if (entry.kind, entry.key) not in self._expected(builds[0], table):
                    log.info("what the farm sent with %s is not kept: %s", table.asked[state.key].name, entry.kind)
                    continue
                keep_entry(self._cache, entry, lambda sha256: self._post.fetch(sha256, self._orderer.folder))
        except DepotError:
            raise
        except StoreError as error:
            log.warning("%s is built here: %s", table.asked[state.key].name, error)
            self._build_rest(table, builds)
            return
        model = table.models[builds[0].model]
        if model.prepared is None:
            model.prepared = self._cache.entry("prepared", model.key, read_prepared)
            if model.prepared is None:
                self._build_rest(table, builds)
            return
        for build in builds:
            del table.far[build]
        if self._cache.artifact(state.key) is None:
            self._here.put(builds)
        else:
            self._give(builds)

    def _expected(self, build: Build, table: _Table) -> set[tuple[EntryKind, str]]:
        """The entries that belong to a build. A host might also send others, under keys of other builds."""
        ask, model, recipe = table.asked[table.far[build]], table.models[build.model], self._recipe(build)
        expected = {(ask.kind, ask.key)}
        if model.prepared is not None and recipe is not None and recipe.steps and not self._orderer.signed:
            expected.add((EntryKind.VARIANT, variant_key(model.prepared.facts, recipe.steps)))
        return expected

    # -- here

    def _build_rest(self, table: _Table, builds: Sequence[Build]) -> None:
        for build in builds:
            del table.far[build]
        if builds:
            self._here.put(tuple(builds))

    def _build_here(self) -> None:
        while not self._stop.is_set() and (builds := self._here.get()) is not None:
            self._make(builds)

    def _make(self, builds: tuple[Build, ...]) -> None:
        models = {build.model for build in builds}
        order = self._order_of(builds)
        models_now: dict[str, PreparedModel] = {}

        def made(build: Build, artifact: Artifact) -> None:
            # Given one by one, so that no device waits for the others.
            model = models_now.get(build.model) or self._cache.entry("prepared", keys[build.model], read_prepared)
            if model is not None:
                models_now[build.model] = model
                self._ended.put(BuildOutcome(models={build.model: model}, artifacts={build: artifact}, built=1))
                given.add(build)

        given: set[Build] = set()
        keys = {card.name: source_key(card) for card in self._order.cards if card.name in models}
        outcome = build_artifacts(order, self._cache, Silent(), Watch(made=made, stop=self._stop))
        rest = {build: artifact for build, artifact in outcome.artifacts.items() if build not in given}
        self._ended.put(replace(outcome, artifacts=rest, built=0))

    def _give(self, builds: Sequence[Build]) -> None:
        """Hand over builds whose files are in the cache; a file that has disappeared is built again."""
        watch = Watch(stop=self._stop)
        self._ended.put(build_artifacts(self._order_of(tuple(builds)), self._cache, Silent(), watch))

    def _order_of(self, builds: tuple[Build, ...]) -> BuildOrder:
        names = {build.model for build in builds}
        cards = [card for card in self._order.cards if card.name in names]
        return BuildOrder(cards=cards, builds=builds, recipes=self._order.recipes)

    def _recipe(self, build: Build) -> Recipe | None:
        card = next(card for card in self._order.cards if card.name == build.model)
        return None if card.ready is not None else self._order.recipes[build.variant]


def _on(ask: BuildAsk, host: str) -> str:
    return f"{ask.name} on {host}"
