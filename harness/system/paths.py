"""Says what is wrong with a path. It imports next to nothing, because every command checks its paths first."""

from __future__ import annotations

from pathlib import Path


def path_problem(path: Path | str) -> str | None:
    """Return why the system cannot use ``path`` at all, or None; a path where nothing is yet has no problem.

    Problems are a name that is too long, a loop of links, a folder that may not be searched, a null byte, and a ``~``
    with an unknown user.
    """
    try:
        Path(path).expanduser().stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return (error.strerror or str(error)).lower()
    except (ValueError, RuntimeError) as error:
        return str(error)
    return None


def shortened(path: Path | str, most: int = 80) -> str:
    """Return ``path`` for a message, its middle left out when it has more than ``most`` characters."""
    text = str(path)
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2) :]}"
