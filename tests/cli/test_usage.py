"""What a newcomer sees: the list of commands, and the answer to a call that click refuses."""

from __future__ import annotations

import click
import pytest

from harness.cli import SECTIONS, cli
from tests.cli.calls import call


def groups() -> list[tuple[str, click.Group]]:
    inner = [(name, command) for name, command in cli.commands.items() if isinstance(command, click.Group)]
    return [("", cli), *sorted(inner)]


def test_the_help_lists_each_command_once_and_says_where_to_start() -> None:
    shown = call("--help").out
    assert "Start with: phonebench quickstart" in shown
    commands = shown[shown.index("--help  Show") :].splitlines()[1:]
    listed = [line.split()[0] for line in commands if line.startswith("  ")]
    assert sorted(listed) == sorted(command.name or "" for commands in SECTIONS.values() for command in commands)
    assert sorted(listed) == sorted(cli.commands)


@pytest.mark.parametrize(("name", "group"), groups())
def test_no_line_of_a_list_of_commands_is_cut_or_wrapped(
    name: str, group: click.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = call(*name.split(), "--help").out
    commands = shown[shown.index("--help  Show") :]
    assert "..." not in commands
    assert len([line for line in commands.splitlines()[1:] if line.startswith("  ")]) == len(group.commands)


@pytest.mark.parametrize("line", ["", "history", "runner"])
def test_a_group_without_a_command_shows_its_help_as_it_is(line: str) -> None:
    done = call(*line.split())
    assert done.code == 2
    assert done.err == call(*line.split(), "--help").out


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("compare a", "RUN_B is missing; write: phonebench compare RUN_A RUN_B"),
        ("init", "PATH is missing; write: phonebench init PATH"),
        ("runner build", "SYSTEM (android, ios) is missing; write: phonebench runner build SYSTEM"),
        ("completion", "SHELL (bash, zsh, fish) is missing; write: phonebench completion SHELL"),
        ("history show", "SERIES is missing; write: phonebench history show SERIES"),
        ("history export", "missing option '--parquet'; see: phonebench history export --help"),
        ("show --foo", "there is no option '--foo'; see: phonebench show --help"),
        ("run --formats x", "there is no option '--formats', did you mean '--format'? see: phonebench run --help"),
        ("completion tcsh", "invalid value for 'SHELL': 'tcsh' is not one of 'bash', 'zsh', 'fish'; see: "),
        ("doctor android", "got unexpected extra argument (android); see: phonebench doctor --help"),
        ("run -f", "option '-f' requires an argument"),
        ("search", "a search takes one MODEL, not 0; such as: phonebench search digits"),
    ],
)
def test_a_refused_call_is_answered_in_one_line_with_what_to_write(line: str, answer: str) -> None:
    done = call(*line.split())
    assert done.code == 2
    assert done.err.startswith(f"phonebench: {answer}")
    assert done.err.count("\n") == 1
