"""Child processes must not outlive a harness that was killed: they would disturb whatever is measured next."""

from __future__ import annotations

import os
import signal
import sys

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
