"""Firebase Test Lab, through the user's ``gcloud``: a game loop, in which an app that carries its job starts itself.

There is no host beside the phone. Test Lab installs the app and starts one activity of it per scenario, which is one
launch here, and keeps the file that each scenario writes. An app holds one runtime, so a job with files of several
formats is several matrices.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.clouds import gcloud
from harness.clouds.cloud import FINAL, CloudApp, CloudJob, CloudProgress, CloudState
from harness.errors import CloudError, UsageError

# What a matrix on real phones may take, and hold, at most (`gcloud firebase test android run --help`).
MOST_MINUTES, MOST_LAUNCHES = 45, 1024
TICKET = "firebase:"
RESULTS_FOLDER = "game_loop_results"
_CREATED = re.compile(r"Test \[(matrix-[^\]\s]+)\] has been created")
_TICKET = re.compile(r"firebase:(?P<project>[^/\s]+)/(?P<matrices>matrix-[\w.-]+(?:\+matrix-[\w.-]+)*)")
# The states of `TestState` in the Testing API, except for FINISHED, whose outcome decides.
_STATES = {
    "VALIDATING": CloudState.WAITING,
    "PENDING": CloudState.WAITING,
    "RUNNING": CloudState.RUNNING,
    "CANCELLED": CloudState.STOPPED,
    "ERROR": CloudState.FAILED,
    "INVALID": CloudState.FAILED,
    "UNSUPPORTED_ENVIRONMENT": CloudState.FAILED,
    "INCOMPATIBLE_ENVIRONMENT": CloudState.FAILED,
    "INCOMPATIBLE_ARCHITECTURE": CloudState.FAILED,
}
# What a phone leaves below its own folder: the results, what was pulled from it, and its log.
_LEFT = re.compile(rf"(?P<root>gs://.+?)/(?P<name>{RESULTS_FOLDER}|artifacts|logcat)(?:/.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirebaseTestLab:
    """A project of Test Lab, that of gcloud if empty. ``bucket`` is where results go, empty for the project's own."""

    project: str = ""
    bucket: str = ""

    def submit(self, job: CloudJob) -> str:
        """Start one matrix per app, and return a ticket for all. Raises `CloudError`; then none is left running."""
        project = gcloud.access(self.project).project
        if not project:
            msg = "gcloud has no project: give --project ID, or run: gcloud config set project ID"
            raise CloudError(msg)
        matrices: list[str] = []
        try:
            for app in job.apps:
                matrices.append(self._start(job, app, project))
        except BaseException:
            # Also an interrupted upload: a matrix that nobody has the ticket of would run, and cost, all the same.
            for matrix in matrices:
                with contextlib.suppress(CloudError):
                    gcloud.cancel_matrix(gcloud.access(project), matrix)
            raise
        return make_ticket(project, matrices)

    def poll(self, ticket: str) -> CloudProgress:
        """Return how far the matrices have got. Raises `CloudError`."""
        return _together([progress_of(matrix) for matrix in _matrices(ticket)])

    def cancel(self, ticket: str) -> None:
        """Stop the matrices. Raises `CloudError`."""
        project, names = read_ticket(ticket)
        access = gcloud.access(project)
        for name in names:
            gcloud.cancel_matrix(access, name)

    def fetch(self, ticket: str, folder: Path) -> Path:
        """Download what the phones left into ``folder``, each phone's into one of its own, and return ``folder``.

        Raises `CloudError` if they left nothing.
        """
        project, _ = read_ticket(ticket)
        roots: list[str] = []
        reasons: list[str] = []
        for matrix in _matrices(ticket):
            where = ((matrix.get("resultStorage") or {}).get("googleCloudStorage") or {}).get("gcsPath")
            if isinstance(where, str) and where.startswith("gs://"):
                roots += _download(where.rstrip("/"), project, folder, first=len(roots))
            reasons.append(progress_of(matrix).words)
        if not roots:
            msg = f"the job left no results ({'; '.join(reasons)}): its log in the console of Firebase says more"
            raise CloudError(msg)
        return folder

    def _start(self, job: CloudJob, app: CloudApp, project: str) -> str:
        words = [*_WORDS, f"--app={app.path}", f"--device=model={job.phone},version={job.version}"]
        words += [f"--timeout={job.minutes}m", f"--client-details=matrixLabel={job.name}"]
        words += [f"--scenario-numbers={','.join(str(number) for number in range(1, app.launches + 1))}"]
        # The second way out of the results, should the first one fail on some phone.
        words += [f"--directories-to-pull=/sdcard/Android/data/{app.app_id}/files/jobs"]
        words += [f"--results-bucket={self.bucket}"] if self.bucket else []
        printed = gcloud.run(*words, project=project, seconds=gcloud.TRANSFER_S)
        created = _CREATED.search(printed.err)
        # gcloud also waits for the first signs of life. If that fails, the matrix runs, and costs, all the same.
        if created and (not printed.code or "failed during validation" not in printed.err):
            return created[1]
        if printed.code:
            refusal = gcloud.refused("start the test", printed)
            raise refusal
        msg = (
            "gcloud's answer is incomplete: it names no matrix; look in the console of Firebase whether one is running"
        )
        raise CloudError(msg)


# Nothing that runs on the phone besides, and no second try: slow runs would be repeated until one is fast.
_WORDS = (
    *("firebase", "test", "android", "run", "--type=game-loop", "--async", "--format=json"),
    *("--num-flaky-test-attempts=0", "--no-record-video", "--no-performance-metrics", "--no-auto-google-login"),
)


def make_ticket(project: str, matrices: Sequence[str]) -> str:
    """Return the ticket of matrices of a project."""
    return f"{TICKET}{project}/{'+'.join(matrices)}"


def read_ticket(ticket: str) -> tuple[str, tuple[str, ...]]:
    """Return the project and the matrices of a ticket. Raises `UsageError`."""
    match = _TICKET.fullmatch(ticket)
    if match is None:
        msg = f"{ticket!r} is not a ticket of Firebase Test Lab: give firebase:PROJECT/matrix-…, as cloud run prints it"
        raise UsageError(msg)
    return match["project"], tuple(match["matrices"].split("+"))


def _matrices(ticket: str) -> list[dict[str, Any]]:
    project, names = read_ticket(ticket)
    access = gcloud.access(project)
    return [gcloud.matrix(access, name) for name in names]


def progress_of(matrix: dict[str, Any]) -> CloudProgress:
    """Read the state of a matrix; the words are those of the service, from the matrix and its executions.

    Raises `CloudError` for a matrix without a state, or in one that is not known, which may or may not be final.
    """
    state = matrix.get("state")
    if not isinstance(state, str) or not state:
        msg = "Firebase Test Lab's answer is incomplete: the matrix has no state; try again"
        raise CloudError(msg, passing=True)
    outcome = str(matrix.get("outcomeSummary") or "")
    words = " ".join(part.lower() for part in (state, outcome) if part)
    details = "; ".join(dict.fromkeys(_details(matrix)))
    words = f"{words}: {details}" if details else words
    if state == "FINISHED":
        done = outcome == "SUCCESS"
        return CloudProgress(state=CloudState.DONE if done else CloudState.FAILED, words=words)
    progress = _STATES.get(state)
    if progress is None:
        msg = (
            f"Firebase Test Lab reports the state {state!r}, which this phonebench does not know: look at the matrix "
            "in the console of Firebase, or update phonebench"
        )
        raise CloudError(msg)
    if progress is CloudState.WAITING and any(one.get("state") == "RUNNING" for one in _executions(matrix)):
        progress = CloudState.RUNNING
    return CloudProgress(state=progress, words=words)


def _executions(matrix: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in matrix.get("testExecutions") or () if isinstance(one, dict)]


def _details(matrix: dict[str, Any]) -> list[str]:
    """Why a matrix is invalid, and what its executions say: why they failed, or what they do now."""
    said = [
        ": ".join(str(one[name]) for name in ("reason", "message") if one.get(name))
        for one in matrix.get("extendedInvalidMatrixDetails") or ()
    ]
    if not said and matrix.get("invalidMatrixDetails"):
        said = [str(matrix["invalidMatrixDetails"])]
    for execution in _executions(matrix):
        details = execution.get("testDetails") or {}
        state = str(execution.get("state") or "")
        if state.startswith(("UNSUPPORTED", "INCOMPATIBLE")):
            said.append(state.lower().replace("_", " "))
        if details.get("errorMessage"):
            said.append(str(details["errorMessage"]))
        elif matrix.get("state") not in ("FINISHED", "CANCELLED"):
            said += [str(message).strip() for message in (details.get("progressMessages") or ())[-1:]]
    return [text for text in said if text]


def _together(parts: Sequence[CloudProgress]) -> CloudProgress:
    """Return the progress of a job: it ends when all of its matrices have ended, with the worst of their states."""
    words = "; ".join(dict.fromkeys(part.words for part in parts))
    states = [part.state for part in parts]
    if all(state in FINAL for state in states):
        worst = next(s for s in (CloudState.STOPPED, CloudState.FAILED, CloudState.DONE) if s in states)
        return CloudProgress(state=worst, words=words)
    waiting = all(state is CloudState.WAITING for state in states)
    return CloudProgress(state=CloudState.WAITING if waiting else CloudState.RUNNING, words=words)


def _download(where: str, project: str, folder: Path, *, first: int) -> list[str]:
    """Download what each phone left below ``where``, into folders that are numbered from ``first``."""
    printed = gcloud.run("storage", "ls", f"{where}/**", project=project)
    if printed.code and "matched no objects" not in printed.err:
        refusal = gcloud.refused(f"list {where}", printed)
        raise refusal
    matches = [match for line in printed.out.splitlines() if (match := _LEFT.fullmatch(line.strip()))]
    left = list(dict.fromkeys((match["root"], match["name"]) for match in matches))
    roots = list(dict.fromkeys(root for root, _ in left))
    for number, root in enumerate(roots, first):
        target = folder / str(number)
        target.mkdir(parents=True, exist_ok=True)
        sources = [f"{root}/{name}" for name in (name for its, name in left if its == root)]
        words = ("storage", "cp", "--recursive", *sources, f"{target}/")
        gcloud.ask("fetch the results", *words, project=project, seconds=gcloud.TRANSFER_S)
    return roots
