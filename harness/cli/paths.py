"""The type of every option that takes a path: what the system cannot use is refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class PathType(click.Path):
    """A path that need not exist, as `pathlib.Path`; one that no file can ever have is a usage error."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, ``~`` as typed. Raises `click.BadParameter` naming the option."""
        from harness.system.paths import path_problem, shortened

        if problem := path_problem(value):
            self.fail(f"cannot use the path {shortened(value)!r}: {problem}", param, ctx)
        return super().convert(value, param, ctx)


class HistoryType(click.ParamType[str]):
    """A history: a database URL, or a file, whose path is checked as `PathType` does."""

    name = "FILE|URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is. Raises `click.BadParameter` naming the option."""
        text = str(value)
        if "://" not in text:
            PATH.convert(text, param, ctx)
        return text


PATH = PathType()
HISTORY = HistoryType()
