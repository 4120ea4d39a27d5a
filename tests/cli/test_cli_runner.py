"""Mistakes that ``phonebench runner build`` refuses before it builds anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import call_phonebench


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--runtime", "tflight"), 2, "unknown runtime 'tflight'; did you mean 'tflite'?"),
        (("--abi", "arm64"), 2, "unknown ABI 'arm64'; did you mean 'arm64-v8a'?"),
        (("--library", "x.aar"), 2, "name that runtime with --runtime"),
        (("--key", "x.p12"), 2, "--key-password"),
    ],
)
def test_a_wrong_option_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = call_phonebench("runner", "build", "android", *arguments, cwd=tmp_path)
    assert done.code == code
    assert said in done.err


def test_without_tools_the_first_that_is_missing_is_named(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = call_phonebench("runner", "build", "android", "-r", "tflite", cwd=tmp_path, env=env)
    assert done.code == 4
    assert "needs 'keytool', which is not in PATH; run: apt-get install openjdk-17-jdk-headless" in done.err


def test_another_system_than_android_is_refused(tmp_path: Path) -> None:
    done = call_phonebench("runner", "build", "ios", cwd=tmp_path)
    assert done.code == 2
    assert "android" in done.err
