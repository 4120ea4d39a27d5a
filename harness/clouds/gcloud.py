"""The user's own ``gcloud``: runs its commands, and puts what it refuses into a sentence.

Its account, its project and its endpoints are those that the user has set; nothing is stored here. It has no command
that looks at a matrix or cancels one, so that goes to the same service by HTTPS, with the token that it lends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from harness.errors import CloudError
from harness.system.addresses import is_loopback

TESTING_URL = "https://testing.googleapis.com/"
_PROGRAM = "gcloud"
# A command that only asks, and one that sends or fetches files.
ASK_S, TRANSFER_S = 120.0, 1800.0
_ANSWER_S = 60.0
_MOST_BYTES = 16 << 20
_INSTALL = "install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install), then run: gcloud auth login"

# What gcloud and the services print, what to do about it, and whether the same may work later. The first match counts.
# The words are those of Google Cloud CLI 528 and of the services' errors.
_LOGGED_OUT = ("active account", "gcloud auth login", "Reauthentication", "invalid_grant")
_NO_PROJECT = ("No project specified", "property [project]", "project property")
_OFF = ("SERVICE_DISABLED", "SERVICE_NOT_ACTIVATED", "has not been used in project")
_QUOTA = ("TEST_QUOTA_EXCEEDED", "uota exceeded", "xceeded quota", "xceeds quota")
_TROUBLE = ("ResponseError 5", "HTTPError 5", "UNAVAILABLE", "DEADLINE_EXCEEDED", "nternal error")
_UNCONNECTED = ("onnection", "timed out", "Unable to find the server", "Max retries")
_KNOWN: tuple[tuple[tuple[str, ...], str, bool], ...] = (
    (_LOGGED_OUT, "run: gcloud auth login", False),
    (_NO_PROJECT, "give --project ID, or run: gcloud config set project ID", False),
    (_OFF, "run: gcloud services enable testing.googleapis.com toolresults.googleapis.com", False),
    (_QUOTA, "the tests of the project for today may be used up: try again tomorrow, or with another plan", True),
    (("billing",), "enable billing for the project, or leave out --bucket", False),
    (("429", "RESOURCE_EXHAUSTED", "rateLimitExceeded"), "try again later", True),
    (("PERMISSION_DENIED", "403", "Permission denied"), "the account needs the role Firebase Test Lab Admin", False),
    ((*_TROUBLE, *_UNCONNECTED), "try again", True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What gcloud is set to: a token that is valid for some minutes, the project, and where the service is."""

    # Not shown where a record is printed or logged.
    token: str = field(repr=False)
    project: str
    testing_url: str


def run(*words: str | Path, project: str = "", seconds: float = ASK_S, text: str = "") -> Printed:
    """Run ``gcloud`` and return what it printed, whatever its exit code.

    ``text`` is its standard input. Raises `CloudError` if there is no ``gcloud``, or if it takes longer than
    ``seconds``; then it is stopped.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        msg = f"there is no gcloud in PATH, and phonebench reaches Firebase Test Lab only through it: {_INSTALL}"
        raise CloudError(msg)
    command = [program, *map(str, words), "--quiet", *([f"--project={project}"] if project else [])]
    try:
        return _printed(command, text, seconds)
    except subprocess.TimeoutExpired as error:
        msg = f"gcloud {' '.join(map(str, words[:4]))} gave no answer within {seconds:g} s: check the connection"
        raise CloudError(msg, passing=True) from error
    except OSError as error:
        msg = f"gcloud cannot be started: {error}; {_INSTALL}"
        raise CloudError(msg) from error


def _printed(command: list[str], text: str, seconds: float) -> Printed:
    """Run a command and return what it printed. Raises `OSError` and `subprocess.TimeoutExpired`."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace", start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(text, timeout=seconds)
        except BaseException:
            # gcloud is a script that starts other programs. They would keep running if only the script ended, and as
            # they have a session of their own, Ctrl-C does not reach them.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return Printed(code=process.returncode, out=out, err=err)


def ask(what: str, *words: str | Path, project: str = "", seconds: float = ASK_S, text: str = "") -> str:
    """Run ``gcloud`` and return its standard output. ``what`` is the task, for the sentence of an error.

    Raises `CloudError`, also if the command fails.
    """
    printed = run(*words, project=project, seconds=seconds, text=text)
    if printed.code:
        raise refused(what, printed)
    return printed.out


def refused(what: str, printed: Printed) -> CloudError:
    """Return the error for a command that failed."""
    said = _errors_in(printed.err) or printed.out.strip()[-500:] or f"exit code {printed.code}"
    return explained(f"gcloud does not {what}", said)


def explained(what: str, said: str) -> CloudError:
    """Return the error for a refusal, with advice if the words of ``said`` are known ones.

    ``what`` is the beginning of its sentence.
    """
    advice, passing = next(
        ((advice, passing) for words, advice, passing in _KNOWN if any(word in said for word in words)), ("", False)
    )
    return CloudError(f"{what}: {said.rstrip('.')}{f'; {advice}' if advice else ''}", passing=passing)


def _errors_in(text: str) -> str:
    """Return the error at the end of what gcloud printed, in one line. The lines before it report progress."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if line.startswith("ERROR:")), max(len(lines) - 3, 0))
    return " ".join(dict.fromkeys(line.removeprefix("ERROR: ") for line in lines[first:]))[:1000]


def json_of(what: str, text: str) -> Any:
    """Decode the JSON that a command printed. Raises `CloudError` if it is not JSON, or incomplete."""
    try:
        return json.loads(text)
    except ValueError as error:
        # What it printed is not repeated: it may hold a token.
        msg = f"gcloud's answer about {what} is incomplete, or is not JSON ({len(text)} characters): try again"
        raise CloudError(msg, passing=True) from error


def access(project: str = "") -> Access:
    """Return the account, project and endpoint that gcloud is set to.

    Raises `CloudError` if nobody is logged in, or if its endpoint would get the token without TLS.
    """
    text = ask("log in", "config", "config-helper", "--format=json", project=project)
    return access_in(json_of("who is logged in", text), project)


def access_in(answer: Any, project: str) -> Access:
    """Return what gcloud's ``config-helper`` says, for ``project`` if that is not empty. Raises `CloudError`."""
    try:
        properties = answer["configuration"]["properties"]
        token = answer["credential"]["access_token"]
        core, endpoints = properties.get("core") or {}, properties.get("api_endpoint_overrides") or {}
        given = Access(
            token=str(token),
            project=project or str(core.get("project") or ""),
            testing_url=str(endpoints.get("testing") or TESTING_URL),
        )
    except (KeyError, TypeError, AttributeError) as error:
        msg = "gcloud config config-helper does not say who is logged in: update it with gcloud components update"
        raise CloudError(msg) from error
    _check_endpoint(given.testing_url)
    return given


def _check_endpoint(url: str) -> None:
    """Raise `CloudError` unless a token stays secret on the way to ``url``: by TLS, or on this computer."""
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        safe = False
    if not safe:
        msg = (
            f"gcloud is set to the endpoint {url!r}, which would get your token without TLS; "
            "run: gcloud config unset api_endpoint_overrides/testing"
        )
        raise CloudError(msg)


def matrix(given: Access, matrix_id: str) -> dict[str, Any]:
    """Return the test matrix of that id as the service describes it. Raises `CloudError`."""
    return _call(given, f"{quote(matrix_id, safe='')}", "GET", f"show the matrix {matrix_id}")


def cancel_matrix(given: Access, matrix_id: str) -> None:
    """Stop a matrix; one that has ended is no error. Raises `CloudError`."""
    _call(given, f"{quote(matrix_id, safe='')}:cancel", "POST", f"stop the matrix {matrix_id}")


def _call(given: Access, path: str, method: str, what: str) -> dict[str, Any]:
    url = f"{given.testing_url.rstrip('/')}/v1/projects/{quote(given.project, safe='')}/testMatrices/{path}"
    # With a user's own account, the project that pays for a call must be named.
    headers = {"Accept": "application/json", "x-goog-user-project": given.project}
    request = urllib.request.Request(url, b"" if method == "POST" else None, headers, method=method)
    # Not to where an answer may redirect: the token is for this service alone.
    request.add_unredirected_header("Authorization", f"Bearer {given.token}")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            data = answer.read(_MOST_BYTES)
    except urllib.error.HTTPError as error:
        raise _http_error(error, what) from error
    except (OSError, HTTPException) as error:
        msg = f"Firebase Test Lab does not {what}: {error}; try again"
        raise CloudError(msg, passing=True) from error
    try:
        decoded = json.loads(data)
    except ValueError as error:
        msg = f"Firebase Test Lab does not {what}: its answer is incomplete, or is not JSON; try again"
        raise CloudError(msg, passing=True) from error
    return decoded if isinstance(decoded, dict) else {}


def _http_error(error: urllib.error.HTTPError, what: str) -> CloudError:
    try:
        facts = json.loads(error.read(10_000))["error"]
        said = f"{facts.get('status') or ''} {error.code}: {facts.get('message') or error.reason}".strip()
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        said = f"{error.code}: {error.reason}"
    refusal = explained(f"Firebase Test Lab does not {what}", said)
    return CloudError(str(refusal), passing=refusal.passing or error.code == 429 or error.code >= 500)
