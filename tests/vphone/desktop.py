"""The runner's Java core as the app behind ``am start``: it executes a real model on the JVM.

Built from the sources of this checkout by Maven, once, and anew when one of them is newer than what was built.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from harness.runners.android.build import compiling
from tests.vphone.apps import Launch, Program

SOURCES = Path(__file__).parents[2] / "android_runner"
TARGET = SOURCES / "desktop" / "target"
JAR = TARGET / "runner-desktop.jar"
MAIN = "org.phonebench.runner.desktop.DesktopRunner"
TOOLS = ("java", "javac", "mvn")
BUILD_S = 500


def missing_for_desktop() -> str:
    """Return the tools for building and running it that are missing here; empty if none is."""
    return " ".join(tool for tool in TOOLS if shutil.which(tool) is None)


def class_path() -> str:
    """Build the runner if necessary and return the command to start it; raises `RuntimeError` with Maven's output."""
    with compiling():
        if not JAR.exists() or JAR.stat().st_mtime < max(file.stat().st_mtime for file in _sources()):
            _build()
    return ":".join(map(str, (JAR, *sorted((TARGET / "lib").glob("*.jar")))))


# ExecuTorch has no library for the JVM, so language models run in a program beside it.
EXECUTORCH = f"-Dphonebench.pte.command={sys.executable} {Path(__file__).with_name('executorch_pipe.py')}"


def desktop_program(classes: str) -> Program:
    """Return the app: the Java core with the launch's extras as its arguments."""

    def command(launch: Launch) -> list[str]:
        scratch = launch.root / "scratch"
        scratch.mkdir(exist_ok=True)
        java = ["java", f"-Djava.io.tmpdir={scratch}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", EXECUTORCH]
        return [*java, "-cp", classes, MAIN, *_arguments(launch)]

    return command


def _arguments(launch: Launch) -> list[str]:
    def outer(path: str) -> str:
        return str(launch.root / path.lstrip("/"))

    given = launch.extras
    found = {"files": str(launch.files), "kind": "android-app", "version": launch.package.apk.version_name}
    found |= {name: given[name] for name in ("job", "inputs", "mask") if name in given}
    found |= {name: outer(given[name]) for name in ("store", "request") if name in given}
    found |= {"apk": outer(launch.package.path), "abis": launch.package.abi or "none"}
    return [word for name, value in found.items() for word in (f"--{name}", value)]


def _sources() -> list[Path]:
    """The sources of the runner, without the parts for Android."""
    modules = [pom.parent for pom in SOURCES.glob("*/pom.xml") if pom.parent.name != "app"]
    mains = [file for module in modules for file in (module / "src" / "main").rglob("*") if file.is_file()]
    return [SOURCES / "pom.xml", *(module / "pom.xml" for module in modules), *mains]


def _build() -> None:
    command = ["mvn", "-q", "-B", "-f", str(SOURCES / "pom.xml"), "-pl", "desktop", "-am", "package", "-DskipTests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_S)
    if done.returncode:
        msg = f"Maven did not build the desktop runner: {(done.stdout + done.stderr)[-2000:]}"
        raise RuntimeError(msg)
    # Where nothing had to be made anew Maven leaves the old jar, which would be built again each time.
    JAR.touch()
