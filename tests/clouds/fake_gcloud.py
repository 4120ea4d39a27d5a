"""Google's side as far as phonebench asks it: the command ``gcloud``, and the service that shows and cancels a matrix.

The command is this file, run as a program that keeps its state in a folder. What it prints is in the shape of Google
Cloud CLI 528, and what the service answers in that of `v1/projects.testMatrices` of the Testing API. It needs nothing
but Python, and starts without the packages of the tests.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = "my-project"
BUCKET = "test-lab-1234"
STATE = "FAKE_GCLOUD"
MODELS = [
    {
        "brand": "google",
        "codename": "shiba",
        "form": "PHYSICAL",
        "formFactor": "PHONE",
        "id": "shiba",
        "manufacturer": "Google",
        "name": "Pixel 8",
        "supportedAbis": ["arm64-v8a", "34:x86_64"],
        "supportedVersionIds": ["24", "34", "33"],
    },
    {
        "form": "EMULATOR",
        "formFactor": "PHONE",
        "id": "MediumPhone.arm",
        "manufacturer": "Generic",
        "name": "MediumPhone.arm",
        "supportedAbis": ["x86_64"],
        "supportedVersionIds": ["34"],
    },
    {
        "form": "PHYSICAL",
        "formFactor": "PHONE",
        "id": "a51",
        "manufacturer": "Samsung",
        "name": "Galaxy A51",
        "supportedAbis": ["armeabi-v7a"],
        "supportedVersionIds": ["31"],
    },
    {"form": "PHYSICAL", "formFactor": "WEARABLE", "id": "watch", "name": "Watch", "supportedVersionIds": ["33"]},
]


@dataclass(slots=True, kw_only=True)
class FakeGoogle:
    """The state, in ``folder``, and the service's address. ``wrong`` are answers before the right ones."""

    folder: Path
    url: str = ""
    wrong: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which ``gcloud`` is this program."""
        return {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}", STATE: str(self.folder)}

    @property
    def calls(self) -> list[list[str]]:
        """The commands so far."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def fail(self, command: str, err: str, *, code: int = 1, out: str = "") -> None:
        """Let the next command that begins so fail."""
        (self.folder / "fail.json").write_text(json.dumps({"command": command, "code": code, "out": out, "err": err}))

    def override(self, url: str) -> None:
        """Set gcloud to another address of the service."""
        (self.folder / "url").write_text(url)

    def matrix(self, name: str) -> dict[str, Any]:
        """A matrix as the service shows it."""
        loaded: dict[str, Any] = json.loads((self.folder / "matrices" / f"{name}.json").read_text())
        return loaded

    def change(self, name: str, **facts: Any) -> None:
        """Change facts of a matrix."""
        path = self.folder / "matrices" / f"{name}.json"
        path.write_text(json.dumps(self.matrix(name) | facts))

    def forget(self, name: str, *facts: str) -> None:
        """Remove facts of a matrix."""
        path = self.folder / "matrices" / f"{name}.json"
        path.write_text(json.dumps({key: value for key, value in self.matrix(name).items() if key not in facts}))

    def app(self, name: str) -> Path:
        """The app of a matrix, as it was sent."""
        return self.folder / "apps" / f"{name}.apk"

    def left(self, name: str, phone: str = "shiba-34-en-portrait") -> Path:
        """The folder of the bucket in which a phone leaves the files of a matrix."""
        path = str(self.matrix(name)["resultStorage"]["googleCloudStorage"]["gcsPath"]).removeprefix("gs://")
        return self.folder / "bucket" / path / phone


class _Handler(BaseHTTPRequestHandler):
    google: FakeGoogle

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Say nothing."""

    def _answer(self, method: str) -> None:
        self.google.asked.append((method, self.path, self.headers["Authorization"] or ""))
        if self.google.wrong:
            self._send(*self.google.wrong.pop(0))
            return
        match = re.fullmatch(rf"/v1/projects/{PROJECT}/testMatrices/(matrix-\w+)(:cancel)?", self.path)
        if match is None or not (self.google.folder / "matrices" / f"{match[1]}.json").exists():
            self._send(
                404, json.dumps({"error": {"code": 404, "message": "no such matrix", "status": "NOT_FOUND"}}).encode()
            )
        elif match[2]:
            if self.google.matrix(match[1])["state"] in ("VALIDATING", "PENDING", "RUNNING"):
                self.google.change(match[1], state="CANCELLED")
            self._send(200, b'{"testState": "PENDING"}')
        else:
            self._send(200, json.dumps(self.google.matrix(match[1])).encode())

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status // 100 == 3:
            self.send_header("Location", data.decode())
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_google(folder: Path) -> Iterator[FakeGoogle]:
    """Put ``gcloud`` into a folder and serve on a free loopback port until the block ends."""
    for name in ("bin", "matrices", "apps", "bucket"):
        (folder / name).mkdir(parents=True)
    program = folder / "bin" / "gcloud"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -S '{Path(__file__)}' \"$@\"\n")
    program.chmod(0o755)
    google = FakeGoogle(folder=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"google": google}))
    google.url = f"http://127.0.0.1:{server.server_address[1]}/"
    (folder / "url").write_text(google.url)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# From here on, the program.


def main(words: list[str]) -> int:
    state = Path(os.environ[STATE])
    with (state / "calls.jsonl").open("a") as log:
        log.write(json.dumps(words) + "\n")
    failing = state / "fail.json"
    if failing.exists() and " ".join(words).startswith(json.loads(failing.read_text())["command"]):
        failure = json.loads(failing.read_text())
        failing.unlink()
        sys.stdout.write(failure["out"])
        sys.stderr.write(failure["err"])
        return int(failure["code"])
    options = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
    plain = [word for word in words if not word.startswith("--")]
    match plain[:2]:
        case ["config", "config-helper"]:
            return _helper(state, options)
        case ["storage", "ls"]:
            return _list(state / "bucket", plain[2])
        case ["storage", "cp"]:
            return _copy(state / "bucket", plain[2:])
    if plain == ["firebase", "test", "android", "models", "list"]:
        print(json.dumps(MODELS))
        return 0
    if plain == ["firebase", "test", "android", "run"]:
        return _start(state, options)
    sys.stderr.write(f"ERROR: (gcloud) Invalid choice: {words!r}\n")
    return 2


def _helper(state: Path, options: dict[str, str]) -> int:
    core = {"project": options.get("project", PROJECT)}
    properties = {"core": core, "api_endpoint_overrides": {"testing": (state / "url").read_text()}}
    credential = {"access_token": "the-token", "id_token": None, "token_expiry": None}
    print(json.dumps({"configuration": {"properties": properties}, "credential": credential}))
    return 0


def _start(state: Path, options: dict[str, str]) -> int:
    name = f"matrix-{len(list((state / 'matrices').iterdir()))}abc"
    device = dict(part.split("=") for part in options["device"].split(","))
    matrix = {
        "testMatrixId": name,
        "projectId": options["project"],
        "state": "PENDING",
        "testExecutions": [{"id": f"{name}_execution", "state": "PENDING", "environment": {"androidDevice": device}}],
        "resultStorage": {"googleCloudStorage": {"gcsPath": f"gs://{BUCKET}/{name}-dir/"}},
    }
    (state / "matrices" / f"{name}.json").write_text(json.dumps(matrix))
    shutil.copy(options["app"], state / "apps" / f"{name}.apk")
    folder = state / "bucket" / BUCKET / f"{name}-dir"
    folder.mkdir(parents=True)
    shutil.copy(options["app"], folder)
    sys.stderr.write(f"Uploading [{options['app']}] to Firebase Test Lab...\n")
    sys.stderr.write("Raw results will be stored in your GCS bucket at [https://console.developers.google.com/x/]\n\n")
    sys.stderr.write(f"Test [{name}] has been created in the Google Cloud.\n")
    print(json.dumps("https://console.firebase.google.com/project/my-project/testlab/histories/h/matrices/1"))
    return 0


def _list(bucket: Path, url: str) -> int:
    wanted = url.removeprefix("gs://")
    files = [str(p.relative_to(bucket)) for p in sorted(bucket.rglob("*")) if p.is_file()]
    found = [name for name in files if fnmatch.fnmatch(name, wanted)]
    print("".join(f"gs://{name}\n" for name in found), end="")
    if not found:
        sys.stderr.write("ERROR: (gcloud.storage.ls) One or more URLs matched no objects.\n")
    return 0 if found else 1


def _copy(bucket: Path, urls: list[str]) -> int:
    *sources, target = urls
    for url in sources:
        source = bucket / url.removeprefix("gs://")
        if source.is_dir():
            shutil.copytree(source, Path(target) / source.name)
        else:
            shutil.copy(source, target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
