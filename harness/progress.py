"""How long-running work reports its progress without printing; the command line decides how to show it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a run. Several threads may call it at the same time."""

    def start(self, stage: str, total: int) -> None:
        """A stage of ``total`` units starts."""

    def begin(self, unit: str) -> None:
        """Work on ``unit`` starts. Several units may be worked on at the same time."""

    def end(self, unit: str) -> None:
        """Work on ``unit`` ends, which is not one of those counted, such as loading a model."""

    def step(self, unit: str, outcome: str) -> None:
        """``unit`` is done; ``outcome`` says in a few words how it went."""

    def finish(self) -> None:
        """The stage is over."""


class Silent:
    """A `Progress` that shows nothing."""

    def start(self, stage: str, total: int) -> None:
        """Show nothing."""

    def begin(self, unit: str) -> None:
        """Show nothing."""

    def end(self, unit: str) -> None:
        """Show nothing."""

    def step(self, unit: str, outcome: str) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""
