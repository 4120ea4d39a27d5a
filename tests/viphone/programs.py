"""What an app is while it runs: the Swift runner as a desktop program, or small programs for faults."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.runners.ios.build import KEY_NAME
from tests.viphone.apps import App, Launch, Program

LITTLE = Path(__file__).with_name("little_runner.py")
ROOT = Path(__file__).parents[2]


def swift_program(command: list[str]) -> Program:
    """The Swift runner; ``command`` is `tests.ios_runner.swift.desktop_command`'s."""

    def of(launch: Launch) -> list[str]:
        data = launch.app.data
        # What an iPhone keeps outside of the app's folders, in its Secure Enclave.
        keystore = ["--keystore", str(keystore_of(launch.app))]
        folders = ["--private", str(data / "Library/Caches/phonebench"), "--temporary", str(data / "tmp")]
        app = ["--kind", "ios-app", "--documents", str(launch.documents), *folders, *keystore]
        return [*command, *app, *_key(launch), *launch.arguments]

    return of


def keystore_of(app: App) -> Path:
    """The file with the key pair that the Swift runner makes for an app, in place of the Secure Enclave."""
    return app.data / "SystemData" / "keystore"


def _key(launch: Launch) -> list[str]:
    """The option with the key in the app's Info.plist, which the app on an iPhone reads itself."""
    text = launch.app.ipa.info.get(KEY_NAME, "")
    if not text:
        return []
    file = launch.app.bundle / "trusted-key"
    file.write_text(text)
    return ["--key", str(file)]


def little_program(*more: str) -> Program:
    """The small runner in Python, which keeps the contract of the app; ``more`` are its own arguments."""

    def command(launch: Launch) -> list[str]:
        return [sys.executable, str(LITTLE), "--documents", str(launch.documents), *more, *launch.arguments]

    return command
