"""What an app is while it runs: the Swift runner as a desktop program, or small programs for faults."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.viphone.apps import Launch, Program

LITTLE = Path(__file__).with_name("little_runner.py")
ROOT = Path(__file__).parents[2]


def swift_program(command: list[str]) -> Program:
    """The Swift runner; ``command`` is `tests.ios_runner.swift.desktop_command`'s."""
    return lambda launch: [*command, "--kind", "ios-app", "--documents", str(launch.documents), *launch.arguments]


def little_program(*more: str) -> Program:
    """The small runner in Python, which keeps the contract of the app; ``more`` are its own arguments."""

    def command(launch: Launch) -> list[str]:
        return [sys.executable, str(LITTLE), "--documents", str(launch.documents), *more, *launch.arguments]

    return command
