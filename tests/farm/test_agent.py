"""An agent follows its devices: they join, leave, come back, and are kept out while something is wrong with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.devices.fake.fake import fake_info
from harness.errors import DeviceError
from harness.farm.agent import AGAIN_S, ALONE_S, LEAVE_S, Agent
from harness.farm.bench import Bench, Site, Spool
from harness.farm.calls import Announcement, Claim, Claimed, Granted, Outcome
from harness.farm.link import DepotError
from harness.records.device import DeviceInfo
from tests.farm.phones import Shelf
from tests.farm.test_depot import Clock


@dataclass
class Roster:
    """The devices that a test plugs in; those in ``broken`` cannot be opened, those in ``hanging`` not until set."""

    keys: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    hanging: dict[str, threading.Event] = field(default_factory=dict)

    def present(self) -> Sequence[str]:
        return tuple(self.keys)

    def describe(self, key: str) -> DeviceInfo:
        if key in self.hanging:
            self.hanging[key].wait(60)
        if key in self.broken:
            msg = f"phone {key!r} is unauthorised: accept the dialog"
            raise DeviceError(msg)
        return replace(fake_info("fake"), key=key)


@dataclass
class Post:
    """A depot that grants everything, unless it is away."""

    away: bool = False
    heard: list[Announcement] = field(default_factory=list)
    delivered: list[Outcome] = field(default_factory=list)

    def announce(self, announcement: Announcement) -> Granted:
        if self.away:
            msg = "the farm cannot be reached"
            raise DepotError(msg)
        self.heard.append(announcement)
        return Granted(devices=tuple(one.info.key for one in announcement.devices))

    def claim(self, claim: Claim) -> Claimed:
        del claim
        return Claimed(go=True)

    def fetch(self, sha256: str, folder: Path) -> Path:
        return folder / sha256

    def deliver(self, outcome: Outcome, parcel: Path | None) -> None:
        if self.away:
            msg = "the farm cannot be reached"
            raise DepotError(msg)
        assert parcel is None or parcel.is_file()
        self.delivered.append(outcome)


@dataclass
class Queue:
    """The workers of the agent, without a queue."""

    joined: set[str] = field(default_factory=set)

    def open(self) -> frozenset[str]:
        return frozenset(self.joined)

    async def add(self, bench: Bench, kind: str, model: str) -> bool:
        del kind, model
        self.joined.add(bench.key)
        return True

    async def remove(self, key: str) -> None:
        self.joined.discard(key)

    async def close(self) -> None:
        self.joined.clear()


@dataclass
class Host:
    """An agent and everything around it."""

    folder: Path
    roster: Roster = field(default_factory=Roster)
    post: Post = field(default_factory=Post)
    queue: Queue = field(default_factory=Queue)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        shelf, spool = Shelf(log=self.folder / "log"), Spool(self.folder / "spool")
        self.site = Site(agent="rack1", post=self.post, spool=spool, files=self.folder, opener=shelf.open)
        self.agent = Agent(site=self.site, roster=self.roster, workers=self.queue, clock=self.clock)

    def look(self, at_s: float = 0.0, opening_s: float = 60.0) -> set[str]:
        """Let the agent look at ``at_s``; return the devices that are offered."""
        self.clock.now_s = at_s
        asyncio.run(self.agent.look(opening_s))
        return self.queue.joined


def test_devices_are_offered_as_they_come_and_go(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.look() == set()
    host.roster.keys = ["fake:1", "fake:2"]
    assert host.look(2) == {"fake:1", "fake:2"}
    host.roster.keys = ["fake:2"]
    assert host.look(4) == {"fake:2"}
    host.roster.keys = ["fake:2", "fake:1"]
    assert host.look(6) == {"fake:1", "fake:2"}
    assert [len(announcement.devices) for announcement in host.post.heard] == [0, 2, 1, 2]


def test_a_device_that_cannot_take_work_is_announced_with_its_reason_and_tried_again_later(tmp_path: Path) -> None:
    host = Host(tmp_path, roster=Roster(keys=["fake:1"], broken={"fake:1"}))
    assert host.look() == set()
    assert host.post.heard[-1].devices[0].reason == "phone 'fake:1' is unauthorised: accept the dialog"
    host.roster.broken.clear()
    assert host.look(AGAIN_S - 1) == set()
    assert host.look(AGAIN_S) == {"fake:1"}


def test_a_device_that_hangs_keeps_neither_the_agent_nor_the_other_devices_waiting(tmp_path: Path) -> None:
    hanging = {"fake:1": threading.Event(), "fake:3": threading.Event()}
    host = Host(tmp_path, roster=Roster(keys=["fake:1", "fake:2"], hanging=hanging))
    assert host.look(opening_s=0.2) == {"fake:2"}
    host.roster.keys = ["fake:1", "fake:2", "fake:3"]
    assert host.look(2, opening_s=0.0) == {"fake:2"}
    assert len(host.post.heard) == 2
    hanging["fake:1"].set()
    assert host.look(4, opening_s=1.0) == {"fake:1", "fake:2"}
    # One that was unplugged before it answered is not offered.
    host.roster.keys = ["fake:1", "fake:2"]
    hanging["fake:3"].set()
    assert host.look(6) == {"fake:1", "fake:2"}


def test_a_device_that_lost_its_cells_is_taken_offline_and_tried_again_later(tmp_path: Path) -> None:
    host = Host(tmp_path, roster=Roster(keys=["fake:1"]))
    host.look()
    bench = host.agent._slots["fake:1"].bench
    bench.trouble = "the cable came loose twice"
    assert host.look(2) == set()
    assert host.post.heard[-1].devices[0].reason == "the cable came loose twice"
    assert host.look(2 + AGAIN_S) == {"fake:1"}
    # The lock of the bench knows whether an earlier cell is still at work.
    assert host.agent._slots["fake:1"].bench is bench


def test_a_busy_device_may_be_away_for_a_moment(tmp_path: Path) -> None:
    host = Host(tmp_path, roster=Roster(keys=["fake:1"]))
    host.look()
    host.agent._slots["fake:1"].bench.running = "night"
    host.roster.keys = []
    assert host.look(LEAVE_S - 1) == {"fake:1"}
    assert host.look(LEAVE_S + 1) == set()


def test_results_wait_on_the_host_while_the_depot_is_away(tmp_path: Path) -> None:
    host = Host(tmp_path, roster=Roster(keys=["fake:1"]), post=Post(away=True))
    (host.site.spool.folder / "digest").write_bytes(b"a parcel")
    waiting = Outcome(run="night", cell="a", device="fake:1", agent="rack1", attempt=0, seconds=1, parcel="digest")
    host.site.spool.keep(waiting)
    host.look()
    assert host.site.spool.waiting() == (waiting,)
    host.post.away = False
    host.look(2)
    assert host.post.delivered == [waiting]
    assert list(host.site.spool.folder.iterdir()) == []


def test_an_agent_that_hears_nothing_for_too_long_ends_what_it_runs(tmp_path: Path) -> None:
    host = Host(tmp_path, roster=Roster(keys=["fake:1"]))
    host.look()
    host.agent._heard_s = 0.0
    bench = host.agent._slots["fake:1"].bench
    bench.running, host.post.away = "night", True
    host.look(ALONE_S - 1)
    assert bench._ended == ""
    host.look(ALONE_S + 1)
    assert bench._ended == "the farm could not be reached for too long"
