"""What measuring one cell needs, and what its launches have returned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from harness.artifacts.manifest import Artifact
from harness.artifacts.sources.made_variant import VariedModel
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.measure.latency import SteadyCalls
from harness.model.card import ModelCard
from harness.plan.cells import Cell
from harness.records.conditions import Condition, ConditionId
from harness.records.measurement import GateFacts
from harness.records.operators import OperatorProfile
from harness.spec.profiles import Profile
from harness.wire import RunReply
from harness.wire.tensors import Array


class Keeper(Protocol):
    """Stores raw replies, outputs and pictures."""

    def keep(self, data: bytes, suffix: str) -> str:
        """Store ``data`` and return its SHA-256, which is also its name; ``suffix`` ends the file name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A cell with everything that measuring it takes.

    ``launches`` overrides the profile's stop rule and ``timeout_s`` its deadline. ``varied`` is the network that the
    recipe's graph steps made, None without steps. ``operators``: profile the operators in a launch after measuring.
    ``signature``: the signature of the artifact as text, for runners that check it; empty if there is none.
    """

    cell: Cell
    card: ModelCard
    artifact: Artifact
    model: PreparedModel
    profile: Profile
    launches: int | None = None
    timeout_s: float | None = None
    varied: VariedModel | None = None
    operators: bool = False
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """One launch that gave samples. ``sha256`` names its stored reply; ``tainted`` says why it does not count."""

    reply: RunReply
    sha256: str
    summary: SteadyCalls
    gate: GateFacts
    retry: int = 0
    tainted: tuple[str, ...] = ()
    watch_sha256: str | None = None


@dataclass(slots=True, kw_only=True)
class Seen:
    """What the launches of a cell have shown so far."""

    launched: list[Launched] = field(default_factory=list)
    last: RunReply | None = None
    conditions: dict[ConditionId, Condition] = field(default_factory=dict)
    outputs: tuple[Array, ...] | None = None
    outputs_sha256: str | None = None

    @property
    def good(self) -> list[Launched]:
        """The launches that count."""
        return [launch for launch in self.launched if not launch.tainted]

    @property
    def counted(self) -> list[Launched]:
        """The launches that the figures come from: the good ones, or all of them if none is good."""
        return self.good or self.launched

    def note(self, conditions: Iterable[Condition]) -> None:
        """Keep the first condition of each kind."""
        # A later launch repeats the conditions of an earlier one, with other figures: the first report is kept.
        for condition in conditions:
            self.conditions.setdefault(condition.id, condition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What the launches of a cell left: all that its measurement is made of.

    ``good`` is False if the last launch gave no figures. Times are ISO 8601. ``operators``: None unless profiled.
    """

    started_at: str
    ended_at: str
    seen: Seen
    good: bool
    operators: OperatorProfile | None = None
