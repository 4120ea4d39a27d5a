"""Where files are by default, and what is wrong with a path. Every command needs it, so it imports next to nothing."""

from __future__ import annotations

from pathlib import Path

# Where runs are kept unless somebody says otherwise: in the working folder.
DEFAULT_RESULTS = Path("results")


def cache_folder(cache_dir: Path | None) -> Path:
    """Return the cache folder: ``cache_dir``, or if None the system's place for a user's caches."""
    if cache_dir is not None:
        return cache_dir
    from platformdirs import user_cache_path

    return user_cache_path("phonebench")


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
