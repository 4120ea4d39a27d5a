"""The form of the Swift sources: `swift format` keeps code to 120 characters a line, but neither comments nor texts."""

from __future__ import annotations

from tests.ios_runner.apple_names import STUBS
from tests.ios_runner.swift import RUNNER


def test_no_line_of_swift_is_longer_than_120() -> None:
    sources = [path for folder in (RUNNER / "Sources", RUNNER / "Tests", STUBS) for path in folder.rglob("*.swift")]
    sources.append(RUNNER / "Package.swift")
    assert len(sources) > 60
    assert [path.name for path in sorted(sources) if max(map(len, path.read_text().splitlines())) > 120] == []
