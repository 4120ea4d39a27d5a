"""``make soak``: the long tests of what is killed and pulled at random.

``python -m tests.loop.soak [android|ios|farm|run] [options]``; without a name, android. Each has its own options: see
--help.
"""

from __future__ import annotations

import runpy
import sys

SOAKS = {
    "android": "tests.devices.android.soak",
    "farm": "tests.farm.soak",
    "ios": "tests.devices.ios.soak",
    "run": "tests.e2e.soak",
}


def main() -> None:
    """Run the soak test that the first argument names."""
    name = sys.argv.pop(1) if sys.argv[1:2] and sys.argv[1] in SOAKS else "android"
    runpy.run_module(SOAKS[name], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
