"""A run that is stopped says how to resume it, with a command that finds its files."""

from __future__ import annotations

import errno
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.blame import blame
from harness.cli.options import places
from harness.errors import IncompleteError, InterruptedRunError, PhonebenchError, StoreError
from harness.spec.goal import Goal, Minimise
from harness.store.writer import create_run
from harness.system.paths import cache_folder
from harness.workflows.bench import resumable
from tests.store.test_store import RUN, head

OTHER = PhonebenchError("something else")
GOAL = Goal(max_drop=0.01, minimise=Minimise.SIZE)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), StoreError("no space left for 'x'")], ids=["ctrl-c", "full"])
@pytest.mark.parametrize(("goal", "command"), [(None, "run"), (GOAL, "search")])
def test_the_command_names_every_place_that_is_not_the_default(
    stop: BaseException, goal: Goal | None, command: str, tmp_path: Path
) -> None:
    where = places(tmp_path / "my results", tmp_path / "cache")
    stopped = pytest.raises((InterruptedRunError, StoreError))
    with create_run(where.results, replace(head(), goal=goal)) as writer, stopped as caught, resumable(writer, where):
        raise stop
    line = str(caught.value).rpartition("to resume: ")[2]
    options = ["--results", str(where.results), "--cache-dir", str(where.cache)]
    assert shlex.split(line) == ["phonebench", command, f"--resume={RUN}", *options]


def test_defaults_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for cache in (None, cache_folder(None)):
        where = places(Path("results"), cache)
        with create_run(where.results, head()) as writer:
            assert where.how_to_resume(writer.head) == f"to resume: phonebench run --resume={RUN}"
        (where.results / RUN / "run.json").unlink()


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with (
        create_run(tmp_path, head()) as writer,
        pytest.raises(PhonebenchError, match="^something else$"),
        resumable(writer, places(tmp_path, None)),
    ):
        raise OTHER


@pytest.mark.parametrize(
    ("lack", "words"),
    [
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "cannot start another process or thread"),
        (RuntimeError("can't start new thread"), "cannot start another process or thread"),
        (MemoryError(), "no memory left"),
    ],
)
def test_what_the_computer_lacks_is_no_bug_and_the_run_can_be_resumed(
    lack: Exception, words: str, tmp_path: Path
) -> None:
    with (
        create_run(tmp_path, head()) as writer,
        pytest.raises(IncompleteError, match=words) as caught,
        resumable(writer, places(tmp_path, None)),
    ):
        raise lack
    assert f"to resume: phonebench run --resume={RUN}" in str(caught.value)


def test_outside_a_run_it_is_no_bug_either() -> None:
    words, code = blame(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert code == 20
    assert words.startswith("this computer has no memory left: ")
    assert words.endswith(", and run the command again")
    assert blame(ValueError("x"))[0].startswith("a bug in phonebench: ValueError: x")
