"""Build workers seen from the parent: whatever a worker does, its task gets a result and the next task is done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.artifacts.cache import LOG_SECONDS, MANIFEST_FILE, Cache
from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.workers.describe import crashing
from harness.artifacts.workers.pool import COMMAND, Crew, run_groups
from harness.artifacts.workers.schedule import Group
from harness.artifacts.workers.tasks import PrepareTask, WorkerResult, WorkerTask, decode_result, encode_line
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.system.files import file_sha256
from tests.artifacts.builders import CARD, make_manifest, make_prepared
from tests.model.folders import NETWORK, make_folder

# Answers each task with its key and the worker's process id. Some keys make it misbehave.
PROGRAM = """
import json, os, shutil, signal, sys, time
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
for line in sys.stdin:
    key = json.loads(line)["prepare"]["key"]
    if key in ("die", "litter"):
        if key == "litter":
            os.mkdir(os.path.join(os.path.dirname(sys.argv[1]), "..", "staging", f"ab-{os.getpid()}-cd"))
        os.kill(os.getpid(), signal.SIGKILL)
    if key in ("crash", "oom"):
        root = os.path.join(os.path.dirname(sys.argv[1]), "..")
        shutil.copytree(os.path.join(root, "template"), os.path.join(root, "staging", f"ab-{os.getpid()}-cd"))
        os.kill(os.getpid(), signal.SIGSEGV if key == "crash" else signal.SIGKILL)
    if key == "exit":
        sys.exit(7)
    if key == "starved":
        dump = "\\n".join(f"  File {i} in forward" for i in range(1000))
        open(sys.argv[1], "a").write(f"terminate called after throwing an instance of 'std::bad_alloc'\\n{dump}\\n")
        os.abort()
    if key == "hang":
        time.sleep(600)
    said = {"failure": {"message": f"{key} by {os.getpid()}", "log": ""}}
    print({"rubbish": "Converting…", "half": '{"failure": {', "wrong": '{"failure": 3}'}.get(key) or json.dumps(said))
    sys.stdout.flush()
"""


class StopError(Exception):
    """What a report raises in these tests."""


def tasks(*keys: str) -> tuple[WorkerTask, ...]:
    return tuple(WorkerTask(prepare=PrepareTask(card=CARD, key=key, cache_root="")) for key in keys)


def group(*keys: str, after: tuple[str, ...] = ()) -> Group:
    """A group named after its first key."""
    return Group(name=keys[0], tasks=tasks(*keys), after=after)


def crew(folder: Path, size: int = 1, *, task_seconds: float = 120) -> Crew:
    """Workers that run the program above, with a cache in ``folder``."""
    command = (sys.executable, "-I", "-S", "-c", PROGRAM)
    return Crew(warm=("",) * size, cache=Cache(folder), command=command, task_seconds=task_seconds)


def said(result: WorkerResult) -> str:
    assert result.failure is not None
    return result.failure.message


class Reports:
    """Keeps what was reported, in order. On one task it raises, once two workers have written their logs."""

    def __init__(self, fails_at: str = "", waits_for: Path | None = None) -> None:
        self.seen: list[tuple[str, WorkerResult]] = []
        self._fails_at, self._waits_for = fails_at, waits_for

    def __call__(self, task: WorkerTask, result: WorkerResult) -> None:
        assert task.prepare is not None
        if task.prepare.key == self._fails_at:
            while self._waits_for is not None and len(started(self._waits_for)) < 2:
                time.sleep(0.01)
            raise StopError
        self.seen.append((task.prepare.key, result))

    def messages(self) -> list[str]:
        return [said(result) for _, result in self.seen]


def started(folder: Path) -> list[int]:
    """The process ids of all workers that were started."""
    return [
        int(word)
        for log in sorted(folder.glob("logs/build-*.log"))
        for word in log.read_text().split()
        if word.isdigit()
    ]


def still_alive(folder: Path) -> list[int]:
    """Those workers that are still running."""
    return [pid for pid in started(folder) if _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_worker_does_the_tasks_of_a_group_in_order(tmp_path: Path) -> None:
    reports = Reports()
    run_groups([group("a", "b", "c")], crew(tmp_path), reports)
    assert [message.split()[0] for message in reports.messages()] == ["a", "b", "c"]
    assert started(tmp_path) == [int(reports.messages()[0].split()[-1])]


def test_what_waits_for_a_group_is_done_after_it(tmp_path: Path) -> None:
    reports = Reports()
    groups = [group("c", after=("a",)), group("d", after=("a",)), group("a", "b")]
    run_groups(groups, crew(tmp_path, 2), reports)
    assert [key for key, _ in reports.seen][:2] == ["a", "b"]
    assert {key for key, _ in reports.seen} == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("misdeed", "words"),
    [
        ("die", "the model worker died with SIGKILL"),
        ("exit", "the model worker ended with exit code 7 before it answered"),
        ("rubbish", "the model worker sent an invalid answer: b'Converting"),
        ("half", "sent an invalid answer"),
        ("wrong", "sent an invalid answer"),
        ("hang", "it took longer than 0.5 s and was stopped"),
    ],
)
def test_a_misdeed_costs_its_task_and_no_other(tmp_path: Path, misdeed: str, words: str) -> None:
    reports = Reports()
    run_groups([group(misdeed, "next", "last")], crew(tmp_path, task_seconds=0.5), reports)
    first, *others = reports.messages()
    assert words in first
    assert [message.split()[0] for message in others] == ["next", "last"]
    assert len(started(tmp_path)) == 2


def test_the_unfinished_entries_of_a_killed_worker_are_deleted(tmp_path: Path) -> None:
    reports = Reports()
    run_groups([group("litter", "next")], crew(tmp_path), reports)
    assert "died with SIGKILL" in reports.messages()[0]
    assert list((tmp_path / "staging").iterdir()) == []


def finished_file(folder: Path) -> Manifest:
    """Write what a worker has in its private folder while the runtime runs a finished file; return its manifest."""
    template = folder / "template"
    template.mkdir()
    (template / "model.onnx").write_bytes(b"a file that crashes its runtime")
    blank = make_manifest(file="model.onnx", sha256=file_sha256(template / "model.onnx"))
    model = make_prepared(folder / "model", np.array([[1, -np.inf], [2, 3]], dtype=np.float32))
    manifest = crashing(blank, model)
    (template / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return manifest


def test_a_file_that_crashes_its_runtime_is_broken_and_kept(tmp_path: Path) -> None:
    manifest, reports = finished_file(tmp_path), Reports()
    run_groups([group("crash", "next")], crew(tmp_path), reports)
    assert reports.seen[0][1].manifest == manifest
    assert manifest.state is ArtifactState.BROKEN
    assert "its own runtime crashed while it ran the file; the float model itself has outputs that are infinite" in (
        manifest.reason or ""
    )
    kept = Cache(tmp_path).artifact(manifest.key)
    assert kept is not None
    assert kept.path is not None
    assert kept.path.read_bytes() == b"a file that crashes its runtime"
    assert said(reports.seen[1][1]).startswith("next")


def test_a_worker_that_the_system_killed_says_nothing_about_its_file(tmp_path: Path) -> None:
    manifest, reports = finished_file(tmp_path), Reports()
    run_groups([group("oom")], crew(tmp_path), reports)
    assert "died with SIGKILL" in reports.messages()[0]
    assert Cache(tmp_path).artifact(manifest.key) is None


def test_a_worker_that_dies_for_want_of_memory_is_no_crash_of_a_converter(tmp_path: Path) -> None:
    reports = Reports()
    run_groups([group("starved", "exit", "die")], crew(tmp_path), reports)
    starved, ended, killed = reports.messages()
    assert starved.startswith("this computer has no memory left")
    assert "exit code 7" in ended, "what an earlier task said counts for that task alone"
    assert "died with SIGKILL, most likely because this computer ran out of memory" in killed


def test_a_failure_names_the_log(tmp_path: Path) -> None:
    reports = Reports()
    run_groups([group("die")], crew(tmp_path), reports)
    failure = reports.seen[0][1].failure
    assert failure is not None
    assert list((tmp_path / "logs").iterdir()) == [Path(failure.log)]


def test_builds_that_share_a_cache_have_logs_of_their_own(tmp_path: Path) -> None:
    """Two processes at the same time, as two runs on one machine."""
    code = (
        "from pathlib import Path; from tests.artifacts import test_artifact_pool as t\n"
        f"t.run_groups([t.group('die')], t.crew(Path({str(tmp_path)!r})), t.Reports())"
    )
    others = [subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in others] == [0, 0]
    logs = list((tmp_path / "logs").iterdir())
    assert len(logs) == 2
    assert all(len(log.read_text().split()) == 1 for log in logs), "one worker wrote into each"


def test_logs_that_nobody_reads_any_more_are_deleted(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for name, age_s in (("old.log", LOG_SECONDS + 60), ("new.log", LOG_SECONDS - 60)):
        (cache.logs / name).write_text("x")
        os.utime(cache.logs / name, (time.time() - age_s,) * 2)
    assert [log.name for log in Cache(tmp_path).logs.iterdir()] == ["new.log"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("hanging_first", [True, False])
def test_a_report_that_raises_ends_all_workers(tmp_path: Path, hanging_first: bool) -> None:
    reports = Reports(fails_at="fine", waits_for=tmp_path)
    groups = [group("hang"), group("fine")]
    with pytest.raises(StopError):
        run_groups(groups if hanging_first else groups[::-1], crew(tmp_path, 2), reports)
    assert reports.seen == []
    assert len(started(tmp_path)) == 2
    assert still_alive(tmp_path) == []


def test_workers_are_gone_when_the_work_is_done(tmp_path: Path) -> None:
    run_groups([group("a")], crew(tmp_path, 2), Reports())
    assert len(started(tmp_path)) == 2
    assert still_alive(tmp_path) == []


def test_what_a_model_prints_does_not_reach_the_results(tmp_path: Path) -> None:
    noisy = f'import os\nprint("loud")\nos.write(1, b"louder\\n")\n{NETWORK}'
    card = resolve(str(make_folder(tmp_path / "own", network=noisy)), ModelOptions())
    task = WorkerTask(prepare=PrepareTask(card=card, key="ab" * 32, cache_root=str(tmp_path / "cache")))
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "log"), ""], input=encode_line(task), capture_output=True, timeout=120, check=True
    )
    (line,) = done.stdout.splitlines()
    prepared = decode_result(line).prepared
    assert prepared is not None
    assert prepared.model == "own"
    assert {"loud", "louder"} <= set((tmp_path / "log").read_text().split())
