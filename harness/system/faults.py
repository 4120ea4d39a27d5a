"""Faults of the computer: no memory, no space, no more processes. They are neither a bug nor the model's fault."""

from __future__ import annotations

import errno
import re

from harness.errors import causes_of

_MEMORY = "this computer has no memory left: close other programs, or use a smaller model"
_DISK = "there is no space left on the disk: free some"
_PROCESSES = (
    "this computer cannot start another process or thread: close other programs, or raise the limit (ulimit -u)"
)
_FILES = "too many files are open: close other programs, or raise the limit (ulimit -n)"

_BY_NUMBER = {
    errno.ENOMEM: _MEMORY,
    errno.ENOSPC: _DISK,
    errno.EDQUOT: _DISK,
    errno.EAGAIN: _PROCESSES,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
}
# Libraries and the runtimes under them report these in their own words, inside errors of many types.
_BY_WORDS = (
    (
        r"can't start new thread|thread creation failed|failed to create (?:a )?thread|pthread_create"
        r"|resource temporarily unavailable",
        _PROCESSES,
    ),
    (r"no space left on device|disk quota exceeded", _DISK),
    (r"too many open files", _FILES),
    (
        r"cannot allocate memory|can't allocate memory|unable to allocate .* for an array|not enough memory"
        # The last is the loader's. Of a disk whose files may not be executed it says the same, with another end.
        r"|\bbad[_ ]alloc(?:ation)?\b|\bout of memory\b|\bMemoryErrors?\b"
        r"|failed to map segment from shared object(?!: operation not permitted)",
        _MEMORY,
    ),
)


def environment_fault(error: BaseException) -> str | None:
    """Return what the computer lacks and what to do, if that is what ``error`` or one of its causes says; else None."""
    return next((words for link in causes_of(error) if (words := _fault_of(link)) is not None), None)


def _fault_of(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    return fault_in(str(error))


def fault_in(text: str) -> str | None:
    """Return the same for the ``text`` of an error, which may be that of another process."""
    return next((words for pattern, words in _BY_WORDS if re.search(pattern, text, re.IGNORECASE)), None)
