"""A small runner that keeps the contract of the iPhone app with the runtimes of this computer, for tests of faults.

It links the files of the store into the job's folder, starts the host runner there and ends as the app does. With
``--wait`` it waits for a file of that name in Documents before it measures, so that a test can act meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path


def main() -> int:
    """Run one job, and return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--wait", default="")
    parser.add_argument("--job", default="")
    parser.add_argument("--inputs", default="")
    given = parser.parse_args()
    root: Path = given.documents / "phonebench"
    folder = root / "jobs" / given.job
    (folder / "log.txt").write_text("the job begins\n")
    request = json.loads((folder / "request.json").read_text())
    artifact = request["artifact"]
    digests = {one["file"]: one["sha256"] for one in (artifact, *artifact.get("companions", []))}
    for name, digest in (digests | {request["inputs"]["file"]: given.inputs}).items():
        (folder / name).unlink(missing_ok=True)
        os.link(root / "store" / digest, folder / name)
    print(f"running {given.job}", flush=True)
    while given.wait and not (given.documents / given.wait).exists():
        time.sleep(0.02)
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from harness.runners.host.job import run_job, write_reply

    write_reply(folder, run_job(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
