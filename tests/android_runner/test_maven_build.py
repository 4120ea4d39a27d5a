"""The Java side: compiled, its tests run, and held to the API of Android 8, all by Maven."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness import __version__

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "android_runner"
POM = "{http://maven.apache.org/POM/4.0.0}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mvn") is None, reason="missing: mvn")
def test_maven_builds_and_tests_the_runner() -> None:
    command = ["mvn", "-q", "-B", "-f", str(RUNNER / "pom.xml"), "verify"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = list(RUNNER.glob("*/target/surefire-reports/TEST-*.xml"))
    assert sum(int(ElementTree.parse(report).getroot().get("tests", "0")) for report in reports) > 100


@pytest.mark.parametrize("pom", sorted(RUNNER.glob("**/pom.xml")), ids=lambda path: path.parent.name)
def test_the_runner_has_the_version_of_phonebench(pom: Path) -> None:
    root = ElementTree.parse(pom).getroot()
    version = root.find(f"{POM}version")
    if version is None:
        version = root.find(f"{POM}parent/{POM}version")
    assert version is not None
    assert version.text == __version__


def test_no_line_of_java_is_longer_than_120() -> None:
    sources = sorted(RUNNER.glob("*/src/**/*.java"))
    assert len(sources) > 40
    assert [path.name for path in sources if max(map(len, path.read_text().splitlines())) > 120] == []
