"""pymobiledevice3 in its own environment and process, for tests of the virtual iPhone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.viphone.usbmuxd import Usbmuxd

PROGRAM = Path(__file__).with_name("library_calls.py")


class LibraryError(Exception):
    """The library raised; ``name`` is the class."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Library:
    """The process until the ``with`` block ends. ``home`` takes what the library stores."""

    def __init__(self, python: Path, home: Path) -> None:
        self._python, self._home = python, home
        self._log = home / "library.log"

    def __enter__(self) -> Self:
        """Start it; the first call waits for its imports."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, PROGRAM],
                env=os.environ | {"HOME": str(self._home)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def call(self, daemon: Usbmuxd, do: str, **more: Any) -> Any:
        """Have it do something; raises `LibraryError` with what it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, "usbmuxd": daemon.address, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._log.read_text(errors="replace")[-2000:]
        answer = json.loads(line)
        if "error" in answer:
            raise LibraryError(answer["error"], answer["text"])
        return answer["ok"]
