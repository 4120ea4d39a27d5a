"""Starts the worker: ``python -I start.py``, with the Python of the driver's environment.

That environment must not see phonebench's own packages. So only the folders of the package itself are made known, under
its name, and the worker imports nothing from it but its own modules.
"""

import sys
import types
from pathlib import Path


def main() -> None:
    """Serve until standard input ends."""
    package = types.ModuleType("harness")
    package.__path__ = [str(Path(__file__).resolve().parents[3])]
    sys.modules["harness"] = package
    from harness.devices.ios.worker.server import serve

    serve()


if __name__ == "__main__":
    main()
