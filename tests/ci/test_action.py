"""The GitHub action and the GitLab recipe: valid by the published schemas, and their steps run against fakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.conftest import MISSING, call_phonebench

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".ci" / "action"
GITLAB = ROOT / ".ci" / "gitlab" / "comment.py"
DEADLINE_S = 300

if shutil.which("jq") is None:
    pytest.skip(f"{MISSING}jq; run: apt-get install jq", allow_module_level=True)


def checked(file: Path, schema: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def test_the_action_is_valid_by_the_published_schema(tmp_path: Path) -> None:
    done = checked(ACTION / "action.yml", "vendor.github-actions")
    assert done.returncode == 0, done.stdout
    # And the schema would find a mistake.
    broken = tmp_path / "action.yml"
    broken.write_text((ACTION / "action.yml").read_text().replace("using: composite", "using: compsite"))
    assert checked(broken, "vendor.github-actions").returncode == 1


def recipes(language: str) -> list[str]:
    """The YAML of the documentation of that kind, recognised by its first line."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
    return [block for block in blocks if block.startswith(f"# {language}")]


@pytest.mark.parametrize(
    ("language", "schema"), [(".github/workflows", "vendor.github-workflows"), (".gitlab-ci.yml", "vendor.gitlab-ci")]
)
def test_the_recipes_of_the_documentation_are_valid(tmp_path: Path, language: str, schema: str) -> None:
    for number, recipe in enumerate(recipes(language), 1):
        file = tmp_path / f"{number}.yml"
        file.write_text(recipe)
        done = checked(file, schema)
        assert done.returncode == 0, done.stdout
    assert recipes(language)


def test_the_action_and_its_script_have_the_same_steps_and_variables() -> None:
    steps = yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]
    script = (ACTION / "steps.sh").read_text()
    for step in (step for step in steps if "run" in step):
        name = step["run"].split()[-1]
        body = re.search(rf"^{name}\(\) \{{\n(.*?)^\}}", script, re.DOTALL | re.MULTILINE)
        assert body is not None, name
        # No input is written into a command, where it could be one.
        assert "${{" not in step["run"]
        for variable in step["env"]:
            assert variable in ("PYTHON", "GH_TOKEN") or f"${variable}" in body[1] or f"${{{variable}" in body[1], (
                variable
            )
    inputs = yaml.safe_load((ACTION / "action.yml").read_text())["inputs"]
    page = (ROOT / "docs" / "ci.md").read_text()
    assert not [name for name in inputs if f"`{name}`" not in page]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a workflow: its folder, its environment, and a fake ``gh`` with a state of its own."""

    folder: Path
    environment: dict[str, str]

    @property
    def gh(self) -> Path:
        return self.folder / "gh"

    def step(self, name: str, *, code: int = 0, **variables: str) -> dict[str, str]:
        """Run a step in bash as GitHub does, and return its outputs."""
        file = self.folder / "output"
        file.write_text("")
        given = os.environ | self.environment | {"GITHUB_OUTPUT": str(file)} | variables
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(ACTION / "steps.sh"), name]
        done = subprocess.run(
            command, cwd=self.folder, env=given, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        outputs = dict(line.split("=", 1) for line in file.read_text().splitlines())
        return outputs | {"log": done.stdout + done.stderr}

    def measure(self, spec: str) -> dict[str, str]:
        return self.step("measure", SPEC=spec)

    def comments(self) -> dict[int, str]:
        """The comments of the pull request."""
        found = [json.loads(file.read_text()) for file in (self.gh / "comments").iterdir()]
        return {one["id"]: one["body"] for one in found}

    def say(self, number: int, body: str, login: str) -> None:
        """Somebody comments."""
        (self.gh / "comments" / str(number)).write_text(
            json.dumps({"id": number, "body": body, "user": {"login": login}})
        )


@pytest.fixture
def job(tmp_path: Path, working_cache: Path) -> Job:
    programs = tmp_path / "bin"
    programs.mkdir()
    gh = programs / "gh"
    gh.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("fake_gh.py")}" "$@"\n')
    gh.chmod(0o755)
    (tmp_path / "gh" / "comments").mkdir(parents=True)
    (tmp_path / "gh" / "runs" / "main").mkdir(parents=True)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHON": sys.executable,
        "PHONEBENCH_CACHE": str(working_cache),
        "RESULTS": str(tmp_path / "results"),
        "NAME": "phonebench",
        "MARGIN": "3",
        "BASE_RUN": "",
        "GH_TOKEN": "token",
        "FAKE_GH": str(tmp_path / "gh"),
        "PULL_REQUEST": "7",
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_ACTION_PATH": str(ACTION),
        "GITHUB_REPOSITORY": "me/app",
        "GITHUB_BASE_REF": "main",
        "GITHUB_WORKFLOW": "benchmark",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_RUN_ID": "42",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    return Job(folder=tmp_path, environment=environment)


SPEC = "digits -d fake -f onnx -v fp32"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, working_cache: Path) -> Path:
    """The folder of a run of several launches."""
    folder = tmp_path_factory.mktemp("stored")
    places = {"PHONEBENCH_CACHE": str(working_cache)}
    done = call_phonebench("run", *SPEC.split(), "--profile", "standard", cwd=folder, env=places)
    assert done.code == 0, done.err
    (run,) = (folder / "results").glob("*/run.json")
    return run.parent


def test_a_pull_request_is_compared_with_its_base_branch_in_one_comment(job: Job, stored: Path) -> None:
    base = stored.name
    # The newest run of the branch has no artifact any more; the one before has.
    (job.gh / "runs" / "main" / "12").mkdir()
    # A pull request from a fork, whose branch is called main as well.
    shutil.copytree(stored, job.gh / "runs" / "main" / "13" / "phonebench" / "forged")
    (job.gh / "runs" / "main" / "13" / "event").write_text("pull_request")
    shutil.copytree(stored, job.gh / "runs" / "main" / "11" / "phonebench" / base)

    measured = job.measure(f"{SPEC} --profile standard")
    assert measured["code"] == "0"
    assert (job.folder / measured["report"]).is_file()
    found = job.step("base")["base"]
    assert Path(found).name == base
    compared = job.step("compare", RUN=measured["run"], BASE=found)
    assert compared["verdict"] == "equivalent"
    suite = ElementTree.parse(job.folder / "results" / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")
    assert int(suite.get("tests") or 0) >= 2
    assert "Equivalent" in (job.folder / "summary.md").read_text()

    # Others may write the marker too: their comments are not ours to change.
    job.say(1, "first!", "ana")
    job.say(2, "<!-- phonebench: phonebench --> mine", "mallory")
    job.step("comment")
    (written,) = set(job.comments()) - {1, 2}
    assert "actions/runs/42" in job.comments()[written]
    assert "**Equivalent: 1 equivalent**" in job.comments()[written]
    (job.folder / "results" / "comment.md").write_text("**second**\n")
    job.step("comment")
    assert set(job.comments()) == {1, 2, written}
    assert "**second**" in job.comments()[written]
    assert job.comments()[2].endswith("mine")
    # Another use of the action in the same workflow has a comment of its own.
    job.step("comment", NAME="other")
    assert len(job.comments()) == 4
    job.step("verdict", FAIL="true", CODE="0", VERDICT="equivalent")


def test_a_regression_is_said_with_its_interval_and_fails_the_job_last(job: Job, stored: Path) -> None:
    renamed = shutil.copytree(stored, job.folder / "base" / stored.name)
    text = (renamed / "measurements.jsonl").read_text()
    (renamed / "measurements.jsonl").write_text(faster(text))
    shutil.copytree(stored, job.folder / "results" / stored.name)
    new = stored.name
    compared = job.step("compare", RUN=new, BASE=str(renamed))
    assert compared["verdict"] == "regressed"
    comment = (job.folder / "results" / "comment.md").read_text()
    assert comment.startswith("**Regressed: 1 regressed**")
    assert re.search(r"\| latency \| .* \| \+\d+\.\d % \| \+\d+\.\d % to \+\d+\.\d % \| regressed \|", comment)
    suite = ElementTree.parse(job.folder / "results" / "junit.xml").getroot()
    assert suite.get("failures") == "1"
    (failure,) = suite.iter("failure")
    assert "95 % interval" in failure.get("message", "")
    job.step("verdict", code=10, FAIL="true", CODE="0", VERDICT="regressed")
    job.step("verdict", FAIL="false", CODE="0", VERDICT="regressed")


def faster(text: str) -> str:
    """A run that took half the time: latencies are the only figures with these names."""
    names = ("median_ns", "low_ns", "high_ns", "mean_ns", "min_ns", "p90_ns")
    return re.sub(rf'"({"|".join(names)})": ?([\d.]+)', lambda m: f'"{m[1]}":{int(float(m[2]) / 2)}', text)


def test_the_first_run_has_nothing_to_compare_with(job: Job, stored: Path) -> None:
    shutil.copytree(stored, job.folder / "results" / stored.name)
    found = job.step("base")
    assert "base" not in found
    assert "has no stored run named phonebench yet" in found["log"]
    compared = job.step("compare", RUN=stored.name, BASE="")
    assert compared["verdict"] == "none"
    assert ElementTree.parse(job.folder / "results" / "junit.xml").getroot().get("tests") == "1"
    job.step("comment")
    (body,) = job.comments().values()
    assert "Measured, and not compared" in body
    assert "base" not in job.step("base", GITHUB_BASE_REF="")
    assert job.step("base", BASE_RUN="some/folder")["base"] == "some/folder"


def test_a_pull_request_from_a_fork_may_not_comment_and_does_not_fail(job: Job) -> None:
    (job.gh / "fork").touch()
    (job.folder / "results").mkdir()
    (job.folder / "results" / "comment.md").write_text("**Equivalent**\n")
    assert "pull requests from forks may not" in job.step("comment")["log"]
    assert "cannot be read" in job.step("comment", GH_TOKEN="")["log"]
    assert job.comments() == {}


def test_a_run_that_cannot_begin_fails_at_once_and_one_that_lost_its_device_last(job: Job, stored: Path) -> None:
    # The run of another job, which must not be taken for ours.
    shutil.copytree(stored, job.folder / "results" / stored.name)
    assert "ended with exit code 2" in job.step("measure", code=2, SPEC="digits --no-such-option")["log"]
    # Nothing in a spec is read by a shell.
    job.step("measure", code=2, SPEC="digits; touch pwned $(touch pwned) `touch pwned`")
    assert not (job.folder / "pwned").exists()
    measured = job.measure("digits -d fake:lost -f onnx -v fp32 --launches 4")
    assert measured["code"] == "20"
    assert "3 or 20: a device" in job.step("verdict", code=20, FAIL="true", CODE="20", VERDICT="none")["log"]


def test_an_unknown_step(job: Job) -> None:
    assert "usage: steps.sh" in job.step("deploy", code=2)["log"]


class _GitLab(BaseHTTPRequestHandler):
    """Notes of one merge request, a hundred a page."""

    notes: list[dict[str, Any]]

    def do_GET(self) -> None:
        if self.path == "/api/v4/user":
            self._answer({"username": "bot"})
            return
        page = int(re.findall(r"[?&]page=(\d+)", self.path)[0])
        self._answer(self.notes[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        assert self.path == "/api/v4/projects/5/merge_requests/7/notes"
        self.notes.append({"id": 1000 + len(self.notes), "body": self._body(), "author": {"username": "bot"}})
        self._answer({})

    def do_PUT(self) -> None:
        note = next(note for note in self.notes if note["id"] == int(self.path.rpartition("/")[2]))
        note["body"] = self._body()
        self._answer({})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Say nothing."""

    def _body(self) -> str:
        text: str = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        return text

    def _answer(self, value: object) -> None:
        allowed = self.headers["PRIVATE-TOKEN"] == "token"
        data = json.dumps(value if allowed else {"message": "401 Unauthorized"}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def gitlab(notes: list[dict[str, Any]]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_GitLab,), {"notes": notes}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v4"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_merge_request_has_one_note_that_is_updated_in_place(tmp_path: Path) -> None:
    notes: list[dict[str, Any]] = [{"id": n, "body": "chat", "author": {"username": "ana"}} for n in range(150)]
    notes[3] = {"id": 3, "body": "<!-- phonebench: night --> mine", "author": {"username": "mallory"}}
    file = tmp_path / "comment.md"

    def call(url: str, words: str, token: str = "token") -> subprocess.CompletedProcess[str]:
        file.write_text(words)
        job = {"CI_API_V4_URL": url, "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "7"}
        environment = os.environ | job | {"PHONEBENCH_GITLAB_TOKEN": token}
        command = [sys.executable, str(GITLAB), "night", str(file)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    with gitlab(notes) as url:
        assert call(url, "**first**").returncode == 0
        assert call(url, "**second**").returncode == 0
        refused = call(url, "**third**", token="wrong")
    assert (refused.returncode, "check PHONEBENCH_GITLAB_TOKEN" in refused.stderr) == (1, True)
    assert len(notes) == 151
    assert notes[-1]["body"] == "<!-- phonebench: night -->\n### night\n\n**second**"
    assert notes[3]["body"].endswith("mine")
    assert call(url, "**fourth**").returncode == 1
