"""The command line called inside the test's process: for what ends before any work starts."""

from __future__ import annotations

import contextlib
import gc
import io
import signal

import pytest

from harness.cli import main
from tests.conftest import Called


def call(*args: str) -> Called:
    """Run ``phonebench`` with ``args`` in this process and return how it ended."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(list(args))
    finally:
        signal.signal(signal.SIGTERM, before)
        # ``main`` freezes every object of a process that is about to end; this one goes on.
        gc.unfreeze()
    return Called(code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())
