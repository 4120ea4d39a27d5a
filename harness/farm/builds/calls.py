"""What the owner of a run, the depot and build hosts ask one another about builds.

A build is one entry of the artifact cache, and its key is the entry's. So the same build of two runs is one build, and
a build host whose packages would make another file makes another key, which nobody asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harness.farm.work import FileRef


class EntryKind(StrEnum):
    """The kinds of cache entries that travel, by the names of their folders in the cache."""

    PREPARED = "prepared"
    VARIANT = "variants"
    ARTIFACT = "artifacts"


class BuildStage(StrEnum):
    """What the farm does about a build. ``failed``: no build host could make it, so its owner tries."""

    WAITING = "waiting"
    BUILDING = "building"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRef:
    """An entry of the cache whose files are in the depot."""

    kind: EntryKind
    key: str
    files: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildAsk:
    """One build. ``work`` is the digest of a `BuildWork`; builds of one ``group`` share a conversion, and so a host."""

    kind: EntryKind
    key: str
    name: str
    group: str
    work: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrders:
    """Builds that a run wants, the first needed first. A host must have the versions in ``needs``, by package."""

    run: str
    user: str
    needs: dict[str, str]
    builds: tuple[BuildAsk, ...]
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildsOf:
    """Asks what became of the builds of a run. A run that stops asking no longer wants them."""

    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildState:
    """What became of one build. ``entries``: what was made, the build's own entry last."""

    key: str
    stage: BuildStage
    host: str = ""
    entries: tuple[EntryRef, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStates:
    """The builds of a run, and how many hosts that can make them are there now."""

    builds: tuple[BuildState, ...]
    hosts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildHost:
    """A host with the role ``build``, and the versions of everything that is installed on it."""

    name: str
    present: bool
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildHosts:
    """The build hosts of a farm."""

    hosts: tuple[BuildHost, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBuilds:
    """A build host that has room for ``free`` more groups, and works on the builds ``building``.

    ``leaving``: it will not ask again.
    """

    agent: str
    versions: dict[str, str]
    free: int
    building: tuple[str, ...] = ()
    leaving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBuild:
    """A build for the host that asked."""

    key: str
    name: str
    work: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBuilds:
    """Groups of builds for the host that asked. Nobody wants the builds ``unwanted`` any more."""

    groups: tuple[tuple[GivenBuild, ...], ...] = ()
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """How a build ended on a host: with entries whose files the depot has, or with none, for ``reason``."""

    agent: str
    key: str
    entries: tuple[EntryRef, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmBuild:
    """A build in the state of the farm. ``since``: when its stage began. ``run`` is the first that wants it."""

    name: str
    stage: BuildStage
    run: str
    user: str
    since: str
    host: str = ""
    reason: str = ""


class BuildPost(Protocol):
    """What the owner of a run needs of the depot. Every method raises `DepotError` while it cannot be reached."""

    def build_hosts(self) -> BuildHosts:
        """Return the build hosts of the farm."""

    def order_builds(self, orders: BuildOrders) -> None:
        """Ask for builds; what was asked for before stays."""

    def builds_of(self, asked: BuildsOf) -> BuildStates:
        """Return what became of the builds of a run."""

    def offer(self, path: Path, sha256: str) -> None:
        """Make a file available."""

    def fetch(self, sha256: str, folder: Path) -> Path:
        """Return a local copy of a file."""


class MakerPost(Protocol):
    """What a build host needs of the depot. Every method raises `DepotError` while it cannot be reached."""

    def take_builds(self, taking: TakeBuilds) -> GivenBuilds:
        """Say what is being built; return what to build next."""

    def report_build(self, report: BuildReport) -> None:
        """Report how a build ended."""

    def offer(self, path: Path, sha256: str) -> None:
        """Make a file available."""

    def fetch(self, sha256: str, folder: Path) -> Path:
        """Return a local copy of a file."""
