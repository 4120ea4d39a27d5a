"""The stand-in for a runner app that leaves a copy of its reply, so that a test knows when the phone was under load.

``python metered.py COPY PATHS …``, with the arguments of the stand-in.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path


def main(copy: str, *args: str) -> None:
    from tests.devices.android.standin import measure

    folder = measure(*args)
    # Whole or not at all: the phone's power depends on it.
    shutil.copyfile(folder / "reply.json", f"{copy}.tmp")
    Path(f"{copy}.tmp").rename(copy)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.path[:] = sys.argv[2].split(os.pathsep)
    main(sys.argv[1], *sys.argv[3:])
