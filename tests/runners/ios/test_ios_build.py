"""The build of the iOS app, with programs in the place of Xcode that write down how they were called."""

from __future__ import annotations

import base64
import plistlib
import shutil
import stat
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from harness import __version__
from harness.errors import BuildError
from harness.runners.ios.build import IPA, KEY_NAME, IosBuild, Mac, build_ios, default_ipa
from harness.runners.ios.identity import SOURCES, runner_digest
from harness.runners.ios.libraries import Target
from harness.runners.ios.pins import PACKAGES
from harness.signing.keys import create_key

RECORD = (
    '#!/bin/sh\necho "$(basename "$0") $*" >> "$PWD/calls.txt"\nenv | grep ^PHONEBENCH_ | sort > "$PWD/facts.txt"\n'
)
ARCHIVE = """
while [ $# -gt 0 ]; do [ "$1" = -archivePath ] && archive=$2; shift; done
app="$archive/Products/Applications/PhonebenchRunner.app"
mkdir -p "$app/Frameworks"
echo program > "$app/PhonebenchRunner"; chmod 755 "$app/PhonebenchRunner"
ln -s PhonebenchRunner "$app/Frameworks/link"
"""
# What XcodeGen makes of the keys in project.yml that name these variables.
PLIST = (
    'import os, plistlib, sys; facts = os.environ; open(sys.argv[1], "wb").write(plistlib.dumps('
    '{"PhonebenchTrustedKey": facts["PHONEBENCH_TRUSTED_KEY"],'
    ' "PhonebenchRunnerDigest": facts["PHONEBENCH_DIGEST"]}))'
)


def nothing(folder: Path, target: Target) -> None:
    """Fetch nothing: what is fetched is tested on its own."""


def mac(folder: Path, **programs: str) -> Mac:
    """A Mac whose PATH has these programs."""
    folder.mkdir(exist_ok=True)
    for name, script in programs.items():
        (folder / name).write_text(RECORD + script)
        (folder / name).chmod(0o755)
    return Mac(system="Darwin", search=str(folder), fetch=nothing)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the runner's sources."""
    shutil.copytree(SOURCES, tmp_path / "ios_runner", ignore=shutil.ignore_patterns(".build", "libraries", "ipa"))
    return tmp_path / "ios_runner"


def test_a_build_generates_the_project_and_archives_it(checkout: Path, tmp_path: Path) -> None:
    computer = mac(tmp_path / "bin", xcodegen="", pod="", xcodebuild=ARCHIVE)
    path = build_ios(IosBuild(team="TEAM123456", bundle_id="com.example.x"), mac=computer, folder=checkout)
    calls = (checkout / "calls.txt").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["xcodegen", "pod", "xcodebuild"]
    assert "-workspace PhonebenchRunner.xcworkspace -scheme PhonebenchRunner" in calls[2]
    assert calls[2].endswith("-allowProvisioningUpdates archive")
    facts = dict(line.split("=", 1) for line in (checkout / "facts.txt").read_text().splitlines())
    assert facts == {
        "PHONEBENCH_VERSION": __version__,
        "PHONEBENCH_BUILD": "100",
        "PHONEBENCH_DIGEST": runner_digest(checkout),
        "PHONEBENCH_BUNDLE_ID": "com.example.x",
        "PHONEBENCH_TEAM": "TEAM123456",
        "PHONEBENCH_PODS": "true",
        "PHONEBENCH_TRUSTED_KEY": "",
    }
    assert path == checkout / "ipa" / IPA
    assert default_ipa(checkout / "ipa") == path


def test_an_ipa_keeps_links_and_permissions(checkout: Path, tmp_path: Path) -> None:
    computer = mac(tmp_path / "bin", xcodegen="", xcodebuild=ARCHIVE)
    path = build_ios(IosBuild(pods=False, out=tmp_path / "out"), mac=computer, folder=checkout)
    with zipfile.ZipFile(path) as zipped:
        program = zipped.getinfo("Payload/PhonebenchRunner.app/PhonebenchRunner")
        link = zipped.getinfo("Payload/PhonebenchRunner.app/Frameworks/link")
        assert stat.S_IMODE(program.external_attr >> 16) == 0o755
        assert stat.S_ISLNK(link.external_attr >> 16)
        assert zipped.read(link) == b"PhonebenchRunner"
    call = (checkout / "calls.txt").read_text().splitlines()[-1]
    assert "-project PhonebenchRunner.xcodeproj" in call
    assert call.endswith("CODE_SIGNING_ALLOWED=NO archive")


def test_an_app_with_a_key_has_it_in_one_line_and_another_version(checkout: Path, tmp_path: Path) -> None:
    """Xcode is a program of the test here, which writes the Info.plist that XcodeGen would make of project.yml."""
    key = create_key(tmp_path / "release", days=30).public.read_bytes()
    write = f'{ARCHIVE}\n"{sys.executable}" -c \'{PLIST}\' "$app/Info.plist"'
    computer = mac(tmp_path / "bin", xcodegen="", xcodebuild=write)
    path = build_ios(IosBuild(pods=False, trusted_key=key), mac=computer, folder=checkout)
    with zipfile.ZipFile(path) as zipped:
        info = plistlib.loads(zipped.read("Payload/PhonebenchRunner.app/Info.plist"))
    assert serialization.load_der_public_key(
        base64.b64decode(info["PhonebenchTrustedKey"], validate=True)
    ) == serialization.load_pem_public_key(key)
    assert info["PhonebenchRunnerDigest"] == runner_digest(checkout, key) != runner_digest(checkout)


@pytest.mark.parametrize("script", [ARCHIVE, f'{ARCHIVE}\nPHONEBENCH_TRUSTED_KEY= true; echo x > "$app/Info.plist"'])
def test_an_app_that_lost_its_key_while_it_was_built_is_an_error(checkout: Path, tmp_path: Path, script: str) -> None:
    key = create_key(tmp_path / "release", days=30).public.read_bytes()
    computer = mac(tmp_path / "bin", xcodegen="", xcodebuild=script)
    with pytest.raises(BuildError, match="does not have the public key .* would run anything"):
        build_ios(IosBuild(pods=False, trusted_key=key), mac=computer, folder=checkout)


def test_a_computer_that_is_no_mac_is_told_what_to_do() -> None:
    with pytest.raises(BuildError, match="on a Mac with Xcode.*--ipa FILE"):
        build_ios(IosBuild(), mac=Mac(system="Linux"))


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({}, "needs 'xcodebuild'.*App Store"),
        ({"xcodebuild": ARCHIVE}, "needs 'xcodegen'.*brew install xcodegen"),
        ({"xcodebuild": ARCHIVE, "xcodegen": ""}, "needs 'pod'.*--no-pods"),
        ({"xcodebuild": "echo no profile >&2; exit 65", "xcodegen": "", "pod": ""}, "exit code 65:\nno profile"),
        ({"xcodebuild": "", "xcodegen": "", "pod": ""}, "archived without an error, but there is no"),
    ],
)
def test_what_a_mac_lacks_is_said(checkout: Path, tmp_path: Path, programs: dict[str, str], said: str) -> None:
    with pytest.raises(BuildError, match=said):
        build_ios(IosBuild(), mac=mac(tmp_path / "bin", **programs), folder=checkout)


def test_the_digest_changes_with_the_sources_alone(checkout: Path) -> None:
    before = runner_digest(checkout)
    assert before == runner_digest()
    (checkout / "README.md").write_text("other words")
    # XcodeGen writes it, with the digest in it.
    (checkout / "Sources/App/Info.plist").write_text(f"<string>{before}</string>")
    assert runner_digest(checkout) == before
    digests = {before}
    for name in ("Sources/Core/Clock.swift", "project-pods.yml"):
        file = checkout / name
        file.write_text(file.read_text() + "\n")
        digests.add(runner_digest(checkout))
    assert len(digests) == 3


def test_the_project_names_files_that_exist() -> None:
    """XcodeGen cannot run here, so what can be known without it is checked: paths, targets, and the keys of the app."""
    project = yaml.safe_load((SOURCES / "project.yml").read_text())
    pods = yaml.safe_load((SOURCES / "project-pods.yml").read_text())
    targets = {**pods["targets"], **project["targets"]}
    fetched = {extract.target for package in PACKAGES for extract in package.ios}
    for name, target in targets.items():
        assert all((SOURCES / path).is_dir() for path in target["sources"]), name
        for dependency in target.get("dependencies", []):
            assert dependency.get("target", name) in targets
            assert dependency.get("framework", "").removeprefix("libraries/") in {"", *fetched}
    keys = project["targets"]["PhonebenchRunner"]["info"]["properties"]
    assert keys["PhonebenchRunnerDigest"] == "${PHONEBENCH_DIGEST}"
    assert keys[KEY_NAME] == "${PHONEBENCH_TRUSTED_KEY}"
    assert keys["UIFileSharingEnabled"] is True
    assert plistlib.dumps(keys)
    assert set(project["packages"]) == {"Runner"}


def test_the_podfile_feeds_the_targets_of_the_project() -> None:
    pods = yaml.safe_load((SOURCES / "project-pods.yml").read_text())
    text = (SOURCES / "Podfile").read_text()
    assert {f"target '{name}' do" in text for name in pods["targets"] if name.endswith("Kit")} == {True}
