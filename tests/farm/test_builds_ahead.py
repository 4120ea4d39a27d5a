"""What the owner of a run takes from a build host: what it asked for, and no code if it requires signatures."""

from __future__ import annotations

import hashlib
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.artifacts.build import BuildOrder
from harness.artifacts.cache import Cache
from harness.artifacts.sources.made_variant import variant_key
from harness.artifacts.sources.prepared_model import read_prepared
from harness.farm.builds.ahead import BuildsAhead, Orderer
from harness.farm.builds.calls import (
    BuildAsk,
    BuildHosts,
    BuildOrders,
    BuildsOf,
    BuildStage,
    BuildState,
    BuildStates,
    EntryKind,
    EntryRef,
)
from harness.farm.work import FileRef
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.plan.cells import Build
from harness.spec.recipe import Prune, Recipe
from harness.wire import Format

PICKLE = b"a pickle that a build host made"
RECIPE = Recipe(name="slim", steps=(Prune(ratio=0.5),))
SLIM = Build(model="digits", variant="slim", format=Format.ONNX, backend=None)


@dataclass
class Farm:
    """A farm with one build host, which answers each order with files of its choice."""

    entries: tuple[EntryRef, ...]
    places: dict[str, Path]
    asked: list[BuildAsk] = field(default_factory=list)
    looked: threading.Event = field(default_factory=threading.Event)

    def build_hosts(self) -> BuildHosts:
        return BuildHosts(hosts=())

    def order_builds(self, orders: BuildOrders) -> None:
        self.asked += orders.builds

    def builds_of(self, asked: BuildsOf) -> BuildStates:
        del asked
        self.looked.set()
        done = (BuildState(key=a.key, stage=BuildStage.DONE, host="h1", entries=self.entries) for a in self.asked)
        return BuildStates(builds=tuple(done), hosts=1)

    def offer(self, path: Path, sha256: str) -> None:
        self.places[sha256] = path

    def fetch(self, sha256: str, folder: Path) -> Path:
        del folder
        return self.places[sha256]


@pytest.mark.parametrize("signed", [False, True])
def test_only_the_network_that_was_asked_for_is_taken_and_none_if_signatures_are_required(
    built_cache: Path, tmp_path: Path, signed: bool
) -> None:
    shutil.copytree(built_cache / "prepared", tmp_path / "cache" / "prepared")
    cache, card = Cache(tmp_path / "cache"), resolve("digits", ModelOptions())
    prepared = cache.entry("prepared", source_key(card), read_prepared)
    assert prepared is not None
    (tmp_path / "pickle").write_bytes(PICKLE)
    files = (FileRef(name="network.pt", sha256=hashlib.sha256(PICKLE).hexdigest()),)
    network = variant_key(prepared.facts, RECIPE.steps)
    entries = tuple(EntryRef(kind=EntryKind.VARIANT, key=key, files=files) for key in (network, "another"))
    farm = Farm(entries=entries, places={files[0].sha256: tmp_path / "pickle"})
    orderer = Orderer(run="night", user="ada", priority=0, folder=tmp_path / "way", signed=signed)
    ahead = BuildsAhead(BuildOrder(cards=[card], builds=[SLIM], recipes={"slim": RECIPE}), cache, farm, orderer)
    ahead.start()
    # The file itself did not come, so it is made here in the end, for which this test does not wait.
    assert farm.looked.wait(60)
    ahead.close()
    assert [ask.kind for ask in farm.asked] == ([] if signed else [EntryKind.ARTIFACT])
    kept = [folder.name for folder in (cache.root / "variants").glob("*/*")]
    assert kept == ([] if signed else [network])


def test_what_ends_the_work_of_the_owner_is_raised_where_it_waits(tmp_path: Path) -> None:
    class Broken(Farm):
        def order_builds(self, orders: BuildOrders) -> None:
            del orders
            self.looked.set()
            msg = "the disk is full"
            raise OSError(msg)

    card, farm = resolve("digits", ModelOptions()), Broken(entries=(), places={})
    orderer = Orderer(run="night", user="ada", priority=0, folder=tmp_path / "way")
    order = BuildOrder(cards=[card], builds=[SLIM], recipes={"slim": RECIPE})
    ahead = BuildsAhead(order, Cache(tmp_path / "cache"), farm, orderer)
    ahead.start()
    assert farm.looked.wait(60)
    ahead.close()
    with pytest.raises(OSError, match="the disk is full"):
        ahead.take()
    assert ahead.open
