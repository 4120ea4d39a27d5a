"""Finding and running the tools, with scripts in place of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.runners.android.tools import Tool, Toolbox


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("tool", "said"),
    [(Tool.MAVEN, "apt-get install maven"), (Tool.AAPT2, "apt-get install aapt, or give an Android SDK")],
)
def test_a_tool_that_is_not_there_is_named_with_what_brings_it(tmp_path: Path, tool: Tool, said: str) -> None:
    with pytest.raises(BuildError, match=f"{tool.value}.*{said}"):
        Toolbox(search=str(tmp_path)).find(tool)


def test_the_newest_build_tools_of_an_sdk_serve_what_is_not_in_the_path(tmp_path: Path) -> None:
    for version in ("9.0.0", "34.0.0", "33.0.1"):
        script(tmp_path / "sdk/build-tools" / version / "aapt2", "true")
    found = Toolbox(search=str(tmp_path), sdk=tmp_path / "sdk").find(Tool.AAPT2)
    assert found.parent.name == "34.0.0"


def test_the_path_comes_before_the_sdk(tmp_path: Path) -> None:
    own = script(tmp_path / "bin/aapt2", "true")
    script(tmp_path / "sdk/build-tools/34.0.0/aapt2", "true")
    assert Toolbox(search=str(own.parent), sdk=tmp_path / "sdk").find(Tool.AAPT2) == own


def test_what_a_failed_tool_said_is_in_the_error(tmp_path: Path) -> None:
    script(tmp_path / "mvn", "echo out of luck; echo 'no such class' >&2; exit 3")
    with pytest.raises(
        BuildError, match=r"(?s)compiling failed: 'mvn' ended with exit code 3.*out of luck.*no such class"
    ):
        Toolbox(search=str(tmp_path)).run(Tool.MAVEN, "package", what="compiling")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "echo '[INFO] scanning'; echo '[ERROR] no route to host'; echo '[INFO] done'; exit 1",
            "1 and printed:\n[ERROR] no",
        ),
        ("exit 1", "exit code 1 and printed nothing; to see more, run: "),
        ("kill -9 $$", "signal 9 and printed nothing; to see more, run: "),
    ],
)
def test_of_a_failed_tool_the_errors_are_shown_or_how_to_see_them(tmp_path: Path, body: str, said: str) -> None:
    script(tmp_path / "mvn", body)
    with pytest.raises(BuildError) as caught:
        Toolbox(search=str(tmp_path)).run(Tool.MAVEN, "a b", what="compiling")
    assert said in str(caught.value)
    assert "[INFO]" not in str(caught.value)


def test_arguments_and_output_pass_through_as_they_are(tmp_path: Path) -> None:
    script(tmp_path / "npm", 'printf "%s|" "$@"')
    assert Toolbox(search=str(tmp_path)).run(Tool.NPM, "pack", "a b'c", what="fetching") == "pack|a b'c|"
