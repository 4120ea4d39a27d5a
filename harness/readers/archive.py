"""Reads members of a zip archive that somebody else made: bounded, and with one kind of error."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

# The pickles and the code of a large TorchScript file have a few megabytes; its weights are never read.
MOST_BYTES = 256 << 20


def read_members(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the content of the members whose names ``wanted`` accepts, in the order of the archive.

    Raises `ValueError` if it is no archive, is damaged or encrypted, or if the members are larger than `MOST_BYTES`
    together: a few kilobytes can unpack to gigabytes. Raises `OSError` if the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            chosen = [entry for entry in archive.infolist() if wanted(entry.filename)]
            if sum(entry.file_size for entry in chosen) > MOST_BYTES:
                msg = f"its members would unpack to more than {MOST_BYTES >> 20} MiB"
                raise ValueError(msg)
            # A member whose stated size is too small ends there, and its checksum is then wrong.
            return {entry.filename: archive.read(entry) for entry in chosen}
    except (OSError, ValueError):
        raise
    # Damaged archives raise errors of many kinds, also those of the compression in them.
    except Exception as error:
        msg = f"it is no zip archive, or it is damaged: {error}"
        raise ValueError(msg) from error
