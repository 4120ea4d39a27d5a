"""Requires a signature of everything that a command trusts."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from harness.signing.bundle import Verified, verify
from harness.signing.keys import read_trusted_key

_PREFIX_VARIABLE = "PYTHONPYCACHEPREFIX"


def require_signatures(paths: Iterable[Path], key_file: Path) -> dict[Path, Verified]:
    """Verify each of ``paths`` with the public key or certificate in ``key_file`` and return what was signed.

    Raises `SignatureError` for the first path that has no valid signature.
    """
    key = read_trusted_key(key_file)
    return {path: verify(path, key) for path in dict.fromkeys(paths)}


def ignore_compiled_modules() -> None:
    """Keep Python, here and in processes started from here, from reading or writing ``__pycache__`` in model folders.

    Python runs a compiled module instead of a source file if their times match. No signature covers compiled modules,
    because Python writes them by itself.
    """
    if sys.pycache_prefix is None:
        folder = tempfile.mkdtemp(prefix="phonebench-pycache-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        sys.pycache_prefix = os.environ[_PREFIX_VARIABLE] = folder
