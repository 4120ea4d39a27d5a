"""The command line of the host runner. Its exit code is 0 whenever a reply was written, even one of a failed launch."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from harness.runners.host.job import run_job, write_reply
from harness.system.child_process import end_with_parent


def main(arguments: list[str]) -> int:
    """Run the job in the folder that is the only argument, and return the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m harness.runners.host JOB_FOLDER\n")
        return 2
    end_with_parent()
    # The host keeps standard output as the log of the launch.
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    folder = Path(arguments[0]).resolve()
    reply = run_job(folder)
    try:
        write_reply(folder, reply)
    except OSError as error:
        sys.stderr.write(f"cannot write the reply to {str(folder)!r}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
