"""How long work tells what it does, without printing: the command line decides how it looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a run; calls may come from several threads."""

    def start(self, stage: str, total: int) -> None:
        """A stage of ``total`` units begins."""

    def begin(self, unit: str) -> None:
        """Work on ``unit`` begins."""

    def step(self, unit: str, outcome: str) -> None:
        """``unit`` is done; ``outcome`` is a few words."""

    def finish(self) -> None:
        """The stage is over."""


class Silent:
    """A `Progress` that says nothing."""

    def start(self, stage: str, total: int) -> None:
        """Say nothing."""

    def begin(self, unit: str) -> None:
        """Say nothing."""

    def step(self, unit: str, outcome: str) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""
