"""The depot's side of builds: what is wanted, which host makes it, and what was made.

What was made is on disk, so a build is made once in the farm as long as the depot keeps its files. What is wanted and
who makes it is only in memory: after a restart of the depot the owners order again what they still want.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.farm.builds.calls import (
    BuildAsk,
    BuildHost,
    BuildHosts,
    BuildOrders,
    BuildReport,
    BuildsOf,
    BuildStage,
    BuildState,
    BuildStates,
    EntryRef,
    FarmBuild,
    GivenBuild,
    GivenBuilds,
    TakeBuilds,
)
from harness.system.clock import utc_now
from harness.system.decoding import decode_json
from harness.system.files import plain_name, storage_errors, write_whole

# A build host that is silent for longer has lost its builds. Making one twice does no harm, so this is short.
SILENT_S = 20.0
# A run that has not asked for longer no longer waits for builds.
OWNER_S = 60.0
# A build that took down this many hosts is left to its owner.
MOST_HOSTS_LOST = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildMade:
    """The record of a build that was made."""

    entries: tuple[EntryRef, ...]


@dataclass(slots=True, kw_only=True)
class _Owner:
    """A run that wants builds."""

    user: str
    priority: int
    needs: dict[str, str]
    keys: dict[str, None]
    asked_s: float


@dataclass(slots=True, kw_only=True)
class _Build:
    ask: BuildAsk
    number: int
    stage: BuildStage
    since: str
    needs: dict[str, str]
    host: str = ""
    reason: str = ""
    # Hosts that it was given to, of which one that counts as lost may still end it.
    given: set[str] = field(default_factory=set)
    # Whether its host has said that it works on it. The answer that gave it may not have arrived.
    begun: bool = False
    hosts_lost: int = 0
    entries: tuple[EntryRef, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Host:
    versions: dict[str, str]
    seen_s: float
    building: set[str] = field(default_factory=set)


class BuildBoard:
    """The builds of a farm; ``has`` says whether the depot has a file, and keeps it from being removed soon."""

    def __init__(self, folder: Path, has: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._folder, self._has, self._clock = folder, has, clock
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._builds: dict[str, _Build] = {}
        self._owners: dict[str, _Owner] = {}
        self._hosts: dict[str, _Host] = {}

    # -- what the owner of a run asks

    def hosts(self) -> BuildHosts:
        """Return the build hosts, those that have gone silent too."""
        with self._lock:
            hosts = (
                BuildHost(name=name, present=self._is_present(host), versions=host.versions)
                for name, host in self._hosts.items()
            )
            return BuildHosts(hosts=tuple(hosts))

    def order(self, orders: BuildOrders) -> None:
        """Note builds that a run wants. What was made before is there at once; what failed is tried again.

        Raises `StoreError` for a key that is a path.
        """
        with self._lock:
            for ask in orders.builds:
                _check_key(ask.key)
            owner = self._owners.setdefault(
                orders.run, _Owner(user="", priority=0, needs={}, keys={}, asked_s=self._clock())
            )
            owner.user, owner.priority, owner.needs = orders.user, orders.priority, orders.needs
            owner.asked_s = self._clock()
            for ask in orders.builds:
                owner.keys[ask.key] = None
                build = self._builds.get(ask.key)
                if build is None or build.stage is BuildStage.FAILED:
                    self._builds[ask.key] = self._new(ask, orders.needs)

    def states(self, asked: BuildsOf) -> BuildStates:
        """Return what became of the builds of a run; those that the board does not know are left out."""
        with self._lock:
            owner = self._owners.get(asked.run)
            if owner is None:
                return BuildStates(builds=(), hosts=0)
            owner.asked_s = self._clock()
            self._sweep()
            builds = (self._builds[key] for key in owner.keys if key in self._builds)
            return BuildStates(builds=tuple(_state(build) for build in builds), hosts=self._fitting(owner.needs))

    def drop(self, run: str) -> None:
        """Forget what a run wants."""
        with self._lock:
            self._owners.pop(run, None)

    # -- what build hosts ask

    def take(self, taking: TakeBuilds) -> GivenBuilds:
        """Note what a host works on, and give it the builds that are wanted most."""
        with self._lock:
            host = self._hosts[taking.agent] = _Host(
                versions=taking.versions, seen_s=self._clock(), building=set(taking.building)
            )
            if taking.leaving:
                del self._hosts[taking.agent]
            self._note_begun(taking)
            self._sweep()
            groups = tuple(self._give(taking.agent, host) for _ in range(taking.free))
            wanted = self._wanted()
            return GivenBuilds(
                groups=tuple(group for group in groups if group),
                unwanted=tuple(key for key in taking.building if key not in wanted),
            )

    def report(self, report: BuildReport) -> None:
        """Note how a build ended on a host that it was given to; others are not asked.

        Raises `StoreError` if that cannot be written, or for a key that is a path.
        """
        _check_key(report.key)
        with self._lock:
            if not self._makes(report):
                log.warning("the host %r reports the build %r, which it was not given", report.agent, report.key)
                return
            if report.entries and self._has_all(report.entries):
                with storage_errors(self._folder):
                    self._folder.mkdir(parents=True, exist_ok=True)
                    made = msgspec.json.encode(BuildMade(entries=report.entries))
                    write_whole(self._folder / f"{report.key}.json", made)
            build = self._builds.get(report.key)
            if build is None or build.stage is BuildStage.DONE:
                return
            if report.entries:
                self._move(build, BuildStage.DONE, host=report.agent)
                build.entries = report.entries
            elif build.host == report.agent:
                self._move(build, BuildStage.FAILED, host=report.agent, reason=report.reason)

    # -- what everybody sees

    def status(self) -> tuple[FarmBuild, ...]:
        """Return the builds that are made or wait, those being made first."""
        with self._lock:
            self._sweep()
            wanted = self._wanted()
            open_now = [
                build
                for build in self._builds.values()
                if build.stage in (BuildStage.BUILDING, BuildStage.WAITING) and build.ask.key in wanted
            ]
            open_now.sort(key=lambda build: (build.stage is not BuildStage.BUILDING, build.number))
            return tuple(self._shown(build, wanted[build.ask.key]) for build in open_now)

    # -- inside

    def _makes(self, report: BuildReport) -> bool:
        """Whether a host was given a build, or says so itself: the board forgets what it gave when it is restarted."""
        build, host = self._builds.get(report.key), self._hosts.get(report.agent)
        return (build is not None and report.agent in build.given) or (host is not None and report.key in host.building)

    def _note_begun(self, taking: TakeBuilds) -> None:
        for key in taking.building:
            build = self._builds.get(key)
            if build is not None and build.host == taking.agent:
                build.begun = True

    def _new(self, ask: BuildAsk, needs: dict[str, str]) -> _Build:
        made = self._made(ask.key)
        stage = BuildStage.DONE if made else BuildStage.WAITING
        build = _Build(ask=ask, number=next(self._numbers), stage=stage, since=utc_now(), needs=needs)
        build.entries = made
        return build

    def _made(self, key: str) -> tuple[EntryRef, ...]:
        """What was made of a build earlier, as far as its files are still there."""
        path = self._folder / f"{key}.json"
        with contextlib.suppress(OSError, ValueError):
            entries = decode_json(path.read_bytes(), BuildMade).entries
            if self._has_all(entries):
                # The record counts as used with its files, or it would be removed before them.
                os.utime(path)
                return entries
        return ()

    def _has_all(self, entries: tuple[EntryRef, ...]) -> bool:
        return all(self._has(file.sha256) for entry in entries for file in entry.files)

    def _give(self, name: str, host: _Host) -> tuple[GivenBuild, ...]:
        wanted = self._wanted()
        waiting = [
            build
            for build in self._builds.values()
            if build.stage is BuildStage.WAITING and build.ask.key in wanted and _fits(host.versions, build.needs)
        ]
        if not waiting:
            return ()
        first = min(waiting, key=lambda build: (-self._priority(build.ask.key), build.number))
        group = [build for build in waiting if build.ask.group == first.ask.group]
        for build in group:
            self._move(build, BuildStage.BUILDING, host=name)
            build.given.add(name)
            host.building.add(build.ask.key)
        return tuple(GivenBuild(key=build.ask.key, name=build.ask.name, work=build.ask.work) for build in group)

    def _sweep(self) -> None:
        """Forget runs that no longer ask, and take builds from hosts that no longer make them."""
        now_s = self._clock()
        for run in [run for run, owner in self._owners.items() if now_s - owner.asked_s > OWNER_S]:
            del self._owners[run]
        for build in self._builds.values():
            host = self._hosts.get(build.host)
            makes = host is not None and self._is_present(host) and build.ask.key in host.building
            if build.stage is BuildStage.BUILDING and not makes:
                self._lose(build)
        wanted = self._wanted()
        for key, build in list(self._builds.items()):
            if key not in wanted and build.stage is not BuildStage.BUILDING:
                del self._builds[key]

    def _lose(self, build: _Build) -> None:
        host = self._hosts.get(build.host)
        if host is not None and self._is_present(host) and not build.begun:
            # The host does not know of it, because the answer to it was lost.
            self._move(build, BuildStage.WAITING)
            return
        build.hosts_lost += 1
        if build.hosts_lost >= MOST_HOSTS_LOST:
            reason = f"{build.hosts_lost} build hosts were lost while they built it, {build.host!r} last"
            self._move(build, BuildStage.FAILED, reason=reason)
        else:
            self._move(build, BuildStage.WAITING, reason=f"the build host {build.host!r} was lost")

    def _move(self, build: _Build, stage: BuildStage, *, host: str = "", reason: str = "") -> None:
        build.stage, build.host, build.reason, build.since = stage, host, reason, utc_now()
        build.begun = False

    def _wanted(self) -> dict[str, str]:
        """The first run that wants each build."""
        wanted: dict[str, str] = {}
        for run, owner in self._owners.items():
            for key in owner.keys:
                wanted.setdefault(key, run)
        return wanted

    def _priority(self, key: str) -> int:
        return max((owner.priority for owner in self._owners.values() if key in owner.keys), default=0)

    def _is_present(self, host: _Host) -> bool:
        return self._clock() - host.seen_s <= SILENT_S

    def _shown(self, build: _Build, run: str) -> FarmBuild:
        return FarmBuild(
            name=build.ask.name,
            stage=build.stage,
            run=run,
            user=self._owners[run].user,
            since=build.since,
            host=build.host,
            reason=build.reason or ("" if build.host else self._why_waiting(build)),
        )

    def _why_waiting(self, build: _Build) -> str:
        fitting = self._fitting(build.needs)
        return "every build host is busy" if fitting else "no build host with these packages is available"

    def _fitting(self, needs: Mapping[str, str]) -> int:
        """How many hosts that can make something are there."""
        return sum(self._is_present(host) and _fits(host.versions, needs) for host in self._hosts.values())


def _fits(versions: Mapping[str, str], needs: Mapping[str, str]) -> bool:
    return all(versions.get(package) == version for package, version in needs.items())


def _check_key(key: str) -> None:
    plain_name(key, "a build has the key", "so nothing is stored under it")


def _state(build: _Build) -> BuildState:
    return BuildState(key=build.ask.key, stage=build.stage, host=build.host, entries=build.entries, reason=build.reason)
