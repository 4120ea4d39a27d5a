"""Builds at the depot: which host gets which, what becomes of them when a host dies, and that none is made twice."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.farm.builds.board import OWNER_S, SILENT_S, BuildBoard
from harness.farm.builds.calls import (
    BuildAsk,
    BuildOrders,
    BuildReport,
    BuildsOf,
    BuildStage,
    EntryKind,
    EntryRef,
    TakeBuilds,
)
from harness.farm.work import FileRef
from tests.farm.test_depot import Clock

TORCH = {"torch": "2.9"}


def made(key: str) -> tuple[EntryRef, ...]:
    return (EntryRef(kind=EntryKind.ARTIFACT, key=key, files=(FileRef(name="model.onnx", sha256=f"of {key}"),)),)


@dataclass
class Site:
    """A board, the files of its depot, and its clock."""

    folder: Path
    files: set[str] = field(default_factory=set)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.board = BuildBoard(self.folder / "builds", self.files.__contains__, self.clock)

    def order(self, run: str, *keys: str, priority: int = 0) -> None:
        """Order builds; those whose keys begin with the same letter share a group."""
        asks = tuple(BuildAsk(kind=EntryKind.ARTIFACT, key=k, name=k, group=k[0], work=f"work {k}") for k in keys)
        self.board.order(BuildOrders(run=run, user="ada", needs=TORCH, builds=asks, priority=priority))

    def take(self, agent: str, *building: str, free: int = 1, torch: str = "2.9") -> list[list[str]]:
        taking = TakeBuilds(agent=agent, versions={"torch": torch, "numpy": "2"}, free=free, building=building)
        return [[build.key for build in group] for group in self.board.take(taking).groups]

    def report(self, agent: str, key: str, *, reason: str = "") -> None:
        if not reason:
            self.files.add(f"of {key}")
        self.board.report(BuildReport(agent=agent, key=key, entries=() if reason else made(key), reason=reason))

    def stages(self, run: str) -> dict[str, str]:
        return {build.key: build.stage.value for build in self.board.states(BuildsOf(run=run)).builds}


def test_a_host_gets_what_is_wanted_first_with_all_that_shares_its_conversion(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "b1", "a1", "a2", "b2", "c1")
    assert site.take("h1", free=2) == [["b1", "b2"], ["a1", "a2"]]
    assert site.take("h2", free=2) == [["c1"]]
    assert set(site.stages("night").values()) == {"building"}


def test_builds_of_a_higher_priority_come_first(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "a1")
    site.order("urgent", "b1", priority=5)
    assert site.take("h1") == [["b1"]]


def test_a_host_with_another_version_gets_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "a1")
    assert site.take("old", torch="2.8") == []
    assert site.board.states(BuildsOf(run="night")).hosts == 0
    assert site.board.status()[0].reason == "no build host with these packages is available"
    assert site.take("h1") == [["a1"]]
    assert site.board.states(BuildsOf(run="night")).hosts == 1
    site.board.take(TakeBuilds(agent="h1", versions=TORCH, free=0, leaving=True))
    assert (site.board.states(BuildsOf(run="night")).hosts, site.stages("night")) == (0, {"a1": "waiting"})


def test_one_build_of_two_runs_is_made_once_and_kept_over_a_restart(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("ada", "a1")
    site.order("bob", "a1", "b1")
    assert site.take("h1", free=3) == [["a1"], ["b1"]]
    site.report("h1", "a1")
    assert site.stages("ada") == {"a1": "done"}
    assert site.stages("bob") == {"a1": "done", "b1": "building"}
    site.restart()
    site.order("eve", "a1")
    (state,) = site.board.states(BuildsOf(run="eve")).builds
    assert (state.stage, state.entries) == (BuildStage.DONE, made("a1"))
    # Unless the depot has removed its files meanwhile.
    site.files.clear()
    site.restart()
    site.order("eve", "a1")
    assert site.stages("eve") == {"a1": "waiting"}


def test_a_host_that_goes_silent_loses_its_builds_to_another(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "a1")
    site.take("h1")
    site.clock.now_s = SILENT_S + 1
    site.order("night")
    assert site.take("h2") == [["a1"]]
    # The first one was only slow: what it made counts all the same.
    site.report("h1", "a1")
    assert site.stages("night") == {"a1": "done"}


def test_a_host_that_was_restarted_loses_its_builds_at_once_and_the_second_loss_is_the_last(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "a1")
    site.take("h1")
    site.take("h1", "a1", free=0)
    assert site.take("h1", free=0) == []
    assert site.board.status()[0].reason == "the build host 'h1' was lost"
    assert site.take("h2") == [["a1"]]
    site.take("h2", "a1", free=0)
    assert site.take("h2") == []
    (state,) = site.board.states(BuildsOf(run="night")).builds
    assert (state.stage, state.reason) == (
        BuildStage.FAILED,
        "2 build hosts were lost while they built it, 'h2' last",
    )


def test_an_answer_that_does_not_arrive_is_given_again_and_loses_no_host(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "a1")
    # The host hears nothing, so it asks again, and says that it builds nothing.
    assert [site.take("h1") for _ in range(4)] == [[["a1"]]] * 4
    site.report("h1", "a1")
    assert site.stages("night") == {"a1": "done"}


def test_only_a_host_that_was_given_a_build_can_end_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "a1")
    site.report("stranger", "a1")
    assert site.take("h1") == [["a1"]]
    site.take("stranger", free=0)
    for reason in ("", "it is too hard"):
        site.report("stranger", "a1", reason=reason)
    assert site.stages("night") == {"a1": "building"}
    # A depot that was restarted goes by what hosts say.
    site.restart()
    site.take("h1", "a1", free=0)
    site.report("h1", "a1")
    site.order("night", "a1")
    assert site.stages("night") == {"a1": "done"}


def test_a_build_that_fails_is_its_owners_and_tried_again_for_the_next_run(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("ada", "a1")
    site.take("h1")
    site.report("h1", "a1", reason="the converter crashed")
    assert site.stages("ada") == {"a1": "failed"}
    site.order("bob", "a1")
    assert site.take("h1") == [["a1"]]


def test_what_nobody_waits_for_any_more_does_not_start_and_is_ended(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("left", "a1", "b1")
    site.order("silent", "c1")
    site.take("h1")
    site.board.drop("left")
    taken = site.board.take(TakeBuilds(agent="h1", versions=TORCH, free=0, building=("a1",)))
    assert taken.unwanted == ("a1",)
    site.clock.now_s = OWNER_S + 1
    assert site.take("h2") == []
    assert site.board.status() == ()


def test_the_record_of_a_build_that_is_used_again_is_as_new_as_its_files(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.order("night", "a1")
    site.take("h1")
    site.report("h1", "a1")
    record = tmp_path / "builds" / "a1.json"
    os.utime(record, (0, 0))
    site.restart()
    site.order("later", "a1")
    assert site.stages("later") == {"a1": "done"}
    assert record.stat().st_mtime > 0


@pytest.mark.parametrize("key", ["../runs/night", "/etc/passwd", "..", ""])
def test_no_key_of_a_build_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    site = Site(tmp_path / "depot")
    with pytest.raises(StoreError, match="not a plain name"):
        site.board.report(BuildReport(agent="h1", key=key, entries=()))
    ask = BuildAsk(kind=EntryKind.ARTIFACT, key=key, name="a", group="a", work="a")
    with pytest.raises(StoreError, match="not a plain name"):
        site.board.order(BuildOrders(run="night", user="ada", needs={}, builds=(ask,)))
