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
        (("--npu-libraries", "x"), 2, "add --runtime onnxruntime --library onnxruntime-android-qnn.aar"),
        (("--runtime", "tflite", "--library", "x.aar", "--npu-libraries", "x"), 2, "--runtime onnxruntime"),
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


def test_a_system_without_a_builder_is_refused(tmp_path: Path) -> None:
    done = call_phonebench("runner", "build", "windows", cwd=tmp_path)
    assert done.code == 2
    assert "'android', 'ios'" in done.err


@pytest.mark.parametrize(
    ("system", "option", "words"),
    [
        ("ios", ("--abi", "x86"), "--abi does not apply to ios"),
        ("android", ("--team", "ABCDE12345"), "--team does not apply to android"),
        ("android", ("--no-pods",), "--no-pods does not apply to android"),
    ],
)
def test_an_option_of_another_system_is_refused(
    tmp_path: Path, system: str, option: tuple[str, ...], words: str
) -> None:
    done = call_phonebench("runner", "build", system, *option, cwd=tmp_path)
    assert (done.code, words in done.err) == (2, True), done.err


def test_the_key_to_build_into_the_apps_is_read_before_anything_is_built(tmp_path: Path) -> None:
    done = call_phonebench("runner", "build", "android", "--require-signature", "missing.pub", cwd=tmp_path)
    assert (done.code, "the key 'missing.pub' cannot be read" in done.err) == (7, True), done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ios", "--apks", "x"), "give the runner app for iPhones with --ipa FILE"),
        (("android", "--ipa", "x"), "leave it out, or install on ios"),
        (("ios", "--ipa", "/etc/hostname"), "'/etc/hostname' is no IPA"),
        (("ios", "--runtime", "tflite"), "unknown part 'tflite'"),
    ],
)
def test_an_app_of_another_system_is_not_installed(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = call_phonebench("runner", "install", *words, cwd=tmp_path)
    assert (done.code, message in done.err) == (2, True), done.err
