"""Our own child processes: how they find our package and nothing of the user's, and that they end with us.

A child that outlived a killed harness would disturb whatever is measured next.
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
    """Ask Linux to kill this process when its parent dies; elsewhere the closed pipe ends it a little later."""
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the request was in place.
    if os.getppid() != parent:
        os._exit(1)


def child_environment(threads: int) -> dict[str, str]:
    """Return a child's environment: threads of the maths libraries, a trace of native crashes, our package.

    To be used with ``python -P``, so that a folder of the user's called ``harness`` is not taken for ours.
    """
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[name] = str(threads)
    environment |= {"PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1"}
    root = Path(harness.__file__).resolve().parents[1]
    # An installed package is found anyway, and putting site-packages before the standard library would be wrong.
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    return environment
