"""Settings of our child processes: they import our package rather than the user's files, and they end with us.

A child that outlived a killed phonebench would disturb the next measurement.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import harness

# From <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies. Elsewhere the closed pipe ends it a little later."""
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the request was in place.
    if os.getppid() != parent:
        os._exit(1)


def child_environment(threads: int) -> dict[str, str]:
    """Return a child's environment: ``threads`` for the maths libraries, a traceback on native crashes, our package.

    Start the child with ``python -P``: otherwise a folder named ``harness`` in the user's working folder would be
    imported instead of ours.
    """
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[name] = str(threads)
    environment |= {"PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1"}
    root = Path(harness.__file__).resolve().parents[1]
    # An installed package is found without it, and site-packages must not come before the standard library.
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    return environment
