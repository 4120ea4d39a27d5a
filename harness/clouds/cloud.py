"""What a cloud is asked, and what every kind of cloud can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

# The archive that a job leaves behind, and in it the run's folder and the exit code of phonebench.
RESULT_FILE = "phonebench-results.tar.gz"
EXIT_CODE_FILE = "exit-code"


class CloudName(StrEnum):
    """The clouds."""

    AWS = "aws"
    FIREBASE = "firebase"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudApp:
    """A runner app to send. One that carries its job has ``launches`` launches in it; ``app_id`` is its id then."""

    path: Path
    app_id: str = ""
    launches: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudJob:
    """A job: the runner apps to send, the phone to run on, and how long it may take.

    ``package`` and ``test_spec`` are for a cloud with a host beside the phone: phonebench itself, and what starts it.
    ``version`` is the API level of Android, for a cloud where it can be chosen.
    """

    name: str
    apps: tuple[CloudApp, ...]
    phone: str
    minutes: int
    version: str = ""
    package: Path | None = None
    test_spec: str = ""


class CloudState(StrEnum):
    """How far a job has got. The last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


FINAL = (CloudState.DONE, CloudState.FAILED, CloudState.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudProgress:
    """The state of a job, and what the cloud says about it in its own words."""

    state: CloudState
    words: str = ""


class BatchCloud(Protocol):
    """A cloud that takes jobs. Each method raises `CloudError` with a sentence.

    ``CloudError.passing`` says that the same question may be answered later.
    """

    def submit(self, job: CloudJob) -> str:
        """Send a job and return its ticket, which names it from then on."""

    def poll(self, ticket: str) -> CloudProgress:
        """Return how far a job has got."""

    def cancel(self, ticket: str) -> None:
        """Stop a job. One that has ended is no error."""

    def fetch(self, ticket: str, folder: Path) -> Path:
        """Download what a job left behind into ``folder``, and return the path of it: an archive, or the folder."""
