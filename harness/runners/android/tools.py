"""Finds and runs the programs that build an APK."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import BuildError

_TAIL_LINES = 25


class Tool(StrEnum):
    """A program, by the name of its command."""

    JAVA = "java"
    JAVAC = "javac"
    KEYTOOL = "keytool"
    MAVEN = "mvn"
    NPM = "npm"
    AAPT2 = "aapt2"
    APKSIGNER = "apksigner"


# The Debian package of each tool. The build-tools of an Android SDK have some of them too.
_DEBIAN: dict[Tool, str] = {
    Tool.JAVA: "openjdk-17-jdk-headless",
    Tool.JAVAC: "openjdk-17-jdk-headless",
    Tool.KEYTOOL: "openjdk-17-jdk-headless",
    Tool.MAVEN: "maven",
    Tool.NPM: "npm",
    Tool.AAPT2: "aapt",
    Tool.APKSIGNER: "apksigner",
}
_IN_SDK = (Tool.AAPT2, Tool.APKSIGNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """Finds tools in ``search`` (a PATH; None for that of this process), then in the newest build-tools of ``sdk``."""

    search: str | None = None
    sdk: Path | None = None

    def find(self, tool: Tool) -> Path:
        """Return the path of a tool. Raises `BuildError` that says what to install."""
        path = shutil.which(tool.value, path=self.search) or self._in_sdk(tool)
        if path is None:
            sdk = ", or give an Android SDK with --sdk" if tool in _IN_SDK else ""
            advice = f"run: apt-get install {_DEBIAN[tool]}{sdk}"
            msg = f"building the Android runner needs {tool.value!r}, which is not in PATH; {advice}"
            raise BuildError(msg)
        return Path(path)

    def missing(self, tools: Sequence[Tool]) -> tuple[Tool, ...]:
        """Return the ``tools`` that cannot be found."""
        return tuple(t for t in tools if shutil.which(t.value, path=self.search) is None and self._in_sdk(t) is None)

    def run(self, tool: Tool, *arguments: str | Path, cwd: Path | None = None, what: str) -> str:
        """Run a tool and return its standard output. Raises `BuildError` with the last lines of its output."""
        command = [str(self.find(tool)), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0:
            end = f"exit code {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
            msg = f"{what} failed: {tool.value!r} ended with {end} and {_said(done.stdout + done.stderr, command)}"
            raise BuildError(msg)
        return done.stdout

    def java_home(self) -> Path:
        """Return the folder of the JDK, which the dex compiler needs as a library. Raises `BuildError`."""
        self.find(Tool.JAVAC)
        return self.find(Tool.JAVAC).resolve().parents[1]

    def _in_sdk(self, tool: Tool) -> str | None:
        if self.sdk is None or tool not in _IN_SDK:
            return None
        # Numerically, because as text 9.0.0 comes after 34.0.0.
        versions = sorted(self.sdk.glob(f"build-tools/*/{tool.value}"), key=lambda path: _numbers(path.parent.name))
        return str(versions[-1]) if versions else None


def _said(output: str, command: Sequence[str]) -> str:
    """Return the end of what a tool printed: of Maven, which marks its lines, only the errors if there are any."""
    lines = output.strip().splitlines()
    errors = [line for line in lines if line.startswith(("[ERROR]", "[FATAL]"))]
    tail = "\n".join((errors or lines)[-_TAIL_LINES:])
    return f"printed:\n{tail}" if tail else f"printed nothing; to see more, run: {shlex.join(command)}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.replace("-", ".").split(".") if part.isdecimal())
